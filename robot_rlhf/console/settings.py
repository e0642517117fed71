"""What the console's process is told when it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from robot_rlhf.errors import ConfigError


@dataclass(frozen=True)
class CameraMount:
    """How a camera is turned: rotation matrix of its optical frame (x right, y down, z forward), row by row."""

    parent: str
    """'base' for a camera that stands still, 'tool' for one that moves with the tool."""
    rotation: tuple[float, ...]
    """In the parent's frame. Shape (9,)."""


@dataclass(frozen=True)
class ConsoleSettings:
    """Made by the app, read by the console's process from its standard input as one line of JSON."""

    journal: str
    """The journal's folder: what is recorded, for history, review and labels."""
    token: str
    """Secret that opens the console: part of the address, exchanged for a cookie."""
    values: str = ""
    """File of JSON lines with the critic's values of episodes; it may grow, or be absent. Empty for none."""
    task: str = ""
    title: str = "robot_rlhf"
    link: int | None = None
    """File descriptor of the socket to the robot; None for a recorded session, which nobody drives."""
    block: int | None = None
    """File descriptor of the live block."""
    listen: int = -1
    """File descriptor of the listening TCP socket."""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    """Names under which a browser may address the console."""
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    mounts: Mapping[str, CameraMount] = field(default_factory=dict[str, CameraMount])
    action_names: tuple[str, ...] = ()
    action_scale: tuple[float, ...] = ()
    action_frame: str = "base"
    control_period: float = 0.05
    suggestions: tuple[str, ...] = ()
    """Sentences offered beside the correction box."""
    can_rewind: bool = False
    operator: str = ""
    """Name of the first visitor; empty for a number."""
    judged_by: str = "task"
    """Who says that an episode succeeded: 'task' or 'person'."""

    def to_json(self) -> str:
        return json.dumps(asdict(replace(self, cameras=dict(self.cameras), mounts=dict(self.mounts))))

    @staticmethod
    def from_json(text: str) -> ConsoleSettings:
        """The inverse of `to_json`. Raises ConfigError when it is none."""
        try:
            fields = json.loads(text)
            for name in ("hosts", "action_names", "action_scale", "suggestions"):
                fields[name] = tuple(fields[name])
            fields["cameras"] = {name: (int(size[0]), int(size[1])) for name, size in fields["cameras"].items()}
            fields["mounts"] = {
                name: CameraMount(mount["parent"], tuple(mount["rotation"])) for name, mount in fields["mounts"].items()
            }
            return ConsoleSettings(**fields)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"console settings: not understood ({type(error).__name__}: {error})") from error
