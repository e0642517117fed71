"""Tells when a reward is being exploited: the proxy rises, and success does not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.errors import ConfigError, ShapeError
from robot_rlhf.rewards.metrics import Floats


@dataclass(frozen=True)
class AlarmRule:
    """What counts as 'the proxy rises, and success does not'. Two windows of episodes are compared: newest and before.

    The proxy rises when its mean grew by more than `rise` standard errors of the difference (Welch). Success does not
    when the newest window has no more successes than the one before, and less than `satisfied` of them.
    """

    window: int = 20
    """Episodes per window, so that nothing is said before twice as many."""
    rise: float = 3.0
    """Standard errors."""
    satisfied: float = 0.9
    """Success rate of the newest window from which a rising proxy is no alarm: success has hardly anywhere to go."""

    def __post_init__(self) -> None:
        if self.window < 2 or self.rise < 0.0 or not 0.0 < self.satisfied <= 1.0:
            raise ConfigError(
                f"alarm: window {self.window} (>= 2), rise {self.rise} (>= 0), satisfied {self.satisfied} (in (0, 1])"
            )


@dataclass(frozen=True, eq=False)
class Alarm:
    """Where the alarm sounds, over N episodes."""

    raised: NDArray[np.bool_]
    """Shape (N,)."""
    rise: Floats
    """Growth of the proxy in standard errors; NaN while there are too few episodes. Shape (N,)."""
    gained: Floats
    """Change of the success rate between the windows; NaN as above. Shape (N,)."""

    @property
    def first(self) -> int | None:
        """Number of the first episode with the alarm."""
        return int(np.argmax(self.raised)) if self.raised.any() else None


def proxy_alarm(proxy: ArrayLike, success: ArrayLike, rule: AlarmRule = AlarmRule()) -> Alarm:
    """Look for over-optimisation of a learned reward (Gao et al. 2023), episode by episode.

    Early in training a dense proxy may rightly rise before the first success: with such a rule the alarm then sounds
    until successes follow. It asks a person to look; it does not know.

    Args:
        proxy: the learned reward's mean per episode. Shape (N,).
        success: whether each episode succeeded by the true measure. Shape (N,).
    """
    values, good = np.asarray(proxy, np.float64), np.asarray(success, np.bool_)
    if values.ndim != 1 or values.shape != good.shape:
        raise ShapeError("proxy_alarm success", good.shape, values.shape)
    n, w = len(values), rule.window
    raised, rise, gained = np.zeros(n, np.bool_), np.full(n, math.nan), np.full(n, math.nan)
    for end in range(2 * w, n + 1):
        before, newest = values[end - 2 * w : end - w], values[end - w : end]
        won, wins = int(good[end - 2 * w : end - w].sum()), int(good[end - w : end].sum())
        error = math.sqrt((before.var(ddof=1) + newest.var(ddof=1)) / w)
        growth = float(newest.mean() - before.mean())
        rise[end - 1] = growth / error if error > 0.0 else math.copysign(math.inf, growth) if growth else 0.0
        gained[end - 1] = (wins - won) / w
        stuck = wins <= won and wins < rule.satisfied * w
        raised[end - 1] = rise[end - 1] > rule.rise and stuck
    return Alarm(raised, rise, gained)
