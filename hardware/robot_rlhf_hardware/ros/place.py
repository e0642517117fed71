"""A robot behind ROS topics, as the place of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from robot_rlhf.errors import ConfigError
from robot_rlhf.place import PictureSizes, Place, PlaceConfig
from robot_rlhf.ports import Monitor, Subscriber, Task, Teleop
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import Clock
from robot_rlhf_hardware.ros.estop import EStop


class RosPlace(Place):
    """A robot behind topics, with whoever stands beside it."""

    def __init__(
        self,
        guard: GuardedRobot,
        task: Task,
        clock: Clock,
        *,
        hands: Teleop,
        monitor: Monitor,
        subscribers: Sequence[Subscriber],
        estop: EStop,
        may_be_driven: Callable[[bool], bool],
        ended: Callable[[], bool],
    ) -> None:
        """
        Args:
            estop: holds the robot still, for whoever presses it.
            may_be_driven: as of Place.
            ended: as of Place.
        """
        super().__init__(guard, task, clock)
        self.hands = hands
        self.monitor = monitor
        self.subscribers = subscribers
        self.waiting_for = "the learner, the operator, or to be activated"
        self._estop = estop
        self._may_be_driven = may_be_driven
        self._ended = ended

    def may_be_driven(self, present: bool) -> bool:
        return self._may_be_driven(present)

    def ended(self) -> bool:
        return self._ended()

    def stop(self, reason: str) -> None:
        self._estop.latch(reason)

    def release(self) -> None:
        self._estop.release()


@dataclass(frozen=True)
class RosConfig(PlaceConfig):
    """A robot behind ROS topics: parameters of the node `robot-rlhf ros policy` say which."""

    kind: ClassVar[str] = "ros"

    def task_names(self, task: str) -> tuple[str, ...]:
        return (task,)

    def open(self, task: str, *, clock: Clock, cameras: PictureSizes, seed: int = 0) -> Place:
        raise ConfigError(
            "place ros: a robot behind ROS topics is driven, taught and measured by robot-rlhf ros policy (parameters "
            "run, config; learner:=none evaluate:=20 measures what a run has learned)"
        )
