"""Where the randomness of each episode comes from: the run's seed, what the episode is for, and its number."""

from __future__ import annotations

import numpy as np

from robot_rlhf.datatypes import EpisodeKind

_KINDS = {EpisodeKind.DEMONSTRATION: 1, EpisodeKind.PRACTICE: 2, EpisodeKind.EVALUATION: 3}


def episode_seed(run_seed: int, kind: EpisodeKind, number: int) -> int:
    """A seed that depends on nothing but its arguments, so that a resumed run goes on as the first would have."""
    return int(np.random.SeedSequence([run_seed, _KINDS[kind], number]).generate_state(1)[0])


def generators(seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """For the policy's exploration, and for the episode's start: apart, so that neither shifts the other."""
    return np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
