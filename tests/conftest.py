"""Settings of the whole suite: the same draws in every `make test`, free ones in `make slow`; and a real browser.

A property test is tried on what hypothesis draws. Whoever runs the suite must get the answer that we got, so that
profile `fixed`, the default, derives every draw from the test's own text. `make slow` takes profile `free`: other
draws each time, many more, and what fails is kept and tried first the next time.
"""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from benchmarks.browser import CHROMIUM
from benchmarks.browser import browser as chromium
from tests.draws import FOUND

# A shell starts what it puts in the background deaf to Ctrl-C, which some tests press.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes depends on what else this machine does: no test fails for that.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fixed", PATIENT, derandomize=True)
settings.register_profile(
    "free",
    PATIENT,
    derandomize=False,  # said, because hypothesis derandomizes whatever says nothing where CI is set
    max_examples=1000,
    database=DirectoryBasedExampleDatabase(FOUND),
    print_blob=True,
)
settings.load_profile("fixed")  # `--hypothesis-profile free` is heard after this

# hypothesis also draws constants that stand in the modules imported so far, so that a test's draws would depend on
# which tests ran before it in the same process.
providers._get_local_constants = Constants


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """What a test makes of Ctrl-C and SIGTERM in this process is gone after it: processes inherit it, too."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def small_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in a test leaves an empty picture unless the test is marked `curves`: they take as long as a tiny run does.

    Runs of wider fixtures, and of other processes, draw them.
    """
    report = sys.modules.get("robot_rlhf.run.results.report")
    if report is not None and "curves" not in request.keywords:
        from matplotlib.figure import Figure

        monkeypatch.setattr(report, "draw_curves", lambda *told: Figure(figsize=(1, 1)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser; what asks for it is skipped where there is none."""
    pytest.importorskip("playwright.sync_api", reason="pages are looked at with playwright")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM} (apt install chromium)")
    with chromium() as started:
        yield started


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what becomes of a failure that free draws found."""
    failed = [report for report in terminalreporter.getreports("failed") if "hypothesis" in report.keywords]
    if failed and config.getoption("--hypothesis-profile") == "free":
        terminalreporter.section("what the free draws found")
        terminalreporter.line(
            f"{len(failed)} property test(s) failed; what was drawn is kept in {FOUND} and tried first"
        )
        terminalreporter.line("the next time. So that `make test` knows it: add it to the test as @example(...).")
