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
        if not self._values:
            return {}
        means = torch.stack([torch.stack(values).float().mean() for values in self._values.values()])
        result = dict(zip(self._values, means.tolist(), strict=True))  # one wait for all
        self._values.clear()
        return result
