"""How a bag becomes demonstrations, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.bags.episodes import EpisodeSettings
from robot_rlhf.journal.bags.reading import ReadingSettings
from robot_rlhf.journal.bags.rows import AXES, GRIPPER


@dataclass(frozen=True)
class ImportSettings:
    """How a bag becomes demonstrations."""

    task: str = ""
    """Name of the skill, for example pick_cube."""
    instruction: str = ""
    """What a person would say to ask for it; the task's name when empty."""
    operator: str = "person"
    """Who drove."""
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    episodes: EpisodeSettings = field(default_factory=EpisodeSettings)
    joints: tuple[str, ...] = ()
    """Names of the arm's joints in order; as the first message has them when empty."""
    period: float = 0.05
    """Control period, s: one step each."""
    one_step_per: str = ""
    """Topic each of whose messages is a step, instead of one per period: for a loop that recorded its own commands."""
    action_names: tuple[str, ...] = (*AXES, GRIPPER)
    """What a policy shall move."""
    action_scale: tuple[float, ...] = (0.02, 0.02, 0.02, 0.15, 0.15, 0.15, 1.0)
    """Largest motion per period of each: m, rad; 1 for the gripper."""
    workspace_lower: tuple[float, ...] = ()
    """Lowest corner of the box that holds the tool, m, base frame; that of the recorded targets when empty."""
    workspace_upper: tuple[float, ...] = ()
    """Highest corner of it."""
    stale: float = 0.25
    """Seconds for which a topic may be silent within an episode."""
    command_timeout: float = 0.1
    """Seconds after which a commanded twist no longer moves the robot; MoveIt Servo's own default."""
    without_actions: bool = False
    """Take what was observed alone, and leave open what the robot was told: rewards of states are trained on it,
    nothing imitates it."""
    clipped_max: float = 0.05
    """Largest share of steps that may move more than the action's scale; what is above the scale is cut."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.action_names if name not in (*AXES, GRIPPER)]
        if unknown or len(set(self.action_names)) != len(self.action_names) or not self.action_names:
            raise ConfigError(
                f"action_names: got {self.action_names}, allowed: distinct names out of {(*AXES, GRIPPER)}"
            )
        if len(self.action_scale) != len(self.action_names) or not all(s > 0 for s in self.action_scale):
            raise ConfigError(
                f"action_scale: got {self.action_scale}, allowed: {len(self.action_names)} numbers above 0"
            )
        if {len(self.workspace_lower), len(self.workspace_upper)} not in ({0}, {3}):
            raise ConfigError("workspace_lower, workspace_upper: allowed: both three numbers, or both left out")
        for name in ("period", "stale", "command_timeout"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}: got {getattr(self, name)}, allowed above 0")
        if not 0.0 <= self.clipped_max <= 1.0:
            raise ConfigError(f"clipped_max: got {self.clipped_max}, allowed 0 to 1")


@dataclass(frozen=True)
class ImportReport:
    """What an import made."""

    target: Path
    episodes: Mapping[str, int]
    """Number of episodes by outcome."""
    steps: int
    left_out: int
    """Spans too short to be an episode."""
    others: int
    """Episodes of a journal that were no demonstrations."""
    topics: Mapping[str, str]
    """Role to the topic it was read from."""
    action_from: str
    """What the actions were reconstructed from."""
    clipped: float
    """Share of steps that moved more than the action's scale."""
    largest: Mapping[str, float]
    """Per entry of the action, the motion per period that holds 99 % of the steps: m, rad."""
    lacking: tuple[str, ...]
    """Things of the robot's scene that no topic told."""
