"""The asynchronous ring in real time: steps flow to the learner's process, weights flow back, its death is survived."""

from __future__ import annotations

import _thread
import os
import signal
import statistics
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.datatypes import Outcome
from robot_rlhf.errors import LinkError
from robot_rlhf.journal.summary import describe
from robot_rlhf.run.train import train
from robot_rlhf.runtime.exchange import LearnerNews, read_news
from tests.runtime.runs import earned, practice, tiny


class Watcher:
    """Collects the learner's news while a run goes on, and kills the learner once after so many steps.

    Args:
        interrupt_after: updates of the second learner after which Ctrl-C is pressed, in the main thread.
    """

    def __init__(self, run: Path, kill_after: int, interrupt_after: int | None = None) -> None:
        self._exchange = run / "exchange"
        self._kill_after = kill_after
        self._interrupt_after = interrupt_after
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.news: list[LearnerNews] = []
        self.killed: LearnerNews | None = None

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join(timeout=5.0)
        last = self._read()
        self.news += [last] if last else []

    def _read(self) -> LearnerNews | None:
        try:
            return read_news(self._exchange)
        except LinkError:
            return None

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            news = self._read()
            if news is None:
                continue
            self.news.append(news)
            if self.killed is None and news.steps >= self._kill_after:
                self.killed = news
                os.kill(news.pid, signal.SIGKILL)
            if self.killed is None or self._interrupt_after is None or news.pid == self.killed.pid:
                continue
            if news.updates >= self._interrupt_after:
                self._interrupt_after = None
                _thread.interrupt_main()

    @property
    def after_death(self) -> list[LearnerNews]:
        assert self.killed is not None
        return [n for n in self.news if n.pid != self.killed.pid]


def test_the_learner_dies_and_the_robot_goes_on(tmp_path: Path) -> None:
    # Ends by Ctrl-C: a starved machine needs more of the robot's steps for the second learner's updates.
    config = tiny(
        tmp_path, mode="asynchronous", steps=20_000, evaluation=replace(tiny(tmp_path).evaluation, every=10**6)
    )
    began = time.monotonic()
    with Watcher(tmp_path / "run", kill_after=70, interrupt_after=90) as watcher:
        summary = train(config, quiet=True)
    assert watcher.killed is not None
    assert summary["interrupted"]
    whole = practice(tmp_path / "run")
    versions = np.concatenate([e.policy_version for e in whole])
    steps = len(versions)
    assert abs(steps - summary["env_steps"]) <= 1, "Ctrl-C may fall between the journal and the tally"
    assert time.monotonic() - began > 0.05 * steps, "in real time"

    latencies = [n.latency_ms for n in watcher.news if n.latency_ms > 0.0]
    assert statistics.median(latencies) < 100.0
    for news in watcher.news:
        assert news.updates <= earned(config, news.steps), "the governor's ratio, in both lives"

    assert versions.min() >= 0, "every step names the weights that proposed it"
    before = versions[: watcher.killed.steps]
    assert (np.diff(before) >= 0).all()
    assert len(np.unique(before)) >= 3, "weights came back while the robot was running"

    stamps = np.concatenate([e.observations["stamp"][:-1] for e in whole])
    assert np.diff(stamps).max() < 2.0, "the robot did not wait for the learner"
    last = watcher.after_death[-1]
    assert last.steps == steps, "the new learner knows every step, also the ones that the dead one saw"
    assert last.updates > 0
    assert summary["updates"] == last.updates
    assert summary["policy_version"] == last.updates
    assert describe(tmp_path / "run" / "journal").broken_off == 0


@pytest.mark.slow
def test_the_learner_dies_and_the_robot_holds(tmp_path: Path) -> None:
    base = tiny(tmp_path, mode="asynchronous", steps=200, evaluation=replace(tiny(tmp_path).evaluation, every=10**6))
    config = replace(base, asynchronous=replace(base.asynchronous, without_learner="hold"))
    with Watcher(tmp_path / "run", kill_after=70) as watcher:
        summary = train(config, quiet=True)
    whole = practice(tmp_path / "run")
    assert sum(len(e) for e in whole) == summary["env_steps"] >= 200
    cut = [n for n, e in enumerate(whole) if e.end is not None and e.end.outcome is Outcome.STOPPED]
    assert len(cut) == 1
    episode, following = whole[cut[0]], whole[cut[0] + 1]
    assert episode.truncated[-1]
    waited = float(following.observations["stamp"][0] - episode.observations["stamp"][-1])
    assert waited > 0.5, "nothing was done until the learner was back"
    assert watcher.after_death[-1].steps == summary["env_steps"]


@pytest.mark.slow
def test_a_learner_that_cannot_live_ends_the_run(tmp_path: Path) -> None:
    base = tiny(tmp_path, mode="asynchronous", steps=10_000)
    settings = replace(base.asynchronous, without_learner="hold", restarts=0)
    with Watcher(tmp_path / "run", kill_after=30), pytest.raises(LinkError, match="died too often"):
        train(replace(base, asynchronous=settings), quiet=True)
    recorded = describe(tmp_path / "run" / "journal")
    assert recorded.steps >= 30
    assert recorded.broken_off == 0, "the episode was closed"
