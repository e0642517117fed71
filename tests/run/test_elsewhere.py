"""The run's side of its learner: only the present one's weights count, and the end waits for what it still owes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from robot_rlhf.errors import ConfigError, LinkError
from robot_rlhf.run.build import build_policy, open_place
from robot_rlhf.run.folder.lock import locked
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.elsewhere import FIRST_WEIGHTS_TIMEOUT, LearnerLink, RobotLink
from robot_rlhf.run.links.learner import learn, learner_command
from robot_rlhf.run.settings import TrainConfig, write_yaml
from robot_rlhf.run.train import train
from robot_rlhf.runtime.exchange import LearnerNews, publish, read_news, write_news
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock
from tests.run.weights import random_weights
from tests.runtime.runs import earned, practice, tiny

SLEEPS = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
LATE = """
import sys, time
time.sleep(8)
from robot_rlhf.run.links import learner
learner.main(sys.argv[1:])
"""
NEWS = LearnerNews(1, 0.0, 0, 0, -1, "learning", 0.0, 0.0, 0.0, alarm=False)


class Told:
    """In the place of the learner's process: says what it is told to, look by look."""

    def __init__(self, clock: FakeClock, *news: LearnerNews | None) -> None:
        self.clock = clock
        self._news = list(news)
        self.news: LearnerNews | None = None
        self.healthy, self.failure, self.disk_full = True, "", False
        self.looks = 0

    def look(self) -> None:
        self.looks += 1
        self.clock.advance(10.0)
        if self._news:
            self.news = self._news.pop(0)

    def check(self) -> None:
        if self.failure:
            raise LinkError(self.failure)


def link(tmp_path: Path, *news: LearnerNews | None, attended: bool = False) -> tuple[LearnerLink, Told]:
    clock = FakeClock()
    made = LearnerLink(RunFolder.create(tmp_path, "run"), config(), clock, attended=attended)
    told = Told(clock, *news)
    made._process = told  # type: ignore[assignment]  # the same members
    return made, told


def config() -> TrainConfig:
    return tiny(Path("nowhere"), mode="asynchronous")


def ran(steps: int) -> Tally:
    return Tally(0.05, demonstrations=1, steps=steps)


@pytest.fixture(autouse=True)
def no_time_passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real" not in request.node.name:
        monkeypatch.setattr("robot_rlhf.run.links.elsewhere.LOOK_EVERY", 0.0)


def test_the_end_waits_for_the_updates_that_the_steps_have_earned(tmp_path: Path) -> None:
    due = earned(config(), 100)
    on_the_way = [
        None,
        NEWS,
        replace(NEWS, version=0),
        replace(NEWS, version=0, steps=100, recorded=100, updates=due - 1),
    ]
    learner, told = link(tmp_path, *on_the_way, replace(NEWS, version=due, steps=100, recorded=100, updates=due))
    assert learner.let_finish(ran(100), told.look) == ""
    assert told.news is not None
    assert told.news.updates == due


def test_values_are_above_returns_only_once_they_were_compared(tmp_path: Path) -> None:
    made, told = link(tmp_path)
    for news, above in (
        (None, None),
        (NEWS, None),
        (replace(NEWS, q=0.5, value_return=0.4, over_estimation=0.1), 0.1),
    ):
        told.news = news
        assert made.over_estimation == above


def test_steps_of_deleted_episodes_are_not_waited_for(tmp_path: Path) -> None:
    due = earned(config(), 60)
    learner, told = link(tmp_path, replace(NEWS, version=due, steps=60, recorded=100, updates=due))
    assert learner.let_finish(ran(100), told.look) == ""


def test_a_demonstration_deleted_during_practice_changes_nothing(tmp_path: Path) -> None:
    due = earned(config(), 100)
    learner, told = link(tmp_path, NEWS, replace(NEWS, version=due, steps=100, recorded=100, updates=due))
    assert learner.let_finish(Tally(0.05, demonstrations=0, steps=100), told.look) == ""
    assert told.news is not None
    assert told.news.updates == due


