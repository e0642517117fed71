"""Windows, past states, context, shares and watched steps: the ring equals a naive list under all that may happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.context import ContextSpec
from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError, InvalidValueError, ReplayError, ShapeError
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.hindsight import Hindsight, sparse_judge
from robot_rlhf.replay.mixing import EVERYTHING, WATCHED
from robot_rlhf.replay.relabel import Relabelling
from tests.draws import draws

SPEC = ContextSpec({"text": 2, "goal": 1})
STEP = st.sampled_from(["policy", "human", "shared", "watched"])
EPISODES = st.lists(
    st.tuples(st.lists(STEP, max_size=7), st.sampled_from(["terminated", "truncated", "broken", "open", "cut"])),
    min_size=1,
    max_size=6,
)
SIZE = (2, 2)


def seen(number: int) -> dict[str, Any]:
    return {"state": np.array([number + 1, -number - 1], np.float32), "eye": np.full((*SIZE, 3), 1 + number, np.uint8)}


def wanted(number: int) -> dict[str, Any]:
    return {"goal": np.array([number], np.float32), "text": np.array([0.5, number / 2], np.float32), "rest": np.ones(9)}


@dataclass
class Naive:
    """Every row ever written: its episode, the step that left it, and whether that was taken out."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, **what: Any) -> int:
        self.rows.append({"kind": None, "gone": False, **what})
        return len(self.rows) - 1


def shares(kind: str, number: int) -> list[float]:
    return {"human": [1.0, 1.0], "shared": [0.25, (number % 4) / 4]}.get(kind, [0.0, 0.0])


def play(buffer: ReplayBuffer, episodes: list[tuple[list[str], str]]) -> Naive:
    """Rows tell their own numbers; 'cut' takes out the steps from the episode's third row on."""
    naive = Naive()
    for e, (kinds, ending) in enumerate(episodes):
        number = naive.add(episode=e)
        buffer.begin(seen(number))
        first = number
        for t, kind in enumerate(kinds):
            last = t == len(kinds) - 1
            naive.rows[number] |= {"kind": kind, "terminated": last and ending == "terminated"}
            row = buffer.add(
                None if kind == "watched" else np.array([number / 100, 0.5], np.float32),
                float(number),
                last and ending == "terminated",
                last and ending == "truncated",
                Source.POLICY if kind == "policy" else Source.HUMAN,
                seen(number + 1),
                context=wanted(number),
                authority=np.array(shares(kind, number), np.float32) if kind == "shared" else None,
            )
            assert row == number
            number = naive.add(episode=e)
        if ending == "broken":
            buffer.end()
        if ending == "cut" and len(kinds) > 2:
            buffer.discard(first + 2, number)
            for row in naive.rows[first + 2 : number]:
                row["gone"] = True
    return naive


def made(capacity: int, past: int = 0) -> ReplayBuffer:
    size = {"state_size": 2, "action_size": 2, "cameras": {"eye": SIZE}}
    return ReplayBuffer(capacity, discount=0.9, context=SPEC, past=past, **size)  # type: ignore[arg-type]


def held(naive: Naive, capacity: int) -> list[int]:
    """Numbers of transitions that can be asked for."""
    oldest = max(0, len(naive.rows) - capacity)
    return [n for n, row in enumerate(naive.rows) if n >= oldest and row["kind"] and not row["gone"]]


@draws(150)
@given(EPISODES, st.integers(2, 24), st.integers(1, 5))
def test_a_window_is_what_follows_in_the_episode(episodes: Any, capacity: int, length: int) -> None:
    buffer = made(capacity)
    naive = play(buffer, episodes)
    numbers = held(naive, capacity)
    found = buffer.windows(torch.tensor(numbers, dtype=torch.int64), length)
    assert found.action.shape == (len(numbers), length, 2)
    assert found.observation["eye"].shape == (len(numbers), length + 1, *SIZE, 3)
    for k, first in enumerate(numbers):
        steps: list[int] = []
        while len(steps) < length and (n := first + len(steps)) in numbers:
            if naive.rows[n]["episode"] != naive.rows[first]["episode"]:
                break
            steps.append(n)
        rest = length - len(steps)
        kinds = [naive.rows[n]["kind"] for n in steps]
        assert found.mask[k].tolist() == [True] * len(steps) + [False] * rest
        assert found.acted[k].tolist() == [kind != "watched" for kind in kinds] + [False] * rest
        states = [n + 1.0 for n in [*steps, steps[-1] + 1]] + [0.0] * rest
        assert found.observation["state"][k, :, 0].tolist() == states
        assert (found.observation["eye"][k].flatten(1) == torch.tensor(states)[:, None]).all()
        assert found.reward[k].tolist() == [float(n) for n in steps] + [0.0] * rest
        assert found.terminated[k].tolist() == [naive.rows[n]["terminated"] for n in steps] + [False] * rest
        assert found.context[k, :, 0].tolist() == [float(n) for n in steps] + [0.0] * rest
        action = [0.0 if kind == "watched" else n / 100 for n, kind in zip(steps, kinds, strict=True)]
        np.testing.assert_allclose(found.action[k, :, 0], action + [0.0] * rest, rtol=1e-6)


