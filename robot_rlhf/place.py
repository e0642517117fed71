"""Where a robot is taught: the robot behind its guard, its task and its clock, whoever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import Action, Assignment, Observation, RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.facts import FactBook, book_of
from robot_rlhf.naming import OfKind, find_own, is_own, make_own
from robot_rlhf.people.person import PersonConfig, SimulatedPerson
from robot_rlhf.people.speaker import SimulatedSpeaker, SpeakerConfig
from robot_rlhf.ports import AdvisedTask, CautiousTask, Monitor, Policy, Restorable, ShownTask, Subscriber, Task, Teleop
from robot_rlhf.safety.guard import STOP_RULE, GuardedRobot
from robot_rlhf.sight import Sight
from robot_rlhf.timing import Clock, FakeClock

Forward = Callable[[NDArray[np.float64]], tuple[float, ...]]
"""Joint positions, rad, (n,) to the tool's pose in the base frame: x, y, z, qw, qx, qy, qz."""
GIVE_BACK_AFTER = 0.1
View = Callable[[str, int, int], NDArray[np.uint8]]
"""Camera, height and width to the picture that it would take now. RGB, shape (height, width, 3)."""
PictureSizes = Mapping[str, tuple[int, int]]
"""Height and width by camera."""


class Place:
    """A robot behind its guard, the task it is taught, and the clock that both live by.

    A place of your own is an instance of this class, or of one derived from it that offers more of what is optional:
    what is not offered is refused by name where a run asks for it.
    """

    def __init__(self, guard: GuardedRobot, task: Task, clock: Clock, *, simulated: bool = False) -> None:
        """
        Args:
            simulated: time passes as commands are sent, and nobody is at risk: the place can be as fast as it can, and
                faults are released when an episode begins. A real robot lives in real time.
        """
        self.guard = guard
        self.task = task
        self.clock = clock
        self.simulated = simulated
        self.world: Restorable | None = None
        """Puts the whole place back to an earlier moment."""
        self.view: View | None = None
        """Films it, whatever the policy looks at."""
        self.forward: Forward | None = None
        """The arm's kinematics, which a leader arm needs."""
        self.hands: Teleop | None = None
        """Of the person who stands beside the robot, for example at a gamepad; the console's come before them."""
        self.monitor: Monitor | None = None
        """Shown the present in every control period."""
        self.subscribers: Sequence[Subscriber] = ()
        """Told of what happens here from now on, after the journal."""
        self.releases_faults = simulated
        """Latched faults, all but a pressed STOP, are released when an episode begins."""
        self.attended = False
        """Somebody here can release faults: the robot waits for them instead of giving up."""
        self.waiting_for = "the learner"
        """What keeps the robot still before an episode, in words."""
        self.give_back_after = GIVE_BACK_AFTER
        """Seconds of hands off after which the policy drives again."""

    @property
    def spec(self) -> RobotSpec:
        """Of the robot."""
        return self.guard.spec

    @property
    def sight(self) -> Sight:
        """How the cameras stand, as far as it is known."""
        return Sight()

    @property
    def can_be_shown(self) -> bool:
        """Somebody simulated knows the task: it has a script that does it, and tells how far it is from done."""
        return isinstance(self.task, ShownTask)

    def person(self, config: PersonConfig) -> SimulatedPerson:
        """A simulated person who knows the task and watches this robot; who never notices anything need not know it.

        Raises:
            ConfigError: nobody simulated knows it.
        """
        task = self.task
        if not isinstance(task, ShownTask):
            nobody = _Unskilled(
                f"task {task.name}: no simulated person knows it; allowed: a real person, operator absent with "
                "demonstrations 0, or a task with `expert` and `remaining`"
            )
            if config.attention:
                raise nobody.refusal
            return SimulatedPerson(config, self.spec, lambda *_: nobody, lambda _: 0.0, succeeded=task.success)
        return SimulatedPerson(config, self.spec, task.expert, task.remaining, succeeded=task.success)

    def speaker(self, config: SpeakerConfig) -> SimulatedSpeaker:
        """A simulated person who knows the task, watches this robot, and says what to do.

        Raises:
            ConfigError: nobody simulated knows it, or knows how to say it.
        """
        task, knows = self.task, self.task
        if not isinstance(task, ShownTask) or not isinstance(knows, AdvisedTask):
            raise ConfigError(
                f"task {task.name}: no simulated person can say how to do it; allowed: a real person, or a task with "
                "`expert`, `remaining` and `advises`"
            )
        book = book_of(task, self.spec)
        caution = knows.caution if isinstance(knows, CautiousTask) else None
        return SimulatedSpeaker(
            config, self.spec, task.expert, task.remaining, task.success, knows.advises, book, caution
        )

    def expert(self) -> Policy | None:
        """The script that does the task; None where there is none."""
        return self.task.expert() if isinstance(self.task, ShownTask) else None

    def may_be_driven(self, present: bool) -> bool:
        """Whether the robot may move at all. Args: present: an operator is at the console."""
        return True

    def ended(self) -> bool:
        """Whether somebody other than the operator wants the run to end, so that it counts as interrupted."""
        return False

    def stop(self, reason: str) -> None:
        """STOP was pressed: hold still until it is released. Callable from any thread."""
        self.guard.fault(STOP_RULE, reason)

    def release(self) -> None:
        """RELEASE was pressed: what `stop` did beside the guard's fault is undone."""

    def close(self) -> None:
        """Let go of what it holds; the robot holds still."""
        self.guard.stop()


