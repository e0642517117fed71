"""The CLIP encoder and reward, with tiny models of random weights: preprocessing, checkpoints, and clear errors."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from robot_rlhf.conformance import ScoresConformance
from robot_rlhf.datatypes import Batch
from robot_rlhf.errors import CheckpointError, ConfigError, InvalidValueError, ShapeError, UnknownNameError
from robot_rlhf.rewards import clip
from robot_rlhf.rewards.clip import ClipEncoder, encoder_of, open_encoder, preprocessed, save_clip
from robot_rlhf.rewards.clip_reward import ClipReward, ClipScores
from robot_rlhf.rewards.projection import mean_direction, projected_reward
from robot_rlhf.rewards.vocabulary import FIRST, PADDING, UNKNOWN, Vocabulary

open_clip = pytest.importorskip("open_clip")

SENTENCES = ("the gripper is high", "the gripper is low", "the cube is on the left")
ENCODE = open_clip.SimpleTokenizer().encode
VOCABULARY = Vocabulary.of(SENTENCES, ENCODE, 12)


def architecture(vocabulary: int = VOCABULARY.size, width: int = 16, length: int = 12) -> dict[str, Any]:
    return {
        "embed_dim": 8,
        "vision_cfg": {"layers": 1, "width": width, "head_width": 8, "patch_size": 8, "image_size": 16},
        "text_cfg": {"context_length": length, "vocab_size": vocabulary, "width": 16, "heads": 2, "layers": 1},
    }


def made(**changes: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return open_clip.CLIP(**architecture(**changes))


@pytest.fixture(scope="module")
def encoder() -> ClipEncoder:
    return encoder_of(made(), VOCABULARY, "tiny")


def pictures(count: int, size: tuple[int, int] = (24, 40), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def batch(count: int, **cameras: Tensor) -> Batch:
    zeros = torch.zeros(count)
    before = {"state": torch.zeros(count, 2)}
    after = {**before, **cameras}
    index = torch.arange(count)
    return Batch(before, torch.zeros(count, 1), zeros, zeros, after, index * 0, zeros + 1.0, index)


def test_preprocessing_is_open_clips_own_up_to_rounding() -> None:
    many = pictures(2, (48, 64))
    smooth = np.stack([np.asarray(Image.fromarray(p).resize((64, 48)).resize((64, 48))) for p in many])
    theirs = open_clip.image_transform(16, is_train=False, resize_mode="squash", interpolation="bicubic")
    wanted = torch.stack([theirs(Image.fromarray(p)) for p in smooth])
    got = preprocessed(torch.from_numpy(smooth.copy()), (16, 16))
    assert got.shape == (2, 3, 16, 16)
    assert float((got - wanted).abs().max()) < 2.1 / 255.0 / min(clip.CLIP_STD)


def test_floats_of_replay_and_bytes_are_the_same_picture() -> None:
    raw = torch.from_numpy(pictures(3))
    torch.testing.assert_close(preprocessed(raw.float() / 255.0 - 0.5, (16, 16)), preprocessed(raw, (16, 16)))
    same = torch.from_numpy(pictures(1, (16, 16)))  # of the model's own size: only normalised
    by_hand = (same[0, 3, 5].float() / 255.0 - torch.tensor(clip.CLIP_MEAN)) / torch.tensor(clip.CLIP_STD)
    torch.testing.assert_close(preprocessed(same, (16, 16))[0, :, 3, 5], by_hand)


@pytest.mark.parametrize("shape", [(16, 16, 3), (2, 3, 16, 16), (2, 16, 16)])
def test_what_are_no_pictures_is_refused(shape: tuple[int, ...], encoder: ClipEncoder) -> None:
    with pytest.raises(ShapeError, match="pictures"):
        encoder.images(torch.zeros(shape, dtype=torch.uint8))


def test_embeddings_have_unit_length_whatever_the_batch(encoder: ClipEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = pictures(7)
    together = encoder.images(raw)
    assert together.shape == (7, encoder.size)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(7))
    monkeypatch.setattr(clip, "CHUNK", 3)
    torch.testing.assert_close(encoder.images(raw), together)
    torch.testing.assert_close(encoder.images(torch.from_numpy(raw[2:3])), together[2:3])
    texts = encoder.texts(SENTENCES)
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(encoder(SENTENCES[1:2]), texts[1:2])
    assert not together.requires_grad


def test_the_small_vocabulary_gives_what_the_full_one_gives() -> None:
    """The same weights with all 49,408 rows, of which the vocabulary's are copied."""
    full, small = made(vocabulary=49408), made()
    state = full.state_dict()
    rows = [0, 0, *VOCABULARY.tokens, 49406, 49407]  # padding and the unknown one first; start and end last
    state["token_embedding.weight"] = state["token_embedding.weight"][rows]
    small.load_state_dict(state)
    wanted = torch.nn.functional.normalize(full.encode_text(open_clip.tokenize(list(SENTENCES), 12)), dim=1)
    torch.testing.assert_close(encoder_of(small, VOCABULARY, "x").texts(SENTENCES), wanted.detach())


