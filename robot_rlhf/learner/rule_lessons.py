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
HELD = 64 * MOST
"""Rows of all rules' lessons, and of anchors, at most."""
NEVER = -1
TOLD = 4
"""Numbers that a checkpoint has of a rule."""
FOR_GOOD = 1 << 62
"""Updates that a lesson lasts: until it is made anew, or taken back."""

Mode = Callable[[Tensor], Tensor]
"""Numbers of rows (N,) to what the policy would do there (N, m)."""


@dataclass
class _Rule:
    sentence: str
    meaning: Meaning
    times: int
    """Events about its sentence."""
    born: int
    looked: int = NEVER
    """Updates when its lessons were made."""
    until: int = NO_ROW
    """The newest row that was looked at."""
    broke: set[int] = field(default_factory=set[int])
    """Rows of what a person did against it."""
    waiting: list[HeardStep] = field(default_factory=list[HeardStep])
    """Steps that were not looked at, or of which it is not known yet whether they are in scope."""
    inside: deque[HeardStep] = field(default_factory=lambda: deque[HeardStep](maxlen=MOST))
    outside: deque[HeardStep] = field(default_factory=lambda: deque[HeardStep](maxlen=MOST))

    @property
    def is_speed(self) -> bool:
        return self.meaning.rule in SPEEDS


