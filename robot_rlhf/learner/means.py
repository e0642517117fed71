"""What a learner reports, gathered on the device until somebody asks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class RecentMeans:
    """Means of metrics since they were last asked for; only asking waits for the device."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}

    def note(self, metrics: Mapping[str, Tensor]) -> None:
        """Keep one update's metrics, each a scalar."""
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value)

    def take(self) -> dict[str, float]:
        """The means, and begin anew."""
        means = {name: float(torch.stack(values).mean()) for name, values in self._values.items()}
        self._values.clear()
        return means
