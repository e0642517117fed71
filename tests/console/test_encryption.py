"""The console over https: pages, sockets and cookie; and what is said of files that it cannot be served with."""

from __future__ import annotations

import re
import shutil
import ssl
from pathlib import Path

import httpx
import pytest

pytest.importorskip("nicegui", reason="the console needs the extra 'console'")

from websockets.sync.client import connect

from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.errors import ConfigError
from robot_rlhf.run.live.live_console import serve
from robot_rlhf.run.settings import ConsoleConfig
from tests.console.certificates import make_certificate
from tests.waits import CEILING

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"), "own")


def test_pages_and_sockets_are_encrypted(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = pair
    trusting = ssl.create_default_context(cafile=str(certificate))
    settings = ConsoleSettings(journal=str(tmp_path), token="secret")
    console = ConsoleConfig(port=0, certificate=certificate, key=key)
    with serve(console, settings, None, tmp_path / "console.log") as process:
        assert re.fullmatch(r"https://127\.0\.0\.1:\d+/\?token=secret", process.address)
        root = process.address.partition("?")[0]
        with httpx.Client(verify=trusting, timeout=CEILING) as client:
            answer = client.get(process.address)  # the socket listens already: it waits for the process
            assert answer.status_code == 303
            cookie = answer.headers["set-cookie"]
            assert "secure" in cookie.lower().split("; ")
            assert client.get(root + "review").status_code == 200, "a secure cookie comes back over https"
        address = root.replace("https", "wss") + "_nicegui_ws/socket.io/?EIO=4&transport=websocket"
        headers = {"cookie": cookie.partition(";")[0]}
        with connect(address, ssl=trusting, additional_headers=headers, open_timeout=CEILING) as socket:
            assert "sid" in str(socket.recv(timeout=CEILING))
        with pytest.raises(httpx.TransportError):
            httpx.get(root.replace("https", "http"), timeout=CEILING)


def test_what_cannot_be_served_with_is_one_line(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = pair
    _, other = make_certificate(tmp_path, "other")
    _, locked = make_certificate(tmp_path, "locked", "-passout", "pass:secret")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    for given, said in (
        ((certificate, None), "console.key: missing, but there is a console.certificate"),
        ((None, key), "console.certificate: missing, but there is a console.key"),
        ((tmp_path / "gone.pem", key), "console.certificate .*gone.pem: cannot be read .No such file"),
        ((certificate, tmp_path), "console.key .*: cannot be read .Is a directory"),
        ((certificate, other), "the key is not the certificate's"),
        ((certificate, locked), "without a password"),
        ((nonsense, key), "in PEM"),
    ):
        console = ConsoleConfig(port=0, certificate=given[0], key=given[1])
        with pytest.raises(ConfigError, match=said) as error:
            serve(console, ConsoleSettings(journal=str(tmp_path), token="t"), None, tmp_path / "console.log")
        assert "\n" not in str(error.value)
