"""Sentences as rewards in `train`, `offline`, `reward score` and `report`, with a tiny CLIP of random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_rlhf.apps import reward
from robot_rlhf.apps.cli import main
from robot_rlhf.apps.reward_score import RewardScoreOptions, score
from robot_rlhf.datatypes import EpisodeKind, Outcome
from robot_rlhf.errors import CheckpointError, ConfigError, RenderError, UnknownNameError
from robot_rlhf.journal.reader import episodes, replay_into
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.learner.rewarding import RewardKeeper, RewardModelConfig
from robot_rlhf.rewards.clip import save_clip
from robot_rlhf.rewards.clip_reward import ClipConfig, open_reward
from robot_rlhf.rewards.gates import GateConfig
from robot_rlhf.rewards.vocabulary import Vocabulary
from robot_rlhf.run.build import open_place
from robot_rlhf.run.settings import TrainConfig, read_yaml, write_yaml
from robot_rlhf.run.train import train
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.episode_scores import EpisodeScores
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import Reach
from tests.run.weights import always_succeeds
from tests.runtime.runs import earned, tiny

open_clip = pytest.importorskip("open_clip")

GOAL, BASELINE = "the gripper is high", "the gripper is low"


@pytest.fixture(scope="module", autouse=True)
def _needs_gl() -> None:
    arm = Reach(FakeClock()).arm
    try:
        arm.render("front", 8, 8)
    except RenderError as error:
        pytest.skip(str(error))
    finally:
        arm.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    encode = open_clip.SimpleTokenizer().encode
    vocabulary = Vocabulary.of([GOAL, BASELINE], encode, 12)
    architecture: dict[str, Any] = {
        "embed_dim": 8,
        "vision_cfg": {"layers": 1, "width": 16, "head_width": 8, "patch_size": 8, "image_size": 16},
        "text_cfg": {"context_length": 12, "vocab_size": vocabulary.size, "width": 16, "heads": 2, "layers": 1},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = open_clip.CLIP(**architecture)
    path = tmp_path_factory.mktemp("clip") / "small.safetensors"
    save_clip(path, model, architecture, vocabulary, {"card": {"tasks": ["reach"]}})
    return path


def by_sentence(out: Path, clip: Path, **changes: Any) -> TrainConfig:
    settings = RewardModelConfig(clip=ClipConfig(str(clip), (GOAL,), (BASELINE,), 0.5), use="replace")
    return tiny(out, cameras=("front",), image_size=16, reward_model=settings, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    out = tmp_path_factory.mktemp("runs")
    train(by_sentence(out, clip), quiet=True)
    return out / "run"


def test_rows_get_the_scores_of_their_pictures(run: Path, clip: Path) -> None:
    """A learner fed with the run's journal holds, row by row, what the CLIP says of the picture that was reached."""
    config = read_yaml(run / "config.yaml")
    settings = replace(config.reward_model, bounded=False)
    config = replace(config, reward_model=settings)
    spec = journal_spec(run / "journal")
    assert spec is not None
    learning = build_learning(config, spec)
    assert learning.value_check is None
    trainer = learning.trainer
    replay_into(run / "journal", trainer, pictures=True)
    scores, keeper, *_ = trainer.tutors
    assert isinstance(scores, EpisodeScores)
    assert isinstance(keeper, RewardKeeper)
    scores.finish()
    assert keeper.finish() == len(trainer.buffer)
    judge = open_reward(config.reward_model.clip)
    said = np.concatenate(
        [
            judge.score_images(e.observations["images/front"][1:])
            for e in episodes(run / "journal")
            if e.meta.kind is not EpisodeKind.EVALUATION
        ]
    )
    index = trainer.buffer.indices()
    assert len(index) == len(said)
    assert (trainer.buffer.columns(index)["reward_version"] == 1).all()
    batch = trainer.buffer.gather(index, one_step=True)
    share = torch.where(batch.discount == 0.0, 1.0, 1.0 - config.replay.discount)
    got = (batch.reward / share).numpy()  # the scale is that of the starting policy: an affine map of the scores
    assert np.corrcoef(got, said)[0, 1] == pytest.approx(1.0, abs=1e-4)


def test_rows_of_an_episode_that_goes_on_count_nothing(run: Path) -> None:
    config = read_yaml(run / "config.yaml")
    spec = journal_spec(run / "journal")
    assert spec is not None
    trainer = build_learning(config, spec).trainer
    (first, *_) = [e for e in episodes(run / "journal") if e.meta.kind is EpisodeKind.PRACTICE]
    trainer.on_episode_start(first.meta, first.observation(0))
    for step in list(first.steps())[:5]:
        trainer.on_step(replace(step, reward=0.75))
    for tutor in trainer.tutors[1:]:  # before the first, which scores
        tutor.work(lambda: None)
    assert trainer.buffer.gather(trainer.buffer.indices(), one_step=True).reward.tolist() == [0.0] * 5