@draws(150)
@given(EPISODES, st.integers(2, 24), st.integers(1, 4))
def test_past_states_are_those_of_the_episode(episodes: Any, capacity: int, past: int) -> None:
    buffer = made(capacity, past)
    naive = play(buffer, episodes)
    index = buffer.indices()
    batch = buffer.gather(index)
    assert batch.observation["past"].shape == (len(index), past, 2)
    for observation, ahead in ((batch.observation, 0), (batch.next_observation, 1)):
        for k, number in enumerate(index.tolist()):
            before = [number + ahead - back for back in range(1, past + 1)]
            oldest = max(0, len(naive.rows) - capacity)
            same = [n >= oldest and naive.rows[n]["episode"] == naive.rows[number]["episode"] for n in before]
            states = [n + 1.0 if ok else 0.0 for n, ok in zip(before, same, strict=True)]
            assert observation["past"][k, :, 0].tolist() == states


@draws(100)
@given(EPISODES, st.integers(2, 24))
def test_rows_carry_what_was_wanted_and_whose_share_was_whose(episodes: Any, capacity: int) -> None:
    buffer = made(capacity)
    naive = play(buffer, episodes)
    index = buffer.indices()
    acted = [n for n in held(naive, capacity) if naive.rows[n]["kind"] != "watched"]
    assert index.tolist() == acted
    assert len(buffer) == len(acted)
    batch = buffer.gather(index)
    context = [[n, 0.5, n / 2] for n in acted]
    for observation in (batch.observation, batch.next_observation):
        np.testing.assert_allclose(observation["context"], np.array(context).reshape(-1, 3))
    if not any("shared" in kinds for kinds, _ in episodes):
        assert batch.authority is None
    else:
        assert batch.authority is not None
        wanted = [shares(naive.rows[n]["kind"], n) for n in acted]
        np.testing.assert_allclose(batch.authority, np.array(wanted).reshape(-1, 2))


@draws(60)
@given(EPISODES, st.integers(4, 24), st.randoms(use_true_random=False))
def test_a_context_is_relabelled_where_rows_are_still_held(episodes: Any, capacity: int, random: Any) -> None:
    buffer = made(capacity)
    naive = play(buffer, episodes)
    index = buffer.indices()
    chosen = [n for n in range(len(naive.rows)) if random.random() < 0.5]
    numbers = torch.tensor(chosen, dtype=torch.int64)
    plain = buffer.gather(index)
    alive = [n for n in chosen if n >= buffer.oldest]
    assert buffer.relabel_context(numbers, {"text": torch.full((len(chosen), 2), 7.0)}, version=3) == len(alive)
    batch = buffer.gather(index)
    versions = buffer.columns(index)["context_version"]
    for k, n in enumerate(index.tolist()):
        text = [7.0, 7.0] if n in alive else [0.5, n / 2]
        assert batch.observation["context"][k].tolist() == [n, *text]
        assert versions[k] == (3 if n in alive else 0)
    assert torch.equal(batch.action, plain.action)
    assert torch.equal(batch.reward, plain.reward)
    old = plain.observation["context"][:, 1:].contiguous()
    buffer.relabel_context(index, {"text": old}, version=0)
    assert torch.equal(buffer.gather(index).observation["context"], plain.observation["context"])


def test_nothing_more_is_the_buffer_of_before() -> None:
    """No context, no past, no shares: the same bytes, the same draws, the same batches."""
    plain, named = (
        ReplayBuffer(40, state_size=2, action_size=2, discount=0.9, seed=5, **more)  # type: ignore[arg-type]
        for more in ({}, {"context": ContextSpec({}), "past": 0})
    )
    for buffer, context in ((plain, {}), (named, wanted(1))):
        buffer.begin({"state": np.zeros(2)})
        for n in range(60):
            action = np.array([n / 100, 0.5])
            buffer.add(action, n, n % 9 == 8, False, Source.HUMAN, {"state": np.ones(2) * n}, context=context)
            if n % 9 == 8:
                buffer.begin({"state": np.ones(2) * n})
    assert plain._rows.floats.shape == named._rows.floats.shape == (40, 12)
    assert torch.equal(plain._rows.floats, named._rows.floats)
    for _ in range(3):
        one, other = plain.sample(16), named.sample(16)
        assert set(one.observation) == set(other.observation) == {"state"}
        assert torch.equal(one.index, other.index)
        assert one.authority is other.authority is None


