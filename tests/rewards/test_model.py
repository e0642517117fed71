"""The learned reward model scores in bounded memory, comes back from its file, and says what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robot_rlhf.conformance import ScoresConformance
from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import CheckpointError, ConfigError, InvalidValueError, ShapeError
from robot_rlhf.policy.tensor_file import read_checkpoint, write_checkpoint
from robot_rlhf.ports import Scores
from robot_rlhf.rewards import model as module
from robot_rlhf.rewards.model import Calibration, HeldSuccess, LearnedReward
from robot_rlhf.rewards.network import HEADS, Head, RewardConfig, RewardInputs

CAMERA = (24, 32)
EVERYTHING = RewardInputs(3, {"front": CAMERA}, action=2, embedding=5)
SMALL = RewardConfig(members=3, hidden=(16,), image_latent=8, text=4)


def model(inputs: RewardInputs = EVERYTHING, config: RewardConfig = SMALL, seed: int = 0) -> LearnedReward:
    made = LearnedReward(inputs, config, seed=seed)
    made.trained = HEADS
    made.instruction = "pick up the cube"
    return made


def moments(count: int, seed: int = 0) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    observation = {
        "state": torch.randn(count, 3, generator=generator),
        "embedding": torch.randn(count, 5, generator=generator),
        "front": torch.randint(0, 255, (count, *CAMERA, 3), generator=generator, dtype=torch.uint8),
    }
    return observation, torch.rand(count, 2, generator=generator) * 2 - 1


def batch(count: int) -> Batch:
    observation, _ = moments(count, seed=1)
    following, action = moments(count, seed=2)
    nothing = torch.zeros(count)
    number = torch.arange(count)
    return Batch(observation, action, nothing, nothing, following, number, nothing, number)


class TestPreference(ScoresConformance):
    def make_scores(self) -> LearnedReward:
        net = model()
        net.read("preference")
        return net

    def make_batch(self, seed: int) -> Batch:
        return batch(6 + seed)


class TestProgress(TestPreference):
    def make_scores(self) -> LearnedReward:
        return model()


def test_heads_have_their_shapes_and_ranges() -> None:
    heads = model().forward(*moments(7))
    assert heads.progress.shape == heads.preference.shape == heads.success.shape == (3, 7)
    assert heads.bins.shape == (3, 7, 10)
    assert ((heads.progress >= 0) & (heads.progress <= 1)).all()
    assert not torch.equal(heads.preference[0], heads.preference[1])  # members begin differently


def test_each_member_can_be_shown_rows_of_its_own() -> None:
    net = model()
    shown = [moments(4, seed=i) for i in range(3)]
    observation = {name: torch.cat([o[name] for o, _ in shown]) for name in shown[0][0]}
    own = net.forward(observation, torch.cat([a for _, a in shown]), own_rows=True)
    for i, (seen, action) in enumerate(shown):
        one = net.forward(seen, action)
        torch.testing.assert_close(own.preference[i], one.preference[i], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(own.progress[i], one.progress[i], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_scores_are_about_what_a_transition_leads_to(head: Head) -> None:
    net = model()
    net.calibration = Calibration(temperature=2.0, offset=0.5, threshold=0.6)
    net.read(head)
    given = batch(9)
    heads = net.forward(given.next_observation, given.action)
    values = {
        "progress": heads.progress,
        "preference": heads.preference,
        "success": torch.sigmoid(heads.success / 2.0 + 0.5),
    }[head]
    mean = values.mean(dim=0)
    expected = (mean >= 0.6).float() if head == "success" else mean
    assert isinstance(net, Scores)
    score = net.scores(given).numpy()
    assert score.dtype == np.float32
    np.testing.assert_allclose(score, expected.detach().numpy(), rtol=1e-5, atol=1e-6)
    if head == "success":
        chance = net.calibration.probability(heads.success.detach().numpy())
        np.testing.assert_allclose(chance, mean.detach().numpy(), rtol=1e-5)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net = model()
    observation, action = moments(11)
    sentences = ["pick up the cube", "go left"] * 5 + ["go"]
    whole = net.members(observation, action, sentences)
    monkeypatch.setattr(module, "PICTURE_CHUNK", 4)
    torch.testing.assert_close(net.members(observation, action, sentences), whole, rtol=1e-5, atol=1e-6)
    empty = {name: value[:0] for name, value in observation.items()}
    assert net.members(empty, action[:0], []).shape == (3, 0)


def test_pictures_that_replay_has_normalised_score_the_same() -> None:
    net = model()
    observation, action = moments(5)
    normalised = {**observation, "front": observation["front"].float() / 255.0 - 0.5}
    torch.testing.assert_close(net.members(normalised, action), net.members(observation, action))


def test_the_sentence_counts() -> None:
    net = model()
    observation, action = moments(4)
    own = net.members(observation, action)
    torch.testing.assert_close(net.members(observation, action, ["pick up the cube"] * 4), own)
    assert not torch.equal(net.members(observation, action, ["go left"] * 4), own)


def test_what_is_missing_or_of_another_shape_is_named() -> None:
    net = model()
    observation, action = moments(4)
    with pytest.raises(InvalidValueError, match="'front'"):
        net.members({name: value for name, value in observation.items() if name != "front"}, action)
    with pytest.raises(ShapeError, match=r"front.*\(4, 12, 32, 3\).*\(B, 24, 32, 3\)"):
        net.members({**observation, "front": observation["front"][:, :12]}, action)
    with pytest.raises(InvalidValueError, match="action"):
        net.members(observation)
    with pytest.raises(ShapeError, match="action"):
        net.members(observation, action[:, :1])
    with pytest.raises(ConfigError, match="none"):
        RewardInputs(0)


# -- files -------------------------------------------------------------------------------------------------------------


def test_save_and_load_are_inverse(tmp_path: Path) -> None:
    net = model(seed=5)
    net.version = 7
    net.calibration = Calibration(2.5, -1.0, 0.7, 3)
    net.facts = {"task": "pick_cube", "features": {"scene": True}}
    assert net.network.words is not None
    net.network.words.teach(["pick up the cube"])
    net.read("success")
    net.save(tmp_path / "reward.safetensors")
    again = LearnedReward.load(tmp_path / "reward.safetensors")
    given = batch(6)
    assert torch.equal(
        again.members(given.next_observation, given.action), net.members(given.next_observation, given.action)
    )
    for name in ("inputs", "config", "version", "calibration", "facts", "reads", "trained", "instruction"):
        assert getattr(again, name) == getattr(net, name), name
    assert again.unknown_words("pick up the sphere") == ["sphere"]
    assert LearnedReward.load(tmp_path / "reward.safetensors", reads="progress").reads == "progress"


def test_a_head_that_learned_nothing_is_refused(tmp_path: Path) -> None:
    net = model()
    net.trained = ("progress",)
    net.save(tmp_path / "reward.safetensors")
    with pytest.raises(ConfigError, match="success head has not been trained; trained: progress"):
        LearnedReward.load(tmp_path / "reward.safetensors", reads="success")


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "reward.safetensors"
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        LearnedReward.load(path)
    write_checkpoint(path, {"x": torch.zeros(1)}, {"updates": 3})
    with pytest.raises(CheckpointError, match="holds no learned reward"):
        LearnedReward.load(path)
    model().save(path)
    tensors, facts = read_checkpoint(path)
    inputs = facts["inputs"]
    assert isinstance(inputs, dict)
    write_checkpoint(path, tensors, {**facts, "inputs": {**inputs, "state": 4}})
    with pytest.raises(CheckpointError, match=r"layers\.0\.weight"):
        LearnedReward.load(path)
    write_checkpoint(path, tensors, {**facts, "config": {"layers": 3}})
    with pytest.raises(CheckpointError, match="another version"):
        LearnedReward.load(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="corrupt"):
        LearnedReward.load(path)


class Lengths(nn.Module):
    """A text encoder made elsewhere."""

    size = 4

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, sentences: Sequence[str]) -> Tensor:
        return torch.tensor([[float(len(sentence))] * 4 for sentence in sentences]) * self.scale


def test_a_text_encoder_made_elsewhere_must_be_given_again(tmp_path: Path) -> None:
    path = tmp_path / "reward.safetensors"
    net = LearnedReward(EVERYTHING, SMALL, seed=0, texts=Lengths())
    assert not [name for name, _ in net.network.named_parameters() if "scale" in name]  # it is no part of the model
    net.trained = ("progress",)
    net.save(path)
    with pytest.raises(CheckpointError, match="needs the text encoder"):
        LearnedReward.load(path)
    again = LearnedReward.load(path, texts=Lengths())
    observation, action = moments(3)
    torch.testing.assert_close(again.members(observation, action), net.members(observation, action))
    model().save(path)
    with pytest.raises(CheckpointError, match="reads its own words"):
        LearnedReward.load(path, texts=Lengths())


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (replace(EVERYTHING, cameras={}), "run has no camera, .* trained with camera 'front'"),
        (replace(EVERYTHING, cameras={"wrist": CAMERA}), "run has wrist"),
        (replace(EVERYTHING, cameras={"front": (64, 64)}), "'front' are 64 x 64, .* trained with 24 x 32"),
        (replace(EVERYTHING, state=9), "state vector has 9 entries, .* trained with 3"),
        (replace(EVERYTHING, action=None), "action vector has 0 entries, .* trained with 2"),
    ],
)
def test_another_robot_does_not_fit(inputs: RewardInputs, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        model().check_fits(inputs, "run")
    model().check_fits(replace(EVERYTHING, cameras={"front": CAMERA, "wrist": (8, 8)}), "run")


def test_success_must_be_held_anew_in_every_episode() -> None:
    held = HeldSuccess(Calibration(threshold=0.5, hold=2))
    assert [held.step(x) for x in (0.9, 0.4, 0.5, 0.6, 0.7)] == [False, False, False, True, True]
    held.reset()
    assert not held.step(0.9)
    assert held.step(0.9)
