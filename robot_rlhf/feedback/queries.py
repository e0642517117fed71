"""Which pairs of segments to ask a person about: query selection of preference learning.

Sources: PEBBLE (Lee et al. 2021), B-Pref (Lee et al. 2021, section 4.2); greedy k-centre is Gonzalez (1985).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.datatypes import Array, Segment, frozen_array
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError, UnknownNameError

Pair = tuple[Segment, Segment]
"""What is shown left, and right."""

Probabilities = Callable[[Sequence[Pair]], ArrayLike]
"""P pairs to the probability that the left one is preferred, by each of M members of an ensemble. Shape (M, P)."""

STRATEGIES = ("uniform", "k_centre", "disagreement", "entropy")
POOL = 10
"""Pairs drawn per pair asked, from which the best are chosen (B-Pref)."""
LENGTHS = (10, 20, 40, 60, 100)
"""Steps of a clip to choose from."""
CANDIDATES = 2_000
"""Segments that are considered: the newest."""
FEATURE_TIMES = 8
"""Moments of a segment that its features are made of."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A segment that may be shown."""

    segment: Segment
    features: Array | None = None
    """What it looks like, as a vector of the same length for all candidates. Shape (D,)."""

    def __post_init__(self) -> None:
        if self.features is not None:
            object.__setattr__(self, "features", frozen_array("Candidate.features", self.features, (None,)))


def segments_of(steps: Mapping[str, int], length: int) -> list[Segment]:
    """Cut episodes into segments that do not overlap, the last of each ending where the episode ended.

    How a thing ended is what comparisons are about; where cuts lie anywhere it is mostly cut off. What is left over
    lies at the beginning, where episodes are alike.

    Args:
        steps: episode id to its number of steps; episodes shorter than `length` give none.
        length: steps per segment, L.
    """
    if length < 1:
        raise InvalidValueError("segments_of.length", length, "steps >= 1")
    return [
        Segment(name, start, length)
        for name, count in steps.items()
        for start in range(count % length, count - length + 1, length)
    ]


def clips_of(steps: Mapping[str, int], length: int, wanted: Iterable[str]) -> list[Segment]:
    """The newest segments of the wanted episodes, cut in the same places each time: a pair asked before is known again.

    Args:
        steps: of every episode of the journal, in the order of recording.
        length: steps per segment.
        wanted: ids of the episodes to be asked about.
    """
    wanted = frozenset(wanted)
    segments = segments_of(steps, length)
    return [segment for segment in segments if segment.episode_id in wanted][-CANDIDATES:]


