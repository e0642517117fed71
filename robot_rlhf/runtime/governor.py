"""Holds the ratio of learner updates to robot steps."""

from __future__ import annotations

from dataclasses import dataclass

from robot_rlhf.errors import ConfigError


@dataclass(frozen=True)
class Governor:
    """How many updates the steps seen so far have earned."""

    updates_per_step: float
    """Target ratio (UTD)."""
    start_after: int
    """Practice steps before the first update."""

    def __post_init__(self) -> None:
        if self.updates_per_step < 0 or self.start_after < 0:
            raise ConfigError(
                f"updates_per_step {self.updates_per_step}, start_after {self.start_after}: allowed >= 0 each"
            )

    def due(self, steps: int, updates: int) -> int:
        """Updates that may be made now; 0 while too few steps were seen, so that a fast learner never runs ahead."""
        if steps < self.start_after:
            return 0
        return max(0, int((steps - self.start_after) * self.updates_per_step) - updates)

    def waiting_for(self, steps: int, updates: int) -> str:
        """Why no update is due, in words; empty when one is."""
        if steps < self.start_after:
            return f"waiting for {self.start_after - steps} more practice steps"
        if self.due(steps, updates) == 0:
            return f"up to date: {updates} updates for {steps} steps"
        return ""
