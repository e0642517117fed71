"""The runner of the learning benchmark: what is killed is missing and done again, what failed is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.learning import status
from benchmarks.learning.cases import Case
from benchmarks.learning.rows import Era
from benchmarks.learning.runner import Runner
from robot_rlhf.errors import ConfigError
from tests.benchmarks import worker
from tests.waits import until

FIRST, SECOND, THIRD = (Case("pick_cube", "ours", "attentive", seed) for seed in (100, 101, 102))
CLONE = Case("pick_cube", "cloning", "attentive", 100)


@pytest.fixture
def era(tmp_path: Path) -> Era:
    made = Era("test", results=tmp_path / "results", runs=tmp_path / "runs")
    made.runs.mkdir(parents=True)
    return made


class Told:
    """What a runner says, a text each."""

    def __init__(self, era: Era) -> None:
        self.texts: list[str] = []
        self._era = era

    def run(self, *cases: Case, processes: int = 1, retry: bool = False, budget_hours: float | None = None) -> bool:
        runner = Runner(
            self._era,
            processes=processes,
            retry=retry,
            budget_hours=budget_hours,
            command=worker.COMMAND,
            say=self.texts.append,
        )
        return runner.run(cases)


def begun(era: Era, case: Case) -> list[int]:
    """Numbers of the processes that began a run."""
    path = era.runs / f"{case.name}.begun"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_killed_runner_leaves_whole_rows_and_goes_on_with_what_is_missing(era: Era) -> None:
    """kill -9 while one run is done and two are at work: these end too, have no row, and alone are done again."""
    for case in (SECOND, THIRD):
        (era.runs / f"{case.name}.hold").touch()
    cases = [case.to_json() for case in (FIRST, SECOND, THIRD)]
    runner = subprocess.Popen([*worker.COMMAND, "run", str(era.rows), str(era.runs), *cases])
    until(lambda: era.row(FIRST) is not None and begun(era, SECOND) and begun(era, THIRD))
    assert era.running(SECOND)
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    until(lambda: not era.running(SECOND) and not era.running(THIRD))
    assert [row["seed"] for row in era.all_rows()] == [100]
    assert not list(era.all_failures())
    (era.rows / f"{SECOND.name}.json.part").write_text('{"task": "pick_')  # as a kill within the writing leaves it
    for case in (SECOND, THIRD):
        (era.runs / f"{case.name}.hold").unlink()
    assert era.row(SECOND) is None
    assert Told(era).run(FIRST, SECOND, THIRD, processes=2)
    assert [row["seed"] for row in era.all_rows()] == [100, 101, 102]
    assert [len(begun(era, case)) for case in (FIRST, SECOND, THIRD)] == [1, 2, 2]


def test_a_killed_run_is_missing_and_no_failure(era: Era) -> None:
    (era.runs / f"{FIRST.name}.hold").touch()
    runner = subprocess.Popen([*worker.COMMAND, "run", str(era.rows), str(era.runs), FIRST.to_json(), SECOND.to_json()])
    until(lambda: begun(era, FIRST))
    os.kill(begun(era, FIRST)[0], signal.SIGKILL)
    assert runner.wait() == 1
    assert era.row(FIRST) is None
    assert era.row(SECOND) is not None
    assert not era.failed(FIRST)
    (era.runs / f"{FIRST.name}.hold").unlink()
    assert Told(era).run(FIRST, SECOND)
    assert len(begun(era, SECOND)) == 1


def test_a_failure_is_told_with_its_traceback_and_tried_again_only_when_asked(era: Era) -> None:
    fail = era.runs / f"{FIRST.name}.fail"
    fail.touch()
    assert not Told(era).run(FIRST, SECOND)
    [failure] = era.all_failures()
    assert failure["name"] == FIRST.name
    assert "ValueError: as the file says" in failure["traceback"]
    assert str(Path(__file__).parents[2]) not in json.dumps(failure)
    assert not Told(era).run(FIRST, SECOND)
    fail.unlink()
    assert not Told(era).run(FIRST)
    assert len(begun(era, FIRST)) == 1
    assert Told(era).run(FIRST, retry=True)
    assert not list(era.all_failures())


def test_what_needs_a_failed_run_is_left_out(era: Era) -> None:
    (era.runs / f"{FIRST.name}.fail").touch()
    told = Told(era)
    assert CLONE.needs == FIRST
    assert not told.run(FIRST, CLONE, SECOND)
    assert begun(era, CLONE) == []
    assert any(CLONE.name in text and FIRST.name in text for text in told.texts)


def test_what_is_cloned_comes_first(era: Era) -> None:
    """With a process to spare the clone waits for its data all the same."""
    (era.runs / f"{FIRST.name}.hold").touch()
    cases = [case.to_json() for case in (FIRST, CLONE)]
    runner = subprocess.Popen([*worker.COMMAND, "run", str(era.rows), str(era.runs), *cases])
    until(lambda: begun(era, FIRST))
    assert begun(era, CLONE) == []
    (era.runs / f"{FIRST.name}.hold").unlink()
    assert runner.wait() == 0
    assert len(begun(era, CLONE)) == 1


def test_two_runners_do_each_run_once(era: Era) -> None:
    (era.runs / f"{FIRST.name}.hold").touch()
    cases = [case.to_json() for case in (FIRST, SECOND, THIRD)]
    other = subprocess.Popen([*worker.COMMAND, "run", str(era.rows), str(era.runs), *cases])
    until(lambda: begun(era, FIRST))
    assert not Told(era).run(FIRST, SECOND)  # the first is the other's still
    (era.runs / f"{FIRST.name}.hold").unlink()
    assert other.wait() == 0
    assert [len(begun(era, case)) for case in (FIRST, SECOND, THIRD)] == [1, 1, 1]


def test_after_the_budget_nothing_begins(era: Era) -> None:
    assert not Told(era).run(FIRST, budget_hours=0.0)
    assert begun(era, FIRST) == []


def test_a_row_of_other_settings_is_not_taken_for_this_one(era: Era) -> None:
    case = Case("pick_cube", "ours", "attentive", 100, "rate", ("learner.learning_rate=0.001",))
    era.write(case, worker.row_of(case))
    assert era.row(case) is not None
    with pytest.raises(ConfigError, match="settings"):
        era.row(Case("pick_cube", "ours", "attentive", 100, "rate", ("learner.learning_rate=0.01",)))


def test_status_tells_what_is_done_running_failed_and_missing_and_how_long_it_takes(era: Era) -> None:
    era.write(FIRST, {**worker.row_of(FIRST), "wall_s": 1_800.0})
    (era.runs / f"{SECOND.name}.fail").touch()
    Told(era).run(SECOND)
    with era.claimed(THIRD):
        states = [status.state_of(era, case) for case in (FIRST, SECOND, THIRD, CLONE)]
        assert states == ["done", "failed", "running", "missing"]
        console = Console(record=True, width=120, file=open(os.devnull, "w"))  # noqa: SIM115  ends with the test
        status.show(era, [FIRST, SECOND, THIRD, CLONE], 2, console)
    text = console.export_text()
    assert f"running: {THIRD.name}" in text
    assert f"failed: {SECOND.name}: ValueError" in text
    assert "expected: 0.5 h with 2 at a time" in text  # two runs of half an hour