def test_numbers_of_a_sentence() -> None:
    start, end = VOCABULARY.size - 2, VOCABULARY.size - 1
    table = VOCABULARY.numbers(["the gripper", "the zebra", " ".join(["the"] * 20)], ENCODE)
    the = int(table[0, 1])
    assert table.shape == (3, 12)
    assert table[0, 0] == start
    assert table[0].max() == end
    assert int((table[0] == PADDING).sum()) == 12 - 2 - len(ENCODE("the gripper"))
    assert UNKNOWN in table[1].tolist()
    assert table[2].tolist() == [start, *[the] * 10, end]  # cut, and still with an end
    forgotten = VOCABULARY.forget(table, torch.ones_like(table, dtype=torch.bool))
    assert forgotten[2].tolist() == [start, *[UNKNOWN] * 10, end]
    assert bool(((table < FIRST) <= (forgotten < FIRST)).all())


def test_unknown_words_are_named_once_and_known_ones_not(
    encoder: ClipEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        encoder.texts(SENTENCES)
        assert not caplog.records
        encoder.texts(["Der Würfel ist links", "the Zebra"])
    (record,) = caplog.records
    assert "'der', 'würfel', 'ist', 'links', 'zebra'" in record.getMessage()
    assert "gripper" in record.getMessage()  # what it does know


@pytest.mark.parametrize("sentences", [[], [""], ["the gripper", "  "]])
def test_sentences_are_not_empty(sentences: list[str], encoder: ClipEncoder) -> None:
    with pytest.raises(InvalidValueError, match="sentences"):
        encoder.texts(sentences)


def test_a_checkpoint_gives_the_same_encoder_back(tmp_path: Path, encoder: ClipEncoder) -> None:
    path = tmp_path / "folder" / "small.safetensors"
    save_clip(path, made(), architecture(), VOCABULARY, {"card": {"pictures": 3}})
    loaded = open_encoder(str(path))
    torch.testing.assert_close(loaded.images(pictures(2)), encoder.images(pictures(2)))
    torch.testing.assert_close(loaded.texts(SENTENCES), encoder.texts(SENTENCES))
    assert loaded.facts["card"] == {"pictures": 3}
    assert loaded.vocabulary == VOCABULARY
    assert [p.name for p in path.parent.iterdir()] == ["small.safetensors"]


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match="reward clip"):
        ClipEncoder.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="corrupt"):
        ClipEncoder.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="format"):
        ClipEncoder.load(path)
    for facts in (
        None,
        "{",
        "[]",
        '{"tokens": 3}',
        '{"tokens": [], "words": [], "length": 8, "architecture": {"odd": 1}}',
    ):
        said = {"format": clip.FORMAT} | ({} if facts is None else {"facts": facts})
        save_file({"a": torch.zeros(1)}, path, said)
        with pytest.raises(CheckpointError, match="does not say what it holds"):
            ClipEncoder.load(path)
    save_clip(path, made(), architecture(width=24), VOCABULARY)
    with pytest.raises(CheckpointError, match=r"visual.*has shape.*needs"):
        ClipEncoder.load(path)
    save_clip(path, made(), architecture(), VOCABULARY)
    (tmp_path / "cut").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="corrupt"):
        ClipEncoder.load(tmp_path / "cut")
    with pytest.raises(ConfigError, match="MODEL:TAG"):
        open_encoder("no_such_file")


def test_without_open_clip_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    for call in (lambda: ClipEncoder.pretrained("ViT-B-32", "openai"), lambda: ClipEncoder.load(tmp_path / "x")):
        with pytest.raises(ConfigError, match=r"pip install 'robot-rlhf\[vlm\]'"):
            call()


