"""The simulated arm: a Robot whose world is one MuJoCo model."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import mujoco
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.datatypes import ActionLayout, Array, Command, CommandLayout, Observation, RobotSpec, frozen_array
from robot_rlhf.errors import InvalidValueError, RobotError, ShapeError, StaleError
from robot_rlhf.sight import CameraMount, Sight
from robot_rlhf.timing import Clock, FakeClock
from robot_rlhf_sim.contacts import ContactSense, refuse_ghosts
from robot_rlhf_sim.render import Renderer
from robot_rlhf_sim.robots.arm_model import ArmModel, span
from robot_rlhf_sim.robots.built_in import BUILT_IN
from robot_rlhf_sim.robots.kinematics import ToolKinematics
from robot_rlhf_sim.rotation import canonical
from robot_rlhf_sim.variation import DRAWS, Draws, WorldVariation, perception_error

CONTROL_PERIOD = 0.05
TABLE = 0.0
"""Height of the table's top, m."""
REACH_LOWER = (0.15, -0.55, -0.01)
REACH_UPPER = (0.80, 0.55, 0.80)
"""Box of tool positions the arm accepts, m: a sanity bound; the workspace of a task is the guard's business."""

# What physics does not know lives in MjData.userdata, so that one vector is the whole state.
_TARGET = slice(0, 7)
_OPENING = 7
_WRENCH = slice(8, 14)
_GRASPED = 14
_HELD = 15
_DRAWN = slice(16, 16 + DRAWS)
_OWN = _DRAWN.stop
_FORCE_SAMPLES = 5
"""Times per control period that contact forces are read; their mean is the wrench."""


class Stage(Protocol):
    """What stands around the arm, as a task built it: what perception reports of it and what is true of it."""

    @property
    def scene_sizes(self) -> Mapping[str, int]: ...

    @property
    def privileged_sizes(self) -> Mapping[str, int]: ...

    def sense(self, arm: SimArm) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """What perception reports (Observation.scene), and the truth (Observation.privileged)."""
        ...

    def paint(self, arm: SimArm) -> None:
        """Set colours that the episode drew, before a picture is taken."""
        ...


@runtime_checkable
class LivingStage(Stage, Protocol):
    """A stage on which things also happen that the arm does not do."""

    def happen(self, arm: SimArm, seconds: float) -> None:
        """What the world does by itself in the time for which physics goes on next; what it knows is in arm.data."""
        ...


