"""Equal runs are equal to the last bit, other seeds are other runs, and a killed run goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from robot_rlhf.datatypes import EpisodeKind
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.summary import describe
from robot_rlhf.learner.checkpoint import read_checkpoint, read_snapshot
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.settings import write_yaml
from robot_rlhf.run.train import train
from robot_rlhf_sim.tasks import Reach
from tests.runtime.runs import earned, practice, tiny
from tests.waits import CEILING

TASK_STEPS = Reach.time_limit


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("first")
    train(tiny(out), quiet=True)
    return RunFolder(out / "run")


def learned(run: RunFolder) -> dict[str, torch.Tensor]:
    return read_checkpoint(run.latest)[0]


def assert_equal_learners(a: RunFolder, b: RunFolder) -> None:
    left, right = learned(a), learned(b)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def recorded(run: RunFolder) -> list[bytes]:
    return [path.read_bytes() for path in sorted(run.journal.glob("*.mcap"))]


def test_equal_runs_are_equal_byte_for_byte(first: RunFolder, tmp_path: Path) -> None:
    train(tiny(tmp_path), quiet=True)
    second = RunFolder(tmp_path / "run")
    assert recorded(second) == recorded(first)
    assert_equal_learners(second, first)
    assert read_snapshot(second.policy)[0].checksum == read_snapshot(first.policy)[0].checksum
    assert second.evaluations.read_text() == first.evaluations.read_text()


def test_another_seed_is_another_run(first: RunFolder, tmp_path: Path) -> None:
    train(tiny(tmp_path, seed=1, evaluation=replace(tiny(tmp_path).evaluation, every=10**6)), quiet=True)
    second = RunFolder(tmp_path / "run")
    assert recorded(second) != recorded(first)
    assert not torch.equal(
        learned(second)["learner.actor.head.layers.0.weight"], learned(first)["learner.actor.head.layers.0.weight"]
    )


def test_the_true_reward_never_reaches_the_learner(
    first: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Poisoned, it changes nothing of what is learned or practised."""
    monkeypatch.setattr(Reach, "gold_reward", lambda task, observation: -1e6 * observation.stamp)
    train(tiny(tmp_path), quiet=True)
    second = RunFolder(tmp_path / "run")
    assert_equal_learners(second, first)
    for a, b in zip(practice(first.path), practice(second.path), strict=True):
        assert (a.executed == b.executed).all()
        assert (a.reward == b.reward).all()
        assert (a.gold_reward != b.gold_reward).all()


def test_the_governor_holds_the_ratio_exactly(first: RunFolder) -> None:
    summary = json.loads(first.summary.read_text())
    assert summary["updates"] == earned(tiny(Path()), summary["env_steps"])


def test_every_step_names_the_weights_that_proposed_it(first: RunFolder) -> None:
    versions = [int(v) for episode in practice(first.path) for v in episode.policy_version]
    assert versions[0] == 0, "the imitation"
    assert versions == sorted(versions)
    assert len(set(versions)) > 5
    config = tiny(Path())
    for steps, version in enumerate(versions):
        assert version <= earned(config, steps)
        assert version > earned(config, steps) - config.asynchronous.publish_every - config.trainer.updates_per_step


def test_killed_then_resumed(tmp_path: Path) -> None:
    config = tiny(tmp_path, steps=100_000, evaluation=replace(tiny(tmp_path).evaluation, every=10**6))
    script = (
        "import sys; from pathlib import Path; from robot_rlhf.run.settings import read_yaml;"
        "from robot_rlhf.run.train import train; train(read_yaml(Path(sys.argv[1])), quiet=True)"
    )
    settings = tmp_path / "settings.yaml"
    write_yaml(config, settings)
    run = RunFolder(tmp_path / "run")
    process = subprocess.Popen([sys.executable, "-c", script, str(settings)], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + CEILING
        while not (run.latest.exists() and _checkpointed(run) > 60):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=CEILING)
    kept = recorded(run)
    before = describe(run.journal)
    assert before.broken_off <= 1
    assert before.steps >= 60

    practised = before.steps - _demonstrated(run)
    shorter = replace(config, steps=practised + 70)
    write_yaml(shorter, run.config)
    summary = train(config, resume=run.path, quiet=True)
    assert summary["recovered_steps"] == before.steps, "every step that was recorded"
    assert summary["demonstrations"] == 1, "not shown again"
    assert practised + 70 <= summary["env_steps"] < practised + 70 + TASK_STEPS
    assert summary["updates"] == earned(config, summary["env_steps"]), "what was lost is learned again"
    assert summary["eval_episodes"] == 3
    assert not summary["interrupted"]
    after = recorded(run)
    assert after[0] == kept[0], "the first record is as it was"
    assert len(after) == 2
    assert describe(run.journal).steps == summary["env_steps"] + summary["demonstration_steps"]
    numbers = [int(e.meta.id.removeprefix("practice-")) for e in practice(run.path)]
    assert numbers == sorted(set(numbers)), "no episode number is used twice"
    stamps = [float(e.observations["stamp"][0]) for e in practice(run.path)]
    assert stamps == sorted(stamps), "the session's clock goes on"
    for path in (run.summary, run.policy, run.latest, run.curves, run.metrics):
        assert path.stat().st_size > 0, path


def _checkpointed(run: RunFolder) -> int:
    return int(str(read_checkpoint(run.latest)[1]["steps"]))


def _demonstrated(run: RunFolder) -> int:
    return sum(len(e) for e in episodes(run.journal) if e.meta.kind is EpisodeKind.DEMONSTRATION)
