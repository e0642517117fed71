"""The synchronous link: learn after each step, in the same process."""

from __future__ import annotations

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Step, WeightSnapshot
from robot_rlhf.ports import TrainablePolicy
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.trainer import Trainer

UNLIMITED = 1_000_000_000


class InlineLearner:
    """A Subscriber, to be told after the trainer: does the updates that are due and hands the weights to the policy."""

    def __init__(self, trainer: Trainer, policy: TrainablePolicy, *, publish_every: int) -> None:
        self._trainer = trainer
        self._policy = policy
        self._publish_every = publish_every
        self._published = -publish_every
        self._practising = False
        self._weights = Weights.NEWEST

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._practising = meta.kind is EpisodeKind.PRACTICE

    def on_step(self, step: Step) -> None:
        if not self._practising:
            return
        self._trainer.work(UNLIMITED)
        if self._trainer.updates - self._published >= self._publish_every:
            self.publish()

    def on_event(self, event: Event) -> None:
        """Learning goes by steps."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """Learning goes by steps."""

    def begin(self) -> None:
        """Imitate the demonstrations, unless the policy has its weights; it may take minutes. Call it before practice
        episodes, not within one: an interruption then finds no episode open."""
        if self._policy.version < 0:
            self._trainer.prepare()
            self.publish()

    def practise_with(self, weights: Weights, snapshot: WeightSnapshot) -> None:
        """From now on these practise; newest and averaged ones are followed as they change."""
        self._weights = weights
        self._policy.load(snapshot)

    def publish(self) -> None:
        """Give the weights that practise to the policy, between steps."""
        self._published = self._trainer.updates
        learner = self._trainer.learner
        if self._weights is not Weights.KEPT:
            self._policy.load(learner.snapshot() if self._weights is Weights.NEWEST else learner.averaged())
