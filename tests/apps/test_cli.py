"""The command line as a user meets it: what is wrong comes back as one line that names the likely word."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from robot_rlhf.apps import cli
from robot_rlhf.apps.cli import COMMANDS, main

SAMPLE = Path(__file__).parents[2] / "datasets" / "sample_session"


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What stands on stderr, which must be one line."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["trian"], "unknown command 'trian'. Did you mean 'train'?"),
        (["--seed", "3"], "a command comes first: session, train"),
        (["train", "--task", "pick_cub"], "unknown task 'pick_cub'. Did you mean 'pick_cube'?"),
        (["train", "--task=reech"], "unknown task 'reech'. Did you mean 'reach'?"),
        (["train", "--operater", "lazy"], "train has no option --operater; did you mean --operator?"),
        (
            ["journal", "info"],
            "journal info: missing: PATH (A journal's folder, one of its files, or a run's folder); see",
        ),
        (["reward", "train"], "reward train: missing: --out PATH (File to write); see robot-rlhf reward train --help"),
        (["offline"], "error: offline: no RUN; allowed: one or more folders of runs or journals"),
        (["train", "--evaluation.evry=3"], "train has no option --evaluation.evry; did you mean --evaluation.every?"),
        (["train", "--operator", "lasy"], "unknown operator 'lasy'. Did you mean 'lazy'?"),
        (["train", "--demonstrator", "clumsey"], "unknown demonstrator 'clumsey'. Did you mean 'clumsy'?"),
        (["train", "--steps", "many"], "--steps: invalid literal for int()"),
        (["train", "--steps", "-1"], "steps: got -1, allowed >= 0"),
        (["train", "--learner", "sarc"], "unknown learner 'sarc'. Did you mean 'sac'?"),
        (["train", "--learner", "math:pi"], "learner 'math:pi': is not a LearnerConfig; allowed: sac, cloning, dagger"),
        (["train", "--learner.temprature", "1"], "did you mean --learner.temperature?"),
        (["train", "--learner=cloning", "--learner.temperature", "1"], "no option --learner.temperature"),
        (
            ["offline", "RUN", "--learner", "sac"],
            "--learner sac: learns while a robot practises; allowed: iql, cloning",
        ),
        (["label", "RUN", "--labeler", "orakle"], "Did you mean 'oracle'?"),
        (["train", "--teacher.labeler", "orcle"], "Did you mean 'oracle'?"),
        (["train", "--operator", "lazyy"], "Did you mean 'lazy'?"),
        (["train", "--demonstrator", "clumzy"], "Did you mean 'clumsy'?"),
        (["record", "--demonstrator", "clumzy", "--out", "x"], "Did you mean 'clumsy'?"),
        (
            ["session", "--operator", "lazyy"],
            "operator 'lazyy': no simulated person is called so. Did you mean",
        ),
        (["session", "--operator", "simulatd"], "Did you mean 'simulated'?"),
        (["session", "--demonstrator", "atentive"], "demonstrator 'atentive'"),
        (["session", "--task", "pick_cub"], "Did you mean 'pick_cube'?"),
        (["train", "--trainer.prior-share", "2"], "trainer.prior_share: got 2.0, allowed 0 to 1"),
        (["train", "pick_cube"], "'pick_cube' stands where an option is expected"),
        (["train", "--resume", "nowhere"], "nowhere: no run's folder"),
        (["train", "--resume", "nowhere", "--seed", "9"], "a resumed run keeps its own settings; leave out --seed"),
        (["train", "--config", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["eval", "nowhere"], "nowhere: no run's folder"),
        (["eval", "nowhere", "--episodes", "0"], "--episodes: got 0, allowed >= 1"),
        (["record", "--out", "x", "--task", "pick_cub"], "unknown task 'pick_cub'"),
        (["journal", "inform", "x"], "unknown journal command 'inform'. Did you mean 'info'?"),
        (["journal", "info", "nowhere"], "nowhere: no such journal"),
        (["journal", "export", str(SAMPLE), "--out", "x", "--format", "lerbot"], "Did you mean 'lerobot'?"),
        (["journal", "replay", str(SAMPLE), "--speed", "-1"], "--speed: got -1.0, allowed >= 0"),
        (["journal", "replay", str(SAMPLE), "--speed", "nan"], "speed: got nan, allowed: a finite number"),
        (["journal", "import", "BAG", "--period", "nan"], "period: got nan, allowed above 0"),
        (["label", "RUN", "--oracle.beta", "nan"], "beta: got nan, allowed >= 0"),
        (["label", "RUN", "--vlm.temperature", "inf"], "vlm.temperature: got inf, allowed: a finite number"),
        (["label", "RUN", "--seed", "-1"], "seed: got -1, allowed >= 0"),
        (["label", "RUN", "--author", "caf\udce9"], r"author: got 'caf\udce9', which is not UTF-8"),
        (
            ["record", "--out", "x", "--task-options", "clearance", "nan"],
            "clearance: got nan, allowed: a finite number",
        ),
        (["record", "--out", "\udcff"], r"out: got '\udcff', which is not UTF-8"),
        (
            ["offline", "RUN", "--learner.learning-rate", "nan"],
            "learner.learning_rate: got nan, allowed: a finite number",
        ),
        (["offline", "RUN", "--gates.cost", "nan"], "gates.cost: got nan, allowed above 0, up to 1"),
        (["offline", "RUN", "--gates.lower", "nan", "0", "0"], "gates.lower.0: got nan, allowed: a finite number"),
        (["offline", "RUN", "--batch-size", "0"], "batch_size: got 0, allowed >= 1"),
        (["eval", "RUN", "--seed", "-3"], "seed: got -3, allowed >= 0"),
        (["eval", "caf\udce9"], r"run: got 'caf\udce9', which is not UTF-8"),
        (["reward", "train", "R", "--out", "x", "--training.learning-rate", "nan"], "allowed: a finite number"),
        (["reward", "train", "R", "--out", "x", "--training.progress.failed", "2"], "failed: got 2.0, allowed 0 to 1"),
        (["reward", "score", "\udcff", "--reward", "x"], r"runs.0: got '\udcff', which is not UTF-8"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    text = one_line(capsys)
    assert text.startswith("robot-rlhf: error: ")
    assert said in text


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-9"])
def test_what_the_terminal_cannot_show_ends_nothing(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "çalışma 日本"
    shutil.copytree(SAMPLE, folder)
    for argv in (["journal", "info", str(folder)], ["journal", "replay", str(folder)], ["doctor", "--help"]):
        shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", shown)
        assert main(argv) == 0, argv
        shown.seek(0)
        assert shown.read().strip(), argv


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_told_to_end_while_graphics_load_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    def loses_it() -> str:
        with contextlib.suppress(KeyboardInterrupt):  # as the loaders of OpenGL do
            signal.raise_signal(number)
        return ""

    monkeypatch.setattr(cli, "prepare_graphics", loses_it)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["train", "--help"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err.endswith("robot-rlhf: interrupted\n")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("command", ["train", "eval", "record", "doctor", "journal"])
def test_help_of_a_command_comes_from_its_fields(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"robot-rlhf {command}" in capsys.readouterr().out


def test_defaults_are_those_of_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--task", "peg_insert", "--help"])
    assert "(default: 15000)" in capsys.readouterr().out


def test_a_run_cannot_be_made_inside_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["train", "--task", "reach", "--out", str(tmp_path / "file" / "runs")]) == 2
    assert "the run's folder cannot be made" in one_line(capsys)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o555)
    assert main(["train", "--task", "reach", "--out", str(tmp_path)]) == 2
    assert str(tmp_path) in one_line(capsys)


def test_a_task_option_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["record", "--task", "reach", "--task-options", "clearence", "1", "--out", str(tmp_path / "x")]
    assert main(argv) == 2
    assert "clearence" in one_line(capsys)


def test_recorded_demonstrations_can_be_looked_at_and_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "session")
    assert main(["record", "--task", "reach", "--demonstrations", "2", "--out", out]) == 0
    assert "2 demonstrations of reach" in capsys.readouterr().out
    assert main(["record", "--task", "reach", "--out", out]) == 2
    assert "exists already" in one_line(capsys)
    assert main(["journal", "info", out]) == 0
    assert "success" in capsys.readouterr().out
    assert main(["journal", "replay", out]) == 0
    assert "demonstration-000001  reach  success" in capsys.readouterr().out
    assert main(["journal", "replay", out, "--video", str(tmp_path / "x.mp4")]) == 2
    assert "has no pictures" in one_line(capsys)
    table = tmp_path / "steps.csv"
    assert main(["journal", "export", out, "--format", "csv", "--out", str(table)]) == 0
    assert "gold_reward" not in table.read_text().splitlines()[0]


def test_recorded_pictures_become_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import av

    sample = SAMPLE.with_name("sample_session_with_camera")
    target = tmp_path / "session.mp4"
    assert main(["journal", "replay", str(sample), "--video", str(target)]) == 0
    with av.open(str(target)) as video:
        frames = sum(1 for _ in video.decode(video=0))
        assert video.streams.video[0].codec_context.name == "h264"
    assert f"{frames} pictures" in capsys.readouterr().out


def test_doctor_finds_this_machine_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--seconds", "0.2", "--out", str(tmp_path / "runs")]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("python", "torch", "camera pictures", "disk", "20 Hz", "memory"))
