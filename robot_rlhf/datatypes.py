"""The nouns: every value that crosses a boundary, frozen, shape-checked, in SI units.

n joints, m action dimensions, T steps, B batch. Arrays are float32 unless said and read-only; quaternions are
(w, x, y, z); positions are metres in the robot's base frame; times are seconds of the session's monotonic clock.
"""

from __future__ import annotations

import copy
import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot_rlhf.errors import InvalidValueError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float32]
T = TypeVar("T")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _no_payload() -> Mapping[str, Any]:
    return _NOTHING


def frozen_array(
    name: str,
    value: ArrayLike,
    shape: tuple[int | None, ...],
    dtype: type[np.generic] = np.float32,
    *,
    finite: bool = True,
) -> NDArray[Any]:
    """Return a read-only array of the given dtype; None in the shape stands for any length.

    Raises:
        ShapeError: the shape differs.
        InvalidValueError: a value is NaN or infinite although `finite` is asked for.
    """
    array = np.asarray(value, dtype=dtype)
    if array.ndim != len(shape) or any(
        want is not None and got != want for got, want in zip(array.shape, shape, strict=True)
    ):
        raise ShapeError(name, array.shape, tuple("any" if n is None else n for n in shape))
    if finite and not np.isfinite(array).all():
        raise InvalidValueError(name, array.tolist(), "finite numbers")
    if array.flags.writeable:
        if array is value or array.base is not None:
            array = array.copy()
        array.flags.writeable = False
    return array


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)


NO_CONTEXT: Mapping[str, Array] = MappingProxyType({})
"""Nothing but a sentence says what is wanted."""


def _no_context() -> Mapping[str, Array]:
    return NO_CONTEXT


def _frozen_context(name: str, value: Mapping[str, ArrayLike]) -> Mapping[str, Array]:
    """Named vectors, read-only; raises ShapeError and InvalidValueError as frozen_array does, and for an empty one."""
    vectors = {key: frozen_array(f"{name}[{key}]", vector, (None,)) for key, vector in value.items()}
    empty = next((key for key, vector in vectors.items() if not vector.size), None)
    if empty is not None:
        raise ShapeError(f"{name}[{empty}]", (0,), ("at least 1",))
    return MappingProxyType(vectors) if vectors else NO_CONTEXT


def _frozen_mapping(value: Mapping[str, T]) -> Mapping[str, T]:
    return value if isinstance(value, MappingProxyType) else MappingProxyType(dict(value))


class Driver(enum.IntEnum):
    """Who decided the action of a step."""

    POLICY = 0
    HUMAN = 1
    REFLEX = 2


class Source(enum.IntEnum):
    """Where a transition came from, as the learner weighs it."""

    POLICY = 0
    HUMAN = 1
    DEMO = 2
    PRE_INTERVENTION = 3
    """The policy's, shortly before a person took over."""
    OTHER = 4
    """Nobody's choice."""
    PROVEN = 5
    """The policy's, from where nobody helped it any more to the success of its episode."""
    WATCHED = 6
    """Observations alone: nobody knows the action, and nothing that needs one is learned from it."""
    PRAISED = 7
    """The policy's, and a person said that it was good."""
    BLAMED = 8
    """Anybody's, and a person said that it was wrong: nobody imitates it."""


class Button(enum.Enum):
    """A judgement or request that a person signals beside driving."""

    SUCCESS = "success"
    FAILURE = "failure"
    DISCARD = "discard"
    """End the episode and learn nothing from it."""
    RESET = "reset"
    """End the episode unjudged, and begin the next."""
    PAUSE = "pause"
    RESUME = "resume"
    REWIND = "rewind"
    """Pause, and go back one second along the recorded path; HumanInput.rewind_to names a moment."""
    STOP = "stop"
    """Stop and hold still until RELEASE."""
    RELEASE = "release"
    """Release the latched faults, STOP included."""
    END = "end"
    """End the session once the episode has been closed."""


