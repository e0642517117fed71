"""The examples of the library run, with few steps, and do what they say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf import Run
from robot_rlhf.run.settings import PEOPLE

EXAMPLES = Path(__file__).parents[1] / "examples"
LITTLE: dict[str, Any] = {
    "network.hidden": [32, 32],
    "trainer.batch_size": 32,
    "trainer.start_after": 20,
    "trainer.warm_start_updates": 10,
    "trainer.warm_critic_updates": 5,
    "evaluation.every": 0,
    "evaluation.final_episodes": 2,
    "video_episodes": 0,
}
FEW: dict[str, Any] = {"demonstrations": 1, "steps": 30, "quiet": True}


def load(name: str) -> Any:
    """An example as a module, which other parts of it are found in by its file."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def little(tmp_path: Path) -> dict[str, Any]:
    return {**FEW, "settings": LITTLE, "out": tmp_path}


def test_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = load("01_train").main(steps=30, episodes=2, out=str(tmp_path), **LITTLE)
    assert run.summary["env_steps"] >= 30
    assert (run.path / "plot.png").stat().st_size > 10_000
    assert "without help: " in capsys.readouterr().out


def test_own_task(little: dict[str, Any]) -> None:
    module = load("02_own_task")
    run = module.main(**little)
    assert run.config.task == f"{EXAMPLES / '02_own_task.py'}:Catch"
    assert {row["task"] for row in run.episodes} == {"catch"}
    assert run.evaluate(episodes=1).episodes == 1


def test_own_robot(little: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    run: Run = load("03_own_robot").main(**little)
    assert run.config.place.arm == EXAMPLES / "03_arm.xml"  # pyright: ignore[reportAttributeAccessIssue]
    assert "6 joints: pan, lift" in capsys.readouterr().out


def test_own_reward(little: dict[str, Any]) -> None:
    run = load("04_own_reward").main(**little)
    assert run.config.reward.gold
    for row in run.episodes:
        assert row["reward"] == pytest.approx(row["gold_reward"])


def test_own_person(little: dict[str, Any]) -> None:
    runs = load("05_own_person").main("reach", **little)
    assert runs["attentive"].config.person is None  # one of the cast, by name
    assert runs["dreamer"].config.person.presence == 0.5
    assert runs["dreamer"].config.person not in PEOPLE.values()


def test_learn_from_recordings(tmp_path: Path) -> None:
    learn = {"batch_size": 16, "episodes": 1}
    main = load("06_learn_from_recordings").main
    runs = main("reach", 2, 10, record=LITTLE, learn=learn, out=tmp_path, quiet=True)
    assert {name: run.summary["algorithm"] for name, run in runs.items()} == {"cloning": "cloning", "iql": "iql"}
    assert runs["iql"].summary["offline"]["episodes_used"] == {"demonstration success": 2}
