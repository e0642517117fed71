"""A large vision-language model that compares segments by what their pictures show.

Sources: RL-VLM-F (Wang et al. 2024): look and describe first, then answer by the description alone; GVL (Ma et al.
2024): progress from frames in shuffled order, so that the model cannot answer by counting up.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Segment
from robot_rlhf.errors import ConfigError, InvalidValueError, LabelerError
from robot_rlhf.models.chat import Chat, Part
from robot_rlhf.models.endpoint import RefusedError
from robot_rlhf.ports import Comparison
from robot_rlhf.rewards.pairs import Clips, camera_of

log = logging.getLogger(__name__)

SAME = 1e-3
"""Pictures whose difference, as vectors of numbers in [0, 1], is shorter are not asked about (RL-VLM-F)."""
REFUSALS = 3
"""In a row: then it is not about the question."""

LOOK = """A robot was filmed in two attempts, LEFT and RIGHT, at one task. The task is: {goal}
{shown}"""
DESCRIBE = """Describe what the attempt LEFT shows, then what RIGHT shows: the gripper, the things around it, and how \
they lie to each other. Then say what makes one of the two more of a success at the task, or that nothing does."""
DECIDE = """Someone watched two attempts of a robot, LEFT and RIGHT, at the task: {goal}
This is what they saw:

{seen}

By this report alone: which attempt is the greater success at the task? End with a line that holds one word only: \
LEFT, RIGHT, EQUAL if they are equally good, or UNSURE if the report does not tell."""
JUDGE = """Is the task done in the last picture? Say first what you see that speaks for it or against it. End with a \
line that holds one word only: YES, NO or UNSURE."""

_COMPARISONS: dict[str, Comparison] = {"left": "left", "right": "right", "equal": "equal", "unsure": "skip"}
_JUDGEMENTS: dict[str, float | None] = {"yes": 1.0, "no": 0.0, "unsure": None}


class VlmLabeler:
    """Asks a model twice per pair: about the pictures, and then about its own words."""

    def __init__(
        self, chat: Chat, clips: Clips, *, camera: str | None = None, goal: str | None = None, moments: int = 1
    ) -> None:
        """Args:
        chat: the model.
        clips: what was recorded.
        camera: whose pictures are shown; None: the first one.
        goal: what counts as success, in words; None: what the robot was asked for.
        moments: pictures shown of each segment, evenly spaced in time; 1 is its last alone, as published.
        """
        if moments < 1:
            raise ConfigError(f"moments: got {moments}, allowed >= 1")
        self._chat = chat
        self._clips = clips
        self._camera = camera
        self._goal = goal
        self._moments = moments
        self._refusals = 0
        self.unclear = 0
        """Answers that were none of the allowed words."""

    @property
    def author(self) -> str:
        return f"vlm {self._chat.model}"

    def compare(self, left: Segment, right: Segment) -> Comparison:
        """'skip' where the model is unsure or unclear, refuses the question, or would see the same twice.

        Raises:
            RenderError, UnknownNameError: no pictures, or not by this camera.
            LabelerError: the model will answer no more.
        """
        goal = self._goal or self._common_goal(left, right)
        if goal is None:
            return "skip"
        shown = self._pictures(left), self._pictures(right)
        if shown[0].shape == shown[1].shape and _distance(*shown) < SAME:
            return "skip"
        question: list[Part] = [LOOK.format(goal=goal, shown=_order(self._moments))]
        for name, pictures in zip(("LEFT:", "RIGHT:"), shown, strict=True):
            question += [name, *pictures]
        seen = self._ask([*question, DESCRIBE])
        decided = None if seen is None else self._ask([DECIDE.format(goal=goal, seen=seen)])
        return "skip" if decided is None else _COMPARISONS[self._word(decided, _COMPARISONS)]

    def judge(self, segment: Segment) -> float | None:
        """1 for done, 0 for not done, None where the model is unsure or unclear, or refuses the question."""
        goal = self._goal or self._clips.facts(segment.episode_id).instruction
        question = f"A robot was filmed at this task: {goal}\n{_order(self._moments)}"
        answer = self._ask([question, *self._pictures(segment), JUDGE])
        return None if answer is None else _JUDGEMENTS[self._word(answer, _JUDGEMENTS)]

    def _common_goal(self, left: Segment, right: Segment) -> str | None:
        goals = [self._clips.facts(segment.episode_id).instruction for segment in (left, right)]
        return goals[0] if goals[0] == goals[1] else None

    def _pictures(self, segment: Segment) -> NDArray[np.uint8]:
        """Shape (moments, H, W, 3)."""
        camera = camera_of(self._clips, segment.episode_id, self._camera)
        frames = self._clips.frames(segment, camera)
        return frames[moments_of(len(frames), self._moments)]

    def _ask(self, question: Sequence[Part]) -> str | None:
        """None where this question is refused, or the answer is empty."""
        try:
            text = self._chat.ask(question).text.strip()
        except RefusedError as error:
            self._refusals += 1
            if self._refusals >= REFUSALS:
                raise
            log.warning("a pair is skipped: %s", error)
            return None
        self._refusals = 0
        self.unclear += not text
        return text or None

    def _word(self, text: str, allowed: Collection[str]) -> str:
        """The answer's word; 'unsure' for another one."""
        word = last_word(text, allowed)
        if word is None:
            self.unclear += 1
            log.warning("%s: not one of %s: %r", self._chat.model, ", ".join(allowed), text.splitlines()[-1][:80])
        return word or "unsure"


