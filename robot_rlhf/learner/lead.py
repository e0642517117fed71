"""Who leads in practice: what imitates people alone, or the better of that and what was learned beyond it.

What critics think better need not be better: a critic of a few hundred steps, or of a person's odd ones, sends the
robot astray with every sign of confidence. What counts is how episodes end. So whole episodes are given to the one or
the other, more of them to the one that did better (Thompson sampling, Chapelle and Li 2011), and old results are
forgotten as both go on learning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_rlhf.datatypes import (
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Observation,
    Outcome,
    Step,
    whole_episode,
)
from robot_rlhf.errors import CheckpointError
from robot_rlhf.journal.helped import FINISHED, Help, discarded_episode
from robot_rlhf.learner.imitation import Imitation

KEPT = 0.97
"""Share of what is known that an episode leaves: some 33 episodes count."""
PACE = 0.25
"""What a success loses by being as slow as the longest episode, beside 1 for a success at once: of two that succeed
alike the faster leads, and half the time is worth some 6 points of success."""
LOOSER, TIGHTER = 0.02, 0.18
"""What an unaided success of both loosens the actor's hold on imitation, and what another end tightens it, of 1: it is
loosened as long as nine of ten succeed."""
PRIOR = ((1.0, 1.0), (1.0, 1.0))
"""Successes and failures that are always taken for seen, of the imitators and of both: anything may be."""
YOUNG = ((0.0, 0.0), (0.0, 3.0))
"""Taken for seen besides at the start, and forgotten: critics of the first episodes know little, and a person would
have to help."""
ALONE, BOTH = 0, 1
STATE = "lead"
"""Name of its tensor in a checkpoint."""
ENOUGH = 3.0
"""Episodes, of which later ones count more, before both are deployed."""


class ImprovingLearner(Protocol):
    """A learner that improves on what imitates beside it."""

    updates: int
    hold: float | None
    imitation: Imitation | None


class Lead:
    """A Tutor that decides for the next weights whether the imitators act alone, and how tightly
    the actor is held to imitation: loosely, so that it can become faster than people are, as long as it succeeds.

    An episode is led as its first weights say (LearnedPolicy), which their version tells, in whatever process the
    robot runs. Evidence is an unaided success, worth less the longer it took; a helped or failed episode is worth
    nothing. Where it is chosen whose weights practise, the newest alone tell: others are led by who did better then.
    """

    def __init__(self, learner: ImprovingLearner, seed: int) -> None:
        """Args: learner: with imitators."""
        assert learner.imitation is not None
        self._learner, self._imitation = learner, learner.imitation
        learner.hold = 1.0
        self._rng = np.random.default_rng([seed, 0x1EAD])
        self._seen = np.add(PRIOR, YOUNG)
        """Worth seen and worth missed, of the imitators alone and of both. Shape (2, 2)."""
        self._told = False
        """Figures are as they were told last."""
        self._longest = 1
        self._before: tuple[str, NDArray[np.float64], float] | None = None
        """The last episode that counted, and what was known before it."""
        self._begin(None)
        self._tell(ALONE)

    # -- what happens --------------------------------------------------------------------------------------------

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        if not meta.continues:
            self._begin(meta.kind)
            self._tells = meta.weights in ("", "newest")
        self._help.on_episode_start(meta)

    def on_step(self, step: Step) -> None:
        self._help.on_step(step)
        if self._tells and self._led_by is None and step.policy_version >= 0:
            alone = self._imitation.led_alone(step.policy_version)
            self._led_by = None if alone is None else ALONE if alone else BOTH

    def on_event(self, event: Event) -> None:
        """An episode that is discarded after its end was none."""
        if self._before is not None and discarded_episode(event) == self._before[0]:
            _, self._seen, self._learner.hold = self._before
            self._before = None

    def on_episode_end(self, end: EpisodeEnd) -> None:
        if self._kind is not EpisodeKind.PRACTICE or end.outcome is Outcome.PAUSED:
            return
        if not self._help.given:
            self._longest = max(self._longest, self._help.steps)
        if self.critics_know and bool(self._imitation.imitators.know) and end.outcome in FINISHED:
            if self._led_by is not None:
                worth = 0.0
                if end.outcome is Outcome.SUCCESS and not self._help.given:
                    worth = 1.0 - PACE * self._help.steps / self._longest
                self._before = whole_episode(end.id), self._seen, self.hold
                self.note(self._led_by, worth)
            self._draw(may_be_both=True)
        self._begin(None)

    # -- what is known -------------------------------------------------------------------------------------------

    def note(self, leader: int, worth: float) -> None:
        """An episode that this one led came to so much, 0 to 1; what was known before counts a little less."""
        self._seen = np.array(PRIOR) + KEPT * (self._seen - np.array(PRIOR))
        self._seen[leader] += worth, 1.0 - worth
        if leader == BOTH:
            hold = self.hold + (TIGHTER if worth == 0.0 else -LOOSER)
            self._learner.hold = min(1.0, max(0.0, hold))

    @property
    def critics_know(self) -> bool:
        """Critics have learned something; before, the imitators lead."""
        return self._learner.updates > 0

    @property
    def hold(self) -> float:
        """How tightly the actor is held to imitation, 1 to 0."""
        return 1.0 if self._learner.hold is None else self._learner.hold

    @property
    def worth(self) -> tuple[float, float]:
        """Mean worth of an episode of the imitators alone, and of both."""
        alone, both = self._seen[:, 0] / self._seen.sum(axis=1)
        return float(alone), float(both)

    def work(self, heartbeat: Callable[[], None] = lambda: None) -> Mapping[str, float] | None:
        """Who leads is decided at an episode's end; tells the figures where they are new."""
        told, self._told = self._told, True
        return None if told else self.figures()

    def figures(self) -> Mapping[str, float]:
        """For metrics."""
        alone, both = self.worth
        return {
            "worth_imitators": alone,
            "worth_both": both,
            "imitators_alone": float(self._imitation.imitators.alone),
            "hold": self.hold,
        }

    def save(self, folder: Path) -> Mapping[str, Tensor]:
        """What is known, for a checkpoint."""
        return {STATE: torch.tensor(self.state(), dtype=torch.float64)}

    def load(self, kept: Mapping[str, Tensor]) -> None:
        """Take up what was known, if anything.

        Of an episode that is open, and of weights that another learner gave away, it is not known who leads them: they
        are no evidence.

        Raises:
            CheckpointError: not what state() gives.
        """
        if STATE not in kept:
            return
        state = [float(x) for x in kept[STATE]]
        if len(state) != len(self.state()) or not np.isfinite(state).all():
            raise CheckpointError(f"who leads: got {state}, allowed {len(self.state())} finite numbers")
        *seen, longest, hold = state
        self._seen, self._before = np.array(seen).reshape(2, 2), None
        self._longest, self._learner.hold = int(longest), hold
        self._begin(None)
        self._draw(may_be_both=False)

    def state(self) -> list[float]:
        """What is known."""
        return [*self._seen.ravel().tolist(), float(self._longest), self.hold]

    # -- parts ---------------------------------------------------------------------------------------------------

    def _begin(self, kind: EpisodeKind | None) -> None:
        self._kind = kind
        self._tells = True
        self._help = Help()
        self._led_by: int | None = None

    def _draw(self, *, may_be_both: bool) -> None:
        alone, both = self._rng.beta(self._seen[:, 0], self._seen[:, 1])
        leader = BOTH if may_be_both and both > alone else ALONE
        self._tell(leader)

    def _tell(self, leader: int) -> None:
        """To the weights that practise, and to those that are deployed, which are led by who did better."""
        self._told = False
        alone, both = self.worth
        known = self._seen[BOTH].sum() - np.sum(PRIOR[BOTH])
        self._imitation.lead(alone=leader == ALONE, deployed_alone=alone >= both or known < ENOUGH)
