"""The script's way does the task, from where the demonstration begins, and nothing else is touched by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_rlhf.conformance import MonitorConformance
from robot_rlhf.console.guides import ghost
from robot_rlhf.console.wire import Present, decode_present, encode_situation
from robot_rlhf.datatypes import EpisodeKind, Phase, Situation
from robot_rlhf.ports import Monitor
from robot_rlhf.run.live.ghost import Ghost
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import SimConfig, SimPlace
from tests.waits import CEILING


class TestGhost(MonitorConformance):
    def make_monitor(self) -> Monitor:
        return Ghost(defaults_for("reach"), self._world().arm)

    def make_situation(self) -> Situation:
        seen = self._world().guard.observe()
        return Situation(1.0, Phase.RUNNING, seen, episode="d-1", kind=EpisodeKind.DEMONSTRATION)

    def _world(self) -> SimPlace:
        return SimConfig().open("reach", clock=FakeClock(), cameras={})


@pytest.mark.parametrize("task", ["reach", "pick_cube"])
def test_the_way_begins_where_the_demonstration_does_and_ends_done(task: str) -> None:
    config = defaults_for(task)
    world = SimConfig().open(config.task, clock=FakeClock(), cameras={})
    shown = Ghost(config, world.arm)
    seen = world.guard.observe()
    waiting = Situation(1.0, Phase.WAITING, seen, episode="d-1", kind=EpisodeKind.DEMONSTRATION)
    shown.show(waiting)  # for the learner: where it will begin is not known yet
    shown.wait(CEILING)
    assert shown.way == {}
    for number in (1, 2):
        shown.show(replace(waiting, phase=Phase.RESETTING))
        world.task.reset(np.random.default_rng(number))
        world.guard.anchor()
        seen, before = world.guard.observe(), world.arm.snapshot().vector
        shown.show(replace(waiting, observation=seen, episode=f"d-{number}"))
        shown.wait(CEILING)
        assert shown.way["episode"] == f"d-{number}"
        moments = np.array(shown.way["moments"])
        np.testing.assert_allclose(moments[0, :7], seen.tool_pose_in_base, atol=1e-3)
        np.testing.assert_array_equal(world.arm.snapshot().vector, before)
        goal = seen.privileged["target" if task == "reach" else "cube"][:3]
        assert np.linalg.norm(moments[:, :3] - goal, axis=1).min() < 0.015
        assert 3 < len(moments) < world.task.time_limit // 2, "it does not run until the time is up"
        if task == "pick_cube":
            assert moments[-1, 2] > 0.08, "lifted"
            assert 0.3 < moments[-1, 7] < 0.7, "with something between the fingers"


def test_it_works_at_the_beginning_of_demonstrations_alone() -> None:
    config = defaults_for("reach")
    world = SimConfig().open(config.task, clock=FakeClock(), cameras={})
    shown = Ghost(config, world.arm)
    for phase in (Phase.RESETTING, Phase.WAITING, Phase.RUNNING):
        shown.show(Situation(1.0, phase, world.guard.observe(), episode="p", kind=EpisodeKind.PRACTICE))
    shown.wait(CEILING)
    assert shown.way == {}


def test_it_is_drawn_over_its_own_episode_only() -> None:
    world = SimConfig().open("reach", clock=FakeClock(), cameras={"front": (128, 128)})
    sight, sizes = world.arm.sight(), world.spec.cameras
    seen = SimConfig().open("reach", clock=FakeClock(), cameras={}).guard.observe()
    present: Present = decode_present(encode_situation(Situation(1.0, Phase.RUNNING, seen, episode="d-1+01")))
    pose = seen.tool_pose_in_base.tolist()
    way = {"episode": "d-1", "moments": [[*pose, 1.0], [*pose, 0.5]]}
    moments = ghost(sight, sizes, present, way)
    assert [set(moment) for moment in moments] == [{"front"}] * 2
    assert moments[0]["front"]["fingers"] != moments[1]["front"]["fingers"]
    assert moments[0]["front"]["arrows"] == []
    assert ghost(sight, sizes, replace(present, episode="d-2"), way) == []
    assert ghost(sight, sizes, present, {}) == []
