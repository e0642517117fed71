"""The ports: what the ring needs of robots, tasks, people, policies, rewards, labels, records and learners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from robot_rlhf.datatypes import (
    Action,
    Assignment,
    Batch,
    Command,
    Driver,
    EpisodeEnd,
    EpisodeMeta,
    Event,
    HumanInput,
    Observation,
    Outcome,
    RobotSpec,
    Segment,
    Situation,
    Step,
    WeightSnapshot,
)

if TYPE_CHECKING:
    from torch import Tensor

    from robot_rlhf.facts import FactBook
    from robot_rlhf.meaning import Heard, Meaning


@runtime_checkable
class Robot(Protocol):
    """Something that senses and moves. Only the guard may call `send`."""

    @property
    def spec(self) -> RobotSpec:
        """Constant for the life of the robot."""
        ...

    def observe(self) -> Observation:
        """The newest state. Raises RobotError when nothing can be sensed."""
        ...

    def send(self, command: Command) -> Command:
        """Follow the command until the next one or its deadline; returns what was really sent.

        A simulated robot advances by one control period.

        Raises:
            ShapeError: the target has another length than spec.command.
            StaleError: the deadline has passed already.
            RobotError: the robot is faulted or gone.
        """
        ...

    def stop(self) -> None:
        """Hold still now. Idempotent, callable from any thread, never raises."""
        ...


@runtime_checkable
class Task(Protocol):
    """A skill to be learned: how an episode starts, when it has succeeded, how long it may last."""

    @property
    def name(self) -> str: ...

    @property
    def instruction(self) -> str:
        """What a person would say to ask for it."""
        ...

    @property
    def time_limit(self) -> int:
        """Control periods after which the episode is cut (truncated, not terminated)."""
        ...

    def reset(self, rng: np.random.Generator) -> None:
        """Bring robot and scene to a start drawn from rng; all randomness of the episode comes from it."""
        ...

    def success(self, observation: Observation) -> bool: ...


@runtime_checkable
class GoldTask(Task, Protocol):
    """A task whose true reward is known, as only a simulator can."""

    def gold_reward(self, observation: Observation) -> float:
        """For evaluation only; never a training signal unless a run asks for it by name."""
        ...


@runtime_checkable
class ShownTask(Task, Protocol):
    """A task that simulated people know: a script does it, and somebody who watches sees how far it is from done."""

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> Policy:
        """The script; it may look at privileged truth.

        Args:
            noise: spread of its wobble, in actions.
            tap: what it cannot hold still against, in actions: the shortest press of a key.
        """
        ...

    def remaining(self, observation: Observation) -> float:
        """How far it still is from done, m; 0 when done. Never given to a learner."""
        ...


@runtime_checkable
class AdvisedTask(Task, Protocol):
    """A task that can be done by words: somebody who watches knows what to tell the robot."""

    def advises(self, observation: Observation) -> Meaning | None:
        """What they would tell it to do now; they may look at privileged truth. None when nothing is left to do."""
        ...


@runtime_checkable
class CautiousTask(AdvisedTask, Protocol):
    """A task with something to beware of: whoever has seen it go wrong says a rule."""

    @property
    def caution(self) -> Meaning: ...


@runtime_checkable
class EndingTask(Task, Protocol):
    """A task whose world may end an episode by itself: something fell, or an environment says that it is over."""

    def ended(self, observation: Observation) -> Outcome | None:
        """FAILURE or TIME_LIMIT when the world will not go on; None while it does. Success is told by `success`."""
        ...


@runtime_checkable
class Teleop(Protocol):
    """A person's hands: browser, gamepad, SpaceMouse, or a simulated person."""

    def read(self) -> HumanInput | None:
        """What the person does right now, without waiting; None when the device is gone."""
        ...


@runtime_checkable
class Policy(Protocol):
    """Anything that wishes an action."""

    @property
    def version(self) -> int:
        """Version of the weights in use; -1 for a policy that does not learn."""
        ...

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        """The wish for this control period.

        Args:
            asked: what is wanted; a policy may be made for one task and not look at it.
            rng: for all that is drawn.
        """
        ...

    def reset(self) -> None:
        """An episode begins."""
        ...


