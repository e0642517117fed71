"""What others see of the same rows: the ring's blocks equal the naive twin, shown at once or late."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import InvalidValueError, ReplayError, ShapeError, UnknownNameError
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.relabel import Relabelling
from tests.draws import draws

SIZE = (2, 3)
EPISODES = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["terminated", "broken", "discarded", "open"]), st.booleans()),
    min_size=1,
    max_size=7,
)


def look(number: int) -> dict[str, np.ndarray[Any, Any]]:
    return {"state": np.array([number, -number], np.float32), "eye": np.full((*SIZE, 3), number % 251, np.uint8)}


def own(number: int) -> dict[str, np.ndarray[Any, Any]]:
    return {"state": np.array([number], np.float32)}


def make(capacity: int = 50) -> ReplayBuffer:
    buffer = ReplayBuffer(capacity, state_size=1, action_size=1, discount=0.9, n_step=2)
    for name in ("now", "late"):
        buffer.add_block(name, state_size=2, cameras={"eye": SIZE})
    return buffer


def play(buffer: ReplayBuffer, steps: int, ending: str) -> list[int]:
    """One episode, whose rows tell their own numbers; returns these."""
    first = buffer.written
    buffer.begin(own(first), beside={"now": look(first)})
    for t in range(steps):
        number = buffer.written
        last = ending == "terminated" and t == steps - 1
        buffer.add(np.zeros(1), number, last, False, Source.POLICY, own(number), beside={"now": look(number)})
    if ending == "broken":
        buffer.end()
    if ending == "discarded":
        buffer.discard(first)
    return list(range(first, buffer.written))


def fill(buffer: ReplayBuffer, numbers: list[int]) -> int:
    seen = {name: np.stack([look(n)[name] for n in numbers]) for name in ("state", "eye")}
    return buffer.fill("late", torch.tensor(numbers), seen)


@draws(100)
@given(EPISODES, st.integers(2, 24))
def test_blocks_hold_what_their_rows_were_shown(episodes: list[tuple[int, str, bool]], capacity: int) -> None:
    buffer, waiting, shown = make(capacity), [], set[int]()
    for steps, ending, tell in episodes:
        waiting += play(buffer, steps, ending)
        if tell:
            held = [n for n in waiting if n >= buffer.oldest]
            assert fill(buffer, waiting) == len(held)
            shown |= set(waiting)
            assert buffer.filled_to("late") == waiting[-1] + 1
            waiting = []
    assert buffer.filled_to("now") == buffer.filled_to("policy") == buffer.written
    index = buffer.indices()
    both = [n for n in index.tolist() if n in shown and n + 1 in shown]
    assert buffer.indices(block="late").tolist() == both
    assert buffer.outdated(1, block="late").tolist() == both
    assert buffer.indices(block="now").tolist() == index.tolist()
    for name, numbers in (("now", index), ("late", torch.tensor(both, dtype=torch.int64))):
        batch, plain = buffer.gather(numbers, block=name), buffer.gather(numbers, one_step=True)
        for seen, step in ((batch.observation, 0), (batch.next_observation, 1)):
            assert seen["state"][:, 0].tolist() == [n + step for n in numbers.tolist()]
            assert (seen["eye"].flatten(1) == (seen["state"][:, :1] % 251)).all()
        for column in ("action", "reward", "discount", "source", "weight", "index"):
            assert torch.equal(getattr(batch, column), getattr(plain, column)), column
    if len(both) < len(index):
        with pytest.raises(ReplayError, match="were not shown to block 'late'"):
            buffer.gather(index, block="late")


def test_rewards_are_relabelled_as_a_block_sees_the_rows() -> None:
    buffer = make()
    fill(buffer, play(buffer, 4, "terminated"))
    play(buffer, 3, "terminated")
    scoring = Relabelling(buffer, lambda batch: batch.next_observation["state"][:, 1], 1, chunk=2, block="late")
    while scoring.advance():
        pass
    assert scoring.changed == 4
    rewards = buffer.gather(buffer.indices(), one_step=True).reward.tolist()
    assert rewards == [-1.0, -2.0, -3.0, -4.0, 6.0, 7.0, 8.0]


def test_memory_is_accounted_for_each_block() -> None:
    memory = make(1000).memory
    assert set(memory) == {"policy", "now", "late"}
    assert memory["now"].total.host == 1000 * (2 * 4 + 2 * 3 * 3 + 1)
    with pytest.raises(ReplayError, match="GB are free"):
        ReplayBuffer(10_000_000, state_size=1, action_size=1, discount=0.9).add_block(
            "huge", state_size=1, cameras={"eye": (1000, 1000)}
        )


def test_what_cannot_be_is_said() -> None:
    buffer = make()
    with pytest.raises(ReplayError, match="a block 'now' is there already"):
        buffer.add_block("now", state_size=1)
    with pytest.raises(UnknownNameError, match=r"unknown block of replay 'lat'. Did you mean 'late'\?"):
        buffer.indices(block="lat")
    with pytest.raises(UnknownNameError, match="unknown block of replay 'then'"):
        buffer.begin(own(0), beside={"then": look(0)})
    play(buffer, 2, "terminated")
    with pytest.raises(ReplayError, match="allowed: before the first"):
        buffer.add_block("new", state_size=1)
    with pytest.raises(ReplayError, match="'policy' is filled with its rows"):
        buffer.fill("policy", torch.tensor([0]), {})
    with pytest.raises(ReplayError, match="rows 99 to 99 asked for"):
        buffer.fill("late", torch.tensor([99]), {"state": np.zeros((1, 2)), "eye": np.zeros((1, *SIZE, 3), np.uint8)})
    with pytest.raises(InvalidValueError, match="exactly the entries"):
        buffer.fill("late", torch.tensor([0]), {"state": np.zeros((1, 2))})
    with pytest.raises(ShapeError, match="expected"):
        buffer.begin(own(0), beside={"now": look(0) | {"state": np.zeros(3)}})
