"""Runs at places other than the simulated arm's, made small: practised, measured, gone on with, learned from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.apps.session import session_defaults
from robot_rlhf.journal.reader import episodes
from robot_rlhf.run.settings import read_yaml

OWN = Path(__file__).with_name("own_places.py")
SWINGER = f"{OWN.parents[1] / 'sim' / 'swinger.py'}:swinger"
SMALL = (
    *("--quiet", "--name", "run", "--video-episodes", "0", "--network.hidden", "16", "16"),
    *("--trainer.batch-size", "16", "--trainer.start-after", "20", "--evaluation.episodes", "1"),
    *("--evaluation.every", "30", "--evaluation.final-episodes", "2", "--trainer.updates-per-step", "0.5"),
    *("--trainer.warm-start-updates", "5", "--trainer.warm-critic-updates", "5"),
)
PLACES = {
    "gym": ("--place", "gym", "--task", "Pendulum-v1", "--time-limit", "15"),
    "gym, of one's own": ("--place", "gym", "--task", SWINGER, "--disturbance.command-delay", "1"),
    "fake": ("--place", "fake", "--task", "touch", "--demonstrations", "2"),
    "own": ("--place", f"{OWN}:open_place", "--task", "lift", "--operator", "absent", "--demonstrations", "0"),
}


def summary_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


@pytest.mark.parametrize("place", PLACES)
def test_what_a_run_has_learned_is_measured_again(place: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", *PLACES[place], *SMALL, "--out", str(tmp_path), "--steps", "40"]) == 0
    first = summary_of(run)
    assert first["env_steps"] >= 40
    assert first["updates"] > 0
    assert first["eval_episodes"] == 2
    assert main(["eval", str(run)]) == 0
    again = json.loads((run / "eval-0.json").read_text())
    told = ("success_rate", "gold_return_mean", "policy_checksum")
    assert {name: again[name] for name in told} == {name: first[name] for name in told}


@pytest.mark.parametrize(
    ("place", "cameras"), [("gym", ("render",)), ("fake", ()), ("own", ()), ("the simulated arm", ("front", "side"))]
)
def test_an_operator_looks_through_the_cameras_of_the_place(place: str, cameras: tuple[str, ...]) -> None:
    config = session_defaults([*PLACES.get(place, ()), "--operator", "kim"])
    assert (config.cameras, config.demonstrator) == (cameras, "kim")


@pytest.mark.parametrize("place", ["gym", "own"])
def test_a_run_reproduces_goes_on_and_is_learned_from(place: str, tmp_path: Path) -> None:
    run, small = tmp_path / "run", ["--quiet", "--updates", "5", "--batch-size", "16", "--episodes", "1"]
    for name in ("run", "twin"):
        argv = ["train", *PLACES[place], *SMALL, "--evaluation.every", "0", "--out", str(tmp_path)]
        assert main([*argv, "--steps", "30", "--name", name]) == 0
    first = summary_of(run)
    assert first["policy_checksum"] == summary_of(tmp_path / "twin")["policy_checksum"]
    assert main(["train", "--resume", str(run), "--steps", "45", "--quiet"]) == 0
    assert summary_of(run)["env_steps"] >= 45
    assert summary_of(run)["recovered_steps"] >= first["env_steps"]
    assert {episode.meta.task for episode in episodes(run / "journal")} == {first["task"]}
    assert main(["offline", str(run), *small, "--out", str(tmp_path), "--name", "new"]) == 0
    assert summary_of(tmp_path / "new")["eval_episodes"] == 1
    assert read_yaml(tmp_path / "new" / "config.yaml").place == read_yaml(run / "config.yaml").place


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--place", "gmy", "--task", "Pendulum-v1"], "unknown place 'gmy'. Did you mean 'gym'?"),
        (["--place", "gym", "--task", "Pendlum-v1"], "Did you mean: `Pendulum`"),
        (["--place", "gym", "--task", "CartPole-v1"], "a robot needs continuous actions, a Box"),
        (["--place", "gym", "--task", "Pendulum-v1", "--operator", "lazy"], "no simulated person knows it; allowed:"),
        (["--place", "fake", "--task", "pick_cube"], "unknown task of place fake 'pick_cube'. Known: touch"),
        (["--place", "fake", "--task", "touch", "--cameras", "front"], "cameras: got front, but place fake has none"),
        (["--place", f"{OWN}:open_broken"], "cannot be made (OSError: no robot at /dev/ttyUSB0)"),
        (["--place", f"{OWN}:open_nothing"], "made a NoneType, allowed: a robot_rlhf.place.Place"),
        (["--place", f"{OWN}:open_one_task"], "cannot be made (TypeError: open_one_task() got an unexpected keyword"),
        (["--place", f"{OWN}:NOT_A_FUNCTION"], "is a int, allowed: a class or function that makes it"),
        (["--place", f"{OWN}:open_plaice"], "has no 'open_plaice'"),
        (
            ["--place", f"{OWN}:open_place", "--options", "in_real_time", "yes"],
            "lives in real time; say so with --real, and use mode asynchronous",
        ),
        (
            ["--place", f"{OWN}:open_place", "--real", "--mode", "synchronous"],
            "a run is asynchronous; a robot lives in real time",
        ),
        (
            ["--place", f"{OWN}:open_place", "--options", "hight", "0.3"],
            "cannot be made (TypeError: open_place() got an unexpected keyword argument 'hight'",
        ),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_line_and_leaves_nothing(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *options, "--quiet", "--out", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not list(tmp_path.glob("runs/*"))
