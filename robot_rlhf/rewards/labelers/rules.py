"""Ranked rules: the first factor that tells two segments apart decides.

Source: HERON (Bukharin et al. 2023): a hierarchy of reward factors, each with a margin in standard deviations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Segment
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.ports import Comparison
from robot_rlhf.rewards.pairs import Clips, reaches_end


@dataclass(frozen=True)
class Factor:
    """One thing that makes a segment better than another."""

    name: str
    value: Callable[[Clips, Segment], float]
    """Larger is better."""
    threshold: float = 1.0
    """Standard deviations over the segments at hand by which two must differ for this factor to decide."""

    def __post_init__(self) -> None:
        if not self.threshold >= 0:
            raise ConfigError(f"threshold of {self.name}: got {self.threshold}, allowed >= 0")


class RankedRules:
    """Compares by its factors in their order; segments that no factor tells apart are equal."""

    def __init__(self, clips: Clips, factors: Sequence[Factor], deviations: Sequence[float]) -> None:
        """Args:
        clips: what was recorded.
        factors: the most important first.
        deviations: standard deviation of each factor, as `deviations_of` takes it.
        """
        if not factors:
            raise ConfigError("rules: got no factors, allowed: at least one")
        if len(factors) != len(deviations):
            raise InvalidValueError("RankedRules.deviations", len(deviations), f"{len(factors)}, one per factor")
        self._clips = clips
        self._ranked = [(f, f.threshold * d) for f, d in zip(factors, deviations, strict=True)]
        self.author = "rules " + ">".join(factor.name for factor in factors)

    def compare(self, left: Segment, right: Segment) -> Comparison:
        for factor, margin in self._ranked:
            ahead = factor.value(self._clips, left) - factor.value(self._clips, right)
            if abs(ahead) > margin:
                return "left" if ahead > 0 else "right"
        return "equal"

    def judge(self, segment: Segment) -> float | None:
        """Whether the episode succeeded, where the segment shows its end and its outcome is known."""
        succeeded = self._clips.facts(segment.episode_id).success
        return float(succeeded) if succeeded is not None and reaches_end(segment, self._clips) else None


def deviations_of(clips: Clips, factors: Sequence[Factor], segments: Sequence[Segment]) -> list[float]:
    """Standard deviation of each factor over a sample of segments; 0 for a factor that is the same in all."""
    if not segments:
        raise InvalidValueError("deviations_of.segments", "none", "at least one")
    return [float(np.std([factor.value(clips, segment) for segment in segments])) for factor in factors]


# -- factors ---------------------------------------------------------------------------------------------------------


def success(clips: Clips, segment: Segment) -> float:
    """1 where the segment shows how its episode succeeded, 0 where it shows no end, -1 where it shows the failure."""
    succeeded = clips.facts(segment.episode_id).success
    if succeeded is None or not reaches_end(segment, clips):
        return 0.0
    return 1.0 if succeeded else -1.0


def force(clips: Clips, segment: Segment) -> float:
    """Minus the largest force on the tool, N."""
    wrench = clips.observations(segment)["tool_wrench"]
    return -float(np.linalg.norm(wrench[:, :3], axis=1).max())


def time(clips: Clips, segment: Segment) -> float:
    """Minus the duration, s: tells segments apart of which one ended early."""
    stamps = clips.observations(segment)["stamp"]
    return -float(stamps[-1] - stamps[0])


def path(clips: Clips, segment: Segment) -> float:
    """Minus the length of the tool's path, m."""
    positions = clips.observations(segment)["tool_pose_in_base"][:, :3]
    return -float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())


def near(thing: str) -> Callable[[Clips, Segment], float]:
    """Minus the mean distance of the tool to a thing of Observation.scene, m."""

    def nearness(clips: Clips, segment: Segment) -> float:
        return -float(_gaps(clips, segment, thing).mean())

    return nearness


def height(thing: str) -> Callable[[Clips, Segment], float]:
    """Mean height of a thing of Observation.scene, m."""

    def mean_height(clips: Clips, segment: Segment) -> float:
        return float(_place(clips.observations(segment), thing)[:, 2].mean())

    return mean_height


def approach(thing: str) -> Callable[[Clips, Segment], float]:
    """Metres by which the tool came nearer to a thing of Observation.scene."""

    def nearer(clips: Clips, segment: Segment) -> float:
        gaps = _gaps(clips, segment, thing)
        return float(gaps[0] - gaps[-1])

    return nearer


def lift(thing: str) -> Callable[[Clips, Segment], float]:
    """Metres by which a thing of Observation.scene rose."""

    def rise(clips: Clips, segment: Segment) -> float:
        heights = _place(clips.observations(segment), thing)[:, 2]
        return float(heights[-1] - heights[0])

    return rise


def _gaps(clips: Clips, segment: Segment, thing: str) -> NDArray[Any]:
    """Distance of the tool to a thing, m. Shape (L + 1,)."""
    columns = clips.observations(segment)
    return np.linalg.norm(columns["tool_pose_in_base"][:, :3] - _place(columns, thing), axis=1)


def _place(columns: Mapping[str, NDArray[Any]], thing: str) -> NDArray[Any]:
    """Where a thing is, m. Shape (L + 1, 3)."""
    name = f"scene/{thing}"
    if name not in columns:
        known = [key.removeprefix("scene/") for key in columns if key.startswith("scene/")]
        raise UnknownNameError("thing of the scene", thing, known)
    return columns[name][:, :3]


PLAIN = {"success": success, "force": force, "time": time, "path": path}
OF_THINGS = {"near": near, "height": height, "approach": approach, "lift": lift}


def factor(text: str) -> Factor:
    """A factor by name: 'force', 'near:cube', and behind @ its threshold: 'path@0.5'. Without one it is 1.

    The success factor's threshold is 0 unless given: any difference decides.

    Raises:
        UnknownNameError: no such factor.
        ConfigError: one that needs a thing without one, or a threshold that is no number.
    """
    name, marked, number = text.partition("@")
    plain, colon, thing = name.partition(":")
    if plain in OF_THINGS:
        if not thing:
            raise ConfigError(f"factor {text!r}: say of what, for example {plain}:cube")
        value = OF_THINGS[plain](thing)
    elif plain in PLAIN and not colon:
        value = PLAIN[plain]
    else:
        raise UnknownNameError("factor", name, [*PLAIN, *(f"{key}:THING" for key in OF_THINGS)])
    try:
        threshold = float(number) if marked else 0.0 if plain == "success" else 1.0
    except ValueError:
        raise ConfigError(f"factor {text!r}: the threshold behind @ must be a number") from None
    return Factor(text, value, threshold)
