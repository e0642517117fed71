"""A task of your own, here and as `robot-rlhf train --task examples/02_own_task.py:Catch`."""

import numpy as np

import robot_rlhf as rr
from robot_rlhf.datatypes import Action, ActionLayout, Assignment, Observation
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.experts import ScriptedExpert
from robot_rlhf_sim.robots import BUILT_IN, ArmModel
from robot_rlhf_sim.rotation import POINTING_DOWN
from robot_rlhf_sim.tasks import Reach


class Catch:
    """Touch a marker that moves along at 3 cm/s."""

    name, instruction, time_limit = "catch", "touch the marker that moves", 60
    limits, scene_sizes, privileged_sizes = Reach.limits, {"marker": 7}, {"marker": 7}

    def __init__(self, clock, cameras=None, *, arm: ArmModel = BUILT_IN) -> None:
        world, move = arm.load(), ActionLayout(("x", "y", "z"), np.full(3, 0.02, np.float32))  # 2 cm per step
        world.worldbody.add_body(name="marker", mocap=True).add_geom(size=[0.012] * 3, contype=0, conaffinity=0)
        self.arm = SimArm(self, world, move, clock, cameras or {}, model=arm)

    def reset(self, rng: np.random.Generator) -> None:
        self.arm.begin((0.5, 0.0, 0.25, *POINTING_DOWN), 1.0)
        self.arm.data.mocap_pos[0] = rng.uniform((0.4, -0.15, 0.06), (0.6, 0.05, 0.15))
        self.arm.settle()

    def happen(self, arm: SimArm, seconds: float) -> None:
        arm.data.mocap_pos[0, 1] += 0.03 * seconds

    def sense(self, arm: SimArm):
        pose = {"marker": np.array([*arm.data.mocap_pos[0], 1, 0, 0, 0], np.float32)}
        return pose, pose  # as perceived, and as it is

    def paint(self, arm: SimArm) -> None: ...

    def remaining(self, observation: Observation) -> float:
        return float(np.linalg.norm(observation.privileged["marker"][:3] - observation.tool_pose_in_base[:3]))

    def success(self, observation: Observation) -> bool:
        return self.remaining(observation) < 0.015

    def expert(self, noise: float = 0.0, tap: float = 0.0) -> ScriptedExpert:
        return Catcher(self.arm.spec.action, noise)


class Catcher(ScriptedExpert):
    def act(self, observation: Observation, asked: Assignment, rng: np.random.Generator) -> Action:
        x, y, z, *_ = observation.privileged["marker"].tolist()
        return self.towards(observation, (x, y, z), POINTING_DOWN, rng)


def main(steps: int = 1_500, **others) -> rr.Run:
    return rr.train(Catch, steps=steps, **others)


if __name__ == "__main__":
    print(main())
