"""Queries never repeat a pair, depend on nothing but their seed, and choose what they say they choose."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import Segment
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError, UnknownNameError
from robot_rlhf.feedback.queries import (
    POOL,
    Candidate,
    Pair,
    choose,
    clips_of,
    disagreement,
    entropy,
    k_centre,
    path_features,
    segments_of,
    uniform,
    usual_length,
)
from tests.draws import draws


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def candidates(count: int, size: int = 3, seed: int = 0) -> list[Candidate]:
    features = rng(seed).standard_normal((count, size)).astype(np.float32)
    return [Candidate(Segment("e", 10 * i, 10), features[i]) for i in range(count)]


def key(pair: Pair) -> frozenset[Segment]:
    return frozenset(pair)


@pytest.mark.parametrize("choose", [uniform, k_centre])
@given(n=st.integers(0, 9), count=st.integers(0, 40), seed=st.integers(0, 99), done=st.integers(0, 20))
@draws(60)
def test_no_pair_twice(choose: Callable[..., list[Pair]], n: int, count: int, seed: int, done: int) -> None:
    known = candidates(n)
    every = [(a.segment, b.segment) for a, b in itertools.combinations(known, 2)]
    labelled = [(b, a) if i % 2 else (a, b) for i, (a, b) in enumerate(every[:done])]
    pairs = choose(known, count, rng(seed), labelled)
    assert pairs == choose(known, count, rng(seed), labelled)
    assert len(pairs) == min(count, len(every) - len(labelled))
    assert all(a != b for a, b in pairs)
    assert len({key(pair) for pair in pairs}) == len(pairs)
    assert not {key(pair) for pair in pairs} & {key(pair) for pair in labelled}


@pytest.mark.parametrize("count", [1, 12])  # drawn one by one, and out of all
def test_uniform_is_uniform_either_way_round(count: int) -> None:
    known = candidates(6)
    drawn = [pair for seed in range(6000 // count) for pair in uniform(known, count, rng(seed))]
    tally = np.zeros((6, 6))
    for a, b in drawn:
        tally[a.start // 10, b.start // 10] += 1
    assert (np.diag(tally) == 0).all()
    share = tally[~np.eye(6, dtype=bool)] / len(drawn)
    assert np.abs(share - 1 / 30).max() < 0.012


def test_k_centre_spreads_over_clusters() -> None:
    """Of 3 clusters of 10 there are 6 kinds of pairs, 3 of them across: the first 6 queries hit all 6."""
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    known = [
        Candidate(Segment(f"{i % 3}", i, 1), (centres[i % 3] + 0.1 * rng(i).standard_normal(2)).astype(np.float32))
        for i in range(30)
    ]
    for seed in range(20):
        pairs = k_centre(known, 6, rng(seed))
        assert len({tuple(sorted((a.episode_id, b.episode_id))) for a, b in pairs}) == 6


def test_k_centre_keeps_away_from_what_was_asked() -> None:
    values = [0.0, 0.1, 5.0, 9.0]
    known = [Candidate(Segment("e", i, 1), np.array([v], np.float32)) for i, v in enumerate(values)]
    segment = [c.segment for c in known]
    # Farthest from (0, 9) either way round, by hand: (0, 0.1): 0 + 8.9^2 is the largest of the five left.
    (pair,) = k_centre(known, 1, rng(), [(segment[3], segment[0])])
    assert key(pair) == {segment[0], segment[1]}


def test_no_feature_outweighs_the_others_by_its_unit() -> None:
    base = rng(1).standard_normal((8, 2)).astype(np.float32)
    in_metres = [Candidate(Segment("e", i, 1), row) for i, row in enumerate(base)]
    one_in_microns = [Candidate(Segment("e", i, 1), row * np.array([1, 1e6], np.float32)) for i, row in enumerate(base)]
    assert k_centre(in_metres, 5, rng()) == k_centre(one_in_microns, 5, rng())


def test_disagreement_and_entropy() -> None:
    pairs = [(Segment("a", i, 1), Segment("b", i, 1)) for i in range(4)]
    probabilities = np.array([[0.5, 0.9, 0.2, 1.0], [0.5, 0.1, 0.4, 1.0]])
    assert disagreement(pairs, probabilities, 2) == [pairs[1], pairs[2]]
    # The means are 0.5, 0.5, 0.3, 1.0: sure of the last, equally unsure of the first two.
    assert entropy(pairs, probabilities, 4) == pairs
    assert entropy(pairs, probabilities, 0) == []
    with pytest.raises(ShapeError, match=r"\(2, 3\), expected \(members, 4\)"):
        entropy(pairs, probabilities[:, :3], 1)
    with pytest.raises(InvalidValueError, match=r"numbers in \[0, 1\]"):
        disagreement(pairs, 2 * probabilities, 1)
    with pytest.raises(InvalidValueError):
        entropy(pairs, probabilities * np.nan, 1)


def test_refuses() -> None:
    with pytest.raises(InvalidValueError, match="steps >= 1"):
        segments_of({"e": 5}, 0)
    bare = [Candidate(Segment("e", i, 1)) for i in range(3)]
    assert len(uniform(bare, 2, rng())) == 2
    with pytest.raises(InvalidValueError, match="a vector"):
        k_centre(bare, 1, rng())
    mixed = [
        Candidate(Segment("e", 0, 1), np.zeros(2, np.float32)),
        Candidate(Segment("e", 1, 1), np.zeros(3, np.float32)),
    ]
    with pytest.raises(ShapeError, match="features"):
        k_centre(mixed, 1, rng())
    with pytest.raises(InvalidValueError, match="each segment once"):
        uniform([*bare, bare[0]], 1, rng())


@pytest.mark.parametrize("strategy", ["disagreement", "entropy"])
def test_an_ensemble_chooses_from_a_pool(strategy: str) -> None:
    known = candidates(40)
    asked: list[int] = []

    def probabilities(pairs: Sequence[Pair]) -> np.ndarray:
        """Two members that agree on all but pairs of neighbours."""
        asked.append(len(pairs))
        near = np.array([abs(a.start - b.start) == 10 for a, b in pairs])
        return np.stack([np.where(near, 0.0, 0.9), np.where(near, 1.0, 0.9)])

    pairs = choose(strategy, known, 5, rng(), [], probabilities)
    assert asked == [5 * POOL]
    neighbours = [abs(a.start - b.start) == 10 for a, b in uniform(known, 5 * POOL, rng())]
    assert [abs(a.start - b.start) == 10 for a, b in pairs].count(True) == min(5, sum(neighbours))
    with pytest.raises(ConfigError, match=f"by {strategy} needs a reward model"):
        choose(strategy, known, 5, rng())
    assert choose(strategy, known[:1], 5, rng(), [], probabilities) == []


def test_choose_by_name() -> None:
    known = candidates(8)
    assert choose("uniform", known, 5, rng()) == uniform(known, 5, rng())
    assert choose("k_centre", known, 5, rng()) == k_centre(known, 5, rng())
    with pytest.raises(UnknownNameError, match=r"query selection 'entrop'\. Did you mean 'entropy'"):
        choose("entrop", known, 5, rng())


def test_clips_keep_their_places_when_episodes_are_added_or_left_out() -> None:
    steps = {"a": 25, "b": 9, "c": 31}
    cut = clips_of(steps, 10, steps)
    assert clips_of({**steps, "d": 40}, 10, ["a", "c"]) == cut
    assert clips_of(steps, 10, ["c"]) == [s for s in cut if s.episode_id == "c"]


def test_the_usual_length_is_that_of_half_of_the_episodes() -> None:
    assert usual_length([10, 13, 16, 19, 22, 25]) == 10
    assert usual_length([5, 60, 70]) == 60
    assert usual_length([]) == 10


def test_features_are_the_path_at_eight_moments() -> None:
    path = np.arange(15 * 4, dtype=np.float32).reshape(15, 4)
    np.testing.assert_array_equal(path_features(path), path[::2].reshape(-1))


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 50)), st.integers(1, 12))
def test_segments_reach_the_end_of_every_episode(steps: dict[str, int], length: int) -> None:
    segments = segments_of(steps, length)
    for name, count in steps.items():
        own = [s for s in segments if s.episode_id == name]
        assert len(own) == count // length
        covered = [t for s in own for t in range(s.start, s.start + s.length)]
        assert covered == list(range(count % length, count)) or not own
    with pytest.raises(InvalidValueError):
        segments_of({"a": 3}, 0)
