from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf import datatypes
from robot_rlhf.conformance import assert_same_state, sample_meta, sample_observation, sample_steps
from robot_rlhf.datatypes import (
    Action,
    ActionLayout,
    Command,
    CommandLayout,
    Driver,
    EpisodeEnd,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    HumanInput,
    Outcome,
    RobotSpec,
    Segment,
    WeightSnapshot,
    frozen_array,
    weights_checksum,
)
from robot_rlhf.episode import Episode
from robot_rlhf.errors import InvalidValueError, ShapeError, UnknownNameError
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot
from tests.draws import draws

SPEC = replace(
    FakeRobot(FakeClock()).spec,
    cameras={"front": (4, 6)},
    scene={"cube": 7},
    privileged={"truth": 3},
)


def observed(**changes: Any) -> datatypes.Observation:
    return replace(sample_observation(SPEC, 1.0, np.random.default_rng(0)), **changes)


def test_every_noun_is_frozen() -> None:
    nouns = [v for v in vars(datatypes).values() if isinstance(v, type) and is_dataclass(v)]
    assert len(nouns) > 12
    for noun in nouns:
        assert noun.__dataclass_params__.frozen, noun  # pyright: ignore[reportAttributeAccessIssue]  set by dataclass
        assert noun.__doc__


@given(st.sampled_from([f.name for f in fields(observed())]))
def test_an_observation_cannot_be_changed(name: str) -> None:
    seen = observed()
    with pytest.raises((FrozenInstanceError, TypeError)):
        setattr(seen, name, None)
    value = getattr(seen, name)
    if isinstance(value, np.ndarray):
        with pytest.raises(ValueError, match="read-only"):
            value[...] = 0


