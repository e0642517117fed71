"""Several simulated arms beside one learner: the ratio holds, nothing is lost, nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from robot_rlhf.apps.cli import main
from robot_rlhf.conformance import sample_steps
from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Feedback, FeedbackKind, Outcome, Segment
from robot_rlhf.episode import Episode
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.shared import files_of
from robot_rlhf.journal.summary import describe
from robot_rlhf.learner.cloning import CloningConfig
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.practice.arm import arm_name, may_begin, share_of
from robot_rlhf.run.practice.arms import in_turn
from robot_rlhf.run.results.summary import KEYS
from robot_rlhf.run.settings import TrainConfig, read_yaml, write_yaml
from robot_rlhf.run.train import train
from robot_rlhf.runtime.exchange import LearnerNews, read_news
from robot_rlhf.runtime.governor import Governor
from tests.journal.sessions import make_spec
from tests.runtime.runs import earned, practice, tiny
from tests.waits import until as eventually

ARMS = 2


def parallel(out: Path, **changes: Any) -> TrainConfig:
    base = tiny(out)
    later = replace(base.evaluation, every=10**6)
    return replace(base, **{"mode": "parallel", "arms": ARMS, "demonstrations": 2, "evaluation": later, **changes})


def arms_of(run: Path) -> list[int]:
    """Process ids of the run's children that live, whoever their parent is now."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--parent" in words and str(run).encode() in words:
            found.append(int(entry.name))
    return sorted(found)


def is_arm(pid: int) -> bool:
    return b"robot_rlhf.run.practice.arm" in Path(f"/proc/{pid}/cmdline").read_bytes()


def numbers(run: Path, arm: int, kind: EpisodeKind) -> list[int]:
    """Numbers of an arm's episodes of one kind, in the order of recording."""
    files = files_of(run / "journal", arm_name(arm, ARMS))
    found: list[Episode] = [e for file in files for e in episodes(file) if e.meta.kind is kind]
    return [int(e.meta.id.rpartition("-")[2]) for e in found]


class KillsAnArm:
    """Kills one arm once while a run goes on, and keeps the learner's news."""

    def __init__(self, run: Path, after_steps: int) -> None:
        self._run = run
        self._after = after_steps
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.killed = False
        self.news: list[LearnerNews] = []

    def __enter__(self) -> KillsAnArm:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join(timeout=5.0)

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            news = read_news(self._run / "exchange")
            if news is None:
                continue
            self.news.append(news)
            if not self.killed and news.steps >= self._after:
                os.kill(next(filter(is_arm, arms_of(self._run))), signal.SIGKILL)
                self.killed = True


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], KillsAnArm]:
    out = tmp_path_factory.mktemp("runs")
    config = parallel(out, steps=500, evaluation=replace(tiny(out).evaluation, every=200))
    with KillsAnArm(out / "run", after_steps=120) as killer:
        summary = train(config, quiet=True)
    return out / "run", summary, killer


def test_every_step_is_learned_from_as_often_as_asked(ran: tuple[Path, dict[str, Any], KillsAnArm]) -> None:
    _, summary, killer = ran
    config = parallel(Path())
    assert summary["env_steps"] >= 500
    assert summary["updates"] == earned(config, summary["env_steps"])
    for news in killer.news:
        assert news.updates <= earned(config, news.steps), "the learner does not run away"


def test_no_arm_runs_away(ran: tuple[Path, dict[str, Any], KillsAnArm]) -> None:
    """What proposed a step cannot be older than the allowed lead, one episode and one publication."""
    run, _, _ = ran
    config = parallel(Path())
    per_step, every = config.trainer.updates_per_step, config.asynchronous.publish_every
    lead = 25 + 1 / per_step + 60  # reach's time limit
    for arm in range(ARMS):
        steps = 0
        for file in files_of(run / "journal", arm_name(arm, ARMS)):
            for episode in episodes(file):
                if episode.meta.kind is EpisodeKind.PRACTICE:
                    steps += len(episode)
                    learned_from = (config.trainer.start_after + (episode.policy_version[-1] + every) / per_step) / ARMS
                    assert steps <= learned_from + lead + 8 / per_step


