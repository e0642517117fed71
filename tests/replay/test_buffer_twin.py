"""The ring equals a naive list under random episodes, segments, wraps, cuts and n-step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Source
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import ONLINE, PRIOR
from tests.draws import draws
from tests.replay.twin import ACTION, CAMERAS, STATE, Twin, observation

ONLINE_SOURCES = [Source.POLICY, Source.HUMAN, Source.OTHER]
SEGMENTS = st.lists(st.tuples(st.sampled_from(ONLINE_SOURCES), st.integers(1, 5)), max_size=4)
EPISODES = st.lists(
    st.tuples(
        SEGMENTS, st.booleans(), st.sampled_from(["terminated", "truncated", "broken", "open", "discarded", "proven"])
    ),
    min_size=1,
    max_size=6,
)
GAMMA = 0.9


class Pair:
    """A buffer and its twin, told the same things."""

    def __init__(self, capacity: int, n_step: int, pre: int, device: str = "cpu") -> None:
        self.buffer = ReplayBuffer(
            capacity,
            state_size=STATE,
            action_size=ACTION,
            cameras=CAMERAS,
            discount=GAMMA,
            n_step=n_step,
            pre_intervention=pre,
            device=device,
        )
        self.twin = Twin(capacity, GAMMA, n_step, pre)
        self._seen = 0

    def observation(self) -> dict[str, Any]:
        self._seen += 1
        return observation(self._seen)

    def play(self, sources: list[Source], demonstration: bool, ending: str) -> None:
        first, number = self.observation(), self.buffer.written
        self.buffer.begin(first, demonstration=demonstration)
        self.twin.begin(first, demonstration)
        for t, source in enumerate(sources):
            last = t == len(sources) - 1
            terminated, truncated = last and ending == "terminated", last and ending == "truncated"
            action = np.array([0.01 * self._seen, -0.5], np.float32)
            step = (action, 0.1 * self._seen, terminated, truncated, source, self.observation())
            self.buffer.add(*step, policy_version=self._seen)
            self.twin.add(*step)
        if ending == "broken":
            self.buffer.end()
            self.twin.end()
        if ending == "proven":
            self.buffer.prove()
            self.twin.prove()
        if ending == "discarded":
            self.buffer.discard(number)
            self.twin.discard()

    def compare(self) -> None:
        wanted = self.twin.sampleable()
        index = self.buffer.indices()
        assert index.tolist() == sorted(wanted)
        assert len(self.buffer) == len(wanted)
        for source in Source:
            assert self.buffer.counts[source] == sum(w["source"] is source for w in wanted.values())
        for group in (PRIOR, ONLINE, frozenset({Source.POLICY}), frozenset({Source.PRE_INTERVENTION, Source.PROVEN})):
            assert self.buffer.indices(group).tolist() == [n for n, w in sorted(wanted.items()) if w["source"] in group]
        if not wanted:
            return
        batch = self.buffer.gather(index)
        rows = [wanted[n] for n in sorted(wanted)]
        np.testing.assert_array_equal(batch.action.cpu(), np.stack([w["action"] for w in rows]))
        np.testing.assert_allclose(batch.reward.cpu(), [w["reward"] for w in rows], rtol=1e-5)
        np.testing.assert_allclose(batch.discount.cpu(), [w["discount"] for w in rows], rtol=1e-5)
        np.testing.assert_array_equal(batch.source.cpu(), [w["source"] for w in rows])
        for name in ("state", *CAMERAS):
            np.testing.assert_array_equal(
                batch.observation[name].cpu(), np.stack([w["observation"][name] for w in rows]), err_msg=name
            )
            np.testing.assert_array_equal(
                batch.next_observation[name].cpu(), np.stack([w["next"][name] for w in rows]), err_msg=name
            )
        columns = self.buffer.columns(index)
        for column, key in (("episode", "episode"), ("step", "t"), ("terminated", "terminated")):
            np.testing.assert_array_equal(columns[column], [w[key] for w in rows])
        if not self.buffer.recording:
            np.testing.assert_array_equal(columns["truncated"], [w["truncated"] for w in rows])


def run(episodes: list[Any], capacity: int, n_step: int, pre: int, device: str, look_early: bool) -> None:
    pair = Pair(capacity, n_step, pre, device)
    for k, (segments, demonstration, ending) in enumerate(episodes):
        if look_early and k == 1:
            pair.compare()  # groups asked for early are kept up to date from here on
        pair.twin.end()  # an open episode is closed by the next one
        pair.play([source for source, length in segments for _ in range(length)], demonstration, ending)
        if look_early:
            pair.compare()
    pair.compare()


@draws(150)
@given(EPISODES, st.integers(2, 24), st.integers(1, 4), st.integers(0, 3), st.booleans())
def test_every_row_equals_the_naive_twin(
    episodes: list[Any], capacity: int, n_step: int, pre: int, look_early: bool
) -> None:
    run(episodes, capacity, n_step, pre, "cpu", look_early)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@draws(25)
@given(EPISODES, st.integers(2, 24), st.integers(1, 4), st.integers(0, 3), st.booleans())
def test_every_row_equals_the_naive_twin_on_cuda(
    episodes: list[Any], capacity: int, n_step: int, pre: int, look_early: bool
) -> None:
    run(episodes, capacity, n_step, pre, "cuda", look_early)


def test_edges_of_interventions_have_their_own_neighbours() -> None:
    """Human segments 10-14 and 30-34 of one episode, 110-114 of the next, as known to break peers' buffers."""
    pair = Pair(200, 1, 0)
    for start, human in ((0, {*range(10, 15), *range(30, 35)}), (100, set(range(110, 115)))):
        sources = [Source.HUMAN if start + t in human else Source.POLICY for t in range(50)]
        pair.play(sources, False, "truncated")
    index = pair.buffer.indices(frozenset({Source.HUMAN}))
    batch = pair.buffer.gather(index)
    assert len(index) == 15
    torch.testing.assert_close(batch.next_observation["state"][:, 0], batch.observation["state"][:, 0] + 1)
    for k, number in enumerate(batch.observation["state"][:, 0].int().tolist()):
        for name in CAMERAS:
            np.testing.assert_array_equal(batch.observation[name][k], observation(number)[name])
            np.testing.assert_array_equal(batch.next_observation[name][k], observation(number + 1)[name])


