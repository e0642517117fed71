"""What a policy sees: rotations against an independent implementation, sizes, and what may not change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import sample_observation
from robot_rlhf.datatypes import ActionLayout, Observation, RobotSpec
from robot_rlhf.errors import ConfigError
from robot_rlhf.policy.features import TURN_GAIN, FeatureConfig, Features, flip, turn_between, turn_from_down
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot
from robot_rlhf_sim.tasks import PegInsert, PickCube, Push, Reach

TASKS = {"reach": Reach, "pick_cube": PickCube, "peg_insert": PegInsert}
CONFIGS = [
    FeatureConfig(),
    FeatureConfig(force=True, fine=0.005),
    FeatureConfig(fine=0.0),
    FeatureConfig(scene=False),
    FeatureConfig(absolute=True),
    FeatureConfig(history=4),
]

angles = st.floats(-3.0, 3.0)
vectors = st.tuples(angles, angles, angles).map(np.array)


# -- rotations, by matrices --------------------------------------------------------------------------------------------


def matrix(rotation: np.ndarray) -> np.ndarray:
    """Rotation matrix of a rotation vector (Rodrigues)."""
    angle = float(np.linalg.norm(rotation))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = rotation / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """(w, x, y, z) of a rotation vector."""
    angle = float(np.linalg.norm(rotation))
    axis = rotation / angle if angle > 1e-12 else np.zeros(3)
    return np.array([np.cos(angle / 2), *(np.sin(angle / 2) * axis)])


def to_matrix(q: np.ndarray) -> np.ndarray:
    """Rotation matrix of a unit quaternion."""
    w, v = q[0], q[1:]
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + 2 * w * k + 2 * k @ k


@given(a=vectors, b=vectors, sign=st.sampled_from([-1.0, 1.0]))
def test_turn_between_leads_from_one_to_the_other_the_shortest_way(a: np.ndarray, b: np.ndarray, sign: float) -> None:
    turn = turn_between(quaternion(a), sign * quaternion(b))
    assert np.linalg.norm(turn) <= np.pi + 1e-9
    np.testing.assert_allclose(matrix(turn) @ matrix(a), matrix(b), atol=1e-7)


@given(a=vectors, small=st.floats(0.0, 1e-8))
def test_turn_between_is_exact_near_zero(a: np.ndarray, small: float) -> None:
    turn = np.array([small, 0.0, 0.0])
    np.testing.assert_allclose(turn_between(quaternion(np.zeros(3)), quaternion(turn)), turn, atol=1e-12)
    np.testing.assert_allclose(turn_between(quaternion(a), quaternion(a)), 0.0, atol=1e-7)


@given(a=vectors)
def test_turn_from_down_is_measured_from_half_a_turn_about_x(a: np.ndarray) -> None:
    down = np.diag([1.0, -1.0, -1.0])
    np.testing.assert_allclose(matrix(turn_from_down(quaternion(a))) @ down, matrix(a), atol=1e-7)


@given(a=vectors)
def test_flip_points_down_onto_a_thing(a: np.ndarray) -> None:
    np.testing.assert_allclose(to_matrix(flip(quaternion(a))), matrix(a) @ np.diag([1.0, -1.0, -1.0]), atol=1e-9)
    np.testing.assert_allclose(flip(np.array([1.0, 0.0, 0.0, 0.0])), [0.0, 1.0, 0.0, 0.0], atol=0)


# -- the vector --------------------------------------------------------------------------------------------------------


def scene_spec(task: str) -> RobotSpec:
    return TASKS[task](FakeClock()).arm.spec


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("config", CONFIGS)
def test_size_is_the_length_and_values_are_finite(task: str, config: FeatureConfig) -> None:
    spec = scene_spec(task)
    features = Features(spec, config)
    rng = np.random.default_rng(0)
    for _ in range(20):
        state = features.state(sample_observation(spec, 0.0, rng))
        assert state.shape == (features.size,)
        assert state.dtype == np.float32
        assert np.isfinite(state).all()


@pytest.mark.parametrize("config", CONFIGS)
def test_sizes_differ_where_settings_do(config: FeatureConfig) -> None:
    spec = scene_spec("peg_insert")
    same = [other for other in CONFIGS if Features(spec, other).size == Features(spec, config).size]
    assert same == [config]


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_real_scene_gives_numbers_that_a_network_likes(task: str) -> None:
    made = TASKS[task](FakeClock())
    features = Features(made.arm.spec, FeatureConfig(force=True))
    for seed in range(5):
        made.reset(np.random.default_rng(seed))
        assert np.abs(features.state(made.arm.observe())).max() < 8.0


def entries(features: Features, names: Mapping[str, int]) -> dict[str, slice]:
    """Where each group of entries of a robot that moves and turns begins and ends."""
    found: dict[str, slice] = {}
    start = 0
    for name, size in names.items():
        found[name] = slice(start, start + size)
        start += size
    assert start == features.size
    return found


def moved(o: Observation, by: np.ndarray, scene: str) -> Observation:
    """Tool, target and thing, all shifted together."""

    def shift(pose: np.ndarray) -> np.ndarray:
        return np.array([*(pose[:3] + by), *pose[3:]], np.float32)

    return replace(
        o,
        tool_pose_in_base=shift(o.tool_pose_in_base),
        tool_target_in_base=shift(o.tool_target_in_base),
        scene={scene: shift(o.scene[scene])},
    )


@pytest.mark.parametrize("absolute", [False, True])
def test_moving_tool_and_cube_together_changes_only_absolute_entries(absolute: bool) -> None:
    """Height is always given, the place in the plane only when it is asked for."""
    made = PickCube(FakeClock())
    features = Features(made.arm.spec, FeatureConfig(force=True, absolute=absolute))
    place = 3 if absolute else 1
    turns = {"turn": 3, "turn_lead": 3, "turning": 3} if features.turns else {}
    where = entries(
        features,
        {
            **{"place": place, "lead": 3, "velocity": 3, **turns, "grip": 2, "force": 3},
            **{"cube": place, "away": 3, "fine": 3, **({"cube_turn": 3} if features.turns else {})},
        },
    )
    made.reset(np.random.default_rng(0))
    before = made.arm.observe()
    along, up = np.array([0.03125, -0.0625, 0.0]), np.array([0.0, 0.0, 0.015625])
    a = features.state(before)
    changed = np.zeros(features.size, bool)
    for shift, entry in ((along, slice(0, place - 1)), (up, slice(place - 1, place))):
        b = features.state(moved(before, shift, "cube"))
        changed[:] = False
        for name in ("place", "cube"):
            changed[where[name]][entry] = True
        assert (np.abs(a - b)[changed] > 1e-3).all()
        np.testing.assert_allclose(a[~changed], b[~changed], atol=1e-4)


def test_moving_only_the_cube_is_seen() -> None:
    made = PickCube(FakeClock())
    features = Features(made.arm.spec, FeatureConfig())
    made.reset(np.random.default_rng(0))
    before = made.arm.observe()
    cube = before.scene["cube"].copy()
    cube[0] += 0.001
    after = replace(before, scene={"cube": cube})
    assert np.abs(features.state(before) - features.state(after)).max() > 0.005


def test_turning_tool_and_thing_alike_leaves_the_difference() -> None:
    """About the vertical, the turn from tool to thing turns along: its length, and what is vertical, stay."""
    spec = FakeRobot(FakeClock(), action=ActionLayout(("x", "y", "z", "rx", "ry", "rz"), np.ones(6, np.float32))).spec
    spec = replace(spec, scene={"thing": 7})
    features = Features(spec, FeatureConfig())
    o = sample_observation(spec, 0.0, np.random.default_rng(0))

    def turned(by: float) -> np.ndarray:
        tool, thing = quaternion(np.array([0, 0, by])), quaternion(np.array([0, 0, by + 0.3]))
        tool = flip(tool)
        pose = np.array([*o.tool_pose_in_base[:3], *tool], np.float32)
        seen = replace(
            o,
            tool_pose_in_base=pose,
            tool_target_in_base=pose,
            scene={"thing": np.array([0, 0, 0, *thing], np.float32)},
        )
        return features.state(seen)[-3:] / TURN_GAIN

    for by in (-0.5, 0.0, 0.4):
        np.testing.assert_allclose(turned(by), [0.0, 0.0, 0.3], atol=1e-6)


def test_privileged_truth_is_never_seen() -> None:
    made = PickCube(FakeClock())
    features = Features(made.arm.spec, FeatureConfig(force=True))
    made.reset(np.random.default_rng(0))
    before = made.arm.observe()
    lied: dict[str, Any] = {name: np.full_like(v, 123.0) for name, v in before.privileged.items()}
    after = replace(before, privileged=lied)
    np.testing.assert_array_equal(features.state(before), features.state(after))


def test_a_robot_with_direct_commands_gives_its_scene_as_it_is() -> None:
    spec = scene_spec("reach")
    spec = replace(spec, command=replace(spec.command, kind="direct"), scene={"a": 3, "b": 2})
    features = Features(spec, FeatureConfig())
    o = sample_observation(spec, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(features.state(o), np.concatenate([o.scene["a"], o.scene["b"]]))
    assert features.size == 5
    assert Features(spec, FeatureConfig(scene=False)).size == 0


def test_pictures_are_passed_on_and_unknown_cameras_refused() -> None:
    spec = replace(scene_spec("reach"), cameras={"front": (8, 6), "wrist": (4, 4)})
    features = Features(spec, FeatureConfig(cameras=("front",)))
    o = sample_observation(spec, 0.0, np.random.default_rng(0))
    seen = features(o)
    assert set(seen) == {"state", "front"}
    assert seen["front"] is o.images["front"]
    with pytest.raises(ConfigError, match=r"no camera \['side'\].*front"):
        Features(spec, FeatureConfig(cameras=("side",)))


@pytest.mark.parametrize("known", [0, 1, 3, 5])
def test_history_ends_the_state_newest_first_and_is_zero_before_the_episode(known: int) -> None:
    spec = scene_spec("reach")
    o = sample_observation(spec, 0.0, np.random.default_rng(0))
    actions = np.random.default_rng(1).uniform(-1.0, 1.0, (known, 3)).astype(np.float32)
    without, features = Features(spec, FeatureConfig()), Features(spec, FeatureConfig(history=3))
    state = features.state(o.after(actions))
    assert len(state) == features.size == without.size + 9
    np.testing.assert_array_equal(state[:-9], without.state(o))
    expected = [*actions[:3], *[np.zeros(3)] * 3][:3]
    np.testing.assert_array_equal(state[-9:], np.concatenate(expected))


def test_history_is_checked() -> None:
    for wrong in (-1, 9):
        with pytest.raises(ConfigError, match=r"features.history: got .*, allowed 0 to 8"):
            FeatureConfig(history=wrong)


def test_history_of_direct_commands_is_what_the_guard_let_through() -> None:
    spec = scene_spec("reach")
    spec = replace(spec, command=replace(spec.command, kind="direct"), scene={"a": 3})
    o = sample_observation(spec, 0.0, np.random.default_rng(0)).after(np.full((2, 3), 0.5, np.float32))
    state = Features(spec, FeatureConfig(history=2)).state(o)
    np.testing.assert_array_equal(state, np.concatenate([o.scene["a"], np.full(6, 0.5)]))


@pytest.mark.parametrize("task", ["pick_cube", "peg_insert"])
def test_ahead_shows_things_as_they_will_be_seen_once_the_tool_has_arrived(task: str) -> None:
    """Of a tool that has arrived where it is told to be, both views are one; of one on its way they differ."""
    spec = scene_spec(task)
    plain, ahead = (Features(spec, FeatureConfig(ahead=on)) for on in (False, True))
    assert plain.size == ahead.size
    o = sample_observation(spec, 0.0, np.random.default_rng(0))
    behind = quaternion(np.array([3.0, 0.0, 0.2]))
    o = replace(o, tool_pose_in_base=np.array([*(o.tool_target_in_base[:3] - 0.03), *behind], np.float32))
    arrived = replace(o, tool_pose_in_base=o.tool_target_in_base)
    np.testing.assert_array_equal(plain.state(arrived), ahead.state(arrived))
    assert (plain.state(o) != ahead.state(o)).any()
    thing = Features(spec, FeatureConfig(scene=False)).size
    np.testing.assert_array_equal(ahead.state(o)[thing:], plain.state(arrived)[thing:])
    np.testing.assert_array_equal(ahead.state(o)[:thing], plain.state(o)[:thing])
    direct = replace(spec, command=replace(spec.command, kind="direct"), scene={"a": 3})
    with pytest.raises(ConfigError, match=r"features\.ahead"):
        Features(direct, FeatureConfig(ahead=True))
    with pytest.raises(ConfigError, match=r"features\.between"):
        Features(direct, FeatureConfig(between=True))


def test_between_tells_direction_and_distance_of_every_two_things() -> None:
    made = Push(FakeClock())
    spec, names = made.arm.spec, list(made.arm.spec.scene)
    plain, between = (Features(spec, FeatureConfig(between=on)) for on in (False, True))
    made.reset(np.random.default_rng(0))
    o = made.arm.observe()
    o = replace(o, scene={**o.scene, names[1]: o.scene[names[0]]})
    told = between.state(o)[plain.size :]
    np.testing.assert_array_equal(between.state(o)[: plain.size], plain.state(o))
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    assert len(told) == 4 * len(pairs)
    ways, distances = told[: 3 * len(pairs)].reshape(-1, 3), told[3 * len(pairs) :]
    for (a, b), way, distance in zip(pairs, ways, distances, strict=True):
        apart = o.scene[b][:3] - o.scene[a][:3]
        length = float(np.linalg.norm(apart))
        assert distance == pytest.approx(length / 0.125, abs=1e-6)
        np.testing.assert_allclose(way, apart / length if length else np.zeros(3), atol=1e-5)
