"""Which topic of a bag is what: conventional names, and what a caller names instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.frames import TF, TF_TYPES
from robot_rlhf.journal.bags.pictures import COMPRESSED, RAW
from robot_rlhf.journal.bags.series import ARRAYS, JOINT_STATE, NUMBERS, POSE, TWIST, WRENCH
from robot_rlhf.journal.bags.source import Bag

NONE = "none"
"""In place of a topic's name: there is none, whatever the bag holds."""

OPENINGS = (JOINT_STATE, *NUMBERS, *ARRAYS)
MARKS = (*NUMBERS, "std_msgs/msg/String")

CONVENTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "joint_states": (("joint_states", "*/joint_states"), (JOINT_STATE,)),
    "tool_pose": (("tool_pose", "current_pose", "*/current_pose", "*/tool_pose"), (POSE,)),
    "tool_target": (
        ("tool_target", "target_pose", "*/equilibrium_pose", "*/target_pose", "*/pose_target_cmds", "*/tool_target"),
        (POSE,),
    ),
    "tool_twist": (("*/delta_twist_cmds", "delta_twist_cmds"), (TWIST,)),
    "tool_velocity": (("tool_velocity", "current_twist", "*/current_twist", "*/tool_velocity"), (TWIST,)),
    "wrench": (("wrench", "ft_sensor/wrench", "*/wrench"), (WRENCH,)),
    "gripper": (("gripper", "*gripper/joint_states", "*gripper*/joint_states"), OPENINGS),
    "gripper_command": (("gripper_target", "*gripper*/command", "*gripper*/commands"), OPENINGS),
    "episodes": (("recording", "*/recording", "policy/episode"), MARKS),
    "success": (("success", "*/success"), NUMBERS),
}
"""Role to the usual names, the likeliest first, and the types it may have. `*` stands for anything."""

CAMERAS = ("*/image_raw", "*/image_raw/compressed", "camera/*/compressed", "*/image", "*/image/compressed")


@dataclass(frozen=True)
class BagTopics:
    """Names of topics where they are not the usual ones; `none` for one that shall not be looked for."""

    joint_states: str = ""
    """sensor_msgs/JointState of the arm's joints, in any order, matched by name."""
    tool_pose: str = ""
    """geometry_msgs/PoseStamped, measured; without one it is read from tf."""
    tool_target: str = ""
    """geometry_msgs/PoseStamped, commanded: actions are its changes."""
    tool_twist: str = ""
    """geometry_msgs/TwistStamped, commanded, where no pose is: actions are its integral."""
    tool_velocity: str = ""
    """geometry_msgs/TwistStamped, measured; without one it is the change of the measured pose."""
    wrench: str = ""
    """geometry_msgs/WrenchStamped; without one forces are 0."""
    gripper: str = ""
    """Measured opening: a number, or a JointState; without one it is looked for among joint_states."""
    gripper_command: str = ""
    """Commanded opening: a number, or a JointState; without one the measured opening tells it."""
    episodes: str = ""
    """When episodes begin and end: Bool (true while one lasts), a whole number (of the episode, 0 for none), or a
    String (start, end, success, failure, discard; or ~/episode of our policy node)."""
    success: str = ""
    """Bool, or a number above 0, once an episode has succeeded; false for one that failed."""
    cameras: dict[str, str] = field(default_factory=dict[str, str])
    """Camera name to Image or CompressedImage topic; all with usual names when empty."""
    scene: dict[str, str] = field(default_factory=dict[str, str])
    """Thing to geometry_msgs/PoseStamped topic; perception/THING for the things of a robot that is given."""


@dataclass(frozen=True)
class FoundTopics:
    """The topic of each role that the bag has."""

    role: Mapping[str, str]
    cameras: Mapping[str, str]
    scene: Mapping[str, str]
    tf: bool
    """The tool's pose is to be read from tf."""

    def described(self) -> dict[str, str]:
        """Role to topic, for the report and the journal's metadata."""
        poses = {"tool_pose": TF} if self.tf else {}
        pictures = {f"camera {name}": topic for name, topic in self.cameras.items()}
        things = {f"scene {name}": topic for name, topic in self.scene.items()}
        return {**poses, **self.role, **pictures, **things}


