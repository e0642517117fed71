"""The joints of a model file from the world to the tool, and the world in which they stand on the built-in table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf_sim.robots.arm_model import TOOL_DISTANCE
from robot_rlhf_sim.robots.built_in import load_world

TOOL_NAMES = (
    "tcp", "pinch", "grip_site", "gripperframe", "tool", "tool0", "attachment_site", "ee", "ee_site", "eef",
    "end_effector",
)  # fmt: skip
"""Sites, or else bodies, that are looked for as the tool, in this order: first those between fingers; also behind a
prefix, as a hand that was attached to an arm gets one."""
ARM, HAND = "arm/", "hand/"
"""What the names of the arm's parts, and of the built-in hand's, begin with."""

_FEWEST = 6
_KINDS = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
_STIFFNESS, _DAMPING, _ARMATURE = 800.0, 80.0, 0.1
"""Of servos for joints that have none: the built-in arm's, so slow that links of any mass follow alike."""


class Chain:
    """The arm in a file.

    `joints` and `servos` are those that lead the tool, from the world on; `felt` is the body that the last of them
    moves; `tool` says for messages what is led; `start` are joint positions at the file's key frame 'home', or at its
    first one, or at zero.
    """

    def __init__(self, file: Path, tool: str | None, *, own_hand: bool) -> None:
        """Read the file.

        Raises:
            ConfigError, UnknownNameError: see arm_from.
        """
        self.file = file
        self.own_hand = own_hand
        spec = self._read()
        try:
            model = spec.compile()
        except (ValueError, mujoco.FatalError) as error:
            raise ConfigError(f"arm {file}: cannot be compiled ({_line(error)})") from error
        site, body = _find_tool(model, file, tool)
        self._tool_body: str = model.body(body).name
        self.tool = f"body {self._tool_body!r}" if site is None else f"site {model.site(site).name!r}"
        self._tool_place, self._tool_turn = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
        if site is not None:
            self._tool_place, self._tool_turn = model.site_pos[site].copy(), model.site_quat[site].copy()
        self.bodies = _up_to_world(model, body)
        ids = [j for b in reversed(self.bodies) for j in _joints_of(model, b)]
        for j in ids:
            if mujoco.mjtJoint(int(model.jnt_type[j])) not in _KINDS:
                raise ConfigError(f"arm {file}: joint {model.joint(j).name!r}: allowed are hinges and slides")
        if len(ids) < _FEWEST:
            led = f"{len(ids)} of its joints lead"
            raise ConfigError(f"arm {file}: {led} {self._tool_body!r}; allowed: {_FEWEST} or more, to take any pose")
        self._root: str = model.body(self.bodies[-1]).name
        self._last: str = model.body(int(model.jnt_bodyid[ids[-1]])).name
        self._joints: tuple[str, ...] = tuple(model.joint(j).name for j in ids)
        self._servos = {name: _servo_of(model, j) for name, j in zip(self._joints, ids, strict=True)}
        leads = [model.actuator(a).name for a in range(model.nu) if _led_joint(model, a) in ids]
        self._useless = [name for name in leads if name not in self._servos.values()]
        keys = [model.key(k).name for k in range(model.nkey)]
        key = keys.index("home") if "home" in keys else 0
        position = model.key_qpos[key] if keys else model.qpos0
        self.start = position[model.jnt_qposadr[ids]].copy()

    def _read(self) -> mujoco.MjSpec:
        """The file, everything in it with a name."""
        try:
            spec = mujoco.MjSpec.from_file(str(self.file))
        except (ValueError, OSError, mujoco.FatalError) as error:
            raise ConfigError(f"arm {self.file}: cannot be loaded ({_line(error)})") from error
        kinds: tuple[tuple[str, Iterable[Any]], ...] = (
            ("body", spec.bodies[1:]),
            ("joint", spec.joints),
            ("actuator", spec.actuators),
        )
        for kind, elements in kinds:
            for number, element in enumerate(elements):
                element.name = element.name or f"{kind}{number}"
        return spec

    @property
    def root(self) -> str:
        """Body that carries the whole arm, in the world."""
        return ARM + self._root

    @property
    def felt(self) -> str:
        return ARM + self._last

    @property
    def joints(self) -> tuple[str, ...]:
        return tuple(ARM + name for name in self._joints)

    @property
    def servos(self) -> tuple[str, ...]:
        return tuple(ARM + (servo or name) for name, servo in self._servos.items())

    def world(self, base: tuple[float, float, float]) -> mujoco.MjSpec:
        """The arm on the built-in arm's table, its base there, m."""
        world, arm = load_world(), self._read()
        for element in (*world.actuators, world.body("link0")):
            world.delete(element)
        for element in (*arm.keys, *arm.lights, *arm.worldbody.geoms, *arm.worldbody.cameras, *arm.worldbody.sites):
            arm.delete(element)
        for body in arm.worldbody.bodies:
            if body.name != self._root:
                arm.delete(body)
        for body in arm.bodies[1:]:
            body.gravcomp = 1.0
        for geom in _geoms_beyond(arm.body(self._last)):
            if geom.contype or geom.conaffinity:  # they touch all but each other, as those of the built-in hand
                geom.contype, geom.conaffinity = 2, 1
        self._give_servos(arm)
        arm.compiler.boundmass = arm.compiler.boundinertia = 1e-9  # for kinematics, which has no geoms
        _be_alike(arm, world)
        arm.nkey = 0  # a file may say how many it has, and the number outlives them
        world.attach(arm, prefix=ARM, frame=world.worldbody.add_frame(pos=base))
        self._give_hand(world)
        return world

    def _give_servos(self, arm: mujoco.MjSpec) -> None:
        for name in self._useless:
            arm.delete(arm.actuator(name))
        for name, servo in self._servos.items():
            if servo is None:
                arm.joint(name).armature = max(float(arm.joint(name).armature), _ARMATURE)
                made = arm.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
                made.set_to_position(kp=_STIFFNESS, kv=_DAMPING)

    def _give_hand(self, world: mujoco.MjSpec) -> None:
        """What tasks build on: body 'hand', site 'tool', camera 'wrist'.

        The site is the arm's own tool, or, with the built-in hand, which is mounted there, between its fingers.
        """
        bearer = world.body(ARM + self._tool_body)
        mount = bearer.add_frame(pos=self._tool_place, quat=self._tool_turn)
        given = load_world()
        if not self.own_hand:
            mount.attach_body(given.body("hand"), HAND, "")
            for element in (world.body(HAND + "hand"), world.site(HAND + "tool"), world.camera(HAND + "wrist")):
                element.name = element.name.removeprefix(HAND)
            world.body("hand").pos, world.body("hand").quat = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
            return
        hand = bearer.add_body(name="hand", gravcomp=1.0)
        hand.set_frame(mount)
        hand.pos = [0.0, 0.0, -TOOL_DISTANCE]
        hand.add_site(name="tool", pos=[0.0, 0.0, TOOL_DISTANCE], size=[0.004] * 3, group=4)
        wrist = given.camera("wrist")
        camera = hand.add_camera(name="wrist", pos=wrist.pos, fovy=wrist.fovy)
        camera.alt.type, camera.alt.xyaxes = wrist.alt.type, wrist.alt.xyaxes