def test_an_arm_that_was_killed_goes_on(ran: tuple[Path, dict[str, Any], KillsAnArm]) -> None:
    run, summary, killer = ran
    assert killer.killed
    files = [len(files_of(run / "journal", arm_name(arm, ARMS))) for arm in range(ARMS)]
    assert sorted(files) == [1, 2]
    recorded = describe(run / "journal")
    assert recorded.steps == summary["env_steps"] + summary["demonstration_steps"], "nothing is lost, nothing double"
    assert recorded.broken_off <= 1
    for arm in range(ARMS):
        assert numbers(run, arm, EpisodeKind.DEMONSTRATION)[:1] == [arm]
        practised = numbers(run, arm, EpisodeKind.PRACTICE)
        first, *others = practised
        assert first == arm
        assert all(b > a and (b - a) % ARMS == 0 for a, b in zip(practised, others, strict=False))
    whole = practice(run)
    assert len({e.meta.seed for e in whole}) == len({e.meta.id for e in whole}) == len(whole)


def test_a_finished_run_looks_like_any_other(ran: tuple[Path, dict[str, Any], KillsAnArm], tmp_path: Path) -> None:
    run, summary, _ = ran
    assert summary["arms"] == ARMS
    assert summary["demonstrations"] == 2
    assert set(summary) == set(KEYS)
    assert not summary["interrupted"]
    assert summary["eval_episodes"] == 3
    rows = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [row["step"] >= 200 * n for n, row in enumerate(rows)]
    assert main(["journal", "info", str(run)]) == 0
    assert main(["journal", "export", str(run), "--format", "csv", "--out", str(tmp_path / "csv")]) == 0
    assert arms_of(run) == []


@pytest.mark.slow
def test_a_finished_run_resumed_has_nothing_to_add(ran: tuple[Path, dict[str, Any], KillsAnArm]) -> None:
    run, summary, _ = ran
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    again = json.loads((run / "summary.json").read_text())
    for name in ("env_steps", "updates", "human_steps", "demonstrations"):
        assert again[name] == summary[name], name
    assert again["recovered_steps"] == summary["env_steps"] + summary["demonstration_steps"]


def test_killed_resumed_and_interrupted(tmp_path: Path) -> None:
    config = parallel(tmp_path, steps=100_000)
    settings, run = tmp_path / "settings.yaml", RunFolder(tmp_path / "run")
    write_yaml(config, settings)

    def steps() -> int:
        news = read_news(run.exchange) if run.exchange.exists() else None
        return news.steps if news else 0

    def files() -> int:
        """One per arm that has begun: on a busy machine one may practise for a while before the other is up."""
        return len(list(run.journal.glob("*.mcap")))

    process = start("--config", str(settings))
    eventually(lambda: steps() > 60 and files() == ARMS)
    assert len(arms_of(run.path)) == ARMS + 1
    process.kill()
    process.communicate(timeout=20)
    eventually(lambda: not arms_of(run.path))
    before = describe(run.journal)
    assert before.broken_off == 0, "the arms closed their episodes when they were left alone"

    process = start("--resume", str(run.path))
    practised = before.steps_by_driver["policy"]
    eventually(lambda: steps() > practised + 60 and files() == 2 * ARMS)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert arms_of(run.path) == []
    summary = json.loads(run.summary.read_text())
    assert summary["interrupted"] is True
    assert summary["recovered_steps"] == before.steps
    assert summary["demonstrations"] == 2, "not shown again"
    recorded = describe(run.journal)
    assert recorded.steps == summary["env_steps"] + summary["demonstration_steps"]
    assert recorded.files == 2 * ARMS
    for arm in range(ARMS):
        seen = numbers(run.path, arm, EpisodeKind.PRACTICE)
        assert seen == sorted(set(seen))

    write_yaml(replace(read_yaml(run.config), arms=3), run.config)
    with pytest.raises(ConfigError, match=r"arms: got 3, but .*000\.mcap was written by 'arm . of 2'"):
        train(config, resume=run.path, quiet=True)


