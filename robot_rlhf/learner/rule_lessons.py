"""Standing rules, taught to the policy: kept to in their scope, with everything else as it was."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import Array
from robot_rlhf.errors import CheckpointError, InvalidValueError, ShapeError
from robot_rlhf.learner.heard_steps import NO_ROW, HeardStep
from robot_rlhf.learner.meant import Grounding, Ruled
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
MOST = 1_024
"""Steps in scope of a rule that are held, the newest, and as many elsewhere."""
EACH = 4
"""Of the steps of the policy that come after a rule was set every so many are looked at."""
AGAIN = 200
"""Updates after which lessons and anchors are made anew, of what the policy would do by then."""
BROKEN = 0.02
"""What was done broke a rule that changes more than this of an entry, in full actions."""
FOR_GOOD = 1 << 62
"""Updates that a lesson lasts: until it is made anew, or taken back."""

Mode = Callable[[Tensor], Tensor]
"""Numbers of rows (N,) to what the policy would do there (N, m)."""


@dataclass
class _Rule:
    """What one sentence made stand."""

    meanings: tuple[Meaning, ...]
    times: int
    """Events about its sentence."""
    born: int
    looked: int | None = None
    """Updates when its lessons were made; None: never."""
    waiting: list[HeardStep] = field(default_factory=list[HeardStep])
    """Steps of which it is not known yet whether they are in scope."""
    inside: deque[HeardStep] = field(default_factory=lambda: deque[HeardStep](maxlen=MOST))
    outside: deque[HeardStep] = field(default_factory=lambda: deque[HeardStep](maxlen=MOST))

    @property
    def is_speed(self) -> bool:
        return any(meaning.rule in SPEEDS for meaning in self.meanings)

    def sort(self, steps: Sequence[HeardStep], in_scope: NDArray[np.bool_]) -> None:
        for step, within in zip(steps, in_scope, strict=True):
            (self.inside if within else self.outside).append(step)


class RuleLessons:
    """What should be done in recent steps that a standing rule would change, and anchors outside of its scope.

    The loss is that of C3PO (Stephan et al. 2024, RLVF: learning from verbal feedback without overgeneralization), for
    actions: in scope (mode - rule(wish))^2, elsewhere (mode - mode_then)^2. The wish is what the policy would do, or
    what a person did there. C3PO teaches a model that is done learning. A policy that still learns would be held back
    by what it wished, and did, long ago: `then` is now, every so many updates anew. Steps in scope in which it already
    keeps to the rule teach nothing and are held to nothing; a rule that is kept to everywhere costs nothing. A batch is
    half lessons and half anchors, however many rows of each there are. A rule is a person's say and no advice: no
    critic overrules it, and what was done against it is not imitated as long as it stands.

    A rule of speed is no border that one can keep to: of what the policy wishes by now, slower would get slower and
    slower. It is taught only where that is asked for, for a policy that is done learning and is to act without it, of
    what was wished when it was set, of the steps before it; its anchors fade.
    """

    def __init__(self, buffer: ReplayBuffer, grounding: Grounding, *, lasts: int, speeds: bool) -> None:
        """
        Args:
            lasts: updates after which an anchor that is not made anew has faded.
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

    def put(
        self, sentence: str, meanings: Sequence[Meaning], steps: Sequence[HeardStep], times: int, born: int
    ) -> set[int]:
        """What stands from now on.

        Args:
            meanings: of the sentence; those that are no rule that is taught are passed over.
            steps: recent ones, in scope or not.
            times: how many events there were about the sentence.
            born: updates of the learner when it was said.

        Returns:
            Numbers of the rows in which something was done that the rule would have changed: nobody is to imitate them
            as long as it stands, or what was shown would teach the opposite of what was said.
        """
        self.remove(sentence)
        taught = tuple(each for each in meanings if each.rule and (self._speeds or each.rule not in SPEEDS))
        if not taught:
            return set()
        known = [step for step in steps if step.row != NO_ROW and step.executed is not None]
        rule = self._rules[sentence] = _Rule(taught, times, born)
        ruled = self._ruled(rule, known, _executed(known))
        if ruled is None:
            return set()
        if rule.is_speed:
            rule.waiting = known[-MOST:]
        else:
            rule.sort(known, ruled.in_scope)
        return {step.row for step, wrong in zip(known, _changed(ruled, _executed(known)), strict=True) if wrong}

    def _ruled(self, rule: _Rule, steps: Sequence[HeardStep], actions: Array) -> Ruled | None:
        """What a rule makes of actions in these steps, one meaning after the other; None where it cannot hold."""
        if not steps:
            return None
        seen, whole = [step.observation for step in steps], None
        for meaning in rule.meanings:
            found = self._grounding.rule(meaning, seen, actions if whole is None else whole.actions)
            if found is not None and whole is not None:
                in_scope = whole.in_scope | found.in_scope
                found = Ruled(found.actions, in_scope, (whole.near | found.near) & ~in_scope)
            whole = whole if found is None else found
        return whole

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
        broke = [name for name, rule in self._rules.items() if step.shown and self._breaks(rule, step, step.executed)]
        chosen = step.by_policy and not self._steps % EACH
        for sentence, rule in self._rules.items():
            if sentence in broke or (chosen and not rule.is_speed):
                rule.waiting.append(step)
                if len(rule.waiting) >= MOST:
                    self._sort(rule)
        return broke

    def _breaks(self, rule: _Rule, step: HeardStep, executed: Array) -> bool:
        ruled = self._ruled(rule, [step], executed[None])
        return ruled is not None and bool(_changed(ruled, executed[None])[0])

    def begin(self, mode: Mode, updates: int) -> None:
        """Make the lessons that are due after so many updates of the learner."""
        for sentence, rule in self._rules.items():
            if rule.is_speed:
                steps, rule.waiting = rule.waiting, []
            elif rule.looked is None or not 0 <= updates - rule.looked < AGAIN:
                self._sort(rule)
                steps = [*rule.inside, *rule.outside]
                self.lessons.remove(sentence)
                self.anchors.remove(sentence)
            else:
                continue
            if steps:
                rule.looked = updates
            self._look(sentence, rule, steps, mode, rule.born if rule.is_speed else updates)

    def _sort(self, rule: _Rule) -> None:
        """Of what waits what is in scope and what is not."""
        steps, rule.waiting = rule.waiting, []
        ruled = self._ruled(rule, steps, _executed(steps))
        if ruled is not None:
            rule.sort(steps, ruled.in_scope)

    def _look(self, sentence: str, rule: _Rule, waiting: Sequence[HeardStep], mode: Mode, born: int) -> None:
        held = self._buffer.can_be_drawn(torch.tensor([step.row for step in waiting], dtype=torch.int64))
        steps = [step for step, there in zip(waiting, held, strict=True) if there]
        if not steps:
            return
        numbers = np.array([step.row for step in steps])
        then, done = mode(torch.as_tensor(numbers.copy())).cpu().numpy(), _executed(steps)
        as_done = self._ruled(rule, steps, done)
        if as_done is None:
            return
        shown = _changed(as_done, done) & np.array([step.shown for step in steps])
        wish = np.where(shown[:, None], done, then)
        ruled = self._ruled(rule, steps, wish)
        assert ruled is not None
        target, elsewhere = ruled.actions, ~ruled.in_scope
        for other in self._rules.values():
            found = None if other is rule else self._ruled(other, steps, target)
            if found is not None:
                target, elsewhere = found.actions, elsewhere & ~found.in_scope
        changed = (np.abs(target - wish).max(axis=1) > BROKEN) & ruled.in_scope
        self._hold(self.lessons, sentence, numbers, target, changed.astype(np.float32), born)
        weight = np.where(ruled.near, NEAR, OUT).astype(np.float32) * elsewhere
        self._hold(self.anchors, sentence, numbers, then, weight, born)

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
        """What the policy wished when lessons were made, which nobody could find out later."""
        kept: dict[str, Tensor] = {}
        for sentence, rule in self._rules.items():
            looked = -1 if rule.looked is None else rule.looked
            kept[f"{KEPT}rule.{sentence}"] = torch.tensor([rule.times, rule.born, looked])
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
            rule.born, looked = int(told[1]), int(told[2]) if len(told) > 2 else -1
            rule.looked = looked if looked >= 0 else None
            if rule.is_speed:
                rule.waiting = []
            born = rule.born if rule.is_speed or rule.looked is None else rule.looked
            for store, advice in self._stores.items():
                named = {part: kept.get(f"{KEPT}{store}.{part}.{sentence}") for part in PARTS}
                if any(part is not None for part in named.values()):
                    advice.put(sentence, _rows_of(named, born, sentence))


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


def _executed(steps: Sequence[HeardStep]) -> Array:
    """What was done in steps of which that is known. Shape (T, m)."""
    return np.array([step.executed for step in steps if step.executed is not None], np.float32)


def _changed(ruled: Ruled, actions: Array) -> NDArray[np.bool_]:
    """In which steps a rule changes what was done. Shape (T,)."""
    return ruled.in_scope & (np.abs(ruled.actions - actions).max(axis=1) > BROKEN)