def test_what_the_policy_did_since_it_was_helped_is_proven() -> None:
    pair = Pair(50, 1, 1)
    P, H, N = Source.POLICY, Source.HUMAN, Source.OTHER
    B, S = Source.PRE_INTERVENTION, Source.PROVEN
    for sources, found in (
        ([P, P, P], [S, S, S]),
        ([P, P, H, P, P], [P, B, H, S, S]),
        ([P, P, H], [P, B, H]),
        ([P, N, P], [P, N, S]),
    ):
        pair.play(sources, False, "terminated")
        pair.buffer.prove()
        pair.twin.prove()
        pair.compare()
        newest = pair.buffer.indices()[-len(sources) :]
        assert pair.buffer.gather(newest).source.tolist() == found


def test_newest_row_after_the_wrap_and_an_episode_longer_than_the_ring() -> None:
    pair = Pair(20, 1, 0)
    pair.play([Source.POLICY] * 35, False, "open")
    pair.compare()
    assert len(pair.buffer) == 19
    batch = pair.buffer.gather(pair.buffer.indices())
    torch.testing.assert_close(batch.next_observation["state"][:, 0], batch.observation["state"][:, 0] + 1)


def test_policy_steps_before_a_takeover_are_relabelled() -> None:
    pair = Pair(50, 1, 2)
    P, H = Source.POLICY, Source.HUMAN
    pair.play([P, P, P, H, H, P, H], False, "terminated")
    pair.compare()
    batch = pair.buffer.gather(pair.buffer.indices())
    B = Source.PRE_INTERVENTION
    assert batch.source.tolist() == [P, B, B, H, H, B, H]
