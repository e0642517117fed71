"""`robot-rlhf offline`, made small: a run learned from another run's journal alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robot_rlhf.apps import reward_train
from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import EpisodeKind, Feedback, FeedbackKind, Segment
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.journal.reader import episodes
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.learner.iql import IqlConfig
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import RewardConfig, RewardInputs
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.learning import build_features
from robot_rlhf.run.results.summary import KEYS
from robot_rlhf.run.reward_features import features_facts
from robot_rlhf.run.settings import read_yaml, write_yaml
from robot_rlhf.run.train import train
from tests.runtime.runs import tiny

SMALL = ("--quiet", "--updates", "30", "--batch-size", "32", "--episodes", "3")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    train(tiny(out), quiet=True)
    return out / "run"


@pytest.fixture(scope="module")
def reward(recorded: Path) -> Path:
    file = recorded.parent / "reward.safetensors"
    assert reward_train.run([str(recorded), "--out", str(file), "--training.updates", "20", "--quiet"]) == 0
    return file


def learned(out: Path, *argv: str) -> dict[str, Any]:
    assert main(["offline", *argv, *SMALL, "--out", str(out), "--name", "new"]) == 0
    summary = json.loads((out / "new" / "summary.json").read_text())
    assert set(summary) == set(KEYS)
    assert summary["mode"] == "offline"
    return summary


def test_it_learns_from_the_journal_alone(recorded: Path, tmp_path: Path) -> None:
    summary = learned(tmp_path, str(recorded))
    assert summary["algorithm"] == "iql"
    assert summary["updates"] == 30
    assert summary["eval_episodes"] == 3
    offline = summary["offline"]
    assert offline["reward"] == "sparse"
    assert offline["gold_used"] is False
    counted = [e for e in episodes(recorded / "journal") if e.meta.kind is not EpisodeKind.EVALUATION]
    assert sum(offline["episodes_used"].values()) == len(counted)
    assert sum(offline["rows"].values()) == sum(map(len, counted))
    run = RunFolder.existing(tmp_path / "new")
    assert read_yaml(run.config).algorithm == "iql"
    assert not run.journal.exists()
    assert run.latest.exists()
    assert main(["eval", str(run.path)]) == 0
    again = json.loads((run.path / "eval-0.json").read_text())
    assert again["policy_checksum"] == summary["policy_checksum"]
    assert again["success_rate"] == summary["success_rate"]


def test_the_same_seed_gives_the_same_policy(recorded: Path, tmp_path: Path) -> None:
    checksums = {learned(tmp_path / str(i), str(recorded))["policy_checksum"] for i in range(2)}
    assert len(checksums) == 1


def test_by_a_learned_reward(recorded: Path, reward: Path, tmp_path: Path) -> None:
    offline = learned(tmp_path, str(recorded), "--reward", str(reward))["offline"]
    assert offline["reward"] == str(reward)
    assert offline["reward_head"] == "progress"
    assert offline["gold_used"] is False
    low, high = offline["reward_range"]
    assert 0.0 <= low < high <= 1.0


def test_a_reward_may_see_other_things_than_the_policy(recorded: Path, tmp_path: Path) -> None:
    config, spec = read_yaml(recorded / "config.yaml"), journal_spec(recorded / "journal")
    seen = replace(config, features=replace(config.features, fine=0.0, absolute=True))
    inputs = RewardInputs(build_features(seen, spec).size)
    assert inputs.state != build_features(config, spec).size
    model = LearnedReward(inputs, RewardConfig(hidden=(8,)), seed=0)
    model.trained, model.facts = ("progress",), features_facts(seen, spec)
    model.save(tmp_path / "other.safetensors")
    offline = learned(tmp_path, str(recorded), "--reward", str(tmp_path / "other.safetensors"))["offline"]
    assert offline["reward_range"][0] < offline["reward_range"][1]


def test_gold_is_marked(recorded: Path, tmp_path: Path) -> None:
    assert learned(tmp_path, str(recorded), "--reward", "gold")["offline"]["gold_used"] is True


@pytest.mark.parametrize("clones", ["people", "everything"])
def test_cloning_looks_at_no_reward(recorded: Path, tmp_path: Path, clones: str) -> None:
    summary = learned(tmp_path, str(recorded), "--learner", "cloning", "--clones", clones, "--reward", "gold")
    assert summary["offline"]["reward"] == "none"
    assert summary["offline"]["gold_used"] is False
    assert summary["offline"]["clones"] == clones


def test_several_recordings_and_bare_journals(recorded: Path, tmp_path: Path) -> None:
    once, twice = (
        learned(tmp_path / str(len(paths)), *map(str, paths))
        for paths in ([recorded / "journal"], [recorded / "journal", recorded])
    )
    assert {name: 2 * count for name, count in once["offline"]["rows"].items()} == twice["offline"]["rows"]
    assert 2 * once["demonstrations"] == twice["demonstrations"]


def test_an_episode_that_is_deleted_in_one_recording_counts_in_others_that_have_its_name(
    recorded: Path, tmp_path: Path
) -> None:
    deleted, kept = tmp_path / "deleted", recorded / "journal"
    shutil.copytree(kept, deleted)
    with LabelWriter(deleted) as writer:
        writer.give(Feedback(FeedbackKind.DISCARD, "person", 0.0, Segment("demonstration-000000", 0, 1), value=1.0))
    rows = [
        sum(learned(tmp_path / str(number), *map(str, paths))["offline"]["rows"].values())
        for number, paths in enumerate([(deleted,), (kept,), (deleted, kept), (kept, deleted)])
    ]
    assert rows[0] < rows[1]
    assert rows[2] == rows[3] == rows[0] + rows[1]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "no RUN"),
        (["nowhere"], "nowhere"),
        (["RUN", "--reward", "glod"], "--reward glod: no such file; allowed: sparse, gold"),
        (["RUN", "--updates", "0"], "updates: got 0"),
        (["RUN", "--learner", "sac"], "--learner sac: learns while a robot practises; allowed: iql, cloning"),
        (["RUN", "--reward", "CONFIG"], "config.yaml"),
    ],
)
def test_what_is_wrong_is_one_line(
    argv: list[str], said: str, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": str(recorded), "CONFIG": str(recorded / "config.yaml")}
    assert main(["offline", *(places.get(word, word) for word in argv), "--out", str(tmp_path / "runs")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "runs").exists()


def test_online_iql_is_a_learner_like_others(tmp_path: Path) -> None:
    summary = train(tiny(tmp_path, learner=IqlConfig(), steps=60), quiet=True)
    assert summary["algorithm"] == "iql"
    assert summary["updates"] > 0
    with pytest.raises(ConfigError, match=r"learner\.expectile"):
        IqlConfig(expectile=2.0)


@pytest.mark.curves
def test_measured_on_the_way_the_best_is_kept_and_drawn(recorded: Path, tmp_path: Path) -> None:
    summary = learned(tmp_path, str(recorded), "--every", "10")
    run = RunFolder(tmp_path / "new")
    rows = [json.loads(line) for line in run.evaluations.read_text().splitlines()]
    assert [row["step"] for row in rows] == [10, 20, 30]
    assert run.chosen == run.best
    assert read_snapshot(run.best)[0].checksum == summary["policy_checksum"]
    assert run.curves.stat().st_size > 0


def test_it_begins_with_the_policy_that_is_asked_for_and_with_no_other(recorded: Path, tmp_path: Path) -> None:
    """What the recorded run began with is no matter."""
    policy = RunFolder(recorded).policy
    copy = RunFolder(Path(shutil.copytree(recorded, tmp_path / "copy")))
    write_yaml(replace(read_yaml(copy.config), start=policy, prior=(recorded,)), copy.config)
    ends = {
        name: learned(tmp_path / name, str(copy.path), *argv)["policy_checksum"]
        for name, argv in {"plain": (), "again": (), "started": ("--start", str(policy))}.items()
    }
    assert ends["plain"] == ends["again"] != ends["started"]
    told = {name: read_yaml(tmp_path / name / "new" / "config.yaml") for name in ends}
    assert (told["plain"].start, told["plain"].prior, told["started"].start) == (None, (), policy)


def test_without_final_episodes_nothing_is_measured(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (*SMALL, "--episodes", "0", "--out", str(tmp_path), "--name", "new")
    assert main(["offline", str(recorded), *options]) == 0
    summary = json.loads((tmp_path / "new" / "summary.json").read_text())
    assert (summary["success_rate"], summary["not_measured"]) == (None, "evaluation.final_episodes is 0")
    assert main(["eval", str(tmp_path / "new")]) == 2
    assert "has evaluation.final_episodes 0; allowed >= 1" in capsys.readouterr().err
    assert main(["eval", str(tmp_path / "new"), "--episodes", "1"]) == 0