@pytest.fixture
def tiny_model(tmp_path: Path) -> Iterator[str]:
    """A model of a few thousand weights among open_clip's own."""
    config = architecture(vocabulary=49408)
    file = tmp_path / "robot-tiny.json"
    file.write_text(json.dumps(config))
    open_clip.add_model_config(file)
    yield "robot-tiny"
    open_clip.factory._MODEL_CONFIGS.pop("robot-tiny", None)


def test_a_model_of_open_clip_with_a_file_of_weights(
    tiny_model: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = made(vocabulary=49408, length=12).eval()
    path = tmp_path / "weights.safetensors"
    save_file(full.state_dict(), path)
    loaded = open_encoder(f"{tiny_model}:{path}")
    wanted = full.encode_text(open_clip.tokenize(list(SENTENCES), 12), normalize=True)
    torch.testing.assert_close(loaded.texts(SENTENCES), wanted.detach())
    assert loaded.images(pictures(2)).shape == (2, 8)
    with caplog.at_level(logging.WARNING):
        loaded.texts(["Würfel"])
    assert "English" in caplog.text


def test_weights_that_cannot_be_had_are_an_error_of_one_line(
    tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        ClipEncoder.pretrained(tiny_model, "weights/none.pt")
    path = tmp_path / "other.safetensors"
    save_file(made(vocabulary=49408, width=24).state_dict(), path)
    with pytest.raises(CheckpointError, match=r"'visual\.[a-z_.0-9]+' has shape"):
        ClipEncoder.pretrained(tiny_model, str(path))
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="not a file of weights"):
        ClipEncoder.pretrained(tiny_model, str(broken))

    def offline(*arguments: object, **options: object) -> None:
        raise RuntimeError("no route to host\nand more")

    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(CheckpointError, match=r"no route to host.*reward clip") as caught:
        ClipEncoder.pretrained("ViT-B-32", "openai")
    assert "\n" not in str(caught.value)


def test_unknown_models_and_tags_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match="ViT-B-32"):
        open_encoder("ViT-B-33:openai")
    with pytest.raises(UnknownNameError, match="Did you mean 'openai'"):
        open_encoder("ViT-B/32:openia")


def test_the_reward_is_that_of_the_formula(encoder: ClipEncoder) -> None:
    raw = pictures(4)
    goals, baselines = SENTENCES[:2], SENTENCES[2:]
    model = ClipReward(encoder, goals, baselines, 0.5, version=3)
    assert model.version == 3
    embedded, each, baseline = encoder.images(raw), encoder.texts(goals), encoder.texts(baselines)[0]
    wanted = [projected_reward(embedded, goal, baseline, 0.5).numpy() for goal in (mean_direction(each), *each)]
    assert model.score_images(raw).dtype == np.float32
    np.testing.assert_allclose(model.score_images(raw), wanted[0], atol=1e-6)
    np.testing.assert_allclose(model.each(raw), wanted, atol=1e-6)
    cosine = ClipReward(encoder, goals[:1])
    np.testing.assert_allclose(cosine.each(raw), [(embedded @ each[0]).numpy()] * 2, atol=1e-6)


class TestClipScores(ScoresConformance):
    """As replay keeps them: a row's state is what its picture was given."""

    def make_scores(self) -> ClipScores:
        return ClipScores(ClipReward(encoder_of(made(), VOCABULARY, "tiny"), SENTENCES[:2]), apart=True)

    def make_batch(self, seed: int) -> Batch:
        kept = torch.from_numpy(self.make_scores().of_pictures(pictures(6, seed=seed)))
        index, zeros = torch.arange(6), torch.zeros(6)
        state = {"state": kept}
        return Batch(state, torch.zeros(6, 1), zeros, zeros, state, index * 0, zeros + 1.0, index)


def test_a_reward_that_cannot_be_is_refused_before_an_episode(encoder: ClipEncoder) -> None:
    with pytest.raises(ConfigError, match="mean the same"):
        ClipReward(encoder, SENTENCES[:1], SENTENCES[:1], 0.5)
    with pytest.raises(ConfigError, match="needs a baseline"):
        ClipReward(encoder, SENTENCES[:1], alpha=0.5)
    with pytest.raises(InvalidValueError, match="alpha"):
        ClipReward(encoder, SENTENCES[:1], SENTENCES[1:2], 1.5)
    with pytest.raises(InvalidValueError, match="sentences"):
        ClipReward(encoder, [])


def test_the_checkpoint_holds_its_tensors_alone_and_says_the_rest_in_json(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_clip(path, made(), architecture(), VOCABULARY)
    assert load_file(path).keys() == made().state_dict().keys()
