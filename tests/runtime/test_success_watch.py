"""A learned success that ends episodes: inline, and in a thread that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from robot_rlhf.conformance import sample_observation
from robot_rlhf.datatypes import Observation, Outcome
from robot_rlhf.errors import ConfigError
from robot_rlhf.rewards.model import Calibration, LearnedReward
from robot_rlhf.rewards.network import RewardConfig, RewardInputs
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.success_watch import SuccessWatch, SuccessWatchBeside
from tests.journal.sessions import make_spec
from tests.runtime.stations import Rig
from tests.waits import until


def place(observation: Observation) -> dict[str, np.ndarray]:
    return {"state": observation.tool_pose_in_base[:1].astype(np.float32)}


def a_model(hold: int = 1) -> LearnedReward:
    """Success is a tool beyond x = 0: the members are replaced by that rule."""
    model = LearnedReward(RewardInputs(1), RewardConfig(members=2, hidden=(4,)), seed=0, reads="success")
    model.calibration = Calibration(threshold=0.5, hold=hold)
    model.members = lambda observation, action=None, instructions=None: (  # type: ignore[method-assign]
        (observation["state"][:, 0] > 0.0).float().expand(2, -1)
    )
    return model


def seen(x: float) -> Observation:
    observation = sample_observation(make_spec(), 0.0, np.random.default_rng(0))
    return replace(observation, tool_pose_in_base=np.array([x, 0, 0, 0, 1, 0, 0], np.float32))


@pytest.fixture
def beside() -> Iterator[SuccessWatchBeside]:
    watch = SuccessWatchBeside(a_model(hold=2), place)
    yield watch
    watch.close()


def test_success_must_be_held() -> None:
    watch = SuccessWatch(a_model(hold=2), place)
    watch.begin()
    assert [watch.succeeded(seen(x)) for x in (1.0, -1.0, 1.0, 1.0)] == [False, False, False, True]
    watch.begin()
    assert watch.succeeded(seen(1.0)) is False, "what was seen before the episode does not count"


def test_beside_the_loop_the_verdict_comes_later_and_stays(beside: SuccessWatchBeside) -> None:
    beside.begin()
    assert beside.succeeded(seen(1.0)) is False, "nobody waits"
    until(lambda: beside.succeeded(seen(1.0)))
    assert beside.succeeded(seen(-1.0)) is True
    beside.begin()
    assert beside.succeeded(seen(-1.0)) is False


def test_a_model_that_breaks_judges_no_more_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("no such tensor")

    model = a_model()
    model.members = broken  # type: ignore[method-assign]
    watch = SuccessWatchBeside(model, place)
    watch.begin()
    watch.succeeded(seen(1.0))
    until(lambda: "judges no more" in caplog.text)
    assert watch.succeeded(seen(1.0)) is False
    watch.close()


def test_only_a_success_head_judges() -> None:
    model = a_model()
    model.reads = "progress"
    with pytest.raises(ConfigError, match="progress"):
        SuccessWatch(model, place)


def test_an_episode_ends_where_the_model_says_so_and_not_where_the_task_would() -> None:
    rig = Rig()
    rig.station.reward = SparseReward(judge="model")
    model = a_model()
    looked: list[int] = []

    def third(*_: object) -> torch.Tensor:
        looked.append(1)
        return torch.full((2, 1), float(len(looked) >= 3))

    model.members = third  # type: ignore[method-assign]
    rig.station.success_watch = SuccessWatch(model, place)
    end = rig.run()
    assert (end.outcome, end.steps) == (Outcome.SUCCESS, 3)
    assert rig.listener.steps[-1].reward == pytest.approx(1.0, abs=0.03)
    assert rig.station.reward.source.startswith("model_success")
