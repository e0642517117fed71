"""When somebody who watches looks, and when they look away."""

from __future__ import annotations

import numpy as np


class Spells:
    """Looks and looks away in turn, for random times: a share of all time, in the long run."""

    def __init__(self, share: float, mean: float, period: float) -> None:
        """
        Args:
            share: of the time in which the person looks.
            mean: seconds that a look and the look away behind it take together.
            period: seconds between two answers.
        """
        self._share = share
        rarer = min(share, 1.0 - share)
        # Ending a spell has a chance per period; of a spell shorter than a period there is none.
        changes = period / max(mean, period / rarer) if rarer else 0.0
        self._ends = {True: changes / share, False: changes / (1.0 - share)} if rarer else {True: 0.0, False: 0.0}
        self._looks = share > 0.0

    def begin(self, rng: np.random.Generator) -> bool:
        """Whether the person looks, at a moment that has nothing to do with the last one."""
        self._looks = self._share == 1.0 or bool(rng.random() < self._share)
        return self._looks

    def go_on(self, rng: np.random.Generator) -> bool:
        """Whether the person looks one period later."""
        chance = self._ends[self._looks]
        if chance and rng.random() < chance:
            self._looks = not self._looks
        return self._looks
