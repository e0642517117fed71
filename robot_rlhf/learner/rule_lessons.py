"""Standing rules, taught to the policy: kept to in their scope, with everything else as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Array
from robot_rlhf.errors import CheckpointError, InvalidValueError, ShapeError
from robot_rlhf.learner.heard_steps import NO_ROW, HeardStep
from robot_rlhf.learner.meant import Grounding
from robot_rlhf.meaning import SPEEDS, Meaning
from robot_rlhf.replay.advice import Advice, AdvisedBatch, AdvisedRows
from robot_rlhf.replay.buffer import ReplayBuffer

KEPT = "words.rule."
"""Of what a checkpoint holds the beginning of the names."""
PARTS = ("numbers", "target", "mask", "weight")
NEAR, OUT = 1.0, 4.0
"""Weights of anchors, beside 1 of a row in scope: nearly in it, where the policy may change a little, and elsewhere."""
DRAWN = 128
"""Rows in scope in one step, and as many anchors."""
MOST = 2_048
"""Lessons of a rule that are held, the newest, and anchors; and steps before it that are taught from."""
EACH = 4
"""Of the steps of the policy that come after a rule was set every so many are looked at."""
BROKEN = 0.02
"""What was done broke a rule that changes more than this of an entry, in full actions."""
FOR_GOOD = 1 << 62
"""Updates that a rule lasts: until it is taken back."""

Mode = Callable[[Tensor], Tensor]
"""Numbers of rows (N,) to what the policy would do there (N, m)."""


@dataclass
class _Rule:
    meaning: Meaning
    times: int
    """Events about its sentence."""
    born: int
    waiting: list[HeardStep] = field(default_factory=list[HeardStep])
    """Steps that were not looked at yet."""


class RuleLessons:
    """What should be done in recent steps that a standing rule would change, and anchors outside of its scope.

    The loss is that of C3PO (Stephan et al. 2024, RLVF: learning from verbal feedback without overgeneralization), for
    actions: in scope (mode - rule(wish))^2, elsewhere (mode - mode_then)^2. The wish is what the policy would have done
    when the row was first looked at, or what a person did there: were it what the policy does now, one that was held
    back would soon wish for nothing, and slower would get slower and slower. Steps in scope that the rule leaves as
    they are teach nothing: who is learning must not be held to what it did there. A batch is half lessons and half
    anchors, however many rows of each there are. A rule is a person's say and no advice: its lessons do not fade as
    long as it stands, and what was done against it is not imitated. Anchors fade: the policy is to go on learning
    elsewhere.

    While a rule stands the robot keeps to it whatever the policy wishes. Where that changes nothing any more once the
    policy has learned it, as with keeping away, steps to come are looked at, too. A rule of speed would slow down
    twice. It is taught only where that is asked for, for a policy that is to act without it, and of the steps before it
    alone.
    """

    def __init__(self, buffer: ReplayBuffer, grounding: Grounding, *, lasts: int, speeds: bool) -> None:
        """
        Args:
            lasts: updates after which an anchor has faded.
            speeds: teach rules of speed, too.
        """
        self.lessons = Advice(lasts=FOR_GOOD)
        self.anchors = Advice(lasts=lasts)
        self._buffer = buffer
        self._grounding = grounding
        self._speeds = speeds
        self._rules: dict[str, _Rule] = {}
        self._steps = 0

    def __bool__(self) -> bool:
        return bool(self._rules)

    def put(self, sentence: str, meaning: Meaning, steps: Sequence[HeardStep], times: int, born: int) -> set[int]:
        """A rule that stands from now on.

        Args:
            steps: recent ones, in scope or not.
            times: how many events there were about the sentence.
            born: updates of the learner when it was said.

        Returns:
            Numbers of the rows in which something was done that the rule would have changed: nobody is to imitate them
            as long as it stands, or what was shown would teach the opposite of what was said.
        """
        self.remove(sentence)
        if not meaning.rule or (meaning.rule in SPEEDS and not self._speeds):
            return set()
        known = [step for step in steps if step.row != NO_ROW and step.executed is not None]
        self._rules[sentence] = _Rule(meaning, times, born, known[-MOST:])
        return {step.row for step, wrong in zip(known, self._broken(meaning, known), strict=True) if wrong}

    def _broken(self, meaning: Meaning, steps: Sequence[HeardStep]) -> NDArray[np.bool_]:
        """In which steps something was done that the rule would have changed. Shape (T,)."""
        if not steps:
            return np.zeros(0, np.bool_)
        done = np.stack([step.executed for step in steps if step.executed is not None])
        ruled = self._grounding.rule(meaning, [step.observation for step in steps], done)
        if ruled is None:
            return np.zeros(len(steps), np.bool_)
        return ruled.in_scope & (np.abs(ruled.actions - done).max(axis=1) > BROKEN)

    def remove(self, sentence: str) -> None:
        """It is taught no more; one that never was is passed over."""
        self._rules.pop(sentence, None)
        self.lessons.remove(sentence)
        self.anchors.remove(sentence)

    def add(self, step: HeardStep) -> list[str]:
        """A step was done. Returns the rules that a person broke with it: hands need not keep to them."""
        if not self._rules or step.row == NO_ROW or step.executed is None:
            return []
        self._steps += 1
        broke = [name for name, rule in self._rules.items() if step.shown and self._broken(rule.meaning, [step])[0]]
        chosen = step.by_policy and not self._steps % EACH
        for sentence, rule in self._rules.items():
            if sentence in broke or (chosen and rule.meaning.rule not in SPEEDS):
                rule.waiting.append(step)
                del rule.waiting[:-MOST]
        return broke

    def begin(self, mode: Mode) -> None:
        """Look at the steps that wait."""
        for sentence, rule in self._rules.items():
            waiting, rule.waiting = rule.waiting, []
            if waiting:
                self._look(sentence, rule, waiting, mode)

    def _look(self, sentence: str, rule: _Rule, waiting: list[HeardStep], mode: Mode) -> None:
        held = self._buffer.can_be_drawn(torch.tensor([step.row for step in waiting]))
        steps = [step for step, there in zip(waiting, held, strict=True) if there]
        if not steps:
            return
        seen = [step.observation for step in steps]
        numbers = np.array([step.row for step in steps])
        then = mode(torch.as_tensor(numbers.copy())).cpu().numpy()
        done = np.stack([step.executed for step in steps if step.executed is not None])
        shown = self._broken(rule.meaning, steps) & np.array([step.shown for step in steps])
        wish = np.where(shown[:, None], done, then)
        ruled = self._grounding.rule(rule.meaning, seen, wish)
        if ruled is None:
            return
        target, elsewhere = ruled.actions, ~ruled.in_scope
        for other in self._rules.values():
            found = None if other is rule else self._grounding.rule(other.meaning, seen, target)
            if found is not None:
                target, elsewhere = found.actions, elsewhere & ~found.in_scope
        changed = (np.abs(target - wish).max(axis=1) > BROKEN) & ruled.in_scope
        self._hold(self.lessons, sentence, numbers, target, changed.astype(np.float32), rule.born)
        weight = np.where(ruled.near, NEAR, OUT).astype(np.float32) * elsewhere
        self._hold(self.anchors, sentence, numbers, then, weight, rule.born)

    def _hold(
        self, advice: Advice, sentence: str, numbers: NDArray[np.int64], target: Array, weight: Array, born: int
    ) -> None:
        """Rows that have a weight, beside those that are held already."""
        mask = np.ones(target.shape, np.bool_)
        rows = AdvisedRows(numbers, np.clip(target, -1.0, 1.0), mask, weight, born).only(weight > 0.0)
        before = advice.of(sentence)
        both = rows if before is None else _together(before, rows)
        advice.put(sentence, both.only(np.arange(len(both)) >= len(both) - MOST))

    def sample(self, updates: int, generator: torch.Generator) -> AdvisedBatch | None:
        """Draw rows in scope and, as long as anchors last, as many of them; None where nothing is in scope.

        Their weights have a mean of 1.
        """
        lessons = self.lessons.sample(self._buffer, DRAWN, updates, generator)
        if lessons is None:
            return None
        anchors = self.anchors.sample(self._buffer, DRAWN, updates, generator)
        drawn = lessons if anchors is None else lessons.beside(anchors)
        return replace(drawn, weight=drawn.weight / drawn.weight.mean())

    # -- keeping -------------------------------------------------------------------------------------------------

    @property
    def _stores(self) -> Mapping[str, Advice]:
        return {"lessons": self.lessons, "anchors": self.anchors}

    def state(self) -> dict[str, Tensor]:
        """What the policy did when rules were set, which nobody could find out later."""
        kept: dict[str, Tensor] = {}
        for sentence, rule in self._rules.items():
            kept[f"{KEPT}rule.{sentence}"] = torch.tensor([rule.times, rule.born])
            for store, advice in self._stores.items():
                rows = advice.of(sentence)
                if rows is not None:
                    for part in PARTS:
                        kept[f"{KEPT}{store}.{part}.{sentence}"] = torch.as_tensor(np.array(getattr(rows, part)))
        return kept

    def load(self, kept: Mapping[str, Tensor], updates: int) -> None:
        """Take up what was kept of rules that still stand as they did; others count as set after so many updates.

        Raises:
            CheckpointError: not what state() gives.
        """
        for sentence, rule in self._rules.items():
            rule.born = updates
            told = kept.get(f"{KEPT}rule.{sentence}")
            if told is None or int(told[0]) != rule.times:
                continue
            rule.born, rule.waiting = int(told[1]), []
            for store, advice in self._stores.items():
                named = {part: kept.get(f"{KEPT}{store}.{part}.{sentence}") for part in PARTS}
                if any(part is not None for part in named.values()):
                    advice.put(sentence, _rows_of(named, rule.born, sentence))


def _rows_of(kept: Mapping[str, Tensor | None], born: int, sentence: str) -> AdvisedRows:
    try:
        part = {name: value.numpy() for name, value in kept.items() if value is not None}
        return AdvisedRows(part["numbers"], part["target"], part["mask"], part["weight"], born)
    except (KeyError, ValueError, IndexError, ShapeError, InvalidValueError) as error:
        raise CheckpointError(f"words: not what was kept of rule {sentence!r} ({error})") from error


def _together(one: AdvisedRows, other: AdvisedRows) -> AdvisedRows:
    """The rows of both, in this order."""
    both = {name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in PARTS}
    return AdvisedRows(**both, born=one.born)
