"""Doubles of `launch` and `launch_ros` that remember how they were called: launch files are data, and this reads it."""

from __future__ import annotations

import runpy
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MODULES: dict[str, tuple[str, ...]] = {
    "launch": ("LaunchDescription",),
    "launch.actions": ("DeclareLaunchArgument", "EmitEvent", "RegisterEventHandler"),
    "launch.events": ("matches_action",),
    "launch.substitutions": ("LaunchConfiguration", "PathJoinSubstitution"),
    "launch_ros": (),
    "launch_ros.actions": ("LifecycleNode", "Node"),
    "launch_ros.event_handlers": ("OnStateTransition",),
    "launch_ros.events": (),
    "launch_ros.events.lifecycle": ("ChangeState",),
    "launch_ros.parameter_descriptions": ("ParameterValue",),
    "launch_ros.substitutions": ("FindPackageShare",),
    "lifecycle_msgs": (),
    "lifecycle_msgs.msg": (),
}
"""What launch files may use: whatever else they import is an ImportError here."""


@dataclass(eq=False)
class Call:
    """Something that a launch file made."""

    kind: str
    positional: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict[str, Any])

    def __getitem__(self, name: str) -> Any:
        return self.named[name]


class Transition:
    """The numbers of lifecycle_msgs/msg/Transition that launch files use."""

    TRANSITION_CONFIGURE = 1
    TRANSITION_ACTIVATE = 3


def load(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The entities of a launch file's description; the doubles are gone when the test is over."""
    for name, members in MODULES.items():
        module = ModuleType(name)
        for member in members:
            setattr(module, member, _recorder(member))
        if name == "lifecycle_msgs.msg":
            module.__dict__["Transition"] = Transition
        monkeypatch.setitem(sys.modules, name, module)
    description = runpy.run_path(str(path))["generate_launch_description"]()
    assert isinstance(description, Call)
    assert description.kind == "LaunchDescription"
    (entities,) = description.positional
    return list(entities)


def _recorder(kind: str) -> Any:
    def made(*positional: Any, **named: Any) -> Call:
        return Call(kind, positional, named)

    return made


def of_kind(entities: list[Call], *kinds: str) -> list[Call]:
    return [entity for entity in entities if entity.kind in kinds]
