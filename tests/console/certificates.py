"""Certificates made for a test."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.waits import CEILING


def make_certificate(folder: Path, name: str, *options: str) -> tuple[Path, Path]:
    """A certificate of its own for this machine, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *(options or ("-nodes",))], check=True, capture_output=True, timeout=CEILING)
    return certificate, key