def find_topics(
    bag: Bag, named: BagTopics, *, cameras: Sequence[str] | None, things: Sequence[str], pictures: bool
) -> FoundTopics:
    """The topics to read.

    Args:
        cameras: those the robot is known to have; None: any.
        things: those of the scene that are known.
        pictures: False: no camera is read.

    Raises:
        JournalError: a topic is missing, of another type, or two have the same claim; names what the bag has.
    """
    role: dict[str, str] = {}
    for what, (patterns, types) in CONVENTIONS.items():
        name: str = getattr(named, what)
        if name == NONE:
            continue
        found = _named(bag, what, name, types) if name else _usual(bag, what, patterns, types)
        if found and found not in role.values():  # the gripper's own topic may be that of the joints
            role[what] = found
    if "joint_states" not in role:
        raise JournalError(f"{bag.path}: no topic for joint_states ({JOINT_STATE}); {_has(bag)}")
    tf = "tool_pose" not in role
    if tf and bag.topics.get(TF) not in TF_TYPES:
        raise JournalError(f"{bag.path}: no topic for tool_pose ({POSE}), and no {TF}; {_has(bag)}")
    usual = {thing: f"/perception/{thing}" for thing in things if f"/perception/{thing}" in bag.topics}
    return FoundTopics(
        role=role,
        cameras=_cameras(bag, named.cameras, cameras) if pictures else {},
        scene={thing: _named(bag, f"scene {thing}", name, (POSE,)) for thing, name in {**usual, **named.scene}.items()},
        tf=tf,
    )


def _named(bag: Bag, what: str, name: str, types: Sequence[str]) -> str:
    topic = name if name in bag.topics else f"/{name.strip('/')}"
    if topic not in bag.topics:
        raise JournalError(f"{bag.path}: no topic {name} ({what}); {_has(bag)}")
    if bag.topics[topic] not in types:
        raise JournalError(f"{bag.path}: topic {topic} ({what}) is {bag.topics[topic]}; allowed: {', '.join(types)}")
    return topic


def _usual(bag: Bag, what: str, patterns: Sequence[str], types: Sequence[str]) -> str:
    """The topic with the likeliest of the usual names; empty when there is none."""
    for pattern in patterns:
        found = [t for t, kind in bag.topics.items() if kind in types and fnmatchcase(t.strip("/"), pattern)]
        if what == "joint_states":
            found = [t for t in found if "gripper" not in t] or found
        if len(found) > 1:
            option = f"--reading.topics.{what.replace('_', '-')}"
            raise JournalError(f"{bag.path}: {what} may be any of {', '.join(found)}; say which: {option}")
        if found:
            return found[0]
    return ""


def _cameras(bag: Bag, named: Mapping[str, str], known: Sequence[str] | None) -> dict[str, str]:
    if named:
        return {camera: _named(bag, f"camera {camera}", name, (RAW, COMPRESSED)) for camera, name in named.items()}
    found: dict[str, str] = {}
    for pattern in CAMERAS:
        for topic, kind in bag.topics.items():
            name = topic.strip("/")
            if kind not in (RAW, COMPRESSED) or not fnmatchcase(name, pattern) or "depth" in name:
                continue
            parts = [p for p in name.split("/") if p not in ("image_raw", "image", "compressed", "color", "rgb")]
            found.setdefault(parts[-1] if parts else "camera", topic)
    if known is None:
        return found
    missing = [name for name in known if name not in found]
    if missing:
        raise JournalError(
            f"{bag.path}: no topic for camera {', '.join(missing)}; say which: --reading.topics.cameras NAME TOPIC; "
            + _has(bag)
        )
    return {name: found[name] for name in known}


def _has(bag: Bag) -> str:
    return "the bag has " + ", ".join(f"{topic} ({kind})" for topic, kind in bag.topics.items())
