"""Hindsight: what is labelled is what a segment led to.

Source: RLHS (Liang et al. 2025): feedback that is given after the consequences were seen does not reward what only
looks good.
"""

from __future__ import annotations

from robot_rlhf.datatypes import Segment
from robot_rlhf.errors import ConfigError
from robot_rlhf.ports import Comparison, Labeler
from robot_rlhf.rewards.pairs import Clips, extended


class Hindsight:
    """Shows another labeler each segment with what came after it. The label is still the segment's own."""

    def __init__(self, inner: Labeler, clips: Clips, steps: int) -> None:
        """Args:
        inner: who answers.
        clips: knows how far each episode goes.
        steps: shown of what came after, where the episode goes so far.
        """
        if steps < 1:
            raise ConfigError(f"hindsight: got {steps}, allowed: steps >= 1")
        self._inner = inner
        self._clips = clips
        self._steps = steps

    def compare(self, left: Segment, right: Segment) -> Comparison:
        return self._inner.compare(extended(left, self._clips, self._steps), extended(right, self._clips, self._steps))

    def judge(self, segment: Segment) -> float | None:
        return self._inner.judge(extended(segment, self._clips, self._steps))
