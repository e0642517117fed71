"""Standing rules, taught to the policy: kept to in their scope, with everything else as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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
PARTS = ("numbers", "target", "mask", "weight", "born")
WEIGHTS = {"in": 1.0, "near": 0.1, "out": 0.2}
"""Of a row in the rule's scope; nearly so, where the policy may change a little; and elsewhere."""
MOST = {"in": 256, "near": 128, "out": 256}
"""Rows of a rule that are held; of anchors no more than there are rows in scope, or FEW."""
FEW = 32
EACH = 4
"""Of the steps that come after a rule was set every so many are looked at."""
ALL_ROWS = 4_096
LOOKED_AT = 2_048
"""Of the steps before a rule so many of the newest are taught from."""
BROKEN = 0.1
"""What was done broke a rule that changes more than this of an entry, in full actions."""

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
    """What the policy would do in recent steps, as a rule would have it, and anchors outside of the rule's scope.

    The loss is that of C3PO (Stephan et al. 2024, RLVF: learning from verbal feedback without overgeneralization), for
    actions: in scope (mode - rule(mode))^2, and of what the policy did when the row was first looked at .2 (mode -
    mode_then)^2 elsewhere, .1 of it within twice the distances of the scope. Only entries that move the tool count.

    While a rule stands the robot keeps to it whatever the policy wishes. Where that changes nothing any more once the
    policy has learned it, as with keeping away, all steps to come are looked at. A rule of speed would slow down twice.
    It is taught only where that is asked for, for a policy that is to act without it, and of the steps before it alone.
    """

    def __init__(
        self, buffer: ReplayBuffer, grounding: Grounding, motion: NDArray[np.bool_], *, lasts: int, speeds: bool
    ) -> None:
        """
        Args:
            motion: entries of an action that move the tool. Shape (m,).
            lasts: updates after which a lesson has faded.
            speeds: teach rules of speed, too.
        """
        self.advice = Advice(capacity=ALL_ROWS, lasts=lasts)
        self._buffer = buffer
        self._grounding = grounding
        self._motion = motion
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
        self._rules[sentence] = _Rule(meaning, times, born, known[-LOOKED_AT:])
        return self._broken(meaning, known)

    def _broken(self, meaning: Meaning, steps: Sequence[HeardStep]) -> set[int]:
        if not steps:
            return set()
        done = np.stack([step.executed for step in steps if step.executed is not None])
        ruled = self._grounding.rule(meaning, [step.observation for step in steps], done)
        if ruled is None:
            return set()
        changed = ruled.in_scope & (np.abs(ruled.actions - done).max(axis=1) > BROKEN)
        return {step.row for step, wrong in zip(steps, changed, strict=True) if wrong}

    def remove(self, sentence: str) -> None:
        """It is taught no more; one that never was is passed over."""
        self._rules.pop(sentence, None)
        self.advice.remove(sentence)

    def add(self, step: HeardStep) -> None:
        """A step was done while rules stand."""
        self._steps += 1
        if self._steps % EACH or step.row == NO_ROW or not step.by_policy:
            return
        for rule in self._rules.values():
            if rule.meaning.rule not in SPEEDS:
                rule.waiting.append(step)
                del rule.waiting[: -MOST["in"]]

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
        would = mode(torch.as_tensor(numbers.copy())).cpu().numpy()
        ruled = self._grounding.rule(rule.meaning, seen, would)
        if ruled is None:
            return
        others = np.zeros(len(steps), np.bool_)
        for other in self._rules.values():
            found = None if other is rule else self._grounding.rule(other.meaning, seen, would)
            if found is not None:
                others |= found.in_scope
        rows = list(self._chosen(numbers, would, ruled, others, rule.born))
        before = self.advice.of(sentence)
        self.advice.put(sentence, _newest([*([] if before is None else [before]), *rows], rule.born))

    def _chosen(
        self, numbers: NDArray[np.int64], would: Array, ruled: Ruled, others: NDArray[np.bool_], born: int
    ) -> Iterator[AdvisedRows]:
        """Rows in scope, and as many anchors, evenly taken. Args: others: rows in the scope of other rules."""
        out = ~(ruled.in_scope | ruled.near)
        scopes = {"in": ruled.in_scope, "near": ruled.near & ~others, "out": out & ~others}
        anchors = max(FEW, int(ruled.in_scope.sum()))
        for scope, rows in scopes.items():
            places = np.flatnonzero(rows)
            most = MOST[scope] if scope == "in" else min(MOST[scope], anchors)
            if len(places) > most:
                places = places[np.linspace(0, len(places) - 1, most).round().astype(int)]
            if len(places):
                target = (ruled.actions if scope == "in" else would)[places]
                mask = np.tile(self._motion, (len(places), 1))
                weight = np.full(len(places), WEIGHTS[scope], np.float32)
                yield AdvisedRows(numbers[places], np.clip(target, -1.0, 1.0), mask, weight, born)

    def sample(self, size: int, updates: int, generator: torch.Generator) -> AdvisedBatch | None:
        """As Advice.sample."""
        return self.advice.sample(self._buffer, size, updates, generator)

    # -- keeping -------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """What the policy did when rules were set, which nobody could find out later."""
        kept: dict[str, Tensor] = {}
        for sentence, rule in self._rules.items():
            rows = self.advice.of(sentence)
            if rows is not None:
                kept |= {
                    f"{KEPT}{part}.{sentence}": torch.as_tensor(np.array(getattr(rows, part))) for part in PARTS
                } | {f"{KEPT}times.{sentence}": torch.tensor(rule.times)}
        return kept

    def load(self, kept: Mapping[str, Tensor], updates: int) -> None:
        """Take up what was kept of rules that still stand as they did; others count as set after so many updates.

        Raises:
            CheckpointError: not what state() gives.
        """
        for sentence, rule in self._rules.items():
            rule.born = updates
            times = kept.get(f"{KEPT}times.{sentence}")
            if times is None or int(times) != rule.times:
                continue
            try:
                part = {name: kept[f"{KEPT}{name}.{sentence}"].numpy() for name in PARTS}
                rows = AdvisedRows(part["numbers"], part["target"], part["mask"], part["weight"], int(part["born"]))
            except (KeyError, ValueError, IndexError, ShapeError, InvalidValueError) as error:
                raise CheckpointError(f"words: not what was kept of rule {sentence!r} ({error})") from error
            rule.born, rule.waiting = rows.born, []
            self.advice.put(sentence, rows)


def _newest(parts: Sequence[AdvisedRows], born: int) -> AdvisedRows:
    """Together, no more of each weight than may be held: the newest."""
    whole = AdvisedRows(
        np.concatenate([rows.numbers for rows in parts]),
        np.concatenate([rows.target for rows in parts]),
        np.concatenate([rows.mask for rows in parts]),
        np.concatenate([rows.weight for rows in parts]),
        born,
    )
    keeps = np.zeros(len(whole), np.bool_)
    for scope, weight in WEIGHTS.items():
        keeps[np.flatnonzero(np.isclose(whole.weight, weight))[-MOST[scope] :]] = True
    return whole.only(keeps)
