"""Goals in hindsight: equal to a loop over lists, also where episodes end, are cut off, and where the ring wraps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.hindsight import Hindsight, HindsightConfig, Strategy, Wanted, sparse_judge
from robot_rlhf.replay.mixing import EVERYTHING
from tests.draws import draws

ACHIEVED, DESIRED = slice(0, 2), slice(3, 5)
"""Of a state [achieved (2), something else, desired (2)]."""
GAMMA = 0.9
ALL = {EVERYTHING: 1.0}


def near(achieved: Any, desired: Any) -> Any:
    return np.abs(achieved - desired).max(axis=-1) < 0.5


def dense(wanted: Wanted) -> tuple[Any, Any]:
    """A judge by distance, which ends nothing that did not end."""
    return -np.abs(wanted.achieved - wanted.desired).sum(axis=1), wanted.terminated


def filled(
    lengths: list[int], ends: list[str], *, capacity: int, hindsight: Hindsight | None, seed: int = 0
) -> tuple[ReplayBuffer, list[dict[str, Any]]]:
    """A ring with such episodes, and a list with one entry per row ever written."""
    buffer = ReplayBuffer(
        capacity, state_size=5, action_size=1, discount=GAMMA, hindsight=hindsight, seed=seed, device="cpu"
    )
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for episode, (length, end) in enumerate(zip(lengths, ends, strict=True)):
        goal = rng.integers(0, 4, 2)

        def seen(goal: Any = goal) -> Any:
            return np.array([*rng.integers(0, 4, 2), len(rows), *goal], np.float32)

        state = seen()
        buffer.begin({"state": state})
        rows.append({"episode": episode, "state": state, "reward": None})
        for step in range(length):
            over = step == length - 1
            action, state = rng.uniform(-1, 1, 1).astype(np.float32), seen()
            reward = float(rng.integers(-3, 2)) if end != "success" else float(over) - 0.02
            terminated = over and end in ("success", "failure")
            rows[-1] |= {"action": action, "reward": reward, "terminated": terminated}
            buffer.add(action, reward, terminated, over and end == "truncated", Source.POLICY, {"state": state})
            rows.append({"episode": episode, "state": state, "reward": None})
        if end == "broken":
            buffer.end()
    return buffer, rows


def twin(
    rows: list[dict[str, Any]], index: list[int], chance: list[float], place: list[float], capacity: int, how: Any
) -> list[dict[str, Any]]:
    """What the batch should be, one transition at a time."""
    config, judge = how
    result = []
    for number, c, p in zip(index, chance, place, strict=True):
        row, after = rows[number], rows[number + 1]
        made = {
            "state": row["state"].copy(),
            "next": after["state"].copy(),
            "reward": row["reward"],
            "discount": 0.0 if row["terminated"] else GAMMA,
        }
        if c < config.share:
            held = range(max(0, len(rows) - capacity), len(rows))
            same = [k for k in held if rows[k]["episode"] == row["episode"]]
            if config.strategy == "future":
                candidates = [k for k in same if k > number]
            elif config.strategy == "final":
                candidates = same[-1:]
            else:
                candidates = same[1:]
            goal = rows[candidates[int(np.float32(p) * np.float32(len(candidates)))]]["state"][ACHIEVED]
            made["state"][DESIRED] = made["next"][DESIRED] = goal
            alone = Wanted(
                achieved=made["next"][ACHIEVED][None],
                desired=goal[None],
                reward=np.array([row["reward"]], np.float32),
                terminated=np.array([row["terminated"]]),
            )
            reward, ends = judge(alone)
            made["reward"], made["discount"] = float(reward[0]), 0.0 if ends[0] else GAMMA
        result.append(made)
    return result


@draws(60)
@given(
    episodes=st.lists(
        st.tuples(st.integers(1, 7), st.sampled_from(["success", "failure", "truncated", "broken", "open"])),
        min_size=1,
        max_size=8,
    ),
    capacity=st.integers(12, 40),
    share=st.sampled_from([0.0, 0.5, 0.8, 1.0]),
    strategy=st.sampled_from(["future", "final", "episode"]),
    by_distance=st.booleans(),
    seed=st.integers(0, 100),
)
def test_drawn_transitions_are_those_of_a_loop(
    episodes: list[tuple[int, str]], capacity: int, share: float, strategy: Strategy, by_distance: bool, seed: int
) -> None:
    config = HindsightConfig(share, strategy)
    judge = dense if by_distance else sparse_judge(near)
    hindsight = Hindsight(ACHIEVED, DESIRED, judge, config)
    lengths, ends = [length for length, _ in episodes], [end for _, end in episodes]
    buffer, rows = filled(lengths, ends, capacity=capacity, hindsight=hindsight, seed=seed)
    plain, _ = filled(lengths, ends, capacity=capacity, hindsight=None, seed=seed)
    g = torch.Generator()
    batch = buffer.sample(32, ALL)
    index = batch.index.tolist()
    assert plain.sample(32, ALL).index.tolist() == index  # the same rows, whatever becomes of them
    g.set_state(torch.from_numpy(plain.state()["generator"]))  # what was drawn next
    chance, place = (torch.rand(32, generator=g).tolist() for _ in range(2))
    expected = twin(rows, index, chance, place, capacity, (config, judge))
    for k, made in enumerate(expected):
        np.testing.assert_array_equal(batch.observation["state"][k], made["state"])
        np.testing.assert_array_equal(batch.next_observation["state"][k], made["next"])
        assert float(batch.reward[k]) == pytest.approx(made["reward"], abs=1e-6)
        assert float(batch.discount[k]) == pytest.approx(made["discount"])
        np.testing.assert_array_equal(batch.action[k], rows[index[k]]["action"])
    # The ring itself holds what was recorded.
    held = buffer.gather(buffer.indices())
    for k, number in enumerate(buffer.indices().tolist()):
        np.testing.assert_array_equal(held.observation["state"][k], rows[number]["state"])
        assert float(held.reward[k]) == pytest.approx(rows[number]["reward"])


def test_the_share_is_kept_and_later_goals_are_equally_likely() -> None:
    hindsight = Hindsight(ACHIEVED, DESIRED, dense, HindsightConfig(0.8))
    buffer = ReplayBuffer(20, state_size=5, action_size=1, discount=GAMMA, hindsight=hindsight)
    buffer.begin({"state": np.array([0, 0, 0, -1, -1], np.float32)})
    for step in range(1, 6):
        after = {"state": np.array([step, 0, 0, -1, -1], np.float32)}
        buffer.add(np.zeros(1, np.float32), 0.0, False, step == 5, Source.POLICY, after)
    batch = buffer.sample(20_000, ALL)
    goals = batch.observation["state"][:, 3]
    assert float((goals >= 0).float().mean()) == pytest.approx(0.8, abs=0.01)
    for row in range(5):
        given = goals[(batch.index == row) & (goals >= 0)].long()
        shares = torch.bincount(given, minlength=6)[row + 1 :] / len(given)
        assert int(given.min()) == row + 1
        np.testing.assert_allclose(shares, np.full(5 - row, 1 / (5 - row)), atol=0.04)


def test_a_goal_that_was_reached_ends_the_episode_and_costs_stay() -> None:
    reward, ends = sparse_judge(near)(
        Wanted(
            achieved=np.array([[1, 1], [1, 1], [1, 1], [1, 1]], np.float32),
            desired=np.array([[1, 1], [3, 3], [3, 3], [1, 1]], np.float32),
            reward=np.array([-0.02, 0.98, -0.5, 1.0], np.float32),
            terminated=np.array([False, True, True, True]),
        )
    )
    np.testing.assert_allclose(reward, [0.98, -0.02, -0.5, 1.0], atol=1e-6)
    assert ends.tolist() == [True, False, True, True]


def test_refuses_what_cannot_be() -> None:
    for achieved, desired in ((slice(0, 2), slice(1, 3)), (slice(0, 2), slice(2, 5))):
        with pytest.raises(ConfigError, match="hindsight"):
            Hindsight(achieved, desired, dense)
    with pytest.raises(ConfigError, match=r"hindsight\.share"):
        HindsightConfig(1.5)
    with pytest.raises(ConfigError, match="n_step 3"):
        ReplayBuffer(
            9, state_size=5, action_size=1, discount=0.9, n_step=3, hindsight=Hindsight(ACHIEVED, DESIRED, dense)
        )
    for wrong, error in (
        (lambda w: (w.reward[:-1], w.terminated), ShapeError),
        (lambda w: (w.reward * np.nan, w.terminated), InvalidValueError),
    ):
        buffer, _ = filled([3], ["open"], capacity=9, hindsight=Hindsight(ACHIEVED, DESIRED, wrong))
        with pytest.raises(error):
            buffer.sample(8, ALL)
    with pytest.raises(ConfigError, match="hindsight"):
        filled([3], ["open"], capacity=9, hindsight=Hindsight(ACHIEVED, DESIRED, dense))[0].static_sampler(8, ALL)