class RuleLessons:
    """What should be done in recent steps that a standing rule would change, and anchors outside of its scope.

    The loss is that of C3PO (Stephan et al. 2024, RLVF: learning from verbal feedback without overgeneralization), for
    actions: in scope (mode - rules(wish))^2, elsewhere (mode - mode_then)^2. The wish is what the policy would do, or
    what a person did there. C3PO teaches a model that is done learning. A policy that still learns would be held back
    by what it wished, and did, long ago: `then` is now, every so many updates anew. Steps in scope in which it already
    keeps to the rule teach nothing and are held to nothing; a rule that is kept to everywhere costs nothing. A batch is
    half lessons and half anchors, however many rows of each there are. A rule is a person's say and no advice: no
    critic overrules it, and what was done against it is not imitated as long as it stands. What is said twice is taught
    once.

    A rule of speed is no border that one can keep to: of what the policy wishes by now, slower would get slower and
    slower. It is taught only where that is asked for, for a policy that is done learning and is to act without it, of
    what was wished when it was set, of the steps before it; its anchors fade.
    """

    def __init__(self, buffer: ReplayBuffer, grounding: Grounding, *, lasts: int, speeds: bool) -> None:
        """
        Args:
            lasts: updates after which anchors of rules of speed have faded.
            speeds: teach rules of speed, too.
        """
        self.lessons = Advice(capacity=HELD, lasts=FOR_GOOD)
        self.anchors = Advice(capacity=HELD, lasts=lasts)
        self._buffer = buffer
        self._grounding = grounding
        self._speeds = speeds
        self._rules: dict[str, _Rule] = {}
        """By sentence, kind and thing, as lessons and anchors are named."""
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
            Numbers of the rows in which something was done that the rules would have changed: nobody is to imitate them
            as long as they stand, or what was shown would teach the opposite of what was said.
        """
        self.remove(sentence)
        known = [step for step in steps if step.row != NO_ROW and step.executed is not None]
        against = set[int]()
        for meaning in meanings:
            if not meaning.rule or (meaning.rule in SPEEDS and not self._speeds):
                continue
            rule = _Rule(sentence, meaning, times, born)
            self._rules[f"{sentence}/{meaning.rule}/{meaning.thing}"] = rule
            ruled = self._ruled([meaning], known, _executed(known))
            if ruled is None:
                continue
            broken = [step for step, wrong in zip(known, _changed(ruled, _executed(known)), strict=True) if wrong]
            against |= {step.row for step in broken}
            rule.broke = {step.row for step in broken if step.shown}
            if rule.is_speed:
                rule.waiting = known[-MOST:]
            else:
                _divide(rule, known, ruled)
        return against

    def _ruled(self, meanings: Sequence[Meaning], steps: Sequence[HeardStep], actions: Array) -> Ruled | None:
        """What rules together make of actions in these steps; None where there is nothing, or they cannot hold."""
        return self._grounding.rules(meanings, [step.observation for step in steps], actions) if steps else None

    def remove(self, sentence: str) -> None:
        """Its rules are taught no more; a sentence that set none is passed over."""
        for name in [name for name, rule in self._rules.items() if rule.sentence == sentence]:
            del self._rules[name]
            self.lessons.remove(name)
            self.anchors.remove(name)

    def add(self, step: HeardStep) -> list[str]:
        """A step was done. Returns the sentences whose rules a person broke with it: hands need not keep to them."""
        if not self._rules or step.row == NO_ROW or step.executed is None:
            return []
        self._steps += 1
        chosen = step.by_policy and not self._steps % EACH
        broke: dict[str, None] = {}
        for rule in self._rules.values():
            against = step.shown and self._breaks(rule, step, step.executed)
            if against:
                broke[rule.sentence] = None
                rule.broke.add(step.row)
            if against or (chosen and not rule.is_speed):
                rule.waiting.append(step)
                if rule.is_speed:
                    del rule.waiting[:-MOST]
                elif len(rule.waiting) >= MOST:
                    self._sort(rule)
        return list(broke)

    def _breaks(self, rule: _Rule, step: HeardStep, executed: Array) -> bool:
        ruled = self._ruled([rule.meaning], [step], executed[None])
        return ruled is not None and bool(_changed(ruled, executed[None])[0])

    def begin(self, mode: Mode, updates: int, heartbeat: Callable[[], None] = lambda: None) -> None:
        """Make the lessons that are due after so many updates of the learner.

        Args:
            heartbeat: called between rules; what is told by it counts from the next call on.
        """
        due: dict[Meaning, tuple[str, _Rule]] = {}
        for name, rule in self._rules.items():
            due.setdefault(rule.meaning, (name, rule))
        for name, rule in due.values():
            heartbeat()
            if self._rules.get(name) is not rule:
                continue
            if rule.is_speed:
                steps, rule.waiting = rule.waiting, []
            elif rule.looked == NEVER or not 0 <= updates - rule.looked < AGAIN:
                self._sort(rule)
                steps = [*rule.inside, *rule.outside]
                self.lessons.remove(name)
                self.anchors.remove(name)
            else:
                continue
            if steps:
                rule.looked, rule.until = updates, max(rule.until, *(step.row for step in steps))
                self._look(name, rule, steps, mode, rule.born if rule.is_speed else updates)

    def _sort(self, rule: _Rule) -> None:
        """Of what waits what is in scope and what is not."""
        steps, rule.waiting = rule.waiting, []
        ruled = self._ruled([rule.meaning], steps, _executed(steps))
        if ruled is not None:
            _divide(rule, steps, ruled)

    def _look(self, name: str, rule: _Rule, steps: Sequence[HeardStep], mode: Mode, born: int) -> None:
        held = self._buffer.can_be_drawn(torch.tensor([step.row for step in steps], dtype=torch.int64))
        steps = [step for step, there in zip(steps, held, strict=True) if there]
        if not steps:
            return
        numbers = np.array([step.row for step in steps])
        then = mode(torch.as_tensor(numbers.copy())).cpu().numpy()
        shown = np.array([step.row in rule.broke for step in steps])
        wish = np.where(shown[:, None], _executed(steps), then)
        own = self._ruled([rule.meaning], steps, wish)
        # Beside a border other borders; speeds are no part of what is to be kept to again and again.
        together = [other.meaning for other in self._rules.values() if other is rule or not other.is_speed]
        everything = self._ruled(list(dict.fromkeys(together)), steps, wish)
        if own is None or everything is None:
            return
        changed = (np.abs(everything.actions - wish).max(axis=1) > BROKEN) & own.in_scope
        self._hold(self.lessons, name, numbers, everything.actions, changed.astype(np.float32), born)
        weight = np.where(own.near, NEAR, OUT).astype(np.float32) * ~everything.in_scope
        self._hold(self.anchors, name, numbers, then, weight, born)

    def _hold(
        self, advice: Advice, name: str, numbers: NDArray[np.int64], target: Array, weight: Array, born: int
    ) -> None:
        """Rows that have a weight, beside those that are held already."""
        mask = np.ones(target.shape, np.bool_)
        rows = AdvisedRows(numbers, np.clip(target, -1.0, 1.0), mask, weight, born).only(weight > 0.0)
        before = advice.of(name)
        both = rows if before is None else _together(before, rows)
        advice.put(name, both.only(np.arange(len(both)) >= len(both) - MOST))

    def sample(self, updates: int, generator: torch.Generator) -> AdvisedBatch | None:
        """Draw rows in scope and, as long as there are anchors, as many of them; None where nothing is in scope.

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
        for name, rule in self._rules.items():
            kept[f"{KEPT}rule.{name}"] = torch.tensor([rule.times, rule.born, rule.looked, rule.until])
            for store, advice in self._stores.items():
                rows = advice.of(name)
                if rows is not None:
                    for part in PARTS:
                        kept[f"{KEPT}{store}.{part}.{name}"] = torch.as_tensor(np.array(getattr(rows, part)))
        return kept

    def load(self, kept: Mapping[str, Tensor], updates: int) -> None:
        """Take up what was kept of rules that still stand as they did; others count as set after so many updates.

        Raises:
            CheckpointError: not what state() gives.
        """
        for name, rule in self._rules.items():
            told = kept.get(f"{KEPT}rule.{name}")
            rule.born = updates
            if told is not None and len(told) == TOLD and int(told[0]) == rule.times:
                _, rule.born, rule.looked, rule.until = told.tolist()
                if rule.is_speed:
                    rule.waiting = [step for step in rule.waiting if step.row > rule.until]
        # In the order in which they were made, which is the order in which rows are drawn.
        for name, rule in sorted(self._rules.items(), key=lambda item: item[1].looked):
            if rule.looked != NEVER:
                born = rule.born if rule.is_speed else rule.looked
                for store, advice in self._stores.items():
                    named = {part: kept.get(f"{KEPT}{store}.{part}.{name}") for part in PARTS}
                    if any(part is not None for part in named.values()):
                        advice.put(name, _rows_of(named, born, name))


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


def _divide(rule: _Rule, steps: Sequence[HeardStep], ruled: Ruled) -> None:
    for step, within in zip(steps, ruled.in_scope, strict=True):
        (rule.inside if within else rule.outside).append(step)


def _executed(steps: Sequence[HeardStep]) -> Array:
    """What was done in steps of which that is known. Shape (T, m)."""
    return np.array([step.executed for step in steps if step.executed is not None], np.float32)


def _changed(ruled: Ruled, actions: Array) -> NDArray[np.bool_]:
    """In which steps a rule changes what was done. Shape (T,)."""
    return ruled.in_scope & (np.abs(ruled.actions - actions).max(axis=1) > BROKEN)
