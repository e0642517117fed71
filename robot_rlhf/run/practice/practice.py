"""What the ring needs of whatever its steps come from."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Protocol

from robot_rlhf.datatypes import WeightSnapshot
from robot_rlhf.runtime.evaluation import Evaluation


class Practice(Protocol):
    """A run's way from its first step to its last update."""

    measured: tuple[Evaluation, WeightSnapshot] | None
    """On the robot itself, where there is no twin, and of which weights."""
    not_measured: str
    """Why there will be no measurement; empty where nothing stands in its way."""

    def open(self, stack: ExitStack) -> None:
        """Take up what was recorded before, and open what is to be open while it goes on.

        Args:
            stack: closes it.
        """
        ...

    def run(self) -> None:
        """Demonstrations, practice, and the updates that it has earned.

        Raises:
            StopRequestedError: a person stopped the robot where nobody could release that.
            KeyboardInterrupt: somebody at the terminal did.
        """
        ...

    def save(self) -> None:
        """Write what only this process knows. Also called when `run` was interrupted."""
        ...

    def measure_here(self) -> None:
        """Measure on the robot itself, where it has no twin; see `measured`."""
        ...

    def facts(self) -> dict[str, Any]:
        """What summary.json is to say of it: keys of run/results/summary.py."""
        ...
