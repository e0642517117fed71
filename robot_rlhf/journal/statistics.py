"""Statistics of columns and pictures as LeRobot keeps them, with quantiles; exact, and in little memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Statistics = dict[str, NDArray[Any]]

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def statistics(values: NDArray[Any]) -> Statistics:
    """Minimum, maximum, mean, standard deviation and quantiles of each column, and the count.

    Args:
        values: finite numbers. Shape (T, size), T at least 1.

    Returns:
        Shapes (size,); the count's (1,).
    """
    rows: list[list[float]] = []
    for i in range(values.shape[1]):  # one column at a time: only that is copied
        column = values[:, i].astype(np.float64)
        quantiles = np.quantile(column, [*QUANTILES.values()])
        rows.append([column.min(), column.max(), column.mean(), column.std(), *quantiles.tolist()])
    table = np.array(rows, np.float64).reshape(values.shape[1], -1).T
    return {
        **dict(zip(("min", "max", "mean", "std", *QUANTILES), table, strict=True)),
        "count": np.array([len(values)]),
    }


class PictureHistogram:
    """How often each level came in each channel: all that statistics of pictures need."""

    def __init__(self) -> None:
        self.pictures = 0
        self._counts = np.zeros((3, 256), np.int64)

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Args: picture (H, W, 3)."""
        self.pictures += 1
        for channel in range(3):
            self._counts[channel] += np.bincount(picture[..., channel].reshape(-1), minlength=256)

    def include(self, other: PictureHistogram) -> None:
        """Count another one's pictures, too."""
        self.pictures += other.pictures
        self._counts += other._counts

    def statistics(self) -> Statistics:
        """Per channel, of levels in [0, 1]; shapes (3, 1, 1), the count of pictures (1,)."""
        levels = np.arange(256) / 255.0
        found: dict[str, list[float]] = {name: [] for name in ("min", "max", "mean", "std", *QUANTILES)}
        for counts in self._counts:
            total = int(counts.sum())
            seen = np.flatnonzero(counts)
            mean = float((counts * levels).sum() / total)
            variance = float((counts * (levels - mean) ** 2).sum() / total)
            below = np.cumsum(counts)
            found["min"].append(float(levels[seen[0]]))
            found["max"].append(float(levels[seen[-1]]))
            found["mean"].append(mean)
            found["std"].append(float(np.sqrt(variance)))
            for name, share in QUANTILES.items():
                place = share * (total - 1)
                low, high = np.searchsorted(below, [np.floor(place), np.ceil(place)], "right").tolist()
                found[name].append(float(levels[low] + (place - np.floor(place)) * (levels[high] - levels[low])))
        shaped = {name: np.array(values, np.float64).reshape(3, 1, 1) for name, values in found.items()}
        return {**shaped, "count": np.array([self.pictures])}