@runtime_checkable
class TrainablePolicy(Policy, Protocol):
    """A policy whose weights come from a learner."""

    @property
    def checksum(self) -> str:
        """Of the weights that act; empty before the first."""
        ...

    def load(self, snapshot: WeightSnapshot) -> None:
        """Take over new weights, between steps; raises CheckpointError for those of another architecture."""
        ...


@runtime_checkable
class Director(Protocol):
    """Says, in every control period, what is asked for: a planner, a curriculum, a goal put into words."""

    @property
    def context_sizes(self) -> Mapping[str, int]:
        """Name to length of each vector of its assignments' contexts: constant, and all of them always there."""
        ...

    def reset(self, rng: np.random.Generator) -> None:
        """An episode begins; all randomness of what it will ask for comes from rng."""
        ...

    def asked(self, observation: Observation) -> Assignment:
        """What is asked for from this observation on, at once; raises InvalidValueError for what it cannot say."""
        ...


@runtime_checkable
class GoalDirector(Director, Protocol):
    """A Director that takes goals from people, in the middle of an episode too."""

    @property
    def goal(self) -> tuple[str, str]:
        """Names of the thing and of the place that are wanted now."""
        ...

    def name_goal(self, thing: str | None = None, place: str | None = None) -> str:
        """Ask for something else from the next period on; what is not named stays as it was.

        Args:
            thing, place: names of things of the scene.

        Returns:
            The new goal in words.

        Raises:
            UnknownNameError: there is no such thing, or it cannot be wanted in such a place; the goal stays.
        """
        ...


@runtime_checkable
class Interpreter(Protocol):
    """Understands sentences."""

    def read(self, text: str, facts: FactBook) -> Heard:
        """What a sentence means, within a few milliseconds; never raises, whatever the text.

        Args:
            facts: of the place: names of things, and words for them.
        """
        ...


@runtime_checkable
class Shield(Protocol):
    """Stands between arbiter and guard, and puts another action in the place of one that would not be safe.

    It sees every action of an episode, whoever wished it; resets, rewinds and standing still are the guard's alone.
    What it gives is limited by the guard all the same. Source: Alshiekh et al. 2018, Safe Reinforcement Learning via
    Shielding.
    """

    def reset(self) -> None:
        """An episode begins."""
        ...

    def filter(self, observation: Observation, action: Action, driver: Driver) -> Action:
        """The action itself where it may pass, else the one to be done instead, at once."""
        ...


@runtime_checkable
class Scores(Protocol):
    """What gives transitions their scores: a learned reward, what sentences fit, or a reward of one's own.

    Replay is scored by it between updates, and anew whenever its version changes. One that also is a Tutor hears what
    happens, and works.
    """

    @property
    def version(self) -> int:
        """Of the scores that it gives now; >= 0, and grows."""
        ...

    @property
    def is_ready(self) -> bool:
        """It has learned something; until then nothing is scored by it."""
        ...

    @property
    def has_bounds(self) -> bool:
        """Its scores are in [0, 1]."""
        ...

    def members_of(self, batch: Batch) -> Tensor:
        """What each member says of the observations that were reached. Shape (E, B)."""
        ...


Comparison = Literal["left", "right", "equal", "skip"]


@runtime_checkable
class Labeler(Protocol):
    """Judges recorded behaviour; sees no reward."""

    def compare(self, left: Segment, right: Segment) -> Comparison: ...

    def judge(self, segment: Segment) -> float | None:
        """Score in [0, 1], or None to skip."""
        ...


@runtime_checkable
class Subscriber(Protocol):
    """Is told what happens, in order: journal first, then replay, console, metrics, video."""

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None: ...

    def on_step(self, step: Step) -> None: ...

    def on_event(self, event: Event) -> None:
        """A judgement, a correction, or something the guard did, inside an episode."""
        ...

    def on_episode_end(self, end: EpisodeEnd) -> None: ...


@runtime_checkable
class Tutor(Subscriber, Protocol):
    """Whatever teaches: hears what happens, and works between updates."""

    def work(self, heartbeat: Callable[[], None]) -> Mapping[str, float] | None:
        """Do what is due before the next updates.

        Args:
            heartbeat: to be called now and then by what takes long; more may be told from within it.

        Returns:
            Figures for the metrics; None where nothing is new.
        """
        ...