def start(*argv: str, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "robot_rlhf.apps.cli", "train", *argv, "--quiet"]
    return subprocess.Popen(
        command, env={**os.environ, "OMP_NUM_THREADS": "1", **env}, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_an_arm_that_cannot_work_ends_the_run_in_one_line(tmp_path: Path) -> None:
    config = parallel(tmp_path, arms=1, cameras=("front",))
    settings = tmp_path / "settings.yaml"
    write_yaml(config, settings)
    command = [sys.executable, "-m", "robot_rlhf.apps.cli", "train", "--config", str(settings), "--quiet"]
    done = subprocess.run(
        command, env={**os.environ, "MUJOCO_GL": "disable"}, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "arm 0: " in done.stderr
    assert "no OpenGL context" in done.stderr
    assert arms_of(tmp_path / "run") == []


@pytest.mark.slow
def test_one_arm_demonstrates_like_the_synchronous_mode(tmp_path: Path) -> None:
    """The same seeds, the same person, the same robot, whichever process they are in."""
    base = tiny(tmp_path)
    few: dict[str, Any] = {
        "steps": 40,
        "demonstrations": 1,
        "cameras": ("front",),
        "image_size": 32,
        "features": replace(base.features, cameras=("front",)),
        "evaluation": replace(base.evaluation, every=0, final_episodes=1),
    }
    train(tiny(tmp_path / "a", **few), quiet=True)
    train(parallel(tmp_path / "b", **{**few, "arms": 1}), quiet=True)
    (a, *_), (b, *_) = ([*episodes(tmp_path / name / "run" / "journal")] for name in "ab")
    assert a.end is not None
    assert a.end.outcome is Outcome.SUCCESS
    assert (a.meta.id, a.meta.seed) == (b.meta.id, b.meta.seed)
    assert np.array_equal(a.executed, b.executed)
    for name, column in a.observations.items():
        assert np.array_equal(column, b.observations[name]), name
    assert "images/front" in a.observations


# -- laws --------------------------------------------------------------------------------------------------------------


@given(total=st.integers(0, 10_000), arms=st.integers(1, 64))
def test_shares_add_up(total: int, arms: int) -> None:
    shares = [share_of(total, number, arms) for number in range(arms)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


@given(
    steps=st.lists(st.integers(0, 5_000), min_size=1, max_size=8),
    per_step=st.floats(0.01, 20.0),
    start_after=st.integers(0, 500),
)
def test_somebody_can_always_go_on(steps: list[int], per_step: float, start_after: int) -> None:
    """Once the learner has done all that is due, the arm with the fewest steps may begin an episode."""
    governor = Governor(per_step, start_after)
    updates = governor.due(sum(steps), 0)
    assert may_begin(governor, min(steps), updates, len(steps))


@given(updates=st.integers(0, 10_000), per_step=st.floats(0.1, 20.0), arms=st.integers(1, 8))
@example(updates=317, per_step=1.1, arms=2)  # the bound is 220, and rounds to just below it
def test_the_lead_is_bounded(updates: int, per_step: float, arms: int) -> None:
    governor = Governor(per_step, 100)
    steps = next(n for n in range(200_000) if not may_begin(governor, n, updates, arms))
    bound = (100 + updates / per_step) / arms + 25 + 1 / per_step
    assert steps - 1 <= bound * (1 + 8 * sys.float_info.epsilon), "but for the rounding of six operations"


def test_without_updates_nobody_waits() -> None:
    assert may_begin(Governor(0.0, 100), 10**6, 0, 4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": 0}, "arms: got 0, allowed >= 1"),
        ({"arms": -1}, "arms: got -1"),
        ({"arms": 2, "mode": "synchronous"}, "arms: got 2, allowed 1 in mode synchronous; several want mode parallel"),
        ({"arms": 2, "mode": "asynchronous"}, "allowed 1 in mode asynchronous"),
        ({"learner": CloningConfig()}, "mode parallel: cloning does not learn"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        parallel(tmp_path, **changes)


def test_arms_that_are_read_one_after_another_are_told_as_they_took_turns() -> None:
    spec = make_spec()
    (step,) = sample_steps(spec, 1, 0)

    def episode(kind: EpisodeKind, number: int) -> list[Record]:
        meta = EpisodeMeta(f"{kind.value}-{number:06d}", "bench", kind, number, "tester", "task")
        return [EpisodeStarted(meta, step.observation), step, EpisodeEnd(meta.id, Outcome.TIME_LIMIT, 1)]

    practice = [episode(EpisodeKind.PRACTICE, number) for number in range(6)]
    shown = [episode(EpisodeKind.DEMONSTRATION, number) for number in range(2)]
    late = Feedback(FeedbackKind.DISCARD, "tester", 1.0, Segment("practice-000002", 0, 1), 1.0)
    arms = [[shown[0], practice[0], [*practice[2], late], practice[4]], [shown[1], *practice[1::2]]]
    read = [record for arm in arms for run in arm for record in run]
    turns = [*shown, *practice[:3], [late], *practice[3:]]
    assert [id(record) for record in in_turn(read)] == [id(record) for run in turns for record in run]
    assert in_turn([]) == []
