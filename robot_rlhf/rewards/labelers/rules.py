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
from robot_rlhf.facts import GOLD, FactBook
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


def path(clips: Clips, segment: Segment) -> float:
    """Minus the length of the tool's path, m."""
    positions = clips.observations(segment)["tool_pose_in_base"][:, :3]
    return -float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())


def of_fact(name: str, measure: str, sign: float = 1.0) -> Callable[[Clips, Segment], float]:
    """A measure of a fact over a segment's observations, times the sign."""
    over = MEASURES[measure]

    def value(clips: Clips, segment: Segment) -> float:
        columns = clips.observations(segment)
        return sign * over(FactBook.of_columns(columns)[name].read(columns))

    return value


def of_thing(name: str, thing: str, measure: str, sign: float = 1.0) -> Callable[[Clips, Segment], float]:
    """The same of a thing of Observation.scene, of which the fact's name has a {} in its place."""
    measured = of_fact(name.format(thing), measure, sign)

    def value(clips: Clips, segment: Segment) -> float:
        known = FactBook.of_columns(clips.observations(segment)).things
        if thing not in known:
            raise UnknownNameError("thing of the scene", thing, known)
        return measured(clips, segment)

    return value


MEASURES: Mapping[str, Callable[[NDArray[Any]], float]] = {
    "mean": lambda values: float(values.mean()),
    "most": lambda values: float(values.max()),
    "least": lambda values: float(values.min()),
    "last": lambda values: float(values[-1]),
    "gain": lambda values: (
        float(values[-1]) - float(values[0]) if values.dtype == bool else float(values[-1] - values[0])
    ),
}
"""What is made of a fact's values over a segment. Shape (L + 1,) -> one number."""
PLAIN = {
    "success": success,
    "force": of_fact("force", "most", -1.0),
    "time": of_fact("time", "gain", -1.0),
    "path": path,
}
OF_THINGS = {
    "near": ("distance(tool, {})", "mean", -1.0),
    "height": ("height({})", "mean", 1.0),
    "approach": ("distance(tool, {})", "gain", -1.0),
    "lift": ("height({})", "gain", 1.0),
}
"""By how near the tool was to a thing, how high that was, how much nearer it came, how much it rose; all in m."""


def factor(text: str) -> Factor:
    """A factor by name: 'force', 'near:cube', and behind @ its threshold: 'path@0.5'. Without one it is 1.

    Any fact is one, with what is to be made of it (MEASURES) before its name and a minus where less is better:
    'mean:holds(cube)', '-most:speed'. The success factor's threshold is 0 unless given: any difference decides.

    Raises:
        UnknownNameError: no such factor.
        ConfigError: one that needs a thing without one, the simulator's truth, or a threshold that is no number.
    """
    name, marked, number = text.partition("@")
    plain, colon, thing = name.partition(":")
    if plain in OF_THINGS:
        if not thing:
            raise ConfigError(f"factor {text!r}: say of what, for example {plain}:cube")
        fact, measure, sign = OF_THINGS[plain]
        value = of_thing(fact, thing, measure, sign)
    elif plain.removeprefix("-") in MEASURES:
        if not thing:
            raise ConfigError(f"factor {text!r}: say of which fact, for example {plain}:speed")
        if thing.startswith(GOLD):
            raise ConfigError(
                f"factor {text!r}: rules see what is perceived; allowed: facts without {GOLD}, or the oracle"
            )
        value = of_fact(thing, plain.removeprefix("-"), -1.0 if plain.startswith("-") else 1.0)
    elif plain in PLAIN and not colon:
        value = PLAIN[plain]
    else:
        raise UnknownNameError(
            "factor", name, [*PLAIN, *(f"{key}:THING" for key in OF_THINGS), *(f"{key}:FACT" for key in MEASURES)]
        )
    try:
        threshold = float(number) if marked else 0.0 if plain == "success" else 1.0
    except ValueError:
        raise ConfigError(f"factor {text!r}: the threshold behind @ must be a number") from None
    return Factor(text, value, threshold)