@runtime_checkable
class LastingTutor(Tutor, Protocol):
    """A tutor that knows what the journal does not tell again."""

    def save(self, folder: Path) -> Mapping[str, Tensor]:
        """Write files of its own, if any; returns what a checkpoint is to hold, by names that no other tutor has."""
        ...

    def load(self, kept: Mapping[str, Tensor]) -> None:
        """Take up what a checkpoint holds of all tutors; raises CheckpointError where its own part is damaged."""
        ...


@runtime_checkable
class Monitor(Protocol):
    """Is shown the present in every control period, also while nothing is recorded: paused, resetting, stopped."""

    def show(self, situation: Situation) -> None:
        """Take a look, and return at once."""
        ...


@runtime_checkable
class Restorable(Protocol):
    """A robot whose whole world can be put back to an earlier moment, as only a simulator can."""

    def snapshot(self) -> object:
        """This moment, for `restore`."""
        ...

    def restore(self, state: Any) -> None:
        """Go on from a snapshot of this robot."""
        ...


@runtime_checkable
class Learner(Protocol):
    """Turns batches into better weights."""

    def warm_start(self, batches: Iterable[Batch]) -> float:
        """Imitate what was demonstrated, before any practice; returns the last loss."""
        ...

    def update(self, batch: Batch) -> Mapping[str, Tensor]:
        """One step of learning; returns metrics as 0-d tensors, so that nothing waits for the device."""
        ...

    def snapshot(self) -> WeightSnapshot:
        """The policy's newest weights, for whoever practises; their version grows with updates."""
        ...

    def averaged(self) -> WeightSnapshot:
        """The weights to evaluate and deploy; the newest ones where nothing is averaged."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """Everything needed to go on later: parameters, targets, optimisers, counters, generators."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Raises CheckpointError when the state belongs to another architecture."""
        ...


@runtime_checkable
class StartableLearner(Learner, Protocol):
    """A learner that can go on from a policy that another one has learned."""

    def begin_with(self, snapshot: WeightSnapshot) -> None:
        """Take its weights. Raises CheckpointError when they are those of another architecture."""
        ...


@runtime_checkable
class ValueLearner(Learner, Protocol):
    """A learner that knows what actions are worth."""

    def warm_critic(self, batches: Iterable[Batch]) -> None:
        """Learn values alone, before the policy follows them."""
        ...

    def q_values(self, observation: Mapping[str, Tensor], action: Tensor) -> Tensor:
        """The discounted returns to expect after the given actions (B, m). Shape (B,)."""
        ...


@runtime_checkable
class AdvisedLearner(Learner, Protocol):
    """A learner that can be told what should have been done, without what would have followed."""

    @property
    def updates(self) -> int:
        """Of the learner so far."""
        ...

    @property
    def policy_updates(self) -> int:
        """Of these, those in which the policy learned."""
        ...

    def advise(
        self, observation: Mapping[str, Tensor], target: Tensor, mask: Tensor, weight: Tensor
    ) -> Mapping[str, Tensor]:
        """One step of the policy, and of whatever else acts, towards what was advised; values learn nothing from it.

        It draws nothing at random. A learner that was never advised is the same to the bit as one that cannot be.

        Args:
            target: what should have been done, in [-1, 1]. Shape (B, m).
            mask: 1 for entries that were meant, else 0. Shape (B, m).
            weight: how much each row counts, and all of them beside everything else, in [0, 1]. Shape (B,).

        Returns:
            Metrics as 0-d tensors.
        """
        ...

    def mode(self, observation: Mapping[str, Tensor]) -> Tensor:
        """What the newest policy would do, without exploring. Shape (B, m)."""
        ...


@runtime_checkable
class RuledLearner(AdvisedLearner, Protocol):
    """A learner that learns to keep to rules in the same steps in which it imitates."""

    def keep(
        self, observation: Mapping[str, Tensor], target: Tensor, mask: Tensor, weight: Tensor
    ) -> Mapping[str, Tensor]:
        """As advise, for as long as rules stand, whatever values say.

        What imitates meanwhile is to share its optimiser: two Adams on the same weights, each of which scales its steps
        by its own gradients alone, never come to rest (measured: four times the error on what both agree on).

        Args:
            weight: with a mean of at most 1, what rules weigh beside imitation. Shape (B,).
        """
        ...