def test_what_was_only_watched_teaches_no_action() -> None:
    buffer = made(50)
    play(buffer, [(["watched"] * 3, "truncated"), (["human"] * 2, "terminated")])
    watched = buffer.indices(WATCHED)
    assert watched.tolist() == [0, 1, 2]
    assert (len(buffer), buffer.counts[Source.WATCHED]) == (2, 3)
    with pytest.raises(ReplayError, match=r"nobody knows the actions of rows \[0, 1, 2\]"):
        buffer.gather(watched)
    for group in (WATCHED, EVERYTHING | WATCHED):
        with pytest.raises(ConfigError, match="WATCHED steps have no action"):
            buffer.sample(4, {group: 1.0})
        with pytest.raises(ConfigError, match="WATCHED steps have no action"):
            buffer.sample_labelled(4, group=group)
    assert set(buffer.sample(64, {EVERYTHING: 1.0}).source.tolist()) == {int(Source.HUMAN)}
    assert buffer.gather(watched, actions=False).next_observation["state"][:, 0].tolist() == [2.0, 3.0, 4.0]
    scoring = Relabelling(buffer, lambda batch: batch.next_observation["state"][:, 0], 1, group=WATCHED)
    while scoring.advance():
        pass
    assert buffer.windows(watched[:1], 4).reward.tolist() == [[2.0, 3.0, 4.0, 0.0]]


def test_a_static_sampler_draws_all_of_it_and_says_when_shares_begin() -> None:
    buffer = made(30, past=2)
    play(buffer, [(["policy", "human"] * 5, "truncated")] * 2)
    sampler = buffer.static_sampler(16, {EVERYTHING: 1.0})
    sampler.sync()
    assert sampler.signature == (16,)
    assert sampler.draw().authority is None
    buffer.begin(seen(22))
    shared = np.array([0.0, 0.5], np.float32)
    buffer.add(np.zeros(2), 0.0, False, False, Source.HUMAN, seen(23), context=wanted(22), authority=shared)
    sampler.sync()
    assert sampler.signature == (16, 1)
    batch = sampler.draw()
    again = buffer.gather(batch.index)
    assert batch.authority is not None
    assert again.authority is not None
    assert torch.equal(batch.authority, again.authority)
    for name in ("state", "past", "context"):
        assert torch.equal(batch.observation[name], again.observation[name])
        assert torch.equal(batch.next_observation[name], again.next_observation[name])


def test_windows_see_with_another_ones_eyes_as_far_as_it_was_shown() -> None:
    buffer = made(50)
    buffer.add_block("late", state_size=1)
    play(buffer, [(["human"] * 4, "truncated")])
    buffer.fill("late", torch.arange(4), {"state": 10.0 * np.arange(4)[:, None]})
    found = buffer.windows(torch.tensor([1]), 5, block="late")
    assert found.mask.tolist() == [[True, True, False, False, False]]
    assert found.observation["state"][0, :, 0].tolist() == [10.0, 20.0, 30.0, 0.0, 0.0, 0.0]
    assert set(found.observation) == {"state"}


def test_what_cannot_be_is_said() -> None:
    buffer = made(50)
    play(buffer, [(["human"], "open")])
    step: Any = (np.zeros(2), 0.0, False, False, Source.HUMAN, seen(2))
    with pytest.raises(InvalidValueError, match=r"context: got 'goal' \(2,\), allowed: 'goal' \(1,\), 'text' \(2,\)"):
        buffer.add(*step, context={"goal": np.zeros(2, np.float32)})
    with pytest.raises(InvalidValueError, match=r"context: got none, allowed: 'goal' \(1,\)"):
        buffer.add(*step)
    with pytest.raises(InvalidValueError, match=r"authority: got \[2.0, 0.0\], allowed: shares in \[0, 1\]"):
        buffer.add(*step, context=wanted(1), authority=np.array([2.0, 0.0], np.float32))
    with pytest.raises(ShapeError, match=r"authority: shape is \(3,\)"):
        buffer.add(*step, context=wanted(1), authority=np.zeros(3, np.float32))
    with pytest.raises(InvalidValueError, match=r"got 'user' \(1, 3\), allowed: 'goal' \(1, 1\), 'text' \(1, 2\)"):
        buffer.relabel_context(torch.tensor([0]), {"user": torch.zeros(1, 3)})
    before = buffer.gather(torch.tensor([0])).observation["context"]
    with pytest.raises(InvalidValueError, match=r"'text' with NaN or infinity"):
        buffer.relabel_context(
            torch.tensor([0]), {"goal": torch.tensor([[9.0]]), "text": torch.tensor([[1.0, torch.nan]])}
        )
    assert torch.equal(buffer.gather(torch.tensor([0])).observation["context"], before), "all of it or nothing"
    with pytest.raises(ConfigError, match="windows of 0 steps, allowed: at least 1"):
        buffer.windows(torch.tensor([0]), 0)
    with pytest.raises(ReplayError, match=r"rows \[1\] hold no transition"):
        buffer.windows(torch.tensor([1]), 2)
    with pytest.raises(ConfigError, match=r"context: got 'goal' \(0,\)"):
        ContextSpec({"goal": 0})
    judge = Hindsight(slice(0, 1), slice(1, 2), sparse_judge(lambda a, b: (a == b).all(axis=1)))
    with pytest.raises(ConfigError, match="2 past states, allowed: 0 or more, with hindsight 0"):
        ReplayBuffer(10, state_size=2, action_size=1, discount=0.9, past=2, hindsight=judge)
