"""Which topic of a bag is what: conventional names, and what a caller names instead; never the likelier of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.cameras import PICTURES, choose_cameras
from robot_rlhf.journal.bags.frames import TF, TF_STATIC, TF_TYPES
from robot_rlhf.journal.bags.series import ARRAYS, BARE_TWIST, JOINT_STATE, NUMBERS, POSE, TWIST, WRENCH
from robot_rlhf.journal.bags.source import Bag

NONE = "none"
"""In place of a topic's name: there is none, whatever the bag holds."""
MEASURED = "measured"
"""In place of the commands' topic: actions are what was measured."""

OPENINGS = (JOINT_STATE, *NUMBERS, *ARRAYS)
MARKS = (*NUMBERS, "std_msgs/msg/String")
TWISTS = (TWIST, BARE_TWIST)

CONVENTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "joint_states": (("joint_states", "*/joint_states"), (JOINT_STATE,)),
    "tool_pose": (("tool_pose", "current_pose", "*/current_pose", "*/tool_pose"), (POSE,)),
    "tool_target": (
        ("tool_target", "target_pose", "*/equilibrium_pose", "*/target_pose", "*/pose_target_cmds", "*/tool_target"),
        (POSE,),
    ),
    "tool_twist": (("*/delta_twist_cmds", "delta_twist_cmds"), TWISTS),
    "tool_velocity": (("tool_velocity", "current_twist", "*/current_twist", "*/tool_velocity"), (TWIST,)),
    "wrench": (("wrench", "ft_sensor/wrench", "*/wrench"), (WRENCH,)),
    "gripper": (("gripper", "*gripper/joint_states", "*gripper*/joint_states"), OPENINGS),
    "gripper_command": (("gripper_target", "*gripper*/command", "*gripper*/commands"), OPENINGS),
    "episodes": (("recording", "*/recording", "policy/episode"), MARKS),
    "success": (("success", "*/success"), NUMBERS),
}
"""Role to the usual names, and the types it may have. `*` stands for anything."""

COMMANDS = ("tool_target", "tool_twist")
"""Roles of which a bag's commands are one."""


@dataclass(frozen=True)
class BagTopics:
    """Names of topics where they are not the usual ones; `none` for one that shall not be looked for."""

    joint_states: str = ""
    """sensor_msgs/JointState of the arm's joints, in any order, matched by name."""
    tool_pose: str = ""
    """geometry_msgs/PoseStamped, measured; without one it is read from tf."""
    command: str = ""
    """What the tool was told: geometry_msgs/PoseStamped, whose changes are the actions; or TwistStamped or Twist, whose
    integral they are; or `measured`: they are the changes of the measured pose."""
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
    """Camera name to Image or CompressedImage topic; those of the robot, or all that can be read, when empty."""
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
    left_out: Mapping[str, str]
    """The bag's other topics, and why they are not read."""

    def described(self) -> dict[str, str]:
        """Role to topic, for the report and the journal's metadata."""
        poses = {"tool_pose": TF} if self.tf else {}
        pictures = {f"camera {name}": topic for name, topic in self.cameras.items()}
        things = {f"scene {name}": topic for name, topic in self.scene.items()}
        return {**poses, **self.role, **pictures, **things}


def find_topics(
    bag: Bag,
    named: BagTopics,
    *,
    cameras: Sequence[str] | None,
    things: Sequence[str],
    pictures: bool,
    mono16_bits: int = 0,
) -> FoundTopics:
    """The topics to read.

    Args:
        cameras: those the robot is known to have; None: any.
        things: those of the scene that are known.
        pictures: False: no camera is read.
        mono16_bits: see `encodings.picture_of`.

    Raises:
        JournalError: a topic is missing, of another type, or two have the same claim; names what the bag has, and the
            option to say it.
    """
    usual = {thing: f"/perception/{thing}" for thing in things if f"/perception/{thing}" in bag.topics}
    scene = {t: _named(bag, f"scene {t}", name, (POSE,)) for t, name in {**usual, **named.scene}.items()}
    role = _roles(bag, named)
    if "joint_states" not in role:
        raise JournalError(f"{bag.path}: no topic for joint_states ({JOINT_STATE}); {_has(bag)}")
    tf = "tool_pose" not in role
    if tf and bag.topics.get(TF) not in TF_TYPES:
        raise JournalError(f"{bag.path}: no topic for tool_pose ({POSE}), and no {TF}; {_has(bag)}")
    role |= _command(bag, named.command, {*role.values(), *scene.values()})
    left: dict[str, str] = {}
    asked = {camera: _named(bag, f"camera {camera}", name, PICTURES) for camera, name in named.cameras.items()}
    chosen = choose_cameras(bag, asked, cameras, left, mono16_bits) if pictures else {}
    found = FoundTopics(role=role, cameras=chosen, scene=scene, tf=tf, left_out={})
    read = {*found.described().values(), *((TF_STATIC,) if tf else ())}
    others = {topic: left.get(topic, "not asked for") for topic in bag.topics if topic not in read}
    return FoundTopics(role, chosen, scene, tf, dict(sorted({**others, **bag.unreadable}.items())))


