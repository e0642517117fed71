"""The tests that Stable-Baselines3 has of its SAC, on RlhfSAC in its place: passed, refused by name, failed.

    python -m benchmarks.sb3_conformance [TESTS ...]

TESTS are folders or files of tests; without any, the source of the installed version is fetched with pip into a folder
that is deleted afterwards. Ends with 1 when a test fails that no refusal explains.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import stable_baselines3
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.base_class import BaseAlgorithm

from robot_rlhf.bridges.algorithm import RlhfSAC
from robot_rlhf.errors import ConfigError

PACKAGE = "stable-baselines3"


class InSacsPlace:
    """A plugin of pytest: `from stable_baselines3 import SAC` gives RlhfSAC, and tests of others are left out."""

    def __init__(self) -> None:
        self.results: dict[str, tuple[str, str]] = {}
        """Test to its outcome and the reason for it."""
        stable_baselines3.SAC = RlhfSAC  # pyright: ignore[reportAttributeAccessIssue]  that is the point

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if isinstance(item, pytest.Function) and uses_sac(item)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report: pytest.TestReport = yield
        if report.when == "call" or report.outcome != "passed":
            error = call.excinfo.value if call.excinfo else None
            refusal = refusal_in(error)
            outcome = "refused" if report.failed and refusal else report.outcome
            last = str(error).strip().splitlines()[:1] if error else []
            self.results[item.nodeid] = (outcome, refusal or f"{type(error).__name__}: {''.join(last)}")
        return report


def uses_sac(item: pytest.Function) -> bool:
    """Whether a test is of SAC: by its parameters, or, where no parameter is an algorithm, by its code."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else []
    algorithms = [p for p in parameters if isinstance(p, type) and issubclass(p, BaseAlgorithm)]
    if algorithms:
        return RlhfSAC in algorithms
    names = [p for p in parameters if p in ("a2c", "ppo", "sac", "td3")]
    return "sac" in names if names else "SAC" in item.function.__code__.co_names


def refusal_in(error: BaseException | None) -> str:
    """What RlhfSAC refused, in its own words, when that is why a test failed."""
    while error is not None:
        if isinstance(error, ConfigError):
            return str(error)
        error = error.__cause__ or error.__context__
    return ""


def fetch_tests(into: Path) -> Path:
    """The tests of the installed version, by way of its source distribution."""
    version = metadata.version(PACKAGE)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--quiet"]
    subprocess.run([*command, "--dest", str(into), f"{PACKAGE}=={version}"], check=True)
    (archive,) = into.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(into, filter="data")
    (folder,) = into.glob("*/tests")
    return folder


def files_of_sac(path: Path) -> list[Path]:
    """Test files that name SAC: others may need packages that are not installed here."""
    files = sorted(path.glob("test_*.py")) if path.is_dir() else [path]
    return [file for file in files if "SAC" in file.read_text(encoding="utf-8")]


def run_tests(tests: list[Path], *options: str) -> dict[str, tuple[str, str]]:
    """Test to outcome ('passed', 'refused', 'skipped', 'failed') and reason."""
    plugin = InSacsPlace()
    own = ["-q", "--tb=short", "-p", "no:cacheprovider", "-p", "no:randomly", *options]
    files = [str(file) for path in tests for file in files_of_sac(path)]
    pytest.main([*own, *files], plugins=[plugin])
    return plugin.results


def main(arguments: list[str]) -> int:
    """Run the tests, print the table, and say by the exit status whether anything failed."""
    with tempfile.TemporaryDirectory() as folder:
        tests = [Path(name) for name in arguments] or [fetch_tests(Path(folder))]
        results = run_tests(tests)
    counts = Counter(outcome for outcome, _ in results.values())
    table = Table("outcome", "test", "reason")
    for name, (outcome, reason) in sorted(results.items(), key=lambda entry: (entry[1][0], entry[1][1])):
        if outcome != "passed":
            table.add_row(outcome, name.rpartition("/")[2], reason)
    console = Console(width=200)
    console.print(table)
    console.print(json.dumps({"version": metadata.version(PACKAGE), **counts}))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
