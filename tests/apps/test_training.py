"""A whole run, made small: everything is written, measured again alike, and survives being interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.journal.format import JOURNAL_VERSION
from robot_rlhf.journal.summary import describe
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.results.summary import KEYS
from robot_rlhf.run.settings import read_yaml
from tests.waits import CEILING

TINY = [
    *("--task", "reach", "--quiet", "--name", "tiny", "--demonstrations", "1", "--steps", "120"),
    *("--evaluation.every", "60", "--evaluation.episodes", "3", "--evaluation.final-episodes", "4"),
    *("--trainer.start-after", "20", "--trainer.updates-per-step", "1", "--trainer.batch-size", "32"),
    *("--trainer.warm-start-updates", "30", "--trainer.warm-critic-updates", "10", "--network.hidden", "32", "32"),
]
REQUIRED = {
    *("task", "seed", "algorithm", "env_steps", "updates", "wall_s", "policy_checksum", "gold_return_mean"),
    *("human_steps", "hands_on_minutes", "at_machine_minutes", "human_episodes_share"),
    *("eval_episodes", "eval_successes", "success_rate", "wilson_low", "wilson_high"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("runs")
    assert main(["train", *TINY, "--video-episodes", "2", "--seed", "3", "--out", str(out)]) == 0
    return RunFolder.existing(out / "tiny")


@pytest.fixture
def copied(run: RunFolder, tmp_path: Path) -> RunFolder:
    """The same run, to be damaged."""
    return RunFolder(Path(shutil.copytree(run.path, tmp_path / "copy")))


def summary_of(run: RunFolder) -> dict[str, object]:
    return json.loads(run.summary.read_text())


def command(*argv: str, **env: str) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "robot_rlhf.apps.cli", *argv],
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_everything_is_written(run: RunFolder) -> None:
    summary = summary_of(run)
    assert set(summary) == set(KEYS)
    assert not [name for name in REQUIRED if summary[name] is None]
    assert summary["not_measured"] is None
    assert summary["task"] == "reach"
    assert summary["seed"] == 3
    assert summary["eval_episodes"] == 4
    env_steps = summary["env_steps"]
    assert isinstance(env_steps, int)
    assert env_steps >= 120
    for path in (run.config, run.metrics, run.evaluations, run.latest, run.policy, run.curves, run.video):
        assert path.stat().st_size > 0, path
    assert list(run.tensorboard.glob("events.*"))
    assert list(summary) == sorted(summary)


def test_the_journal_agrees_with_the_summary(run: RunFolder) -> None:
    summary, journal = summary_of(run), describe(run.journal)
    assert journal.steps == int(str(summary["env_steps"])) + int(str(summary["demonstration_steps"]))
    assert journal.steps_by_driver["human"] == int(str(summary["human_steps"])) + int(
        str(summary["demonstration_human_steps"])
    )
    assert journal.hands_on_seconds == pytest.approx(float(str(summary["hands_on_seconds"])), abs=0.01)
    assert journal.at_machine_seconds == pytest.approx(float(str(summary["at_machine_seconds"])), abs=0.01)
    assert journal.broken_off == 0


def test_config_of_the_run_is_what_was_asked(run: RunFolder) -> None:
    config = read_yaml(run.config)
    assert (config.task, config.seed, config.steps, config.network.hidden) == ("reach", 3, 120, (32, 32))


def test_measured_again_alike(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(run.path)]) == 0
    again, summary = json.loads((run.path / "eval-3.json").read_text()), summary_of(run)
    assert str(summary["policy_checksum"])[:20] in capsys.readouterr().out
    assert again["policy_checksum"] == summary["policy_checksum"]
    for name in ("success_rate", "gold_return_mean", "wilson_low", "wilson_high"):
        assert again[name] == summary[name]


def test_a_finished_run_resumed_has_nothing_to_add(copied: RunFolder) -> None:
    before = summary_of(copied)
    assert main(["train", "--resume", str(copied.path), "--quiet"]) == 0
    after = summary_of(copied)
    for name in ("env_steps", "updates", "human_steps", "policy_checksum", "success_rate"):
        assert after[name] == before[name], name


def test_a_damaged_checkpoint_is_one_line(copied: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(copied.policy.read_bytes())
    data[-5] ^= 0xFF
    copied.policy.write_bytes(data)
    assert main(["eval", str(copied.path), "--which", "latest"]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "policy.safetensors: contents do not match their checksum" in text


def test_a_checkpoint_of_another_shape_is_one_line(copied: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    text = copied.config.read_text()
    copied.config.write_text(text.replace("hidden:\n  - 32\n  - 32", "hidden:\n  - 16\n  - 32"))
    assert main(["eval", str(copied.path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("robot-rlhf: error: ")


def test_a_journal_of_another_version_is_one_line(copied: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    file = next(copied.journal.glob("*.mcap"))
    written = file.read_bytes()
    kept = written.replace(f"robot_rlhf journal {JOURNAL_VERSION}".encode(), b"robot_rlhf journal 9")
    assert kept != written
    file.write_bytes(kept)
    assert main(["train", "--resume", str(copied.path), "--quiet"]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "version 9" in text
    assert file.read_bytes() == kept


def test_without_opengl_all_but_the_video_works(tmp_path: Path) -> None:
    process = command("train", *TINY, "--out", str(tmp_path), MUJOCO_GL="disable")
    said = process.communicate(timeout=CEILING)[1]
    assert process.returncode == 0, said
    assert (tmp_path / "tiny" / "curves.png").exists()
    assert not (tmp_path / "tiny" / "rollouts.mp4").exists()
    assert [line for line in said.splitlines() if "no rollouts.mp4" in line and "Mesa" in line]


@pytest.mark.parametrize(("backend", "said"), [("disable", "no OpenGL context"), ("invalid", "MUJOCO_GL backend")])
def test_pictures_without_opengl_are_one_line(backend: str, said: str, tmp_path: Path) -> None:
    argv = ("record", "--task", "reach", "--cameras", "front", "--out", str(tmp_path / "x"))
    process = command(*argv, MUJOCO_GL=backend)
    text = process.communicate(timeout=CEILING)[1]
    assert process.returncode == 2
    assert text.count("\n") == 1
    assert said in text
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
def test_told_to_end_twice_it_leaves_a_summary(tmp_path: Path, numbers: tuple[signal.Signals, ...]) -> None:
    out = ("--steps", "100000", "--evaluation.every", "0", "--video-episodes", "0", "--out", str(tmp_path))
    process = command("train", *TINY, *out)
    run = RunFolder(tmp_path / "tiny")
    deadline = time.monotonic() + 60
    while not any("practice" in line for line in _lines(run.metrics)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.1)  # two at once are one
    said = process.communicate(timeout=110)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert summary_of(run)["interrupted"] is True
    assert run.latest.exists()


def test_interrupted_then_resumed(tmp_path: Path) -> None:
    out = ("--steps", "100000", "--evaluation.every", "100000", "--video-episodes", "0", "--out", str(tmp_path))
    process = command("train", *TINY, *out)
    run = RunFolder(tmp_path / "tiny")
    deadline = time.monotonic() + CEILING
    while not any("practice" in line for line in _lines(run.metrics)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=CEILING)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    first = summary_of(run)
    assert first["interrupted"] is True
    steps = int(str(first["env_steps"]))
    assert describe(run.journal).steps == steps + int(str(first["demonstration_steps"]))

    run.config.write_text(run.config.read_text().replace("steps: 100000\n", f"steps: {steps + 40}\n", 1))
    assert main(["train", "--resume", str(run.path), "--quiet"]) == 0
    second = summary_of(run)
    assert second["recovered_steps"] == steps + int(str(first["demonstration_steps"]))
    assert int(str(second["env_steps"])) >= steps + 40
    assert int(str(second["updates"])) >= int(str(first["updates"]))
    assert second["demonstrations"] == first["demonstrations"] == 1


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_learning_after_drawing_does_not_crash() -> None:
    """Mesa and torch both bring LLVM: in the wrong order the process died."""
    code = (
        "import numpy as np; from robot_rlhf_sim.tasks import Reach; from robot_rlhf.timing import FakeClock\n"
        "task = Reach(FakeClock()); task.reset(np.random.default_rng(0)); task.arm.render('front', 64, 64)\n"
        "import torch; torch.optim.Adam([torch.zeros(2, requires_grad=True)])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=CEILING)