def last_word(text: str, allowed: Collection[str]) -> str | None:
    """The allowed word that alone makes up an answer's last line, whatever its case, quotes and stars; else None."""
    lines = text.strip().splitlines()
    match = re.fullmatch(r"\W*(?:(?:final\s+)?answer\W+)?(\w+)\W*", lines[-1], re.IGNORECASE) if lines else None
    word = match.group(1).lower() if match else ""
    return word if word in allowed else None


def moments_of(frames: int, count: int) -> NDArray[np.intp]:
    """Indices of `count` frames, evenly spaced, the last one among them."""
    first = 0 if count > 1 else frames - 1
    return np.linspace(first, frames - 1, count).round().astype(np.intp)


def _order(moments: int) -> str:
    return "Each attempt is shown by one picture, of its end." if moments == 1 else "Pictures are in order of time."


def _distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.linalg.norm((a.astype(np.float32) - b.astype(np.float32)) / 255.0))


# -- progress by ordering ---------------------------------------------------------------------------------------------

ORDER = """A robot was filmed at this task: {goal}
The first picture is from the beginning, when 0 % of the task is done. The others are from the same attempt, but in \
random order."""
PERCENTAGES = """For each of the frames 1 to {count} say how much of the task is done, judging by what it shows and \
not by its number. Answer with one line per frame, and nothing else: 'Frame 1: 35 %'."""
_PERCENTAGE = re.compile(r"frame\s*(\d+)\W.*?(\d+(?:\.\d+)?)\s*%", re.IGNORECASE)


def order_frames(chat: Chat, frames: NDArray[np.uint8], goal: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """How much of a task each frame shows as done, by a model that sees the frames in random order.

    Spearman's correlation of the result with time is GVL's value-order correlation.

    Args:
        chat: the model.
        frames: of one attempt in order of time; the first one is told to be 0 %. Shape (N, H, W, 3), N >= 2.
        goal: the task in words.
        rng: draws the order.

    Returns:
        Percentages in order of time; NaN where the model gave none. Shape (N,).

    Raises:
        InvalidValueError: fewer than two frames.
        LabelerError: fewer than half of the frames got a percentage, or the model does not answer.
    """
    count = len(frames) - 1
    if count < 1:
        raise InvalidValueError("order_frames.frames", len(frames), "at least 2 pictures")
    order = rng.permutation(count) + 1
    question: list[Part] = [ORDER.format(goal=goal), "The beginning:", frames[0]]
    for number, index in enumerate(order.tolist(), 1):
        question += [f"Frame {number}:", frames[index]]
    answer = chat.ask([*question, PERCENTAGES.format(count=count)]).text
    progress = np.full(len(frames), np.nan)
    progress[0] = 0.0
    for line in answer.splitlines():
        if (said := _PERCENTAGE.search(line)) and 1 <= int(said.group(1)) <= count:
            progress[order[int(said.group(1)) - 1]] = min(float(said.group(2)), 100.0)
    known = int(np.isfinite(progress[1:]).sum())
    if 2 * known < count:
        raise LabelerError(f"{chat.model}: gave a percentage to {known} of {count} frames")
    return progress
