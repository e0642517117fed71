"""What was executed before an observation: the same live, from the journal and from columns, and to a learner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.apps.environments import make_environment
from robot_rlhf.datatypes import RECENT, Action, Button, Observation, Source, Step
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import episodes, read_journal, replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf_sim.disturbance import DisturbanceConfig
from tests.runtime.stations import Script, wish
from tests.runtime.test_attended import DRIVE, OFF, PRESS, back_to, rig_of

WISHES: list[Action | BaseException] = [wish(0.1 * i, -0.1 * i, 0.0, 0.0, 1.0 if i % 3 else -1.0) for i in range(10)]
INPUTS = (OFF, DRIVE, DRIVE, OFF, PRESS[Button.PAUSE], OFF, PRESS[Button.RESUME], *[OFF] * 12, *[back_to(3)] * 30)
INPUTS += (PRESS[Button.RESUME],)


def recorded(folder: Path) -> list[Step]:
    """An episode with a takeover, a pause and a rewind, as those who listen were told of it."""
    rig, _ = rig_of(*INPUTS, policy=Script(WISHES))
    rig.task.time_limit = 30
    with JournalWriter(folder, rig.robot.spec) as journal:
        rig.station.subscribers = (journal, rig.listener)
        rig.run()
    return rig.listener.steps


def check_recall(steps: Iterable[Step]) -> None:
    """Against a plain list of what was executed since the part began."""
    before: list[np.ndarray] = []
    for step in steps:
        if step.index == 0:
            before = []
        for seen, known in ((step.observation, before), (step.next_observation, [*before, step.action.values])):
            newest_first = known[::-1][:RECENT]
            assert len(seen.recent) == len(newest_first)
            for a, b in zip(seen.recent, newest_first, strict=True):
                np.testing.assert_array_equal(a, b)
        before.append(step.action.values)


def test_every_step_knows_what_was_executed_since_its_part_began(tmp_path: Path) -> None:
    steps = recorded(tmp_path)
    assert [step.index for step in steps].count(0) == 3
    assert max(step.index for step in steps) > RECENT
    assert len({step.action.values.tobytes() for step in steps}) > 5, "told apart by their order"
    check_recall(steps)


def test_a_journal_gives_it_back_although_it_was_never_written(tmp_path: Path) -> None:
    told = recorded(tmp_path)
    read = [record for record in read_journal(tmp_path) if isinstance(record, Step)]
    assert len(read) == len(told)
    check_recall(read)
    check_recall(step for episode in episodes(tmp_path) for step in episode.steps())
    starts = [record for record in read_journal(tmp_path) if isinstance(record, EpisodeStarted)]
    assert all(start.observation.recent.size == 0 for start in starts)


def test_a_learner_gets_the_same_rows_live_and_from_a_journal(tmp_path: Path) -> None:
    rig, _ = rig_of(*INPUTS, policy=Script(WISHES))
    rig.task.time_limit = 30
    spec = rig.robot.spec
    features = Features(spec, FeatureConfig(history=3))
    live, again = (
        ReplayBuffer(100, state_size=features.size, action_size=spec.action.size, discount=0.97) for _ in range(2)
    )
    with JournalWriter(tmp_path, spec) as journal:
        rig.station.subscribers = (journal, ReplayFeed(live, features))
        rig.run()
    replay_into(tmp_path, ReplayFeed(again, features))
    assert len(live) == len(again) > 20
    for a, b in zip(live.indices().tolist(), again.indices().tolist(), strict=True):
        assert a == b
    one, two = (buffer.gather(buffer.indices()) for buffer in (live, again))
    assert (one.observation["state"] == two.observation["state"]).all()
    assert (one.next_observation["state"] == two.next_observation["state"]).all()
    newest = one.next_observation["state"][:, -3 * spec.action.size : -2 * spec.action.size]
    assert (newest == one.action).all(), "the newest action of what follows is the one that was executed"
    assert (one.source == Source.HUMAN).any()


def test_an_environment_gives_it_too() -> None:
    config = FeatureConfig(history=2)
    env = make_environment("reach", features=config, disturbance=DisturbanceConfig(command_delay=2))
    seen, _ = env.reset(seed=0)
    assert isinstance(seen, np.ndarray)
    np.testing.assert_array_equal(seen[-6:], 0.0)
    before = np.zeros(3, np.float32)
    for i in range(4):
        seen, _, _, _, info = env.step(np.array([0.3, -0.2, 0.05 * i], np.float32))
        assert isinstance(seen, np.ndarray)
        np.testing.assert_array_equal(seen[-6:-3], info["executed"])
        np.testing.assert_array_equal(seen[-3:], before)
        before = info["executed"]
    env.reset(seed=1)
    assert env._newest is not None
    assert env._newest.recent.size == 0
    env.close()


def test_more_than_it_keeps_is_forgotten_and_nothing_else_changes(tmp_path: Path) -> None:
    observation = recorded(tmp_path)[-1].observation
    actions = np.linspace(-1.0, 1.0, 5 * (RECENT + 3)).reshape(-1, 5).astype(np.float32)
    seen = observation.after(actions)
    np.testing.assert_array_equal(seen.recent, actions[:RECENT])
    assert not seen.recent.flags.writeable
    same = replace(seen, recent=observation.recent)
    for name in Observation.__slots__:
        assert getattr(same, name) is getattr(observation, name) or name in ("scene", "privileged", "images"), name
    with pytest.raises(ValueError, match="read-only"):
        seen.recent[0] = 0.0
