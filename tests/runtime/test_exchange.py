"""Weights and news through files: atomic, checked, swapped between steps; and the keeper of the learner's process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.datatypes import Assignment, WeightSnapshot
from robot_rlhf.errors import LinkError
from robot_rlhf.learner.checkpoint import read_snapshot, write_checkpoint
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.policy.networks import NetworkConfig
from robot_rlhf.runtime.exchange import (
    AVERAGED,
    NEWS,
    WEIGHTS,
    FreshPolicy,
    LearnerNews,
    WeightsInbox,
    publish,
    read_news,
    write_news,
)
from robot_rlhf.runtime.learner_process import LearnerProcess
from robot_rlhf.timing import FakeClock, MonotonicClock
from robot_rlhf_hardware.fake import FakeRobot
from tests.runtime.stations import Rig
from tests.waits import until as eventually

SAID = LearnerNews(1, 2.0, 3, 4, 5, "learning", 6.0, 7.0, 0.5, alarm=False)


def snapshot(version: int, size: int = 4) -> WeightSnapshot:
    return WeightSnapshot(version, {"w": np.full(size, version, np.float32)})


def policy() -> LearnedPolicy:
    spec = FakeRobot(FakeClock()).spec
    return LearnedPolicy(spec, Features(spec, FeatureConfig()), NetworkConfig(hidden=(8,)))


def weights_of(policy: LearnedPolicy, version: int, value: float) -> WeightSnapshot:
    """Weights of the policy's own shapes, all of one value."""
    shapes = {name: tuple(tensor.shape) for name, tensor in policy._actor.state_dict().items()}
    return WeightSnapshot(version, {name: np.full(shape, value, np.float32) for name, shape in shapes.items()})


# -- files -------------------------------------------------------------------------------------------------------------


def test_news_round_trip(tmp_path: Path) -> None:
    assert read_news(tmp_path) is None
    write_news(tmp_path, SAID)
    assert read_news(tmp_path) == SAID


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "\x00\x01"])
def test_news_that_no_learner_wrote_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / NEWS).write_text(text)
    with pytest.raises(LinkError, match=NEWS):
        read_news(tmp_path)


def test_news_that_cannot_be_written_are_one_error(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="cannot be written"):
        write_news(tmp_path / "missing", SAID)


def test_both_sets_of_weights_are_published(tmp_path: Path) -> None:
    publish(tmp_path, snapshot(3), snapshot(2), {"task": "reach"})
    newest, facts = read_snapshot(tmp_path / WEIGHTS)
    assert (newest.version, facts["task"]) == (3, "reach")
    assert newest.checksum == snapshot(3).checksum
    assert read_snapshot(tmp_path / AVERAGED)[0].checksum == snapshot(2).checksum


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """One process publishes as fast as it can; every single read gives whole weights with their own version."""
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path.cwd())!r})
        from tests.runtime.test_exchange import publish, snapshot
        for version in range(10_000):
            publish(Path(sys.argv[1]), snapshot(version, 20_000), snapshot(version, 20_000), {{}})
    """)
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.PIPE)
    try:
        eventually(lambda: (tmp_path / WEIGHTS).exists() or writer.poll() is not None)
        versions: list[int] = []
        while len(set(versions)) < 20:
            assert writer.poll() is None, writer.stderr and writer.stderr.read()
            seen, _ = read_snapshot(tmp_path / WEIGHTS)
            assert (seen.arrays["w"] == seen.version).all()
            versions.append(seen.version)
    finally:
        writer.kill()
        writer.communicate()
    assert versions == sorted(versions)


# -- the inbox ---------------------------------------------------------------------------------------------------------


def test_the_inbox_gives_each_set_of_weights_once(tmp_path: Path) -> None:
    with WeightsInbox(tmp_path, period=0.005) as inbox:
        assert inbox.take() is None
        for version in (1, 2):
            publish(tmp_path, snapshot(version), snapshot(version), {})
            taken: list[WeightSnapshot] = []

            def arrived(taken: list[WeightSnapshot] = taken) -> bool:
                taken.extend(filter(None, [inbox.take()]))
                return bool(taken)

            eventually(arrived)
            assert [s.version for s in taken] == [version]
        time.sleep(0.05)
        assert inbox.take() is None


def test_only_the_newest_weights_wait(tmp_path: Path) -> None:
    with WeightsInbox(tmp_path, period=0.005) as inbox:
        for version in (1, 2, 3):
            publish(tmp_path, snapshot(version), snapshot(version), {})
            eventually(lambda v=version: inbox._newest is not None and inbox._newest.version == v)
        last = inbox.take()
        assert last is not None
        assert last.version == 3
        assert inbox.take() is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "no weights"])
def test_damaged_weights_are_passed_over_and_said(tmp_path: Path, damage: str) -> None:
    path = tmp_path / WEIGHTS
    with WeightsInbox(tmp_path, period=0.005) as inbox:
        publish(tmp_path, snapshot(1), snapshot(1), {})
        eventually(lambda: inbox.take() is not None)
        data = bytearray(path.read_bytes())
        if damage == "no weights":
            write_checkpoint(path, {}, {"task": "reach"})
        else:
            data[-1] ^= 1
            scratch = tmp_path / "scratch"
            scratch.write_bytes({"cut": data[:-9], "flipped": data, "foreign": b"hello"}[damage])
            scratch.replace(path)
        eventually(lambda: WEIGHTS in inbox.error)
        assert inbox.take() is None
        publish(tmp_path, snapshot(2), snapshot(2), {})
        eventually(lambda: inbox.take() is not None)
        assert inbox.error == ""


def test_weights_are_swapped_between_steps_and_every_step_names_its_own(tmp_path: Path) -> None:
    learned = policy()
    inbox = WeightsInbox(tmp_path)
    learned.load(weights_of(learned, 1, 0.0))
    rig = Rig(policy=FreshPolicy(learned, inbox))
    rig.station.subscribers = (
        rig.listener,
        Delivery(inbox, {3: weights_of(learned, 50, 0.3), 6: weights_of(learned, 99, -0.3)}),
    )
    rig.run()
    steps = rig.listener.steps
    assert [s.policy_version for s in steps] == [1, 1, 1, 1, 50, 50, 50, 99, 99, 99]
    replayed = policy()
    for step in steps:
        value = {1: 0.0, 50: 0.3, 99: -0.3}[step.policy_version]
        replayed.load(weights_of(replayed, step.policy_version, value))
        assert step.proposed is not None
        again = replayed.act(step.observation, Assignment(step.instruction), np.random.default_rng(0))
        np.testing.assert_array_equal(again.values, step.proposed.values)


class Delivery:
    """Puts weights into the inbox after given steps, as the watching thread would."""

    def __init__(self, inbox: WeightsInbox, after: dict[int, WeightSnapshot]) -> None:
        self._inbox, self._after = inbox, after

    def on_episode_start(self, meta: object, observation: object) -> None: ...

    def on_step(self, step: object) -> None:
        index = getattr(step, "index", -1)
        if index in self._after:
            self._inbox._newest = self._after[index]

    def on_event(self, event: object) -> None: ...

    def on_episode_end(self, end: object) -> None: ...


# -- the learner's process ---------------------------------------------------------------------------------------------

SPEAKS = """
import json, os, sys, time
folder = sys.argv[1]
def say():
    news = dict(pid=os.getpid(), stamp=time.monotonic(), steps=0, updates=0, version=-1, state="learning",
                latency_ms=0.0, latency_p99_ms=0.0, over_estimation=0.0, alarm=False)
    with open(folder + "/news.part", "w") as file:
        json.dump(news, file)
    os.replace(folder + "/news.part", folder + "/learner.json")