def _roles(bag: Bag, named: BagTopics) -> dict[str, str]:
    """All roles but the commands'."""
    roles = {what: usual for what, usual in CONVENTIONS.items() if what not in COMMANDS}
    told = {what: getattr(named, what) for what in roles}
    role = {what: _named(bag, what, name, roles[what][1]) for what, name in told.items() if name not in ("", NONE)}
    for what, (patterns, types) in roles.items():
        if told[what]:
            continue
        found = _usual(bag, what, patterns, types)
        if len(found) > 1:
            option = f"--reading.topics.{what.replace('_', '-')}"
            also = "" if what in ("joint_states", "tool_pose") else f", or {option} {NONE}"
            raise JournalError(f"{bag.path}: {what} may be any of {', '.join(found)}; say which: {option}{also}")
        if found and found[0] not in role.values():  # the gripper's own topic may be that of the joints
            role[what] = found[0]
    return role


def _command(bag: Bag, named: str, taken: set[str]) -> dict[str, str]:
    """The role and topic of what the tool was told; empty where actions are what was measured."""
    if named in (MEASURED, NONE):
        return {}
    if named:
        topic = _named(bag, "command", named, (POSE, *TWISTS))
        return {"tool_target" if bag.topics[topic] == POSE else "tool_twist": topic}
    found = {topic: what for what in COMMANDS for topic in _usual(bag, what, *CONVENTIONS[what]) if topic not in taken}
    if len(found) == 1:
        ((topic, what),) = found.items()
        return {what: topic}
    possible = [t for t, kind in bag.topics.items() if kind in (POSE, *TWISTS) and t not in taken]
    options = [f"--command {name}" for name in (*(found or possible), MEASURED)]
    if found:
        raise JournalError(
            f"{bag.path}: what the tool was told may be any of {', '.join(found)}; say which: " + ", ".join(options)
        )
    if possible:
        raise JournalError(
            f"{bag.path}: no topic with a usual name tells what the tool was told; say which: {', '.join(options)} "
            "(the motion that was measured)"
        )
    return {}


def _named(bag: Bag, what: str, name: str, types: Sequence[str]) -> str:
    topic = next((t for t in (name, f"/{name.strip('/')}") if t in bag.counts), "")
    if not topic:
        raise JournalError(f"{bag.path}: no topic {name} ({what}); {_has(bag)}")
    if topic in bag.unreadable:
        raise JournalError(f"{bag.path}: topic {topic} ({what}) cannot be read: {bag.unreadable[topic]}")
    if bag.topics[topic] not in types:
        raise JournalError(f"{bag.path}: topic {topic} ({what}) is {bag.topics[topic]}; allowed: {', '.join(types)}")
    return topic


def _usual(bag: Bag, what: str, patterns: Sequence[str], types: Sequence[str]) -> list[str]:
    """The topics with a usual name for it."""
    found = [
        topic
        for topic, kind in bag.topics.items()
        if kind in types and any(fnmatchcase(topic.strip("/"), pattern) for pattern in patterns)
    ]
    if what == "joint_states":
        found = [topic for topic in found if "gripper" not in topic] or found
    return found


def _has(bag: Bag) -> str:
    return "the bag has " + ", ".join(f"{topic} ({kind})" for topic, kind in bag.topics.items())
