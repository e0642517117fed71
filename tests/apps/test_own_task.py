"""A task of one's own in a file: in every mode, in other processes, and whatever is done with its recordings after."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.journal.summary import describe
from robot_rlhf.run.settings import read_yaml
from tests.test_layers import ROOT

FEW = ("--quiet", "--demonstrations", "1", "--steps", "30", "--network.hidden", "32", "32", "--video-episodes", "0")
FEW += ("--trainer.batch-size", "32", "--trainer.start-after", "20", "--trainer.warm-start-updates", "10")
FEW += ("--trainer.warm-critic-updates", "5", "--evaluation.every", "0", "--evaluation.final-episodes", "1")
LITTLE = ("--quiet", "--updates", "10", "--batch-size", "16", "--episodes", "1")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a task in it, which calls itself otherwise than its file and class."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "examples" / "02_own_task.py", folder / "own.py")
    return folder


@pytest.fixture(autouse=True)
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


@pytest.fixture(scope="module")
def run(project: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert main(["train", "--task", "own.py:Catch", *FEW, "--name", "run"]) == 0
    return Path("runs/run")


def test_its_run_goes_on_and_is_measured(run: Path) -> None:
    assert describe(run / "journal").tasks.keys() == {"catch"}
    assert read_yaml(run / "config.yaml").task == "own.py:Catch"
    assert main(["train", "--resume", str(run), "--steps", "40", "--quiet"]) == 0
    assert json.loads((run / "summary.json").read_text())["env_steps"] >= 40
    assert main(["eval", str(run), "--episodes", "1"]) == 0


def test_its_run_is_learned_from(run: Path) -> None:
    assert main(["offline", str(run), *LITTLE, "--name", "again"]) == 0
    assert main(["eval", "runs/again", "--episodes", "1"]) == 0
    assert main(["reward", "train", str(run), "--out", "reward.safetensors", "--training.updates", "5", "--quiet"]) == 0


def test_its_journal_alone_is_learned_from(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = str(run / "journal")
    assert main(["offline", journal, "--task", "own.py:Catch", *LITTLE, "--name", "alone"]) == 0
    assert json.loads(Path("runs/alone/summary.json").read_text())["eval_episodes"] == 1
    assert main(["offline", journal, *LITTLE, "--name", "unknown"]) == 0  # a robot that only its recordings tell of
    assert "catch is not simulated here" in json.loads(Path("runs/unknown/summary.json").read_text())["not_measured"]
    assert main(["reward", "train", journal, "--out", "other.safetensors", "--training.updates", "5", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["offline", journal, "--task", "reach", *LITTLE]) == 2
    assert "task: got 'reach', but the run is of 'catch'" in capsys.readouterr().err


def test_a_run_whose_settings_name_another_task_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    settings = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(settings.replace("own.py:Catch", "reach"))
    for command in (["eval", str(other)], ["train", "--resume", str(other)], ["offline", str(other)]):
        assert main(command) == 2
        assert "task: got 'reach', but the run is of 'catch'; allowed is that" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["asynchronous", pytest.param("parallel", marks=pytest.mark.slow)])
def test_other_processes_find_it(mode: str) -> None:
    assert main(["train", "--task", "own.py:Catch", *FEW, "--mode", mode, "--name", mode]) == 0
    summary = json.loads(Path(f"runs/{mode}/summary.json").read_text())
    assert summary["updates"] > 0
    assert summary["eval_episodes"] == 1


def test_what_cannot_be_a_task_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "broken.py").write_text("import nothing_of_that_name\n")
    for task, said in (
        ("own.py:Katch", "own.py has no 'Katch'"),
        ("nowhere.py:Catch", "no such file"),
        ("broken.py:Catch", "cannot be imported (ModuleNotFoundError: No module named 'nothing_of_that_name')"),
        ("own.py:np", "is a module, allowed: a class or function that makes it"),
        ("own.py:Catcher", "cannot be made (TypeError"),
    ):
        assert main(["train", "--task", task, *FEW]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert said in lines[0]


def test_an_arm_of_a_file_is_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(ROOT / "examples" / "03_arm.xml", "arm.xml")
    assert main(["train", "--task", "own.py:Catch", "--arm", "arm.xml", *FEW, "--name", "arm"]) == 0
    assert read_yaml(Path("runs/arm/config.yaml")).place.arm == Path("arm.xml")  # pyright: ignore[reportAttributeAccessIssue]
    assert main(["eval", "runs/arm", "--episodes", "1"]) == 0
    capsys.readouterr()
    assert main(["train", "--task", "reach", "--arm", "leg.xml", *FEW]) == 2
    assert "arm leg.xml: no such file; allowed: an arm in MuJoCo's format (MJCF)" in capsys.readouterr().err
