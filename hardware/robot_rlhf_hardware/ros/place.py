"""A robot behind ROS topics, as the place of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from robot_rlhf.errors import ConfigError
from robot_rlhf.place import PictureSizes, Place, PlaceConfig
from robot_rlhf.timing import Clock


@dataclass(frozen=True)
class RosConfig(PlaceConfig):
    """A robot behind ROS topics: parameters of the node `robot-rlhf ros policy` say which."""

    kind: ClassVar[str] = "ros"

    def open(self, task: str, *, clock: Clock, cameras: PictureSizes, seed: int = 0) -> Place:
        raise ConfigError(
            "place ros: a robot behind ROS topics is driven, taught and measured by robot-rlhf ros policy (parameters "
            "run, config; learner:=none evaluate:=20 measures what a run has learned)"
        )