class Outcome(enum.Enum):
    """How an episode ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIME_LIMIT = "time_limit"
    DISCARDED = "discarded"
    FAULT = "fault"
    STOPPED = "stopped"
    PAUSED = "paused"
    """Only interrupted: the episode named by EpisodeMeta.continues of a later one goes on with it."""


class EpisodeKind(enum.Enum):
    """Why an episode was run."""

    DEMONSTRATION = "demonstration"
    PRACTICE = "practice"
    EVALUATION = "evaluation"


class FeedbackKind(enum.Enum):
    """The kinds of supervision a person or model gives."""

    INTERVENTION = "intervention"
    CORRECTION = "correction"
    PREFERENCE = "preference"
    SUCCESS = "success"
    FAILURE = "failure"
    SCORE = "score"
    ATTRIBUTE = "attribute"
    """A span of steps got a name: Feedback.text."""
    DISCARD = "discard"
    """The episode of the span does not count, with all its parts: value 1; value 0 takes that back."""
    MEANING = "meaning"
    """What the sentence of a correction means, and what is done about it, as Feedback.payload says; of several about
    one sentence the last stands."""


@dataclass(frozen=True, eq=False)
class ActionLayout:
    """What the m entries of an Action mean."""

    names: tuple[str, ...]
    """One name per entry. The Cartesian ones are x, y, z, rx, ry, rz, gripper."""
    scale: Array
    """What 1.0 means per control period: metres, radians, and 1 for the gripper. Shape (m,)."""
    frame: Literal["base", "tool", "none"] = "base"
    """Frame in which translation and rotation are expressed; 'none' for actions that are no motion of a tool."""

    def __post_init__(self) -> None:
        _set(self, "names", tuple(self.names))
        _set(self, "scale", frozen_array("ActionLayout.scale", self.scale, (len(self.names),)))

    @property
    def size(self) -> int:
        """Number of entries m."""
        return len(self.names)


@dataclass(frozen=True, eq=False)
class CommandLayout:
    """What the k entries of a Command mean, in SI units, and their absolute bounds."""

    kind: Literal["tool_pose", "direct"]
    """'tool_pose': x, y, z, qw, qx, qy, qz in the base frame and the gripper opening; 'direct': native units."""
    names: tuple[str, ...]
    lower: NDArray[np.float64]
    """Smallest allowed value per entry. Shape (k,)."""
    upper: NDArray[np.float64]
    """Largest allowed value per entry. Shape (k,)."""

    def __post_init__(self) -> None:
        k = len(self.names)
        for name in ("lower", "upper"):
            _set(self, name, frozen_array(f"CommandLayout.{name}", getattr(self, name), (k,), np.float64))
        if self.kind == "tool_pose" and k != 8:
            raise ShapeError("CommandLayout.names", (k,), (8,))


@dataclass(frozen=True, eq=False)
class RobotSpec:
    """What a robot is: joints, limits, rate, and the layouts of its actions, commands, cameras and scene."""

    joint_names: tuple[str, ...]
    position_lower: Array
    """Smallest joint positions, rad. Shape (n,)."""
    position_upper: Array
    """Largest joint positions, rad. Shape (n,)."""
    speed_max: Array
    """Largest joint speeds, rad/s. Shape (n,)."""
    control_period: float
    """Seconds between two commands."""
    action: ActionLayout
    command: CommandLayout
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """Camera name to (height, width) in pixels."""
    scene: Mapping[str, int] = field(default_factory=dict[str, int])
    """Name to length of each entry of Observation.scene."""
    privileged: Mapping[str, int] = field(default_factory=dict[str, int])
    """Name to length of each entry of Observation.privileged; empty on a real robot."""

    def __post_init__(self) -> None:
        n = len(self.joint_names)
        for name in ("position_lower", "position_upper", "speed_max"):
            _set(self, name, frozen_array(f"RobotSpec.{name}", getattr(self, name), (n,)))
        for name in ("cameras", "scene", "privileged"):
            _set(self, name, _frozen_mapping(getattr(self, name)))
        if not self.control_period > 0:
            raise InvalidValueError("RobotSpec.control_period", self.control_period, "seconds > 0")


RECENT = 8
"""Actions that an observation remembers at most."""


def _no_actions() -> Array:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class Observation:
    """What is sensed at one instant."""

    stamp: float
    """Seconds of the session's monotonic clock at which the state was sensed."""
    joint_position: Array
    """rad. Shape (n,)."""
    joint_velocity: Array
    """rad/s. Shape (n,)."""
    tool_pose_in_base: Array
    """Measured pose x, y, z, qw, qx, qy, qz; the identity on a robot without a tool. Shape (7,)."""
    tool_target_in_base: Array
    """Pose the robot is commanded to hold right now; without it the state is not Markov. Shape (7,)."""
    tool_velocity: Array
    """Linear m/s, then angular rad/s, in the base frame. Shape (6,)."""
    tool_wrench: Array
    """Force N, then torque N m, that the world exerts on the tool, in the base frame. Shape (6,)."""
    gripper: float
    """Measured opening: 0 closed, 1 open."""
    gripper_target: float
    """Commanded opening: 0 closed, 1 open."""
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict[str, NDArray[np.uint8]])
    """Camera name to RGB picture. Shape (H, W, 3)."""
    scene: Mapping[str, Array] = field(default_factory=dict[str, Array])
    """What perception reports of the world: poses (7,) and other vectors by name. A policy may use it."""
    privileged: Mapping[str, Array] = field(default_factory=dict[str, Array])
    """The simulator's truth: for evaluation and simulated people; never fed to a policy that must run on a robot."""
    recent: Array = field(default_factory=_no_actions)
    """What was executed in the periods before, newest first, as far as the recording goes back without a gap and at
    most RECENT actions: added by whoever runs episodes, for a robot that is late. Shape (k, m), or (0, 0)."""

    def __post_init__(self) -> None:
        _set(self, "recent", frozen_array("recent", self.recent, (None, None)))
        for name, size in _OBSERVATION_VECTORS:
            _set(self, name, frozen_array(name, getattr(self, name), (size,)))
        for name in ("gripper", "gripper_target"):
            value = float(getattr(self, name))
            if not -0.01 <= value <= 1.01:
                raise InvalidValueError(f"Observation.{name}", value, "0 (closed) to 1 (open)")
            _set(self, name, value)
        for name in ("scene", "privileged"):
            _set(
                self,
                name,
                MappingProxyType({k: frozen_array(f"{name}[{k}]", v, (None,)) for k, v in getattr(self, name).items()}),
            )
        images: dict[str, NDArray[np.uint8]] = {}
        for key, image in self.images.items():
            if image.dtype != np.uint8:
                raise InvalidValueError(f"Observation.images[{key}]", f"dtype {image.dtype}", "uint8")
            images[key] = frozen_array(f"images[{key}]", image, (None, None, 3), np.uint8, finite=False)
        _set(self, "images", MappingProxyType(images))

    def after(self, executed: Array) -> Observation:
        """The same, with what was executed before it.

        Args:
            executed: newest first. Shape (k, m).
        """
        same = copy.copy(self)  # what it holds was checked already
        _set(same, "recent", frozen_array("recent", executed[:RECENT], (None, None)))
        return same

    def later(self, seconds: float) -> Observation:
        """The same, sensed so many seconds later."""
        same = copy.copy(self)
        _set(same, "stamp", self.stamp + seconds)
        return same