"""
LIVES = SPEAKS + "while True:\n    say(); time.sleep(0.02)\n"
FALLS_SILENT = SPEAKS + "while not os.path.exists(folder + '/hush'):\n    say(); time.sleep(0.02)\ntime.sleep(600)\n"
DIES = "import sys; sys.exit(3)\n"


def keeper(folder: Path, script: str, *, restarts: int = 2, timeout: float = 60.0) -> LearnerProcess:
    return LearnerProcess(
        [sys.executable, "-S", "-c", script, str(folder)],
        folder,
        MonotonicClock(),
        heartbeat_timeout=timeout,
        restarts=restarts,
        log_file=folder / "learner.log",
        look_every=0.01,
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_learner_lives_as_long_as_its_block(tmp_path: Path) -> None:
    with keeper(tmp_path, LIVES) as learner:
        eventually(lambda: learner.healthy)
        assert learner.news is not None
        pid = learner.pid
        assert learner.news.pid == pid
        assert learner.starts == 1
        learner.check()
    assert not alive(pid)


def test_a_learner_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with keeper(tmp_path, LIVES) as learner:
        eventually(lambda: learner.healthy)
        first = learner.pid
        os.kill(first, signal.SIGKILL)
        eventually(lambda: learner.starts == 2 and learner.healthy)
        assert learner.pid != first
        assert learner.news is not None
        assert learner.news.pid == learner.pid, "the dead one's news do not count"
        learner.check()


def test_a_learner_that_always_dies_is_given_up(tmp_path: Path) -> None:
    with keeper(tmp_path, DIES, restarts=2) as learner:
        eventually(lambda: bool(learner.failure))
        assert learner.starts == 3
        assert not learner.healthy
        with pytest.raises(LinkError, match=r"died too often.*code 3.*learner\.log"):
            learner.check()


def test_a_silent_learner_counts_as_gone_and_is_replaced(tmp_path: Path) -> None:
    with keeper(tmp_path, FALLS_SILENT, restarts=20, timeout=0.5) as learner:
        eventually(lambda: learner.healthy)
        first = learner.pid
        (tmp_path / "hush").touch()
        eventually(lambda: learner.starts >= 2)
        eventually(lambda: not alive(first))
        assert learner.pid != first


def test_a_learner_that_cannot_be_started_is_one_error(tmp_path: Path) -> None:
    learner = keeper(tmp_path / "missing", LIVES)
    with pytest.raises(LinkError, match="cannot be started"), learner:
        pass


def test_there_is_no_pid_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="was not started"):
        _ = keeper(tmp_path, LIVES).pid