def _geoms_beyond(body: Any) -> list[Any]:
    return [*body.geoms, *(geom for each in body.bodies for geom in _geoms_beyond(each))]


def _be_alike(arm: mujoco.MjSpec, world: mujoco.MjSpec) -> None:
    """Physics and pictures are those of the table's world, whatever the arm's file says."""
    groups = [(arm.option, world.option)]
    groups += [(getattr(arm.visual, name), getattr(world.visual, name)) for name in dir(world.visual) if name[0] != "_"]
    for own, other in groups:
        for name in dir(other):
            if name[0] != "_":
                setattr(own, name, getattr(other, name))


def _find_tool(model: mujoco.MjModel, file: Path, wanted: str | None) -> tuple[int | None, int]:
    """Site, if it is one, and body of the tool."""
    sites = {model.site(k).name: k for k in range(model.nsite)}
    bodies = {model.body(k).name: k for k in range(1, model.nbody)}
    if wanted is not None and wanted not in {**sites, **bodies}:
        raise UnknownNameError(f"tool of {file.name}", wanted, [n for n in (*sites, *bodies) if n])
    if wanted is not None:
        site = sites.get(wanted)
        return site, bodies[wanted] if site is None else int(model.site_bodyid[site])
    site = _first_known(sites)
    if site is not None:
        return site, int(model.site_bodyid[site])
    body = _first_known(bodies)
    return None, _last_body(model, file) if body is None else body


def _first_known(numbers: Mapping[str, int]) -> int | None:
    """The number of the first of TOOL_NAMES that is there, as it is or once behind a prefix; None for none."""
    for name in TOOL_NAMES:
        found = [name] if name in numbers else [n for n in numbers if re.search(rf"[^A-Za-z0-9]{name}$", n)]
        if len(found) == 1:
            return numbers[found[0]]
    return None


def _last_body(model: mujoco.MjModel, file: Path) -> int:
    """Along the branch with the most joints, the last body before it ends or divides into several that move."""
    joints = np.array([int(model.body_jntnum[b]) for b in range(model.nbody)])
    beyond = joints.copy()
    for b in reversed(range(1, model.nbody)):  # a parent's number is below its children's
        beyond[model.body_parentid[b]] += beyond[b]
    body = 0
    while True:
        moving = [b for b in range(1, model.nbody) if model.body_parentid[b] == body and beyond[b]]
        if not moving or (body and len(moving) > 1):
            break
        body = max(moving, key=lambda b: int(beyond[b]))
    if not body:
        raise ConfigError(f"arm {file}: no joint in it; allowed: a chain of hinges and slides")
    return body


def _up_to_world(model: mujoco.MjModel, body: int) -> list[int]:
    """The body and those that carry it, the world left out."""
    found: list[int] = []
    while body:
        found.append(body)
        body = int(model.body_parentid[body])
    return found


def _joints_of(model: mujoco.MjModel, body: int) -> range:
    first = int(model.body_jntadr[body])
    return range(first, first + int(model.body_jntnum[body]))


def _led_joint(model: mujoco.MjModel, actuator: int) -> int:
    """Number of the joint that it leads; -1 for one that leads something else."""
    kinds = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)
    leads_joint = mujoco.mjtTrn(int(model.actuator_trntype[actuator])) in kinds
    return int(model.actuator_trnid[actuator, 0]) if leads_joint else -1


def _servo_of(model: mujoco.MjModel, joint: int) -> str | None:
    """The one position servo that leads the joint, to where it is told in rad or m; None where there is none."""
    leading = [a for a in range(model.nu) if _led_joint(model, a) == joint]
    if len(leading) != 1 or model.actuator_gear[leading[0], 0] != 1.0:
        return None
    gain, bias = model.actuator_gainprm[leading[0]], model.actuator_biasprm[leading[0]]
    is_position = (
        mujoco.mjtBias(int(model.actuator_biastype[leading[0]])) is mujoco.mjtBias.mjBIAS_AFFINE and gain[0] > 0.0
    )
    return model.actuator(leading[0]).name if is_position and bias[1] == -gain[0] else None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