_OBSERVATION_VECTORS: tuple[tuple[str, int | None], ...] = (
    ("joint_position", None),
    ("joint_velocity", None),
    ("tool_pose_in_base", 7),
    ("tool_target_in_base", 7),
    ("tool_velocity", 6),
    ("tool_wrench", 6),
)


@dataclass(frozen=True, eq=False, slots=True)
class Action:
    """What a policy or a person wishes for the next control period."""

    values: Array
    """In [-1, 1], laid out as RobotSpec.action says. Shape (m,)."""

    def __post_init__(self) -> None:
        values = frozen_array("Action.values", self.values, (None,))
        if values.size and np.abs(values).max() > 1.0 + 1e-6:
            raise InvalidValueError("Action.values", values.tolist(), "numbers in [-1, 1]")
        _set(self, "values", values)


@dataclass(frozen=True, eq=False, slots=True)
class Command:
    """What a robot accepts: a target in SI units, laid out as RobotSpec.command says, with a deadline."""

    target: NDArray[np.float64]
    """Shape (k,), float64."""
    valid_until: float
    """Clock time, seconds, after which the robot must not act on it."""

    def __post_init__(self) -> None:
        _set(self, "target", frozen_array("Command.target", self.target, (None,), np.float64))
        if not np.isfinite(self.valid_until):
            raise InvalidValueError("Command.valid_until", self.valid_until, "finite seconds")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something a person said or typed to the robot."""

    text: str
    began: float
    """Clock time, seconds, when the person began to say it."""


@dataclass(frozen=True, eq=False, slots=True)
class HumanInput:
    """What a person does right now: drives (action) or not (None), presses buttons, speaks, judges."""

    action: Action | None = None
    buttons: frozenset[Button] = frozenset[Button]()
    sentences: tuple[Sentence, ...] = ()
    rewind_to: int | None = None
    """Step of the episode to go back to: the robot pauses, and goes there; None while the person does not ask."""
    feedback: tuple[Feedback, ...] = ()
    """Judgements of what was recorded before, for example a label of a pair of clips."""


@dataclass(frozen=True, eq=False, slots=True)
class Assignment:
    """What is asked for now."""

    instruction: str = ""
    """In a person's words."""
    context: Mapping[str, Array] = field(default_factory=_no_context)
    """The same as vectors by name, for example of a goal, a text, a skill or a user. Shapes (d,), d >= 1."""

    def __post_init__(self) -> None:
        if self.context is not NO_CONTEXT:
            _set(self, "context", _frozen_context("Assignment.context", self.context))


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One control period: what was seen, wished, done, and what followed."""

    index: int
    """Number of this step in its episode, from 0."""
    observation: Observation
    proposed: Action | None
    """The policy's wish, also while a person drives; None where no policy was asked."""
    executed: Action | None
    """What the robot was really told after person, shield and guard, in the action's own coordinates; None in a
    recording that does not say it, for example a film."""
    driver: Driver
    reward: float
    """Reward for training, made by EpisodeMeta.reward_source."""
    terminated: bool
    """The task ended by itself (success or failure); no future is counted."""
    truncated: bool
    """The episode was cut (time limit, stop); the future still counts."""
    policy_version: int
    """Version of the weights that proposed; -1 where no learned policy was asked."""
    instruction: str
    next_observation: Observation
    gold_reward: float = 0.0
    """The simulator's true reward: for evaluation only."""
    context: Mapping[str, Array] = field(default_factory=_no_context)
    """What was asked for, as Assignment.context says. Shapes (d,), d >= 1."""
    authority: Array | None = None
    """The person's share of each entry of `executed`, 0 (the policy's) to 1 (theirs); None where the whole action was
    decided by `driver`. Shape (m,)."""
    spoken: str = ""
    """The sentence by which the person decided their share, as Feedback.payload names it; empty where they drove."""

    def __post_init__(self) -> None:
        executed = self.executed
        if self.proposed is not None and executed is not None and self.proposed.values.shape != executed.values.shape:
            raise ShapeError("Step.proposed", self.proposed.values.shape, executed.values.shape)
        if not np.isfinite(self.reward):
            raise InvalidValueError("Step.reward", self.reward, "a finite number")
        if self.context is not NO_CONTEXT:
            _set(self, "context", _frozen_context("Step.context", self.context))
        if self.authority is not None:
            if executed is None:
                raise InvalidValueError("Step.authority", self.authority, "None where no action is known")
            shares = frozen_array("Step.authority", self.authority, executed.values.shape)
            if ((shares < 0.0) | (shares > 1.0)).any():
                raise InvalidValueError("Step.authority", shares.tolist(), "numbers in [0, 1]")
            _set(self, "authority", shares)

    @property
    def action(self) -> Action:
        """What was executed. Raises InvalidValueError where that is not known."""
        if self.executed is None:
            raise InvalidValueError("Step.executed", None, "an action: this is a recording without actions")
        return self.executed


