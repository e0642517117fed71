"""The examples run, and are short."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf.errors import RenderError

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sb3_trains_our_task() -> None:
    assert 0.0 <= load("sb3_trains_our_task").main(steps=110, episodes=2) <= 1.0


def test_device_replay_in_sb3() -> None:
    try:
        assert load("device_replay_in_sb3").main(steps=104, buffer_size=200, image_size=40) > 200 * 40 * 40 * 3
    except RenderError as error:
        pytest.skip(str(error))


def test_our_learner_as_sb3() -> None:
    assert load("our_learner_as_sb3").main(steps=120, episodes=1) < 0.0


def test_sb3_policy_in_our_loop() -> None:
    assert load("sb3_policy_in_our_loop").main(steps=110, episodes=2).episodes == 2


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[!0]*.py")), ids=lambda path: path.stem)
def test_they_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 40