def test_an_interrupted_run_scores_again_when_it_is_resumed(tmp_path: Path, clip: Path) -> None:
    config = by_sentence(tmp_path, clip)
    train(replace(config, steps=60), quiet=True)
    write_yaml(replace(config, steps=90), tmp_path / "run" / "config.yaml")
    assert main(["train", "--resume", str(tmp_path / "run"), "--quiet"]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["recovered_steps"] >= 60
    assert summary["env_steps"] >= 90


def test_offline(run: Path, clip: Path, tmp_path: Path) -> None:
    words = ["offline", str(run), "--reward", "clip", "--clip.model", str(clip), "--clip.goal", GOAL, "--quiet"]
    words += ["--updates", "20", "--batch-size", "32", "--episodes", "2", "--out", str(tmp_path), "--name", "new"]
    assert main([*words, "--gates.rules", "out_of_workspace", "--gates.upper", "0.5", "1", "1"]) == 0
    offline = json.loads((tmp_path / "new" / "summary.json").read_text())["offline"]
    assert GOAL in offline["reward_sentences"]
    low, high = offline["reward_range"]
    assert -1.0 <= low < high <= 1.0
    beyond = sum(
        int((e.observations["tool_pose_in_base"][1:, 0] > 0.5).sum())
        for e in episodes(run / "journal", pictures=False)
        if e.meta.kind is not EpisodeKind.EVALUATION
    )
    assert offline["gated_rows"] == beyond > 0


def test_score_and_report(run: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ClipConfig(str(clip), (GOAL, "the gripper is low"))
    gates = GateConfig(("out_of_workspace",), upper=(0.5, 1.0, 1.0))
    judge = open_reward(settings)
    recorded = list(episodes(run / "journal"))
    found = list(score(RewardScoreOptions((run,), clip=settings, gates=gates)))
    assert [s.trajectory.id for s in found] == [e.meta.id for e in recorded]
    for scored, episode in zip(found, recorded, strict=True):
        own = judge.score_images(episode.observations["images/front"][1:])
        broken = episode.observations["tool_pose_in_base"][1:, 0] > 0.5
        np.testing.assert_allclose(scored.reward, np.where(broken, -0.5, own), atol=1e-6)
        assert (scored.spread > 0.0).any()
    words = [str(run), "--clip.model", str(clip), "--clip.goal", GOAL, "--out", str(tmp_path / "page")]
    assert reward.run(["report", *words]) == 0
    facts = json.loads((tmp_path / "page" / "report.json").read_text())
    assert facts["head"] == "sentences"
    assert facts["gold_episodes"] == len(recorded)
    assert facts["sections"]["Confusion over tasks"]["missing"]
    page = (tmp_path / "page" / "report.html").read_text()
    assert GOAL in page
    out = tmp_path / "scores.jsonl"
    assert reward.run(["score", *words[:-2], "--out", str(out), "--gates.rules", "over_force"]) == 0
    assert "over_force: " in capsys.readouterr().out
    assert set(json.loads(out.read_text().splitlines()[0])["broken"]) <= {None, "over_force"}


def test_what_cannot_be_is_said(run: Path, clip: Path, tmp_path: Path) -> None:
    used = ClipConfig(str(clip), (GOAL,))
    with pytest.raises(ConfigError, match=r"the run \(--cameras\) records the cameras none, not 'front'"):
        tiny(tmp_path, reward_model=RewardModelConfig(clip=used))
    with pytest.raises(ConfigError, match="records the cameras front, not 'wrist'"):
        list(score(RewardScoreOptions((run,), clip=replace(used, camera="wrist"))))
    with pytest.raises(ConfigError, match="no model 'ViT-B-3'; nearest: ViT-B-32"):
        open_reward(ClipConfig("ViT-B-3:openai", (GOAL,)))
    with pytest.raises(UnknownNameError, match="laion2b_s34b_b79k"):
        open_reward(ClipConfig("ViT-B-32:laion2b_s34b", (GOAL,)))
    with pytest.raises(CheckpointError, match="this architecture needs"):
        open_reward(ClipConfig(f"ViT-B-32:{clip}", (GOAL,)))
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        open_reward(ClipConfig(str(tmp_path / "none.safetensors"), (GOAL,)))
    with pytest.raises(ConfigError, match=r"clip.goal .* >= 1 goal"):
        ClipConfig(str(clip))
    with pytest.raises(ConfigError, match=r"needs clip\.baseline"):
        replace(used, alpha=0.5)
    with pytest.raises(ConfigError, match=r"not used without clip\.model"):
        ClipConfig(goal=(GOAL,))
    with pytest.raises(ConfigError, match=r"allowed without reward_model\.file"):
        RewardModelConfig(clip=used, learns=True)
    with pytest.raises(ConfigError, match="needs two goal sentences"):
        RewardModelConfig(clip=used, members="minimum")
    with pytest.raises(ConfigError, match="allowed with a learned reward"):
        RewardModelConfig(gates=GateConfig(("dropped",)))
    with pytest.raises(ConfigError, match=r"one of --reward FILE and --clip\.model"):
        RewardScoreOptions((run,))


@pytest.mark.slow
def test_arms_are_judged_and_scored_by_models(tmp_path: Path, clip: Path) -> None:
    """Every process of mode parallel: the arms' episodes end by a learned success, the learner's rows by sentences."""
    base = by_sentence(tmp_path, clip)
    spec = open_place(base, FakeClock()).spec
    judge = always_succeeds(base, spec, tmp_path / "success.safetensors")
    config = replace(
        base,
        mode="parallel",
        arms=2,
        steps=60,
        demonstrations=2,
        success_model=judge,
        reward=SparseReward(judge="model"),
        evaluation=replace(base.evaluation, every=10**6),
    )
    summary = train(config, quiet=True)
    ended = [e for e in episodes(tmp_path / "run" / "journal") if e.end is not None]
    assert {e.meta.kind for e in ended} == {EpisodeKind.DEMONSTRATION, EpisodeKind.PRACTICE}
    assert {(len(e), e.end.outcome) for e in ended if e.end} == {(3, Outcome.SUCCESS)}
    assert summary["updates"] == earned(config, summary["env_steps"]) > 0
    assert "Traceback" not in (tmp_path / "run" / "learner.log").read_text()
