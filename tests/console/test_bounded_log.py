"""Strangers cannot fill the console's log: few lines of a kind, the rest counted, and a file that is put aside."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path

from robot_rlhf.console import bounded_log
from robot_rlhf.console.bounded_log import FEW, KINDS, LARGEST, WINDOW, BoundedHandler, put_aside
from robot_rlhf.timing import FakeClock


class Log:
    """A handler on a fake clock."""

    def __init__(self) -> None:
        self.clock = FakeClock(0.0)
        self.text = io.StringIO()
        self.handler = BoundedHandler(self.text, clock=self.clock.now)

    def say(self, text: str, *args: object, name: str = "uvicorn.error", error: Exception | None = None) -> None:
        exc = None if error is None else (type(error), error, error.__traceback__)
        self.handler.handle(logging.LogRecord(name, logging.ERROR, "", 0, text, args, exc))

    @property
    def lines(self) -> list[str]:
        return self.text.getvalue().splitlines()


def test_of_one_kind_a_few_are_written_and_the_rest_is_counted() -> None:
    log = Log()
    for port in range(10_000):
        log.say("refused a handshake from port %d", port)
    log.say("something else")
    assert len(log.lines) == FEW + 1
    log.clock.advance(WINDOW)
    log.say("something else")
    assert log.lines[FEW + 1] == f"left out {10_000 - FEW} more within 60 s: refused a handshake from port N"
    log.say("refused a handshake from port 7")
    assert log.lines[-1] == "refused a handshake from port 7", "in the next minute they are told again"


def test_what_is_left_out_at_the_end_is_said() -> None:
    log = Log()
    for _ in range(FEW + 3):
        log.say("again")
    log.handler.close()
    assert log.lines[-1].startswith("left out 3 more")


def test_only_the_first_of_a_kind_brings_its_traceback() -> None:
    log = Log()
    for minute in range(3):
        for number in range(100):
            try:
                raise KeyError("client_id")
            except KeyError as error:
                log.say("Task exception was never retrieved\nfuture: <Task-%d>", number, name="asyncio", error=error)
        log.clock.advance(WINDOW * (minute + 1))
    assert log.text.getvalue().count("Traceback") == 1
    assert len(log.lines) < 3 * (2 * FEW + 1) + 10
    assert "KeyError: 'client_id'" in log.lines[-2]


def test_kinds_that_are_made_up_are_bounded_too() -> None:
    log = Log()
    for number in range(5_000):
        name = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        log.say(f"unknown event {name}")
    assert len(log.lines) <= KINDS + FEW


def test_a_file_that_has_grown_is_put_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "console.log"
    writes = "import sys\nfor line in sys.stdin: print(line.strip() * 1000, flush=True)"
    with file.open("ab") as output:
        child = subprocess.Popen([sys.executable, "-c", writes], stdin=subprocess.PIPE, stdout=output, text=True)
        assert child.stdin is not None
        for _ in range(LARGEST // 10_000 + 1):
            child.stdin.write("0123456789\n")
        child.stdin.close()
        assert child.wait(30) == 0
        put_aside(file)
        assert file.stat().st_size == 0
        assert file.with_name("console.log.1").stat().st_size > LARGEST
        output.write(b"on it goes\n")
    assert file.read_bytes() == b"on it goes\n"
    put_aside(file)
    assert file.read_bytes() == b"on it goes\n", "small ones stay"


def test_libraries_with_handlers_of_their_own_are_bounded() -> None:
    flood = (
        "import logging, sys\n"
        "own = logging.getLogger('engineio.server')\n"
        "own.addHandler(logging.StreamHandler(sys.stderr)); own.propagate = False\n"
        f"from {bounded_log.__name__} import log_boundedly\n"
        "log_boundedly(sys.stderr)\n"
        "for i in range(1000): own.error('message async handler error')\n"
    )
    done = subprocess.run([sys.executable, "-c", flood], capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == FEW + 1
    assert f"left out {1000 - FEW} more" in done.stderr