UNATTENDED = frozenset({"", "none", "absent"})
"""Operators of episodes that nobody watched."""


@dataclass(frozen=True)
class EpisodeMeta:
    """What is known about an episode when it begins."""

    id: str
    """Unique in its session, sortable by time."""
    task: str
    kind: EpisodeKind
    seed: int
    operator: str
    """Who supervises: a person's name, or the preset of a simulated person, or 'none'; see UNATTENDED."""
    reward_source: str
    """Name and version of what makes Step.reward, for example 'task_success@1'."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Software versions by package name."""
    continues: str = ""
    """Id of the paused episode that goes on here, without a reset; empty for one that begins with a reset."""
    continues_at: int = 0
    """Steps of the whole, over all its parts, before this one: fewer than were recorded after a rewind."""
    weights: str = ""
    """Whose actions practice tries, where that is chosen for each episode: newest, averaged or kept; else empty."""

    def __post_init__(self) -> None:
        if not self.id:
            raise InvalidValueError("EpisodeMeta.id", repr(self.id), "a non-empty name")
        if self.continues_at < 0:
            raise InvalidValueError("EpisodeMeta.continues_at", self.continues_at, "steps >= 0")
        _set(self, "versions", _frozen_mapping(self.versions))

    @property
    def attended(self) -> bool:
        """A person had to be there: they demonstrated, or watched practice and could take over."""
        watched = self.kind is EpisodeKind.PRACTICE and self.operator not in UNATTENDED
        return watched or self.kind is EpisodeKind.DEMONSTRATION