@dataclass(frozen=True, eq=False)
class SimState:
    """One instant of a simulation, exactly: physics, solver warm start, targets and all that the episode drew."""

    vector: NDArray[np.float64]
    """MuJoCo's integration state, userdata included."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "vector", frozen_array("SimState.vector", self.vector, (None,), np.float64))


class SimArm:
    """An arm that follows tool poses, with a gripper or without.

    `send` finds joint targets by inverse kinematics, moves position servos towards them for one control period, and
    advances the clock by it when that is a FakeClock; with a real clock, pacing is the loop's business. Orientations
    are reported with qx >= 0, which is continuous while the tool points downward.
    """

    def __init__(
        self,
        stage: Stage,
        world: mujoco.MjSpec,
        action: ActionLayout,
        clock: Clock,
        cameras: Mapping[str, tuple[int, int]],
        *,
        model: ArmModel = BUILT_IN,
        graspable: str | Sequence[str] = (),
        surface: float = TABLE,
        memory: int = 0,
    ) -> None:
        """Compile the world.

        Args:
            stage: the task's view of the world.
            world: the arm's scene with the task's bodies added.
            action: what the task lets a policy move.
            clock: stamps observations and judges deadlines.
            cameras: name ('front', 'side', 'wrist') to (height, width) of the pictures to take; empty for none.
            model: the arm of this world.
            graspable: geom, or geoms, that count as part of the tool while two fingers touch them: one at a time.
            surface: height of what the task works on, m.
            memory: numbers the task keeps in `memory` for an episode; they are part of snapshots.

        Raises:
            ConfigError: a free body that touches nothing.
        """
        world.nuserdata = _OWN + memory
        self.model: mujoco.MjModel = world.compile()
        refuse_ghosts(self.model)
        self.data = mujoco.MjData(self.model)
        self.clock = clock
        self._stage = stage
        self._living = stage if isinstance(stage, LivingStage) else None
        self.arm_model = model
        self._place(model)
        self._kinematics = ToolKinematics(world, model)
        self._site: int = self.model.site("tool").id
        self._hand: int = self.model.body("hand").id
        names = (graspable,) if isinstance(graspable, str) else tuple(graspable)
        self._contacts = ContactSense(self.model, model, self._site, names)
        self._surface = surface
        self._substeps = round(CONTROL_PERIOD / self.model.opt.timestep / _FORCE_SAMPLES)
        self._speed_max = model.speed_max.astype(np.float64)
        self._joint_step = self._speed_max * CONTROL_PERIOD
        self._state_size = mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_INTEGRATION)
        self._renderer = Renderer(self.model, cameras)
        self._variation = WorldVariation(self.model, pictures=bool(cameras))
        self._drawn = np.zeros(DRAWS)
        self._images: Mapping[str, NDArray[np.uint8]] | None = None
        self._seen: Observation | None = None
        self._velocity = np.zeros(6)
        self._fault = ""
        self._lock = threading.RLock()
        self._spec = RobotSpec(
            joint_names=model.joint_names,
            position_lower=self._kinematics.lower.astype(np.float32),
            position_upper=self._kinematics.upper.astype(np.float32),
            speed_max=model.speed_max,
            control_period=CONTROL_PERIOD,
            action=action,
            command=CommandLayout(
                kind="tool_pose",
                names=("x", "y", "z", "qw", "qx", "qy", "qz", "opening"),
                lower=np.array([*REACH_LOWER, -1, -1, -1, -1, 0]),
                upper=np.array([*REACH_UPPER, 1, 1, 1, 1, 1]),
            ),
            cameras=cameras,
            scene=stage.scene_sizes,
            privileged=stage.privileged_sizes,
        )
        self.begin((0.5, 0.0, 0.2, 0.0, 1.0, 0.0, 0.0), 1.0)
        self.settle()

    def _place(self, arm: ArmModel) -> None:
        """Find joints, fingers and servos in the compiled world."""
        model, gripper = self.model, arm.gripper
        joints = [model.joint(name).id for name in arm.joints]
        fingers = [model.joint(name).id for name in (gripper.joints if gripper else ())]
        leaders = [model.actuator(name).id for name in (gripper.servos if gripper else ())]
        self._qpos = span(model.jnt_qposadr[joints])
        self._dof = span(model.jnt_dofadr[joints])
        self._servos = span(np.array([model.actuator(name).id for name in arm.servos]))
        self._fingers = model.jnt_qposadr[fingers].astype(np.intp)
        self._finger_servos = np.array(leaders, np.intp)
        self.things: NDArray[np.intp] = np.setdiff1d(np.arange(model.nq), model.jnt_qposadr[[*joints, *fingers]])
        """Where in qpos all is that is neither arm nor fingers."""

    @property
    def spec(self) -> RobotSpec:
        return self._spec

    @property
    def memory(self) -> NDArray[np.float64]:
        """The task's numbers of this episode; a writable view."""
        return self.data.userdata[_OWN:]

    @property
    def grasped(self) -> bool:
        """Two fingers touch a graspable object."""
        return bool(self.data.userdata[_GRASPED])

    @property
    def holding(self) -> int:
        """Which of the graspable objects two fingers touch, from 1; 0 for none."""
        return int(self.data.userdata[_GRASPED])

    @property
    def joint_target(self) -> NDArray[np.float64]:
        """What the servos pull to, rad. Shape (n,)."""
        return self.data.ctrl[self._servos].copy()

    def tool_pose(self) -> tuple[float, ...]:
        """Measured tool pose x, y, z, qw, qx, qy, qz as plain floats."""
        return (
            *self.data.site_xpos[self._site].tolist(),
            *canonical(self.data.xquat[self._hand].tolist()),
        )

    def look_again(self) -> None:
        """What the task knows has changed: the next observation tells so, also at the same time."""
        with self._lock:
            self._changed()

    def vary(self, draws: Draws) -> None:
        """Be in another world from the next `begin` on: sizes, masses, friction, light, cameras, perception."""
        with self._lock:
            self._drawn = draws.copy()
            self._variation.apply(draws)

    def begin(self, pose: tuple[float, ...], opening: float) -> None:
        """Forget the past and hold still at a pose; the task then places its objects and calls `settle`.

        Raises:
            RobotError: no joint positions reach the pose.
        """
        with self._lock:
            joints = self._kinematics.solve(pose, self.arm_model.home, iterations=100)
            missed = float(np.abs(self._kinematics.pose(joints)[:3] - pose[:3]).max())
            if missed > 1e-3:
                raise RobotError(f"start pose {pose}: out of reach by {missed:.3f} m")
            mujoco.mj_resetData(self.model, self.data)
            self.data.userdata[_DRAWN] = self._drawn
            self._fault = ""
            self.data.qpos[self._qpos] = self.data.ctrl[self._servos] = joints
            gripper = self.arm_model.gripper
            if gripper is not None:
                self.data.qpos[self._fingers] = gripper.closed + (gripper.opened - gripper.closed) * opening
            self._lead_fingers(opening)

    def settle(self) -> None:
        """Make everything that follows from the placed state known: the end of a reset."""
        with self._lock:
            mujoco.mj_forward(self.model, self.data)
            self.data.userdata[_TARGET] = self.tool_pose()
            self._contacts.measure(self.data, self.data.userdata[_WRENCH])
            self._changed()

    def observe(self) -> Observation:
        """The newest state; pictures are taken here, once per state.

        Raises:
            RobotError: the simulation diverged.
            RenderError: cameras were asked for and no picture can be rendered.
        """
        with self._lock:
            if self._fault:
                raise RobotError(self._fault)
            stamp = self.clock.now()
            if self._seen is None or self._seen.stamp != stamp:
                self._seen = self._sense(stamp)
            return self._seen

    def _sense(self, stamp: float) -> Observation:
        data = self.data
        mujoco.mj_objectVelocity(
            self.model, data, mujoco.mjtObj.mjOBJ_SITE, self._site, self._velocity, 0
        )  # angular first
        user = data.userdata[:_OWN].tolist()
        row = np.array(
            [
                *self.tool_pose(),
                *user[_TARGET],
                *self._velocity[3:].tolist(),
                *self._velocity[:3].tolist(),
                *user[_WRENCH],
            ],
            np.float32,
        )
        joints = np.concatenate([data.qpos[self._qpos], data.qvel[self._dof]], dtype=np.float32, casting="same_kind")
        row.flags.writeable = joints.flags.writeable = False
        n = len(joints) // 2
        if self._images is None:
            self._images = self._take_pictures()
        scene, privileged = self._stage.sense(self)
        if self._drawn.any():
            wrong = np.concatenate([perception_error(self._drawn), np.zeros(4)]).astype(np.float32)
            scene = {name: pose + wrong for name, pose in scene.items()}
        return Observation(
            stamp=stamp,
            joint_position=joints[:n],
            joint_velocity=joints[n:],
            tool_pose_in_base=row[:7],
            tool_target_in_base=row[7:14],
            tool_velocity=row[14:20],
            tool_wrench=row[20:26],
            gripper=self._opening(),
            gripper_target=user[_OPENING],
            images=self._images,
            scene=scene,
            privileged=privileged,
        )

    def _opening(self) -> float:
        """How far the fingers are open, all together; what they were told, where there are none."""
        gripper = self.arm_model.gripper
        if gripper is None:
            return float(self.data.userdata[_OPENING])
        way = gripper.opened - gripper.closed
        gone = (np.sign(way) * (self.data.qpos[self._fingers] - gripper.closed)).tolist()
        return min(1.0, max(0.0, sum(gone) / sum(np.abs(way).tolist())))

    def loosen(self) -> None:
        """Let the fingers open against their command, until the next command: for a stage on which grasps slip."""
        if self.arm_model.gripper is not None:
            self.data.ctrl[self._finger_servos] = self.arm_model.gripper.opening

    def _lead_fingers(self, opening: float) -> None:
        self.data.userdata[_OPENING] = opening
        gripper = self.arm_model.gripper
        if gripper is not None:
            self.data.ctrl[self._finger_servos] = gripper.closing + (gripper.opening - gripper.closing) * opening

    def _take_pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        if not self._spec.cameras:
            return {}
        self._stage.paint(self)
        return {name: self._renderer.picture(self.data, name) for name in self._spec.cameras}

    def send(self, command: Command) -> Command:
        with self._lock:
            target = self._checked(command)
            self._aim(target)
            self._follow(self._joint_step)
            self._run(_FORCE_SAMPLES, self._substeps)
            if isinstance(self.clock, FakeClock):
                self.clock.advance(CONTROL_PERIOD)
            self._check_divergence()
            self._derive()
            return Command(np.array(target), command.valid_until)

    def aim(self, command: Command) -> None:
        """Take a command without moving yet: for whoever lets time pass by `advance`, as a stand-in for a real robot.

        Raises: as `send` does.
        """
        with self._lock:
            self._aim(self._checked(command))
            self._changed()

    def advance(self, seconds: float) -> None:
        """Let physics go on towards the present target, or stand still after `stop`; the clock is left alone.

        Raises:
            RobotError: the simulation diverged.
        """
        with self._lock:
            if self._fault:
                raise RobotError(self._fault)
            if not self.data.userdata[_HELD]:
                self._follow(self._speed_max * seconds)
            self._run(1, max(1, round(seconds / self.model.opt.timestep)))
            self._check_divergence()
            self._derive()

    def _aim(self, target: list[float]) -> None:
        self._lead_fingers(target[7])
        user = self.data.userdata
        user[_TARGET] = target[:7]
        user[_HELD] = 0.0

    def _follow(self, step: NDArray[np.float64]) -> None:
        """Move what the servos pull to towards the target, each joint by at most its entry of `step`, rad."""
        last = self.data.ctrl[self._servos].copy()
        wanted = self._kinematics.solve(tuple(self.data.userdata[_TARGET].tolist()), last)
        self.data.ctrl[self._servos] = last + np.minimum(np.maximum(wanted - last, -step), step)

    def _run(self, samples: int, substeps: int) -> None:
        """Physics, with the mean of several samples of the contact force, as a filtered sensor gives it."""
        if self._living is not None:
            self._living.happen(self, samples * substeps * self.model.opt.timestep)
        user = self.data.userdata
        user[_WRENCH] = 0.0
        grasped = 0
        for _ in range(samples):
            mujoco.mj_step(self.model, self.data, nstep=substeps)
            grasped = self._contacts.measure(self.data, user[_WRENCH], 1.0 / samples)
        user[_GRASPED] = grasped

    def _check_divergence(self) -> None:
        if not math.isfinite(float(self.data.qacc.sum())):
            self._fault = f"the simulation diverged at {self.data.time:.2f} s: reset the task"
            raise RobotError(self._fault)

    def _checked(self, command: Command) -> list[float]:
        """The target inside the arm's bounds, its quaternion of unit length."""
        if self._fault:
            raise RobotError(self._fault)
        if command.target.shape != (8,):
            raise ShapeError("Command.target", command.target.shape, (8,))
        now = self.clock.now()
        if command.valid_until < now:
            raise StaleError(f"Command.valid_until: {command.valid_until:.3f} s has passed, now is {now:.3f} s")
        bounds = self._spec.command
        target = np.minimum(np.maximum(command.target, bounds.lower), bounds.upper).tolist()
        if sum(c * c for c in command.target[3:7].tolist()) < 0.01:
            raise InvalidValueError("Command.target[3:7]", command.target[3:7].tolist(), "a unit quaternion")
        target[3:7] = canonical(command.target[3:7].tolist())
        return target

    def stop(self) -> None:
        """Hold the joints where they are; a second call changes nothing."""
        with self._lock:
            if self.data.userdata[_HELD]:
                return
            data = self.data
            data.ctrl[self._servos] = data.qpos[self._qpos]
            data.userdata[_TARGET] = self.tool_pose()
            data.userdata[_HELD] = 1.0
            self._changed()

    def snapshot(self) -> SimState:
        """The whole state; the clock, which never goes back, is not part of it."""
        with self._lock:
            vector = np.empty(self._state_size)
            mujoco.mj_getState(self.model, self.data, vector, mujoco.mjtState.mjSTATE_INTEGRATION)
            return SimState(vector)

    def restore(self, state: SimState) -> None:
        """Go on from a snapshot exactly as it went on then.

        Raises:
            ShapeError: the snapshot is of another world.
        """
        with self._lock:
            if state.vector.shape != (self._state_size,):
                raise ShapeError("SimState.vector", state.vector.shape, (self._state_size,))
            mujoco.mj_setState(self.model, self.data, state.vector, mujoco.mjtState.mjSTATE_INTEGRATION)
            self._fault = ""
            drawn = self.data.userdata[_DRAWN]
            if (drawn != self._drawn).any():
                self.vary(drawn)
            self._derive()

    def render(self, camera: str, height: int, width: int) -> NDArray[np.uint8]:
        """One picture of the present state at any size, RGB. Shape (height, width, 3)."""
        with self._lock:
            self._stage.paint(self)
            return self._renderer.picture(self.data, camera, (height, width))

    def forward(self, joints: NDArray[np.float64]) -> tuple[float, ...]:
        """Tool pose x, y, z, qw, qx, qy, qz in the base frame for joint positions in rad. Shape (n,) -> (7,)."""
        with self._lock:
            return tuple(float(value) for value in self._kinematics.pose(joints))

    def sight(self) -> Sight:
        """How the cameras stand, and what they look at."""
        with self._lock:
            mounts = {name: self._mount(self.model.camera(name).id) for name in self._spec.cameras}
            gripper = self.arm_model.gripper
            return Sight(mounts, self._surface, None if gripper is None else gripper.width)

    def _mount(self, camera: int) -> CameraMount:
        data = self.data
        turned = data.cam_xmat[camera].reshape(3, 3) * (1.0, -1.0, -1.0)  # MuJoCo's looks along -z, y up
        place = data.cam_xpos[camera]
        still = self.model.cam_bodyid[camera] == 0
        if not still:
            hand = data.xmat[self._hand].reshape(3, 3)
            turned, place = hand.T @ turned, hand.T @ (place - data.site_xpos[self._site])
        return CameraMount(
            parent="base" if still else "tool",
            rotation=tuple(turned.ravel().tolist()),
            position=tuple(place.tolist()),
            focal=0.5 / math.tan(0.5 * math.radians(float(self.model.cam_fovy[camera]))),
        )

    def close(self) -> None:
        """Give the graphics context back; the arm still moves, without pictures."""
        with self._lock:
            self._renderer.close()

    def _derive(self) -> None:
        """Positions and velocities of bodies from the state: mj_step leaves those of one substep before."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_comVel(self.model, self.data)
        self._changed()

    def _changed(self) -> None:
        self._seen = None
        self._images = None
