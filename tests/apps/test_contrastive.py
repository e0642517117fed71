"""`robot-rlhf reward clip`, in a few steps: truth of captions, scenes kept apart, checkpoint and card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_rlhf.apps import contrastive
from robot_rlhf.apps.contrastive import ClipOptions, batches, render, split, table_of, train_clip, truths
from robot_rlhf.errors import ConfigError, RenderError
from robot_rlhf.learner.contrastive import ContrastiveConfig
from robot_rlhf.rewards.clip import ClipEncoder
from robot_rlhf.rewards.vocabulary import Vocabulary
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import Reach

open_clip = pytest.importorskip("open_clip")

TINY = ClipOptions(
    out=Path("small.safetensors"), pairs=330, steps=3, image_size=32, training=ContrastiveConfig(batch_size=20)
)


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
def frames() -> contrastive.Frames:
    return render(TINY)


def test_scenes_are_whole_in_one_half_and_every_task_is_in_both(frames: contrastive.Frames) -> None:
    train, held_out = split(frames)
    assert len(train.facts) + len(held_out.facts) == len(frames.facts) >= TINY.pairs
    assert not set(train.scenes) & set(held_out.scenes)
    for half in (train, held_out):
        assert {facts["scene"] for facts in half.facts} == {"marker", "cube", "peg"}
    assert len(np.unique(frames.pictures.reshape(len(frames.facts), -1), axis=0)) > 0.9 * len(frames.facts)


def test_every_task_can_be_shown() -> None:
    """Also those that are not trained on when nothing is said: their descriptions are whole sentences."""
    shown = render(replace(TINY, tasks=("push", "drawer_store"), pairs=260, seed=1))
    assert {facts["scene"] for facts in shown.facts} == {"puck", "drawer"}
    assert {"held", "stored"} <= {facts["block place"] for facts in shown.facts if "block place" in facts}
    assert "in" in {facts["puck place"] for facts in shown.facts if "puck place" in facts}
    encode = open_clip.SimpleTokenizer().encode
    assert max(len(encode(shown.captions.describe(facts).text)) for facts in shown.facts) <= contrastive.SENTENCE - 2


def test_truth_by_table_is_that_of_the_captions(frames: contrastive.Frames) -> None:
    rng = np.random.default_rng(0)
    said = [frames.captions.caption(facts, rng) for facts in frames.facts[:40]]
    said += frames.captions.each_fact(rng)
    got = truths(frames.table[:60], table_of([c.asserts for c in said], frames.captions))
    wanted = [[c.true_of(facts) for c in said] for facts in frames.facts[:60]]
    np.testing.assert_array_equal(got, wanted)
    assert got[np.arange(40), np.arange(40)].all()


def test_a_batch_has_pictures_tokens_and_their_truth(frames: contrastive.Frames) -> None:
    encode = open_clip.SimpleTokenizer().encode
    vocabulary = Vocabulary.of(frames.captions.sentences(), encode, contrastive.SENTENCE)
    pictures, tokens, true = next(batches(frames, vocabulary, encode, TINY))
    sentences = 12 + sum(len(values) for values in frames.captions.phrases.values())
    assert pictures.shape == (20, 3, 32, 32)
    assert tokens.shape == (sentences, contrastive.SENTENCE)
    assert true.shape == (20, sentences)
    assert bool(true.any(dim=1).all())


def test_the_longest_description_is_not_cut(frames: contrastive.Frames) -> None:
    encode = open_clip.SimpleTokenizer().encode
    longest = max(len(encode(frames.captions.describe(facts).text)) for facts in frames.facts)
    assert longest + 2 <= contrastive.SENTENCE


def test_a_run_of_three_steps_writes_a_checkpoint_and_its_card(tmp_path: Path) -> None:
    options = replace(TINY, out=tmp_path / "a.safetensors")
    card = train_clip(options, quiet=True)
    assert card == json.loads((tmp_path / "a.json").read_text())
    assert card["steps"] == 3
    assert card["held_out"]["pictures"] == card["held_out_pictures"] > 0
    assert card["held_out"]["attributes"]["cube colour"]["values"] == 6
    assert "mujoco" in card["versions"]
    encoder = ClipEncoder.load(options.out)
    assert encoder.facts["card"] == card
    assert options.out.stat().st_size < 25e6
    assert encoder.images(np.zeros((1, 48, 64, 3), np.uint8)).shape == (1, encoder.size)
    train_clip(replace(options, out=tmp_path / "b.safetensors"), quiet=True)
    again = ClipEncoder.load(tmp_path / "b.safetensors")
    assert torch.equal(again.texts(["the cube is red"]), encoder.texts(["the cube is red"]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": ("reech",)}, "reech"),
        ({"tasks": ()}, "none"),
        ({"image_size": 50}, "multiples of 32"),
        ({"pairs": 10}, "at least"),
        ({"minutes": 0.0}, "minutes"),
        ({"steps": 0}, "steps"),
        ({"out": Path("x.pt")}, "safetensors"),
    ],
)
def test_options_that_cannot_be_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(TINY, **changes)  # pyright: ignore[reportArgumentType]  (on purpose)