@dataclass(frozen=True)
class EpisodeEnd:
    """How an episode ended."""

    id: str
    outcome: Outcome
    steps: int
    detail: str = ""
    """A sentence for people, for example which fault was latched."""


def whole_episode(episode_id: str) -> str:
    """Id of the first part of a paused episode; of an episode in one piece its own.

    Args:
        episode_id: of any part: `practice-000003`, or `practice-000003+01`, which goes on with it.
    """
    return episode_id.partition("+")[0]


@dataclass(frozen=True)
class Segment:
    """A span of one episode's steps: a reference, never a copy."""

    episode_id: str
    start: int
    length: int

    def __post_init__(self) -> None:
        if self.start < 0 or self.length < 1:
            raise InvalidValueError("Segment", f"start {self.start}, length {self.length}", "start >= 0, length >= 1")


@dataclass(frozen=True)
class Feedback:
    """One event of supervision."""

    kind: FeedbackKind
    author: str
    stamp: float
    span: Segment
    """The steps it is about."""
    value: float | None = None
    """Score, or 0, 0.5, 1 for a preference of `span` over `other`."""
    text: str = ""
    """The sentence of a correction, or the name of an attribute."""
    other: Segment | None = None
    """The second segment of a comparison."""
    confidence: float = 1.0
    """In [0, 1]."""
    payload: Mapping[str, Any] = field(default_factory=_no_payload, hash=False)
    """What else it says, as JSON has it: of a meaning 'sentence', the name of the sentence among those of the session;
    'meanings', a list as Meaning.to_json makes them; 'by', who understood it; 'doing', what is done about it, in one
    word; empty for other kinds."""

    def __post_init__(self) -> None:
        if self.payload:
            _set(self, "payload", _frozen_mapping(self.payload))
        if not 0.0 <= self.confidence <= 1.0:
            raise InvalidValueError("Feedback.confidence", self.confidence, "a number in [0, 1]")
        if (self.kind is FeedbackKind.PREFERENCE) != (self.other is not None):
            raise InvalidValueError("Feedback.other", self.other, "a segment, exactly for a preference")


