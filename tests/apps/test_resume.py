"""What a run is gone on from, and what it refuses; names and failed starts."""

from __future__ import annotations

import io
import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import EpisodeKind, Feedback, FeedbackKind, Segment
from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import read_journal
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.run.folder.run_folder import RunFolder, check_name, read_json_lines
from robot_rlhf.run.practice.robot import RobotPractice
from robot_rlhf.run.results.summary import is_measured
from robot_rlhf.run.settings import ConsoleConfig, read_yaml, write_yaml
from robot_rlhf.run.train import default_name, train
from robot_rlhf.runtime.interrupts import EndedAtOnceError
from tests.runtime.runs import earned, tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("finished")
    train(tiny(out), quiet=True)
    return RunFolder(out / "run")


@pytest.fixture
def run(finished: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(finished.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def summary_of(run: RunFolder) -> dict[str, Any]:
    return json.loads(run.summary.read_text())


def test_a_run_in_use_is_left_alone(run: RunFolder) -> None:
    before = run.summary.read_bytes(), run.config.read_bytes()
    with run.locked(), pytest.raises(ConfigError, match=r"run: in use by process \d+ .*allowed: one process at a time"):
        train(tiny(run.path.parent), resume=run.path, changes={"steps": 10_000}, quiet=True)
    assert (run.summary.read_bytes(), run.config.read_bytes()) == before


def test_a_run_goes_on_for_more_steps(run: RunFolder) -> None:
    before = summary_of(run)
    steps = before["env_steps"] + 30
    assert main(["train", "--resume", str(run.path), "--steps", str(steps), "--quiet"]) == 0
    after = summary_of(run)
    assert after["env_steps"] >= steps
    assert after["updates"] == earned(read_yaml(run.config), after["env_steps"])
    assert read_yaml(run.config).steps == steps
    assert [row["resumed"] for row in read_json_lines(run.invocations)] == [False, True]


def test_values_that_were_never_compared_are_over_nothing(run: RunFolder) -> None:
    """A run that goes on with nothing to do has no episode to compare."""
    assert main(["train", "--resume", str(run.path), "--quiet"]) == 0
    after = summary_of(run)
    assert after["recovered_steps"] == after["env_steps"] + after["demonstration_steps"]
    assert after["over_estimation"] is None


def test_eval_of_what_cannot_go_on_does_not_say_how_to(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    """As what robot-rlhf offline began, and did not finish."""
    shutil.rmtree(run.checkpoints)
    assert main(["eval", str(run.path)]) == 2
    assert "has not learned one yet (robot-rlhf train --resume" in capsys.readouterr().err
    shutil.rmtree(run.journal)
    assert main(["eval", str(run.path)]) == 2
    assert capsys.readouterr().err.endswith("the run has not learned one yet\n")


def test_but_not_for_fewer(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--resume", str(run.path), "--steps", "10"]) == 2
    assert "--steps 10: the run has 130; allowed: more" in capsys.readouterr().err
    assert read_yaml(run.config).steps == 130


@pytest.mark.parametrize("lost", [["latest"], ["latest", "policy", "best"]])
def test_a_learner_that_lost_its_state_does_not_begin_anew(run: RunFolder, lost: list[str]) -> None:
    for name in lost:
        getattr(run, name).unlink()
    before = run.summary.read_bytes()
    with pytest.raises(CheckpointError, match=r"learner\.safetensors: missing, though the run has learned"):
        train(tiny(run.path.parent), resume=run.path, quiet=True)
    assert run.summary.read_bytes() == before
    assert summary_of(run)["updates"] > 0


def test_one_that_was_killed_before_its_first_checkpoint_learns_from_what_was_recorded(run: RunFolder) -> None:
    shutil.rmtree(run.checkpoints)
    for path in (run.summary, run.evaluations):
        path.unlink()
    summary = train(tiny(run.path.parent), resume=run.path, quiet=True)
    assert summary["updates"] == earned(read_yaml(run.config), summary["env_steps"]) > 0
    assert summary["policy_version"] == summary["updates"] or run.best.exists()


def test_a_run_without_recordings_says_what_it_lacks(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run.journal)
    assert main(["train", "--resume", str(run.path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "nothing was recorded in it to go on from; a run of robot-rlhf offline" in said


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/elsewhere", "a/b", ".", "..", ""])
def test_a_name_stays_in_its_parents_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="allowed: the name of one folder"):
        check_name(name)
    out = tmp_path / "deep" / "runs"
    if name:
        with pytest.raises(ConfigError, match="allowed: the name of one folder"):
            train(tiny(out, name=name), quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_a_persons_name_makes_no_folders(tmp_path: Path) -> None:
    config = tiny(tmp_path, mode="asynchronous", console=ConsoleConfig(), operator="Ann/Bob", demonstrator="x")
    assert default_name(config) == "reach-sac-Ann_Bob-seed0"


def test_a_start_that_failed_leaves_no_folder(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        console = ConsoleConfig(port=busy.getsockname()[1], open_browser=False)
        with pytest.raises(ConfigError, match="port"):
            train(tiny(tmp_path, mode="asynchronous", console=console), quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_was_started_with_is_kept(finished: RunFolder) -> None:
    (row,) = read_json_lines(finished.invocations)
    assert {"time", "command", "versions", "commit", "resumed"} == set(row)
    assert row["versions"]["torch"]
    hyperparameters = [
        path for path in finished.tensorboard.rglob("events*") if b"learner.learning_rate" in path.read_bytes()
    ]
    assert hyperparameters


def test_a_session_that_goes_on_keeps_what_of_its_console_is_not_given_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    def note(config: Any, **options: Any) -> dict[str, Any]:
        told.update(options["changes"])
        return {"interrupted": False}

    monkeypatch.setattr("robot_rlhf.apps.session.train", note)
    console = ConsoleConfig(host="localhost", port=9001, patience=9.0, rewind="motion")
    write_yaml(tiny(tmp_path, mode="asynchronous", console=console), tmp_path / "config.yaml")
    assert main(["session", "--resume", str(tmp_path), "--console.port", "9002"]) == 0
    assert told == {"console": replace(console, port=9002)}


@pytest.mark.parametrize("mode", ["synchronous", "parallel"])
def test_ended_at_once_while_its_processes_were_ending_it_reports_nothing_more(
    mode: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(*_: object) -> None:
        raise EndedAtOnceError("ended at once, without summary.json")

    monkeypatch.setattr("robot_rlhf.run.practice.robot.RobotPractice.run", impatient)
    monkeypatch.setattr("robot_rlhf.run.practice.arms.ArmsPractice.run", impatient)
    with pytest.raises(EndedAtOnceError, match=r"without summary\.json"):
        train(tiny(tmp_path, mode=mode), quiet=True)
    run = RunFolder(tmp_path / "run")
    assert run.seconds.exists()
    assert not run.summary.exists()


def test_practice_that_taught_nothing_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot_rlhf.runtime.trainer.Trainer.work", lambda self, limit: 0)
    config = tiny(tmp_path, steps=40)
    summary = train(replace(config, evaluation=replace(config.evaluation, every=0)), quiet=True)
    assert summary["updates"] == 0
    assert any("made no update" in warning for warning in summary["warnings"])


@pytest.mark.parametrize("command", [["train", "--resume"], ["eval"], ["offline"]])
def test_a_task_changed_by_hand_is_named(
    command: list[str], run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    config = read_yaml(run.config)
    write_yaml(replace(config, task="pick_cube"), run.config)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*.mcap")}
    assert main([*command, str(run.path)]) == 2
    said = capsys.readouterr().err
    assert f"{run.path}: task: got 'pick_cube', but the run is of 'reach'; allowed is that, or a new run" in said
    assert said.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*.mcap")} == before


def test_what_was_learned_offline_has_a_task_too(run: RunFolder, tmp_path: Path) -> None:
    learned = RunFolder(tmp_path / "learned")
    learned.path.mkdir()
    learned.check_task("any: nothing was recorded, and nothing learned")
    learned.summary.write_text('{"task": "reach"}', encoding="utf-8")
    learned.check_task("reach")
    with pytest.raises(ConfigError, match="got 'pick_cube', but the run is of 'reach'"):
        learned.check_task("pick_cube")


def test_a_run_lives_in_a_folder_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "çalışma 日本"
    write_yaml(tiny(out, steps=40), tmp_path / "config.yaml")
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="iso8859-9"))
    assert main(["train", "--config", str(tmp_path / "config.yaml")]) == 0
    assert main(["train", "--resume", str(out / "run"), "--steps", "60"]) == 0
    assert main(["eval", str(out / "run"), "--episodes", "1"]) == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "demonstrations", "measured"),
    [
        ("synchronous", 0, False),
        ("asynchronous", 0, False),
        pytest.param("asynchronous", 1, True, marks=pytest.mark.slow),
    ],
)
def test_a_policy_that_has_learned_nothing_is_not_measured(
    tmp_path: Path, mode: str, demonstrations: int, measured: bool
) -> None:
    config = tiny(tmp_path, mode=mode, demonstrations=demonstrations, steps=10)
    config = replace(
        config,
        trainer=replace(config.trainer, start_after=10_000),
        evaluation=replace(config.evaluation, every=0, final_episodes=1),
    )
    summary, run = train(config, quiet=True), RunFolder(tmp_path / "run")
    assert summary["updates"] == 0
    assert not summary["interrupted"]
    assert is_measured(summary) is measured, "imitation alone is learning, too"
    assert run.policy.exists() is measured
    if measured:
        assert summary["not_measured"] is None
        return
    assert summary["not_measured"] == "nothing has been learned yet"
    assert summary_of(run)["not_measured"] == summary["not_measured"]
    assert summary["policy_version"] is None


def test_interrupting_the_final_evaluation_leaves_a_true_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("robot_rlhf.run.results.judge.final_evaluation", interrupted)
    config = tiny(tmp_path)
    summary = train(replace(config, evaluation=replace(config.evaluation, every=0)))
    written = summary_of(RunFolder(tmp_path / "run"))
    assert written["interrupted"] is True
    assert not is_measured(written)
    assert written["not_measured"] == "the final evaluation was interrupted; practice had ended before"
    assert written["env_steps"] >= config.steps
    assert 0 <= written["policy_version"] <= summary["updates"] > 0, "what practice showed to be the best"
    assert written["policy_version"] == read_snapshot(RunFolder(tmp_path / "run").best)[0].version
    assert "not measured: the final evaluation was interrupted" in capsys.readouterr().out.replace("\n", " ")


def test_a_demonstration_that_is_taken_back_in_practice_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after, undone = RobotPractice._after_episode, list[str]()

    def undo_first(self: RobotPractice) -> bool:
        if not undone:
            undone.append("demonstration-000000")
            event = Feedback(FeedbackKind.DISCARD, "ann", self.place.clock.now(), Segment(undone[0], 0, 1), 1.0)
            self.session.station.audience.on_event(event)
        return after(self)

    monkeypatch.setattr(RobotPractice, "_after_episode", undo_first)
    config = tiny(tmp_path)
    summary = train(replace(config, evaluation=replace(config.evaluation, every=0, final_episodes=1)), quiet=True)
    told = [record.meta for record in read_journal(tmp_path / "run" / "journal") if isinstance(record, EpisodeStarted)]
    kinds = [meta.kind for meta in told]
    assert kinds[:3] == [EpisodeKind.DEMONSTRATION, EpisodeKind.PRACTICE, EpisodeKind.DEMONSTRATION]
    assert kinds.count(EpisodeKind.DEMONSTRATION) == 2
    assert summary["demonstrations"] == 1
