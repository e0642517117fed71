"""What sentences teach: advice about what was just done, judgements of it, and how much of it is taken up."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import (
    ActionLayout,
    Array,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    Observation,
    Segment,
    Step,
)
from robot_rlhf.errors import CheckpointError
from robot_rlhf.learner.heard_steps import NO_ROW, HeardStep, HeardSteps, shortly_before
from robot_rlhf.learner.meant import Grounding, motion_of, should_have_done
from robot_rlhf.learner.rule_lessons import RuleLessons
from robot_rlhf.learner.uptake import AFTER, Uptake
from robot_rlhf.learner.words_config import WordsConfig
from robot_rlhf.meaning import Meaning, meanings_of
from robot_rlhf.ports import AdvisedLearner, Learner, RuledLearner, ValueLearner
from robot_rlhf.replay.advice import Advice, AdvisedRows
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.ledger import Mark

log = logging.getLogger(__name__)

ADVISES = frozenset({"nudge", "label", "skill"})
"""What may be done about a sentence that advises: by what it means, whether or not the robot did it at once."""
RULES_STAND = ADVISES | {"rule", "goal"}
"""What may be done about a sentence of which a rule stands."""
JUDGES: Mapping[str, Mark] = {"praise": Mark.PRAISED, "blame": Mark.BLAMED}
REMEMBERED = 512
"""Sentences that can still be corrected or taken back."""
EACH_THIRD = 3
"""Of the steps done on a sentence those whose uptake is looked at."""
MEASURED_EVERY = 200
"""Updates between two looks at what was taken up."""
AT_ONCE = 256
"""Steps of advice between two batches of updates at most."""
SAID, GENERATOR = "words.said", "words.generator"
"""Names of what a checkpoint holds."""


@dataclass
class _Said:
    """One sentence, as it stands."""

    span: list[HeardStep]
    before: list[HeardStep]
    """What the policy did shortly before it."""
    doing: str = ""
    meanings: tuple[Meaning, ...] = ()
    times: int = 0
    """Events about it."""


@dataclass(frozen=True, eq=False)
class _Done:
    """A step that was done on a sentence by a skill, for which the sentence then meant this."""

    row: int
    executed: Array
    meanings: tuple[Meaning, ...] | None
    """None: its meaning was not told yet."""


@dataclass
class _Figures:
    """Since the last report."""

    loss: list[Tensor] = field(default_factory=list[Tensor])
    kept: list[Tensor] = field(default_factory=list[Tensor])
    rules: list[Tensor] = field(default_factory=list[Tensor])


class Words:
    """A tutor that learns from what the sentences of people mean, as events tell it; to be told after replay was.

    What the policy did shortly before a sentence is advised to be otherwise. What was praised is imitated, what was
    blamed is not, whoever did it. What a skill did on a sentence is a person's, as long as the sentence stands so. All
    of that is taken back with the sentence, and made anew where it is corrected: only the newest event about a sentence
    counts. Advice goes to the policy alone: nobody knows what would have followed.
    """

    def __init__(
        self,
        learner: Learner,
        buffer: ReplayBuffer,
        grounding: Grounding,
        layout: ActionLayout,
        config: WordsConfig | None = None,
        *,
        seed: int = 0,
    ) -> None:
        """Args: learner: one that takes no advice learns from praise, blame and skills alone, and the log says so."""
        self.config = config or WordsConfig()
        self.advice = Advice(lasts=self.config.lasts)
        self._learner = learner if isinstance(learner, AdvisedLearner) else None
        self._values = learner if isinstance(learner, ValueLearner) else None
        self._kind = type(learner).__name__
        self._buffer = buffer
        self._grounding = grounding
        self._motion = motion_of(layout)
        self._steps = HeardSteps(buffer)
        lasts, speeds = self.config.lasts, self.config.rule_speeds
        self.rules = RuleLessons(buffer, grounding, lasts=lasts, speeds=speeds)
        self._said: dict[str, _Said] = {}
        self._done: dict[str, list[_Done]] = {}
        self._against: dict[str, set[int]] = {}
        """Rows that a standing rule would have changed, whoever did them."""
        self._uptake = Uptake()
        self._generator = torch.Generator(buffer.device).manual_seed(seed + 0x5A1D)
        self._advised_at = 0
        self._measured_at = 0
        self._figures = _Figures()

    @property
    def uptake(self) -> Mapping[str, float]:
        """How much of each sentence the policy has taken up, 1 for all of it; by sentence, the newest last."""
        return self._uptake.values

    # -- what happens --------------------------------------------------------------------------------------------

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._steps.on_episode_start(meta)

    def on_step(self, step: Step) -> None:
        seen = self._steps.add(step)
        for sentence in self.rules.add(seen):
            self._against[sentence].add(seen.row)
            self._mark({seen.row})
        if step.spoken and step.authority is None and seen.row != NO_ROW and seen.executed is not None:
            said = self._said.get(step.spoken)
            done = self._done.setdefault(step.spoken, [])
            done.append(_Done(seen.row, seen.executed, None if said is None else said.meanings))
            if said is not None:
                self._note_done(step.spoken, said, len(done) - 1)

    def on_event(self, event: Event) -> None:
        if not isinstance(event, Feedback) or event.kind is not FeedbackKind.MEANING:
            return
        sentence, doing = str(event.payload.get("sentence", "")), str(event.payload.get("doing", ""))
        meanings = meanings_of(event)
        if not sentence or meanings is None:
            return
        said = self._said.pop(sentence, None) or self._heard(event.span)
        self._said[sentence] = said
        said.times += 1
        said.doing, said.meanings = doing, meanings
        done = self._done.get(sentence, [])
        done[:] = [_Done(each.row, each.executed, meanings) if each.meanings is None else each for each in done]
        self._teach(sentence, said)
        over = len(self._said) - REMEMBERED
        for oldest in [name for name in self._said if not self._against.get(name)][: max(0, over)]:
            del self._said[oldest]
            self._done.pop(oldest, None)

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """What was said stands; advice about what was discarded goes with its rows."""

    def _heard(self, span: Segment) -> _Said:
        steps = self._steps.of(span)
        return _Said(steps, shortly_before(steps, span, self.config.since, self.config.until))

    def _teach(self, sentence: str, said: _Said) -> None:
        """Advice, marks and uptake of a sentence, in the place of what there was."""
        self.advice.remove(sentence)
        self._uptake.remove(sentence)
        self.rules.remove(sentence)
        against = self._against.pop(sentence, set[int]())
        taught = self._learner is not None and self.config.rule_weight > 0.0
        if taught and said.doing in RULES_STAND and any(meaning.rule for meaning in said.meanings):
            steps = self._steps.newest()
            self._against[sentence] = self.rules.put(sentence, said.meanings, steps, said.times, self._updates)
            against |= self._against[sentence]
        if said.doing in ADVISES:
            self._uptake.put(sentence, self._updates)
            self._advise_about(sentence, said)
        done = {done.row for done in self._done.get(sentence, [])}
        self._mark({step.row for step in said.span} | done | against)
        for number in range(len(self._done.get(sentence, []))):
            self._note_done(sentence, said, number)

    def _advise_about(self, sentence: str, said: _Said) -> None:
        told = [(step.row, *found) for step in said.before if (found := self._should(said.meanings, step)) is not None]
        if not told:
            return
        if self._learner is None:
            log.warning(
                "learner %s takes no advice: %r teaches it nothing but what was done on it", self._kind, sentence
            )
            return
        numbers, targets, masks = zip(*told, strict=True)
        sure = min(meaning.confidence for meaning in said.meanings)
        rows = AdvisedRows(
            np.array(numbers), np.stack(targets), np.stack(masks), np.full(len(told), sure, np.float32), self._updates
        )
        self.advice.put(sentence, rows)
        for row, target, mask in told:
            self._uptake.add(sentence, row, target, mask)

    def _should(self, meanings: Sequence[Meaning], step: HeardStep) -> tuple[Array, NDArray[np.bool_]] | None:
        assert step.executed is not None
        return should_have_done(
            meanings, step.observation, step.executed, self._grounding, self._motion, self.config.reach
        )

    def _note_done(self, sentence: str, said: _Said, number: int) -> None:
        """Mark a step that was done on a sentence, where it does not stand so any more; else look at its uptake."""
        done = self._done[sentence][number]
        if not _meant(done, said):
            self._mark({done.row})
        elif number % EACH_THIRD == 0:
            self._uptake.add(sentence, done.row, done.executed, np.ones(len(done.executed), np.bool_))

    def _mark(self, rows: set[int]) -> None:
        """Say of rows what all sentences together say now; of praise and blame the last counts."""
        marks = dict.fromkeys(rows - {NO_ROW}, Mark.NONE)
        for sentence, said in self._said.items():
            for done in self._done.get(sentence, []):
                if done.row in marks and not _meant(done, said):
                    marks[done.row] = Mark.NOT_MEANT
            marks |= dict.fromkeys(self._against.get(sentence, set[int]()) & marks.keys(), Mark.AGAINST_RULE)
            mark = JUDGES.get(said.doing)
            if mark is not None:
                for step in said.span:
                    if marks.get(step.row) not in (None, Mark.NOT_MEANT, Mark.AGAINST_RULE):
                        marks[step.row] = mark
        for mark in Mark:
            numbers = [row for row, said_of in marks.items() if said_of is mark]
            if numbers:
                self._buffer.mark(torch.tensor(numbers), mark)

    # -- learning ------------------------------------------------------------------------------------------------

    @property
    def _updates(self) -> int:
        return 0 if self._learner is None else self._learner.updates

    def work(self, heartbeat: Callable[[], None] = lambda: None) -> Mapping[str, float] | None:
        """The steps of advice that are due, as many as the policy made updates since; and now and then figures."""
        learner = self._learner
        if learner is None:
            return None
        due = (learner.policy_updates - self._advised_at) * self.config.per_update
        self._advised_at = learner.policy_updates
        if not self._said:
            self._measured_at = learner.updates
            return None
        self._uptake.begin(self._mode, self._buffer.can_be_drawn)
        self.rules.begin(self._mode, learner.updates, heartbeat)
        for number in range(min(due, AT_ONCE)):
            if number % 8 == 0:
                heartbeat()
            if not (self._advise(learner) | self._keep_rules(learner)):
                break
        if 0 <= learner.updates - self._measured_at < MEASURED_EVERY:
            return None
        self._measured_at = learner.updates
        self._uptake.measure(self._mode, self._buffer.can_be_drawn, learner.updates)
        return self._report() or None

    def _advise(self, learner: AdvisedLearner) -> bool:
        """One step; False where there is nothing to advise."""
        if not self.config.weight:
            return False
        batch = self.advice.sample(self._buffer, self.config.batch_size, learner.updates, self._generator)
        if batch is None:
            return False
        weight = batch.weight * self.config.weight
        if self._values is not None and learner.updates >= self.config.q_filter_after:
            kept = self._worthwhile(learner, self._values, batch.observation, batch.target, batch.mask)
            self._figures.kept.append(kept.mean())
            weight = weight * kept
        self._figures.loss.append(learner.advise(batch.observation, batch.target, batch.mask, weight)["advice_loss"])
        return True

    def _keep_rules(self, learner: AdvisedLearner) -> bool:
        """The same for standing rules, which are no advice: no critic may overrule them."""
        if not self.config.rule_weight:
            return False
        batch = self.rules.sample(learner.updates, self._generator)
        if batch is None:
            return False
        weight = batch.weight * self.config.rule_weight
        keep = learner.keep if isinstance(learner, RuledLearner) else learner.advise
        self._figures.rules.append(keep(batch.observation, batch.target, batch.mask, weight)["advice_loss"])
        return True

    def _worthwhile(
        self,
        learner: AdvisedLearner,
        values: ValueLearner,
        observation: Mapping[str, Tensor],
        target: Tensor,
        mask: Tensor,
    ) -> Tensor:
        """1 where what is advised, in the entries that are meant, is not worth less than what would be done. (B,)."""
        ours = learner.mode(observation)
        told = torch.where(mask > 0.0, target, ours)
        gain = values.q_values(observation, told) - values.q_values(observation, ours)
        return (gain >= -self.config.q_slack).to(torch.float32)

    def _mode(self, index: Tensor) -> Tensor:
        assert self._learner is not None
        return torch.cat([self._learner.mode(self._buffer.seen(part)) for part in index.split(256)])

    def _report(self) -> dict[str, float]:
        figures, self._figures = self._figures, _Figures()
        told: dict[str, float] = {"advice_rows": float(len(self.advice))}
        for name, column in (
            ("advice_loss", figures.loss),
            ("advice_kept", figures.kept),
            ("rule_loss", figures.rules),
        ):
            if column:
                told[name] = float(torch.stack(column).mean())
        if self.uptake:
            told["uptake"] = float(np.mean(list(self.uptake.values())))
        for after in AFTER:
            if found := self._uptake.after(after):
                told[f"uptake_{after}"] = float(np.mean(found))
        return told

    # -- keeping -------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> Mapping[str, Tensor]:
        """When each sentence was said, and what the policy did then; nothing where nobody spoke."""
        if not self._said:
            return {}
        told = {
            "advised_at": self._advised_at,
            "measured_at": self._measured_at,
            "times": {sentence: said.times for sentence, said in self._said.items()},
            "born": {name: rows.born for name in self._said if (rows := self.advice.of(name)) is not None},
            "uptake": self._uptake.state(self._said),
        }
        text = torch.tensor(list(json.dumps(told).encode()), dtype=torch.uint8)
        return {SAID: text, GENERATOR: self._generator.get_state(), **self.rules.state()}

    def load(self, kept: Mapping[str, Tensor]) -> None:
        """Take up what was kept; a sentence that was said, or corrected, after that counts as said now.

        Raises:
            CheckpointError: not what save() gives.
        """
        if self._learner is not None:
            self._advised_at, self._measured_at = self._learner.policy_updates, self._learner.updates
            self.rules.load(kept, self._updates)
        told = _told(kept)
        for sentence, said in self._said.items():
            same = told is not None and told["times"].get(sentence) == said.times
            born = int(told["born"].get(sentence, self._updates)) if told is not None and same else self._updates
            rows = self.advice.of(sentence)
            if rows is not None:
                self.advice.put(sentence, AdvisedRows(rows.numbers, rows.target, rows.mask, rows.weight, born))
            self._uptake.born(sentence, self._updates)
            if told is not None and same and sentence in told["uptake"]:
                self._uptake.load(sentence, told["uptake"][sentence])
        if told is not None:
            self._advised_at, self._measured_at = int(told["advised_at"]), int(told["measured_at"])
            self._generator.set_state(kept[GENERATOR].cpu())


def _meant(done: _Done, said: _Said) -> bool:
    return said.doing != "undone" and (done.meanings is None or done.meanings == said.meanings)


def _told(kept: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """What save() wrote; None where there is nothing."""
    if SAID not in kept:
        return None
    try:
        told = json.loads(bytes(kept[SAID].tolist()).decode())
        if not all(isinstance(told[name], dict) for name in ("times", "born", "uptake")) or GENERATOR not in kept:
            raise ValueError("a part is missing")
        return {**told, "advised_at": int(told["advised_at"]), "measured_at": int(told["measured_at"])}
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"words: not what was kept of them ({error})") from error
