"""What the console is told of the last minute, while the loop goes on and adds to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from robot_rlhf.run.live.live_console import RECENT, newest


class Growing(deque[float]):
    """One to which another thread adds twice while it is read."""

    more = 2

    def __reversed__(self) -> Iterator[float]:
        reading = super().__reversed__()
        if self.more:
            self.more -= 1
            self.append(float(len(self)))
        return reading


def test_values_that_come_meanwhile_disturb_nobody() -> None:
    assert newest(Growing([0.0, 1.0])) == [3.0, 2.0, 1.0, 0.0]


def test_only_the_newest_are_copied() -> None:
    assert newest(deque(float(value) for value in range(2 * RECENT))) == [
        float(2 * RECENT - 1 - k) for k in range(RECENT)
    ]