def usual_length(steps: Iterable[int]) -> int:
    """The longest of LENGTHS for which at least half of the episodes are long enough. Args: steps: of each episode."""
    counts = sorted(steps)
    median = counts[len(counts) // 2] if counts else 0
    return max((n for n in LENGTHS if n <= median), default=LENGTHS[0])


def path_features(path: ArrayLike) -> Array:
    """What a segment looks like: the tool's path at FEATURE_TIMES moments.

    Args:
        path: tool position and gripper before each step, and after the last. Shape (L + 1, 4).

    Returns:
        Shape (FEATURE_TIMES * 4,).
    """
    rows = np.asarray(path, np.float32)
    moments = np.linspace(0, len(rows) - 1, FEATURE_TIMES).round().astype(np.intp)
    return rows[moments].reshape(-1)


def choose(
    strategy: str,
    candidates: Sequence[Candidate],
    count: int,
    rng: np.random.Generator,
    labelled: Iterable[Pair] = (),
    probabilities: Probabilities | None = None,
) -> list[Pair]:
    """The next pairs to ask about; for what an ensemble decides, the best of POOL pairs drawn for each.

    Args:
        strategy: one of STRATEGIES.
        candidates: what may be shown; with features for 'k_centre'.
        count: pairs wanted; fewer come back when there are no more.
        rng: source of the randomness.
        labelled: pairs that were asked before, shown either way round.
        probabilities: what the ensemble says; for 'disagreement' and 'entropy'.

    Raises:
        UnknownNameError: no such strategy.
        ConfigError: a strategy that needs an ensemble, without one.
    """
    if strategy not in STRATEGIES:
        raise UnknownNameError("query selection", strategy, STRATEGIES)
    if strategy == "uniform":
        return uniform(candidates, count, rng, labelled)
    if strategy == "k_centre":
        return k_centre(candidates, count, rng, labelled)
    if probabilities is None:
        raise ConfigError(f"query selection by {strategy} needs a reward model with several members")
    pool = uniform(candidates, POOL * count, rng, labelled)
    if not pool:
        return []
    best = disagreement if strategy == "disagreement" else entropy
    return best(pool, probabilities(pool), count)


def uniform(
    candidates: Sequence[Candidate], count: int, rng: np.random.Generator, labelled: Iterable[Pair] = ()
) -> list[Pair]:
    """Pairs drawn uniformly, without repetition: no segment with itself, none of the labelled pairs.

    Args:
        candidates: what may be shown.
        count: pairs wanted; fewer come back when there are no more.
        rng: source of the randomness.
        labelled: pairs that were asked before, shown either way round.
    """
    return [(candidates[i].segment, candidates[j].segment) for i, j in _draw(candidates, count, rng, labelled)]


def k_centre(
    candidates: Sequence[Candidate], count: int, rng: np.random.Generator, labelled: Iterable[Pair] = ()
) -> list[Pair]:
    """Pairs that cover the space of pairs: each is the one of a drawn pool farthest from all chosen and labelled ones.

    The distance of two pairs is that of their features side by side, the nearer way round. Each feature is scaled
    to unit variance over the candidates.

    Args:
        candidates: what may be shown, all with features of one length D.
        count: pairs wanted; fewer come back when there are no more.
        rng: source of the randomness: the pool, and the first pair when nothing is labelled.
        labelled: pairs that were asked before; those of known candidates are centres already.

    Raises:
        InvalidValueError: a candidate without features.
        ShapeError: features of different lengths.
    """
    labelled = list(labelled)
    pool = _draw(candidates, POOL * count, rng, labelled)
    if not pool or count < 1:
        return []
    features = _scaled(candidates)
    number = {candidate.segment: i for i, candidate in enumerate(candidates)}
    asked = [(number[a], number[b]) for a, b in labelled if a in number and b in number]
    indices = np.array(pool)
    distance = np.full(len(pool), np.inf)
    for pair in asked:
        distance = np.minimum(distance, _distance(features, indices, pair))
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        # The pool is in random order: its first stands for a random one where nothing is nearer to anything yet.
        farthest = int(np.argmax(distance))
        chosen.append(farthest)
        distance = np.minimum(distance, _distance(features, indices, pool[farthest]))
        distance[chosen] = -1.0
    return [(candidates[pool[c][0]].segment, candidates[pool[c][1]].segment) for c in chosen]


def disagreement(pairs: Sequence[Pair], probabilities: ArrayLike, count: int) -> list[Pair]:
    """The pairs about which the members of an ensemble differ the most, most first.

    Args:
        pairs: what may be asked, P pairs.
        probabilities: that the left one is preferred, by each of M members. Shape (M, P).
        count: pairs wanted.
    """
    return _top(pairs, _checked(pairs, probabilities).std(axis=0), count)


def entropy(pairs: Sequence[Pair], probabilities: ArrayLike, count: int) -> list[Pair]:
    """The pairs about which the ensemble as a whole is least sure, least sure first; arguments as `disagreement`."""
    p = np.clip(_checked(pairs, probabilities).mean(axis=0), 1e-12, 1 - 1e-12)
    return _top(pairs, -p * np.log(p) - (1 - p) * np.log(1 - p), count)


def _checked(pairs: Sequence[Pair], probabilities: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or p.shape[0] < 1 or p.shape[1] != len(pairs):
        raise ShapeError("probabilities", p.shape, ("members", len(pairs)))
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidValueError("probabilities", f"{p.min()} to {p.max()}", "numbers in [0, 1]")
    return p


def _top(pairs: Sequence[Pair], scores: NDArray[np.float64], count: int) -> list[Pair]:
    return [pairs[i] for i in np.argsort(-scores, kind="stable")[: max(count, 0)].tolist()]


def _draw(
    candidates: Sequence[Candidate], count: int, rng: np.random.Generator, labelled: Iterable[Pair]
) -> list[tuple[int, int]]:
    """Different pairs of different candidates as indices, at most `count`, none of the labelled ones."""
    n = len(candidates)
    number = {candidate.segment: i for i, candidate in enumerate(candidates)}
    if len(number) != n:
        raise InvalidValueError("candidates", f"{n} with {len(number)} different segments", "each segment once")
    taken = {frozenset((number[a], number[b])) for a, b in labelled if a in number and b in number and a != b}
    count = min(max(count, 0), n * (n - 1) // 2 - len(taken))
    found: list[tuple[int, int]] = []
    if 2 * (count + len(taken)) > n * (n - 1) // 2:  # most of all pairs: go through them in random order
        free = [(i, j) for i in range(n) for j in range(i + 1, n) if frozenset((i, j)) not in taken]
        chosen: list[int] = rng.permutation(len(free))[:count].tolist()
        return [free[k] if rng.random() < 0.5 else (free[k][1], free[k][0]) for k in chosen]
    while len(found) < count:
        i, j = rng.integers(0, n, 2).tolist()
        if i != j and (key := frozenset((i, j))) not in taken:
            taken.add(key)
            found.append((i, j))
    return found


def _scaled(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """Features with unit variance. Shape (n, D)."""
    rows: list[Array] = []
    for candidate in candidates:
        if candidate.features is None:
            raise InvalidValueError("Candidate.features", None, "a vector: k_centre compares what segments look like")
        if rows and candidate.features.shape != rows[0].shape:
            raise ShapeError("Candidate.features", candidate.features.shape, rows[0].shape)
        rows.append(candidate.features)
    features = np.stack(rows).astype(np.float64)
    deviation = features.std(axis=0)
    return features / np.where(deviation > 0, deviation, 1.0)


def _distance(features: NDArray[np.float64], pool: NDArray[np.int64], centre: tuple[int, int]) -> NDArray[np.float64]:
    """Squared distances of P pairs to one. Args: features (n, D), pool (P, 2) indices. Returns: (P,)."""
    left, right = features[pool[:, 0]], features[pool[:, 1]]
    a, b = features[centre[0]], features[centre[1]]

    def squared(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((x - y) ** 2).sum(axis=1)

    return np.minimum(squared(left, a) + squared(right, b), squared(left, b) + squared(right, a))
