"""A teacher that knows the true reward, with the mistakes of people: for simulation, when asked for by name.

Source: B-Pref (Lee et al. 2021, section 3), which also gives the order in which the irregularities are applied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from robot_rlhf.datatypes import Array, Segment
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.ports import Comparison
from robot_rlhf.rewards.pairs import check_inside

Gold = Callable[[Segment], Array]
"""A segment to the true reward of each of its steps. Shape (L,)."""

LAST_EPISODES = 10
"""Episodes over which the mean return is taken (B-Pref)."""


@dataclass(frozen=True)
class Teacher:
    """How a simulated teacher differs from one that always prefers the larger return."""

    beta: float | None = None
    """Rationality: prefers left with probability sigmoid(beta * (left - right)); none: always the larger sum."""
    myopia: float = 1.0
    """Discount towards the past, in (0, 1]: a step k before a segment's last counts myopia**k."""
    mistakes: float = 0.0
    """Probability that an answer is turned round."""
    skip: float = 0.0
    """Skips when neither return reaches this share of a segment's usual return."""
    equal: float = 0.0
    """Says equal when the returns differ by less than this share of a segment's usual return."""

    def __post_init__(self) -> None:
        if self.beta is not None and not (self.beta >= 0 and math.isfinite(self.beta)):
            raise ConfigError(f"beta: got {self.beta}, allowed >= 0, or none for a rational teacher")
        if not 0 < self.myopia <= 1:
            raise ConfigError(f"myopia: got {self.myopia}, allowed > 0 to 1")
        if not 0 <= self.mistakes <= 1:
            raise ConfigError(f"mistakes: got {self.mistakes}, allowed 0 to 1")
        for name in ("skip", "equal"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise ConfigError(f"{name}: got {getattr(self, name)}, allowed >= 0")

    @property
    def author(self) -> str:
        """'oracle', and every setting that is not a perfect teacher's."""
        default = Teacher()
        given = {field.name: getattr(self, field.name) for field in fields(Teacher)}
        changed = [f"{name}={value:g}" for name, value in given.items() if value != getattr(default, name)]
        return " ".join(["oracle", *changed])


class Oracle:
    """Compares the true returns of segments. The only labeler that is given a reward."""

    def __init__(
        self, gold: Gold, rng: np.random.Generator, teacher: Teacher | None = None, *, usual: float | None = None
    ) -> None:
        """Args:
        gold: the true reward.
        rng: draws what is left to chance.
        teacher: None for a perfect one.
        usual: the mean true reward per step, as `usual_reward` takes it; times L it is a segment's usual return.

        Raises:
            ConfigError: the teacher skips or calls equal by the usual return, and it is not given.
        """
        self._gold = gold
        self._rng = rng
        self._teacher = teacher or Teacher()
        self._usual = usual
        if usual is None and (self._teacher.skip or self._teacher.equal):
            raise ConfigError("a teacher with skip or equal must know the usual reward per step")

    @property
    def author(self) -> str:
        """As the teacher's settings say."""
        return self._teacher.author

    def compare(self, left: Segment, right: Segment) -> Comparison:
        """In this order: skip, myopic weights, a noisy or rational choice, a mistake, equal.

        Where one segment is shorter, its episode is taken to stay as it ended: its last reward is repeated. A
        rational teacher calls returns equal that are exactly so, where B-Pref's would say left.
        """
        noise, slip = self._rng.random(2)  # always drawn, so that an answer depends on its place in the order alone
        teacher = self._teacher
        a, b = _alike(np.asarray(self._gold(left), np.float64), np.asarray(self._gold(right), np.float64))
        usual = (self._usual or 0.0) * len(a)
        if teacher.skip and max(a.sum(), b.sum()) < teacher.skip * usual:
            return "skip"
        weights = teacher.myopia ** np.arange(len(a) - 1, -1, -1)
        ahead = float(weights @ a - weights @ b)
        if teacher.beta is None:
            answer = "equal" if ahead == 0 else "left" if ahead > 0 else "right"
        else:
            answer = "left" if noise < _sigmoid(teacher.beta * ahead) else "right"
        if slip < teacher.mistakes:
            answer = _TURNED[answer]
        if abs(a.sum() - b.sum()) < teacher.equal * usual:
            return "equal"
        return answer

    def judge(self, segment: Segment) -> float | None:
        """The true reward of the last step, where it is a share in [0, 1] as the simulated tasks' is; else None."""
        last = float(self._gold(segment)[-1])
        return last if 0 <= last <= 1 else None


_TURNED: Mapping[Comparison, Comparison] = {"left": "right", "right": "left", "equal": "equal", "skip": "skip"}


def gold_by_episode(rewards: Mapping[str, Array]) -> Gold:
    """The true reward of segments. Args: rewards: (T,) by episode id."""

    def gold(segment: Segment) -> Array:
        if segment.episode_id not in rewards:
            raise UnknownNameError("episode", segment.episode_id, rewards)
        check_inside(segment, len(rewards[segment.episode_id]))
        return rewards[segment.episode_id][segment.start : segment.start + segment.length]

    return gold


def usual_reward(rewards: Sequence[Array]) -> float:
    """Mean true reward per step of the newest LAST_EPISODES episodes: their mean return over their mean length.

    Args:
        rewards: (T,) per episode, in the order of recording.
    """
    if not rewards:
        raise InvalidValueError("usual_reward", "no episodes", "at least one")
    newest = rewards[-LAST_EPISODES:]
    return float(sum(r.sum(dtype=np.float64) for r in newest) / sum(len(r) for r in newest))


def _alike(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as long as the longer one, the shorter one's last reward repeated."""
    length = max(len(a), len(b))
    return np.pad(a, (0, length - len(a)), "edge"), np.pad(b, (0, length - len(b)), "edge")


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
