"""Domain randomisation: bounded, drawn from the episode, undone exactly, and part of snapshots."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from robot_rlhf.conformance import TaskConformance, assert_same_state
from robot_rlhf.datatypes import Assignment, Observation
from robot_rlhf.errors import ConfigError
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig, DisturbedRobot
from robot_rlhf_sim.place import TASKS, SimConfig, SimPlace
from robot_rlhf_sim.tasks import PickCube
from robot_rlhf_sim.variation import DRAWS, FRICTION, MASS, PERCEPTION, SIZE
from robot_rlhf_sim.varied import VariedTask

PICTURES = {"front": (16, 16), "wrist": (16, 16)}


def numbers(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Every array of a model that physics or pictures depend on."""
    found = {name: getattr(model, name) for name in dir(model) if name.partition("_")[0] in PARTS}
    return {name: value.copy() for name, value in found.items() if isinstance(value, np.ndarray)}


PARTS = frozenset({"body", "geom", "dof", "jnt", "actuator", "light", "cam", "tendon", "site"})


def world(randomise: float, task: str = "pick_cube") -> SimPlace:
    return SimConfig(randomise=randomise).open(task, clock=FakeClock(), cameras={})


def reset(made: SimPlace, seed: int) -> Observation:
    return made.guard.begin(lambda: made.task.reset(np.random.default_rng(seed)))


class TestRandomisedTask(TaskConformance):
    def make_task(self) -> tuple[VariedTask, DisturbedRobot]:
        clock = FakeClock()
        task = PickCube(clock)
        robot = DisturbedRobot(task.arm, DisturbanceConfig(), clock)
        return VariedTask(task, robot, 0.5), robot


@pytest.mark.parametrize("name", sorted(TASKS))
def test_no_draws_leave_the_model_as_it_was_compiled(name: str) -> None:
    arm = TASKS[name](FakeClock(), cameras=PICTURES).arm
    before = numbers(arm.model)
    arm.vary(np.ones(DRAWS))
    assert any((before[key] != value).any() for key, value in numbers(arm.model).items())
    arm.vary(np.zeros(DRAWS))
    for key, value in numbers(arm.model).items():
        np.testing.assert_array_equal(before[key], value, err_msg=key)


def test_draws_change_what_they_name_by_what_they_say() -> None:
    arm = PickCube(FakeClock(), cameras=PICTURES).arm
    cube = arm.model.geom("cube").id
    body = arm.model.body("cube").id
    before = numbers(arm.model)
    arm.vary(np.eye(DRAWS)[0])
    np.testing.assert_allclose(arm.model.geom_size[cube], before["geom_size"][cube] * (1 + SIZE))
    np.testing.assert_allclose(arm.model.geom_rbound[cube], np.linalg.norm(arm.model.geom_size[cube]))
    assert arm.model.body_mass[body] == before["body_mass"][body]
    np.testing.assert_allclose(arm.model.body_inertia[body], arm.model.body_mass[body] * (2 * 0.024) ** 2 / 6)
    arm.vary(np.eye(DRAWS)[1])
    np.testing.assert_allclose(arm.model.body_mass[body], before["body_mass"][body] * MASS)
    others = np.arange(arm.model.nbody) != body
    np.testing.assert_array_equal(arm.model.body_mass[others], before["body_mass"][others])
    arm.vary(-np.eye(DRAWS)[2])
    np.testing.assert_allclose(arm.model.geom_friction[:, 0], before["geom_friction"][:, 0] / FRICTION)
    for entry, name in ((3, "light_diffuse"), (4, "light_pos"), (7, "cam_pos"), (10, "cam_quat")):
        arm.vary(np.eye(DRAWS)[entry])
        assert (getattr(arm.model, name) != before[name]).any(), name
    np.testing.assert_allclose(np.linalg.norm(arm.model.cam_quat, axis=1), 1.0)


def test_without_pictures_light_and_cameras_stay() -> None:
    """People's pictures of a policy that sees none stay where their overlays are."""
    arm = PickCube(FakeClock()).arm
    before = numbers(arm.model)
    arm.vary(np.ones(DRAWS))
    for name in ("light_diffuse", "light_pos", "cam_pos", "cam_quat"):
        np.testing.assert_array_equal(getattr(arm.model, name), before[name])


