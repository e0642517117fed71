"""Which of a learner's weights practise: drawn anew for each episode, by what is known of each."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robot_rlhf.datatypes import EpisodeKind
from robot_rlhf.disk import replace_text
from robot_rlhf.errors import LinkError
from robot_rlhf.runtime.outcomes import SuccessRate
from robot_rlhf.runtime.seeds import episode_seed

STANDINGS = "practice.json"
"""In the exchange folder: what robots in processes of their own choose by."""
NEWEST_SHARE = 0.25
"""Of practice episodes that the newest weights have in any case: mistakes of the critic must be met to be mended."""


class Weights(enum.Enum):
    """Whose actions practice tries."""

    NEWEST = "newest"
    """The learner's newest."""
    AVERAGED = "averaged"
    """The running average of them."""
    KEPT = "kept"
    """The best so far."""


@dataclass(frozen=True)
class Standings:
    """What is known of the weights that may practise."""

    known: Mapping[Weights, SuccessRate] = field(default_factory=dict[Weights, SuccessRate])

    def choose(self, run_seed: int, number: int) -> Weights:
        """Whose actions practice episode `number` tries: Thompson sampling, a draw from each one's Beta posterior.

        The same run chooses the same again. With nothing known the newest practise.
        """
        rng = np.random.default_rng([episode_seed(run_seed, EpisodeKind.PRACTICE, number), 2])
        if not self.known or rng.random() < NEWEST_SHARE:
            return Weights.NEWEST
        draws = {who: rng.beta(rate.successes + 0.5, rate.failures + 0.5) for who, rate in self.known.items()}
        return max(draws, key=lambda who: draws[who])


def write_standings(folder: Path, standings: Standings) -> None:
    """Replace them.

    Raises:
        OSError: they cannot be written.
    """
    rows = {who.value: [rate.successes, rate.failures] for who, rate in standings.known.items()}
    replace_text(folder / STANDINGS, json.dumps(rows))


def read_standings(folder: Path) -> Standings:
    """The inverse of write_standings; of a file that is not there nothing is known.

    Raises:
        LinkError: the file holds something else.
    """
    path = folder / STANDINGS
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return Standings({Weights(who): SuccessRate(float(good), float(bad)) for who, (good, bad) in rows.items()})
    except FileNotFoundError:
        return Standings()
    except (AttributeError, TypeError, ValueError, OSError) as error:
        raise LinkError(f"{path}: not what a run writes ({error})") from error
