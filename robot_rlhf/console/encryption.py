"""The certificate by which the console speaks https: checked before anything is started."""

from __future__ import annotations

import ssl
from pathlib import Path

from robot_rlhf.errors import ConfigError

_WHY = {
    "KEY_VALUES_MISMATCH": "the key is not the certificate's",
    "BAD_DECRYPT": "the key asks for a password, allowed is one without",
}


def check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Check that both files can be served with; nothing where there are none.

    Raises:
        ConfigError: one without the other, a file that is missing or cannot be read, no PEM, or a key of another
            certificate.
    """
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        there, missing = ("key", "certificate") if certificate is None else ("certificate", "key")
        raise ConfigError(f"console.{missing}: missing, but there is a console.{there}; allowed: both or none")
    for name, path in (("certificate", certificate), ("key", key)):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise ConfigError(f"console.{name} {path}: cannot be read ({error.strerror})") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        why = _WHY.get(error.reason or "", "allowed are a certificate and its key without a password, in PEM")
        raise ConfigError(f"console.certificate {certificate}, console.key {key}: {why}") from error