def test_perception_is_wrong_and_the_truth_is_not() -> None:
    made = world(1.0)
    wrong = []
    for seed in range(20):
        seen = reset(made, seed)
        error = seen.scene["cube"] - seen.privileged["cube"]
        np.testing.assert_array_equal(error[3:], 0.0)
        wrong.append(error[:3])
    assert np.abs(wrong).max() <= PERCEPTION + 1e-6
    assert np.abs(wrong).max() > 0.5 * PERCEPTION
    assert len({error.tobytes() for error in wrong}) == 20


def test_an_episode_draws_one_world_by_its_seed_and_starts_as_ever() -> None:
    made, plain = world(0.5), world(0.0)

    def drawn(seed: int) -> bytes:
        reset(made, seed)
        return b"".join(value.tobytes() for value in numbers(made.task.arm.model).values())

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    a, b = reset(made, 3), reset(plain, 3)
    np.testing.assert_array_equal(a.joint_position, b.joint_position)
    np.testing.assert_allclose(a.privileged["cube"][:2], b.privileged["cube"][:2])


def test_the_cube_stands_on_the_table_whatever_its_size() -> None:
    made = world(1.0)
    for seed in range(8):
        reset(made, seed)
        before = made.task.arm.observe().privileged["cube"]
        made.task.arm.advance(0.3)
        after = made.task.arm.observe().privileged["cube"]
        assert np.abs(after[:3] - before[:3]).max() < 2e-3


def test_a_snapshot_brings_its_world_along() -> None:
    """Also into another arm of the same task, and from another episode."""
    made = world(1.0)
    reset(made, 1)
    arm = made.task.arm
    state, size = arm.snapshot(), arm.model.geom_size.copy()
    seen = arm.observe()
    reset(made, 2)
    assert (arm.model.geom_size != size).any()
    arm.restore(state)
    np.testing.assert_array_equal(arm.model.geom_size, size)
    assert_same_state(arm.observe(), seen)
    other = PickCube(FakeClock()).arm
    other.restore(state)
    np.testing.assert_array_equal(other.model.geom_size, size)
    for one in (arm, other):
        one.advance(0.2)
    np.testing.assert_array_equal(arm.observe().joint_position, other.observe().joint_position)


def test_delay_and_noise_are_drawn_around_what_is_set() -> None:
    disturbance = DisturbanceConfig(command_delay=1, action_noise=0.1)
    made = SimConfig({}, disturbance, randomise=1.0).open("pick_cube", clock=FakeClock(), cameras={})
    assert isinstance(made.task, VariedTask)
    found: list[DisturbanceConfig] = []
    for seed in range(40):
        reset(made, seed)
        found.append(made.task._robot.config)
    assert {one.command_delay for one in found} == {1, 2, 3}
    noises = [one.action_noise for one in found]
    assert min(noises) >= 0.1
    assert max(noises) <= 0.35
    assert {one.sensing_delay for one in found} == {0}


def test_what_is_drawn_stays_within_what_can_be_set() -> None:
    most = DisturbanceConfig(command_delay=3, sensing_delay=3, jitter=1.0, action_noise=10.0)
    made = SimConfig({}, most, randomise=1.0).open("pick_cube", clock=FakeClock(), cameras={})
    assert isinstance(made.task, VariedTask)
    for seed in range(5):
        made.task.reset(np.random.default_rng(seed))
        assert made.task._robot.config == most


def test_a_script_that_knows_the_truth_still_does_the_task() -> None:
    made = world(0.3)
    done = 0
    for seed in range(10):
        seen, rng = reset(made, seed), np.random.default_rng(seed)
        expert = made.task.expert()
        expert.reset()
        for _ in range(made.task.time_limit):
            made.guard.act(expert.act(seen, Assignment(), rng))
            seen = made.guard.observe()
            if made.task.success(seen):
                done += 1
                break
    assert done >= 9


def test_settings_are_checked() -> None:
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="randomise"):
            SimConfig(randomise=wrong)
