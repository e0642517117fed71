"""Ranked rules: each factor by hand, and the first one that tells two segments apart."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rlhf.conformance import LabelerConformance
from robot_rlhf.datatypes import Outcome, Segment
from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.ports import Labeler
from robot_rlhf.rewards.labelers.rules import Factor, RankedRules, deviations_of, factor
from tests.rewards.recorded_clips import EpisodeClips, episode

WHOLE = Segment("e", 0, 4)


def tool(*positions: tuple[float, float, float]) -> np.ndarray:
    return np.array([[*p, 1, 0, 0, 0] for p in positions], np.float32)


def value(name: str, clips: EpisodeClips, segment: Segment = WHOLE) -> float:
    return factor(name).value(clips, segment)


def test_success_is_where_the_end_is_shown() -> None:
    def told(outcome: Outcome | None, segment: Segment = WHOLE) -> float:
        return value("success", EpisodeClips(episode("e", 4, outcome)), segment)

    assert [told(o) for o in (Outcome.SUCCESS, Outcome.TIME_LIMIT, Outcome.FAILURE)] == [1, -1, -1]
    assert told(None) == told(Outcome.FAULT) == 0
    assert told(Outcome.SUCCESS, Segment("e", 0, 3)) == 0
    assert told(Outcome.SUCCESS, Segment("e", 3, 1)) == 1


def test_force_time_and_path_by_hand() -> None:
    wrench = np.zeros((5, 6), np.float32)
    wrench[1, :3] = (3, 0, 4)
    wrench[4, 3:] = 100  # a torque
    path = tool((0, 0, 0), (0.3, 0, 0.4), (0.3, 0, 0.4), (0.3, 0.1, 0.4), (0.3, 0, 0.4))
    stamps = np.array([2.0, 2.1, 2.2, 2.3, 2.5])
    clips = EpisodeClips(episode("e", 4, tool_wrench=wrench, tool_pose_in_base=path, stamp=stamps))
    assert value("force", clips) == pytest.approx(-5)
    assert value("path", clips) == pytest.approx(-0.7)
    assert value("time", clips) == pytest.approx(-0.5)
    assert value("force", clips, Segment("e", 2, 2)) == 0
    assert value("path", clips, Segment("e", 1, 2)) == pytest.approx(-0.1)


def test_things_are_approached_and_lifted() -> None:
    cube = tool((0, 0, 0.1), (0, 0, 0.1), (0, 0, 0.1), (0, 0, 0.2), (0, 0, 0.35))
    path = tool((0, 0, 1.1), *[(0, 0, 0.5)] * 4)
    clips = EpisodeClips(episode("e", 4, scene__cube=cube, tool_pose_in_base=path))
    assert value("lift:cube", clips) == pytest.approx(0.25)
    assert value("height:cube", clips) == pytest.approx((3 * 0.1 + 0.2 + 0.35) / 5)
    assert value("near:cube", clips) == pytest.approx(-(1.0 + 0.4 + 0.4 + 0.3 + 0.15) / 5)
    assert value("approach:cube", clips) == pytest.approx(1.0 - 0.15)
    with pytest.raises(UnknownNameError, match=r"thing of the scene 'cubes'\. Did you mean 'cube'"):
        value("lift:cubes", clips)


def test_any_fact_is_a_factor_with_a_measure() -> None:
    cube = tool((0, 0, 0.1), (0, 0, 0.1), (0, 0, 0.1), (0, 0, 0.2), (0, 0, 0.35))
    path = tool((0, 0, 1.1), *[(0, 0, 0.5)] * 4)
    speed = np.zeros((5, 6), np.float32)
    speed[2, :3] = (3, 0, 4)
    clips = EpisodeClips(episode("e", 4, scene__cube=cube, tool_pose_in_base=path, tool_velocity=speed))
    for name, wanted in {
        "-most:speed": -5.0,
        "mean:speed": 1.0,
        "least:distance(tool,cube)": 0.15,
        "last:height(cube)": 0.35,
        "gain:height(cube)": value("lift:cube", clips),
        "-gain:distance(tool, cube)": value("approach:cube", clips),
        "mean:above(tool, cube)": 1.0,
        "gain:near(tool, cube)": 0.0,
    }.items():
        assert value(name, clips) == pytest.approx(wanted), name
    assert factor("-most:speed@0.5").threshold == 0.5
    with pytest.raises(UnknownNameError, match=r"fact 'near\(tool, cubes\)'"):
        value("mean:near(tool, cubes)", clips)
    with pytest.raises(ConfigError, match="rules see what is perceived"):
        factor("mean:gold:height(cube)")
    with pytest.raises(ConfigError, match="say of which fact, for example most:speed"):
        factor("most")


def test_the_first_factor_that_tells_apart_decides() -> None:
    table = {"a": (1.0, 5.0), "b": (1.4, 1.0), "c": (1.6, 9.0), "d": (1.0, 5.3)}
    factors = [
        Factor("first", lambda _, s: table[s.episode_id][0], 0.5),
        Factor("second", lambda _, s: table[s.episode_id][1], 0.2),
    ]
    rules = RankedRules(EpisodeClips(), factors, [1.0, 2.0])
    a, b, c, d = (Segment(name, 0, 1) for name in "abcd")
    assert rules.compare(a, c) == "right", "0.6 > 0.5 * 1"
    assert rules.compare(a, b) == "left", "0.4 is too little; then 4 > 0.2 * 2"
    assert rules.compare(a, d) == "equal", "0, and 0.3 < 0.4"
    assert rules.author == "rules first>second"


def test_margins_are_in_deviations_of_the_segments_at_hand() -> None:
    table = {"a": 1.0, "b": 3.0, "c": 5.0}
    of_table = Factor("table", lambda _, s: table[s.episode_id])
    segments = [Segment(name, 0, 1) for name in "abc"]
    assert deviations_of(EpisodeClips(), [of_table], segments) == [pytest.approx(np.sqrt(8 / 3))]
    with pytest.raises(InvalidValueError, match="none"):
        deviations_of(EpisodeClips(), [of_table], [])


def test_judges_what_ended() -> None:
    clips = EpisodeClips(episode("e", 4, Outcome.SUCCESS), episode("f", 4), episode("g", 4, None))
    rules = RankedRules(clips, [factor("success")], [0.5])
    assert [rules.judge(Segment(name, 0, 4)) for name in "efg"] == [1.0, 0.0, None]
    assert rules.judge(Segment("e", 0, 3)) is None


def test_factors_by_name() -> None:
    assert [factor(text).threshold for text in ("success", "path", "success@1", "approach:cube@0.5")] == [0, 1, 1, 0.5]
    with pytest.raises(UnknownNameError, match=r"factor 'forse'\. Did you mean 'force'"):
        factor("forse")
    for text, said in (("lift", "say of what"), ("path@much", "must be a number"), ("path@-1", "got -1.0")):
        with pytest.raises(ConfigError, match=said):
            factor(text)
    for text in ("path:cube", ""):
        with pytest.raises(UnknownNameError):
            factor(text)
    with pytest.raises(ConfigError, match="no factors"):
        RankedRules(EpisodeClips(), [], [])
    with pytest.raises(InvalidValueError, match="one per factor"):
        RankedRules(EpisodeClips(), [factor("path")], [])


class TestRankedRules(LabelerConformance):
    def make_labeler(self) -> tuple[Labeler, list[Segment]]:
        outcomes = (Outcome.SUCCESS, Outcome.TIME_LIMIT, None, Outcome.SUCCESS)
        clips = EpisodeClips(*(episode(f"e{i}", 6, o, seed=i) for i, o in enumerate(outcomes)))
        segments = [Segment(f"e{i}", start, 3) for i in range(4) for start in (0, 3)]
        factors = [factor(text) for text in ("success", "force", "path@0.1")]
        return RankedRules(clips, factors, deviations_of(clips, factors, segments)), segments