def test_values_do_not_follow_the_arrays_they_came_from() -> None:
    source = np.zeros(3, np.float32)
    view = np.zeros((2, 3), np.float32)
    actions = [Action(source), Action(view[0])]
    source[:] = 1.0
    view[:] = 1.0
    for action in actions:
        assert not action.values.any()
    picture = np.zeros((4, 6, 3), np.uint8)
    seen = observed(images={"front": picture})
    picture[:] = 9
    assert not seen.images["front"].any()
    with pytest.raises(TypeError):
        seen.images["front"] = picture  # pyright: ignore[reportIndexIssue]  it must fail at run time too


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"tool_pose_in_base": np.zeros(6)}, ShapeError, r"tool_pose_in_base.*\(6,\).*\(7,\)"),
        ({"tool_wrench": np.full(6, np.nan)}, InvalidValueError, "tool_wrench.*finite"),
        ({"joint_velocity": np.full(6, np.inf)}, InvalidValueError, "joint_velocity.*finite"),
        ({"gripper": 1.5}, InvalidValueError, "gripper.*closed"),
        ({"gripper": float("nan")}, InvalidValueError, "gripper"),
        ({"images": {"front": np.zeros((4, 6, 3), np.float32)}}, InvalidValueError, "front.*float32.*uint8"),
        ({"images": {"front": np.zeros((4, 6), np.uint8)}}, ShapeError, "front"),
        ({"scene": {"cube": np.zeros((2, 2))}}, ShapeError, "cube"),
        ({"privileged": {"truth": [np.nan]}}, InvalidValueError, "truth"),
    ],
)
def test_an_observation_names_what_is_wrong_with_it(changes: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        observed(**changes)


@given(st.lists(st.floats(-1, 1, width=32), max_size=8))
def test_an_action_keeps_what_it_is_given(values: list[float]) -> None:
    np.testing.assert_array_equal(Action(np.array(values, np.float32)).values, np.array(values, np.float32))


@pytest.mark.parametrize("bad", [1.01, -2.0, np.nan, np.inf])
def test_an_action_is_a_finite_wish_in_its_range(bad: float) -> None:
    with pytest.raises(InvalidValueError, match=r"Action\.values"):
        Action(np.array([0.0, bad], np.float32))


def test_a_command_is_finite_in_value_and_time() -> None:
    with pytest.raises(InvalidValueError, match=r"Command\.target"):
        Command(np.array([np.nan]), 1.0)
    with pytest.raises(InvalidValueError, match="valid_until"):
        Command(np.zeros(1), float("inf"))
    assert Command(np.array([1 / 3]), 1.0).target[0] == 1 / 3, "commands are float64"


def test_layouts_and_specs_check_their_lengths() -> None:
    one = np.ones(1, np.float32)
    with pytest.raises(ShapeError, match=r"ActionLayout\.scale.*\(1,\).*\(2,\)"):
        ActionLayout(("x", "y"), one)
    with pytest.raises(ShapeError, match=r"\(1,\).*\(8,\)"):
        CommandLayout("tool_pose", ("x",), np.zeros(1), np.ones(1))
    with pytest.raises(ShapeError, match=r"RobotSpec\.speed_max"):
        replace(SPEC, speed_max=one)
    with pytest.raises(InvalidValueError, match=r"control_period.*0\.0"):
        replace(SPEC, control_period=0.0)
    assert isinstance(SPEC, RobotSpec)
    assert SPEC.action.size == 5


def test_small_values_check_themselves() -> None:
    with pytest.raises(InvalidValueError, match="Segment"):
        Segment("a", 0, 0)
    with pytest.raises(InvalidValueError, match="confidence"):
        Feedback(FeedbackKind.SCORE, "eve", 0.0, Segment("a", 0, 1), confidence=1.1)
    with pytest.raises(InvalidValueError, match="preference"):
        Feedback(FeedbackKind.PREFERENCE, "eve", 0.0, Segment("a", 0, 1))
    with pytest.raises(InvalidValueError, match=r"EpisodeMeta\.id"):
        replace(sample_meta(0), id="")
    assert HumanInput().action is None
    assert isinstance(sample_meta(0), EpisodeMeta)
    step = sample_steps(SPEC, 1, 0)[0]
    with pytest.raises(ShapeError, match=r"Step\.proposed"):
        replace(step, proposed=Action(np.zeros(2, np.float32)))
    with pytest.raises(InvalidValueError, match=r"Step\.reward"):
        replace(step, reward=float("nan"))


@given(st.booleans())
def test_frozen_array_never_locks_the_array_of_others(view: bool) -> None:
    source = np.zeros((2, 3), np.float32)
    array = frozen_array("a", source[0] if view else source, (None,) if view else (None, None))
    assert source.flags.writeable
    assert not array.flags.writeable


def test_a_snapshot_proves_its_weights() -> None:
    arrays = {"b": np.arange(4.0), "a": np.ones((2, 2), np.float32)}
    snapshot = WeightSnapshot(3, arrays)
    assert WeightSnapshot(3, dict(reversed(arrays.items())), snapshot.checksum).checksum == snapshot.checksum
    assert weights_checksum({**arrays, "b": arrays["b"].astype(np.float32)}) != snapshot.checksum
    assert weights_checksum({**arrays, "b": arrays["b"].reshape(2, 2)}) != snapshot.checksum
    with pytest.raises(InvalidValueError, match="checksum"):
        WeightSnapshot(3, {**arrays, "b": np.zeros(4)}, snapshot.checksum)


@draws(20)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_an_episode_gives_back_its_steps(count: int, seed: int) -> None:
    steps = sample_steps(SPEC, count, seed)
    episode = Episode.from_steps(sample_meta(0), steps, end=EpisodeEnd("episode-0000", Outcome.TIME_LIMIT, count))
    assert len(episode) == count
    np.testing.assert_array_equal(episode.by_human, [step.driver is Driver.HUMAN for step in steps])
    for step, again in zip(steps, episode.steps(), strict=True):
        assert_same_state(step.observation, again.observation)
        assert_same_state(step.next_observation, again.next_observation)
        assert step.observation.stamp == again.observation.stamp
        np.testing.assert_array_equal(step.action.values, again.action.values)
        assert step.proposed is not None
        assert again.proposed is not None
        np.testing.assert_array_equal(step.proposed.values, again.proposed.values)
        same = ("index", "driver", "reward", "terminated", "truncated", "policy_version", "instruction")
        assert [getattr(step, name) for name in same] == [getattr(again, name) for name in same]
        assert again.gold_reward == pytest.approx(step.gold_reward)


def test_an_episode_refuses_steps_with_a_gap() -> None:
    steps = sample_steps(SPEC, 4, 0)
    with pytest.raises(InvalidValueError, match="follow one another"):
        Episode.from_steps(sample_meta(0), [steps[0], steps[2]])
    with pytest.raises(InvalidValueError, match="at least one step"):
        Episode.from_steps(sample_meta(0), [])


def test_errors_name_the_likely_typo() -> None:
    error = UnknownNameError("task", "pick_cub", ["reach", "pick_cube"])
    assert str(error) == "unknown task 'pick_cub'. Did you mean 'pick_cube'? Known: pick_cube, reach"
