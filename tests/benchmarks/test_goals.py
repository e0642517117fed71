"""The control of the goals' benchmark names what is not asked for, and its trainings differ in what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.goals import HELD_OUT, METHODS, MISNAMED, Trial, misnamed, settings
from robot_rlhf.language.goals import from_tool
from robot_rlhf.learner.cloning import CloningConfig
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import SimConfig
from robot_rlhf_sim.tasks.blocks import PAIRS, Blocks


def test_a_misnaming_director_never_names_what_is_asked_for() -> None:
    place = SimConfig().open("blocks", clock=FakeClock(), cameras={})
    director, named = misnamed(place), set[tuple[str, str]]()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        place.task.reset(rng)
        director.reset(rng)
        seen = place.arm.observe()
        asked = director.asked(seen)
        assert asked.instruction == place.task.instruction
        (pair,) = (
            (thing, bowl)
            for thing, bowl in PAIRS
            if np.array_equal(asked.context["thing"], from_tool(seen, thing))
            and np.array_equal(asked.context["place"], from_tool(seen, bowl))
        )
        assert pair != director.goal
        named.add(pair)
    assert named == set(PAIRS)


@pytest.mark.parametrize("learner", ["dagger", "sac", "cloning"])
def test_practice_never_asks_for_what_is_held_out(learner: str, tmp_path: Path) -> None:
    made = {name: settings(Trial(name, "attentive", 100, 30, 2, learner), tmp_path) for name in METHODS}
    assert {name for name, config in made.items() if config.features.scene} == {"whole scene"}
    assert {name for name, config in made.items() if config.director == MISNAMED} == {"misnamed"}
    five = made["five networks"].learner
    assert isinstance(five, CloningConfig | SacConfig)
    assert five.imitators == 5
    for config in made.values():
        assert config.algorithm == learner
        assert isinstance(config.place, SimConfig)
        place = config.place.open("blocks", clock=FakeClock(), cameras={})
        assert isinstance(place.task, Blocks)
        assert {">".join(pair) for pair in place.task.goals}.isdisjoint(HELD_OUT.split(","))
        assert len(place.task.goals) == 6