class _Unskilled:
    """The skill of a person who never takes over."""

    def __init__(self, refusal: str) -> None:
        self.refusal = ConfigError(refusal)

    def reset(self) -> None:
        """There is nothing to begin."""

    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        raise self.refusal


@dataclass(frozen=True)
class PlaceConfig(OfKind):
    """Settings of one kind of place."""

    KINDS: ClassVar[Mapping[str, str]] = {
        "sim": "robot_rlhf_sim.place:SimConfig",
        "gym": "robot_rlhf_sim.gym_place:GymConfig",
        "ros": "robot_rlhf_hardware.ros.place:RosConfig",
        "fake": "robot_rlhf_hardware.fake_place:FakeConfig",
    }
    WHAT: ClassVar[str] = "place"

    @classmethod
    def of_kind(cls, name: str) -> type[Self]:
        """As OfKind; a function of one's own that opens a place is a kind, too."""
        if name in cls.KINDS or not is_own(name) or isinstance(find_own(name, cls.WHAT, cls.KINDS), type):
            return super().of_kind(name)
        return cast("type[Self]", _own_kind(name))

    @property
    def simulated(self) -> bool:
        """It can live in simulated time, and in many copies: to practise in all modes, and to be measured aside."""
        return False

    @property
    def cameras(self) -> tuple[str, ...]:
        """Those through which an operator looks who is not there."""
        return ()

    def open(self, task: str, *, clock: Clock, cameras: PictureSizes, seed: int = 0) -> Place:
        """The place, with one task.

        Args:
            task: which one.
            clock: a FakeClock only where the place is simulated.
            cameras: to take pictures with.
            seed: of what is random in the place beside its episodes.

        Raises:
            UnknownNameError: no such task or camera.
            ConfigError: settings that the task does not have.
            RobotError: the robot cannot be reached.
        """
        raise NotImplementedError

    def check_task(self, task: str) -> None:
        """Raises UnknownNameError, or ConfigError, for a task that cannot be opened here."""

    def task_names(self, task: str) -> tuple[str, ...]:
        """What recordings may call a task; empty where that is only known once a real robot is there.

        Journals name a task as it calls itself, settings as it is chosen: `module:class` for one of the user's own.

        Raises: as `open` does.
        """
        if not self.simulated:
            return ()
        with closing(self.open(task, clock=FakeClock(), cameras={})) as place:
            return place.task.name, task

    def facts(self, task: str, spec: RobotSpec) -> FactBook:
        """What can be said of a robot's states here, with what the task says of its own.

        Args:
            spec: of the robot, or of what was recorded of it.

        Raises: as `open` does.
        """
        if not self.simulated:
            return FactBook.of_robot(spec)
        with closing(self.open(task, clock=FakeClock(), cameras={})) as place:
            return book_of(place.task, spec)

    def suggested(self, task: str) -> Mapping[str, Any]:
        """Settings of a run, by name in full, that are better for a task than the usual ones."""
        return {}


@dataclass(frozen=True)
class OwnConfig(PlaceConfig):
    """A place that a function of one's own opens: `function(task=, clock=, cameras=, seed=, **options) -> Place`."""

    options: dict[str, str] = field(default_factory=dict[str, str])
    """Further arguments of the function that opens the place; what looks like a number is one."""
    real: bool = False
    """The place lives in real time: it has no twin to be measured in."""

    @property
    def simulated(self) -> bool:
        return not self.real

    def open(self, task: str, *, clock: Clock, cameras: PictureSizes, seed: int = 0) -> Place:
        function = find_own(self.kind, self.WHAT, self.KINDS)
        given: dict[str, Any] = {"task": task, "clock": clock, "cameras": cameras, "seed": seed}
        place = make_own(function, self.kind, self.WHAT, **given, **{n: _number(v) for n, v in self.options.items()})
        if not isinstance(place, Place):
            raise ConfigError(f"place {self.kind!r}: made a {type(place).__name__}, allowed: a robot_rlhf.place.Place")
        if self.simulated and not place.simulated:
            raise ConfigError(f"place {self.kind!r}: lives in real time; say so with --real, and use mode asynchronous")
        return place


@cache
def _own_kind(name: str) -> type[OwnConfig]:
    """The settings of a place that a function opens: one class per function, so that equal settings are equal."""
    return type("OwnConfig", (OwnConfig,), {"kind": name})


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