def test_one_that_does_not_go_on_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    learner, told = link(tmp_path, replace(NEWS, state="reading the journal"))
    late = learner.let_finish(ran(100), told.look)
    assert "had not finished" in late
    assert "reading the journal" in late
    assert told.clock.now() > FIRST_WEIGHTS_TIMEOUT


def test_nor_one_that_is_slow_when_a_person_wants_to_go(tmp_path: Path) -> None:
    slow = [replace(NEWS, version=0, updates=count) for count in range(100)]
    learner, told = link(tmp_path, *slow)
    assert "had not finished" in learner.let_finish(ran(100), told.look, at_most=60.0)
    assert told.clock.now() < 100.0


@pytest.mark.parametrize("attended", [True, False])
def test_nor_one_that_is_dead(tmp_path: Path, attended: bool) -> None:
    learner, told = link(tmp_path, attended=attended)
    told.failure = "the learner died too often"
    if attended:
        assert learner.let_finish(ran(100), told.look) == told.failure
    else:
        with pytest.raises(LinkError, match="too often"):
            learner.let_finish(ran(100), told.look)


def test_a_full_disk_ends_a_session_too(tmp_path: Path) -> None:
    """Nobody at a console could make use of a run that records nothing."""
    learner, told = link(tmp_path, attended=True)
    told.failure = "the learner: exchange/learner.json: cannot be written"
    learner.check()
    told.disk_full = True
    with pytest.raises(LinkError, match=r"learner\.json"):
        learner.check()


def test_without_all_demonstrations_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    learner, told = link(tmp_path)
    assert learner.let_finish(Tally(0.05), told.look) == ""
    assert told.looks == 0


def test_weights_of_an_earlier_learner_move_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run, whose learner takes long to start."""
    monkeypatch.setattr("robot_rlhf.run.links.elsewhere.learner_command", lambda run: SLEEPS)
    clock, settings = FakeClock(), config()
    folder = RunFolder.create(tmp_path, "run")
    spec = open_place(settings, clock, cameras=False).spec
    old = random_weights(settings, spec, 5)
    publish(folder.exchange, old, old, {})
    write_news(folder.exchange, replace(NEWS, version=5, updates=5, steps=100, recorded=100))
    policy = build_policy(settings, spec, practises=True)
    with RobotLink(folder, settings, clock, policy) as learner:
        for _ in range(5):
            learner._inbox._look()
            assert not learner.may_move()
        assert learner.news is None
    assert policy.version < 0


@pytest.mark.parametrize("anew", [False, True], ids=["by the run", "by ROS's launch"])
def test_an_earlier_learner_ends_before_its_files_are_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    """It may publish once more until then."""
    monkeypatch.setattr("robot_rlhf.run.links.learner.PREDECESSOR_ENDS_WITHIN", 0.0)
    monkeypatch.setattr("robot_rlhf.run.links.elsewhere.learner_command", lambda run: SLEEPS)
    settings, folder = replace(config(), out=tmp_path), RunFolder.create(tmp_path, "run")
    write_yaml(settings, folder.config)
    write_news(folder.exchange, NEWS)

    def begin() -> None:
        if anew:
            learn(folder, 0, anew=True)
        else:
            with LearnerLink(folder, settings, FakeClock()):
                pass

    with locked(folder.exchange / "learner.lock", "it"), pytest.raises(ConfigError, match="in use by process"):
        begin()
    assert read_news(folder.exchange) == NEWS


@pytest.mark.slow
def test_a_resumed_real_run_learns_though_its_learner_starts_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny(tmp_path, mode="asynchronous", steps=60)
    first = train(settings, quiet=True)
    monkeypatch.setattr(
        "robot_rlhf.run.links.elsewhere.learner_command",
        lambda run: [sys.executable, "-c", LATE, *learner_command(run)[3:]],
    )
    steps = first["env_steps"] + 40
    second = train(settings, resume=tmp_path / "run", changes={"steps": steps}, quiet=True)
    assert second["updates"] == earned(settings, second["env_steps"]) > first["updates"]
    versions = [version for episode in practice(tmp_path / "run") for version in episode.policy_version.tolist()]
    assert min(versions[first["env_steps"] :]) >= first["updates"], "none of them was driven by what lay there before"
    assert second["warnings"] == []
