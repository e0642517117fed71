"""The simulated place: a task's scene and arm in MuJoCo, as late and inexact as is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.facts import FactBook, book_of
from robot_rlhf.naming import OWN, find_own, is_own, make_own
from robot_rlhf.place import PictureSizes, Place, PlaceConfig
from robot_rlhf.ports import Restorable
from robot_rlhf.ranges import SHARE, check_ranges
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.sight import Sight
from robot_rlhf.timing import Clock
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.disturbance import DisturbanceConfig, DisturbedRobot
from robot_rlhf_sim.robots import ArmModel, arm_from
from robot_rlhf_sim.tasks import Blocks, DrawerStore, PegInsert, PickCube, Push, Reach
from robot_rlhf_sim.varied import SimTask, VariedTask

TASKS: Mapping[str, Callable[..., SimTask]] = {
    "reach": Reach,
    "pick_cube": PickCube,
    "peg_insert": PegInsert,
    "push": Push,
    "drawer_store": DrawerStore,
    "blocks": Blocks,
}
"""Every task that has a name of its own here; another one is `module:class`."""


class SimPlace(Place):
    """A simulated arm with its task, in simulated or in real time."""

    task: SimTask

    def __init__(self, task: SimTask, guard: GuardedRobot, clock: Clock) -> None:
        super().__init__(guard, task, clock, simulated=True)
        self.world: Restorable | None = task.arm
        self.view = task.arm.render
        self.forward = task.arm.forward

    @property
    def arm(self) -> SimArm:
        """The arm, as the task built it."""
        return self.task.arm

    @property
    def sight(self) -> Sight:
        return self.task.arm.sight()

    def close(self) -> None:
        super().close()
        self.task.arm.close()


@dataclass(frozen=True)
class SimConfig(PlaceConfig):
    """A simulated arm."""

    kind: ClassVar[str] = "sim"
    task_options: dict[str, float | str] = field(default_factory=dict[str, float | str])
    """Options of the task, for example clearance 0.0005 of peg_insert, or held_out red>bowl_left of blocks."""
    disturbance: DisturbanceConfig = field(default_factory=DisturbanceConfig)
    """How late and how inexact the simulated robot is."""
    randomise: float = 0.0
    """0 to 1: how far world and robot differ in each episode from the nominal ones: size and mass of free things,
    friction, light and cameras where there are pictures, errors of perception and of the target, delay."""
    arm: Path | None = None
    """File of an arm of your own, in MuJoCo's format (MJCF), to do the task with; None: the built-in one."""

    def __post_init__(self) -> None:
        check_ranges(self, "", randomise=SHARE)

    @property
    def simulated(self) -> bool:
        return True

    @property
    def cameras(self) -> tuple[str, ...]:
        return "front", "side"  # what a person needs to see depth

    def check_task(self, task: str) -> None:
        self._kind_of(task)

    def task_names(self, task: str) -> tuple[str, ...]:
        return super().task_names(task) if is_own(task) else (task,)

    def facts(self, task: str, spec: RobotSpec) -> FactBook:
        """Without a world, where the task's class tells them."""
        kind = self._kind_of(task)
        told = isinstance(getattr(kind, "facts", None), FactBook)
        return book_of(kind, spec) if told else super().facts(task, spec)

    def suggested(self, task: str) -> Mapping[str, Any]:
        return getattr(self._kind_of(task), "suggested", {})

    def open(self, task: str, *, clock: Clock, cameras: PictureSizes, seed: int = 0) -> SimPlace:
        made = self._make(task, clock, cameras)
        if self.disturbance.is_none and not self.randomise:
            return SimPlace(made, GuardedRobot(made.arm, made.limits, clock), clock)
        robot = DisturbedRobot(made.arm, self.disturbance, clock, seed=seed)
        return SimPlace(VariedTask(made, robot, self.randomise), GuardedRobot(robot, made.limits, clock), clock)

    @staticmethod
    def _kind_of(task: str) -> Callable[..., SimTask]:
        if task in TASKS:
            return TASKS[task]
        if not is_own(task):
            raise UnknownNameError("task", task, (*TASKS, OWN))
        return find_own(task, "task", TASKS)

    def _check_numbers(self, kind: Callable[..., SimTask]) -> None:
        """Raises ConfigError for words where a task wants a number."""
        known = inspect.signature(kind).parameters
        for name, value in self.task_options.items():
            if isinstance(value, str) and name in known and isinstance(known[name].default, float):
                raise ConfigError(f"task_options: {name}: got {value!r}, allowed: float")

    def _make(self, task: str, clock: Clock, cameras: PictureSizes) -> SimTask:
        kind, options = self._kind_of(task), dict[str, Any](self.task_options)
        if self.arm is not None:
            options["arm"] = _arm_of(self.arm)
        if is_own(task):
            made = make_own(kind, task, "task", clock, cameras=cameras, **options)
            if not isinstance(getattr(made, "arm", None), SimArm):
                raise ConfigError(f"task {task!r}: has no simulated `arm`; allowed: a class like PickCube's")
            return made
        self._check_numbers(kind)
        try:
            return kind(clock, cameras=cameras, **options)
        except TypeError as error:
            raise ConfigError(f"task_options {self.task_options}: {task} does not take them ({error})") from error


def _arm_of(file: Path) -> ArmModel:
    """The arm of a file, read once: a run opens its place many times, and where an arm can stand takes a search."""
    if not file.is_file():
        raise ConfigError(f"arm {file}: no such file; allowed: an arm in MuJoCo's format (MJCF)")
    return _arm_at(file.resolve(), file.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _arm_at(file: Path, changed: int) -> ArmModel:
    return arm_from(file)