@dataclass(frozen=True)
class GuardEvent:
    """The guard changed or refused something."""

    stamp: float
    rule: str
    """Name of the rule, for example 'workspace', 'tool_force', 'stale_command', 'nan'."""
    detail: str
    """What was measured and what is allowed, in words."""
    latched: bool = False
    """True for a fault that holds the robot until it is released."""


Event = Feedback | GuardEvent


class Phase(enum.Enum):
    """What the control loop is doing."""

    RUNNING = "running"
    RESETTING = "resetting"
    PAUSED = "paused"
    REWINDING = "rewinding"
    STOPPED = "stopped"
    """A fault is latched, for example by STOP; RELEASE ends it."""
    WAITING = "waiting"
    """For something outside, for example the learner; Situation.detail says for what."""


@dataclass(frozen=True, eq=False, slots=True)
class Situation:
    """The present, as it is shown to people: also while nothing is recorded."""

    stamp: float
    """Clock time, seconds, at which it was put together."""
    phase: Phase
    observation: Observation | None
    """The newest; None when nothing can be sensed."""
    driver: Driver | None = None
    """Who decided the last step; None while nobody drives."""
    action: Action | None = None
    """What the robot was last told."""
    episode: str = ""
    kind: EpisodeKind = EpisodeKind.PRACTICE
    step: int = 0
    """Steps of the episode so far, over all its parts."""
    time_limit: int = 0
    """Steps after which the episode is cut; 0 for none."""
    instruction: str = ""
    policy_version: int = -1
    faults: tuple[GuardEvent, ...] = ()
    """The latched ones."""
    detail: str = ""
    """A sentence for people: why it waits, how the last episode ended."""
    spoken: str = ""
    """The sentence by which a person decided the last step, as Step.spoken; empty where their hands did, or nobody."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Transitions on one device, as the learner takes them. B transitions."""

    observation: Mapping[str, Tensor]
    """'state' (B, D) float32, cameras by name (B, H, W, 3) uint8, and where there is any, 'context' (B, C): what was
    wanted, and 'past' (B, H, D): the states before, newest first, 0 before the episode began."""
    action: Tensor
    """Executed actions, in [-1, 1]. Shape (B, m)."""
    reward: Tensor
    """Discounted sum of the n rewards that follow. Shape (B,)."""
    discount: Tensor
    """gamma ** n * (1 - terminated): what the value of next_observation counts. Shape (B,)."""
    next_observation: Mapping[str, Tensor]
    """The observation n steps later, or the last true one before the episode ended; what was wanted is still wanted."""
    source: Tensor
    """A Source per transition, int64. Shape (B,)."""
    weight: Tensor
    """Weight in the loss. Shape (B,)."""
    index: Tensor
    """Number of the row since the replay buffer was made, int64; its slot is index % capacity. Shape (B,)."""
    authority: Tensor | None = None
    """A person's share of each entry of the action, 0 to 1; None where every action was decided as a whole, by whom
    `source` says. Shape (B, m)."""


def weights_checksum(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class WeightSnapshot:
    """The weights of a policy at one moment of training."""

    version: int
    """Number of learner updates that made it."""
    arrays: Mapping[str, NDArray[Any]]
    checksum: str = ""
    """SHA-256 of the arrays; computed when empty, verified when given."""
    head: str = ""
    """What the last layer's numbers mean, by the name of the policy's head; empty where nobody says."""

    def __post_init__(self) -> None:
        _set(self, "arrays", _frozen_mapping(self.arrays))
        actual = weights_checksum(self.arrays)
        if self.checksum and self.checksum != actual:
            raise InvalidValueError("WeightSnapshot.checksum", self.checksum[:12], f"{actual[:12]} (the arrays' own)")
        _set(self, "checksum", actual)
