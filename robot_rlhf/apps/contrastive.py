"""`robot-rlhf reward clip`: a small CLIP model of ours, trained on pictures and captions of the simulated tasks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from robot_rlhf.apps.command import parse
from robot_rlhf.errors import ConfigError, FaultLatchedError
from robot_rlhf.learner.contrastive import ContrastiveConfig, choice_accuracy, recall, train_contrastive
from robot_rlhf.ranges import SEED, check_ranges
from robot_rlhf.rewards.clip import ClipEncoder, encoder_of, load_open_clip, preprocessed, save_clip
from robot_rlhf.rewards.vocabulary import Vocabulary
from robot_rlhf.run.build import software_versions
from robot_rlhf.run.numerics import tiny_is_zero
from robot_rlhf.run.screen import screen
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.captions import Captions, Facts, Pictured
from robot_rlhf_sim.place import TASKS, SimConfig, SimPlace
from robot_rlhf_sim.situations import episode, place_tool

NOISE = (0.0, 0.4)
"""Range of the experts' wobble."""
CARRIED = 0.3
"""Share of the episodes of a task that goes on after a grasp in which the thing is carried about instead."""
PLACED = 10
"""Poses of the tool in a scene without an episode."""
HELD_OUT = 0.1
"""Share of the scenes that is kept for measuring."""
SENTENCE = 56
"""Numbers per sentence at most."""


@dataclass(frozen=True)
class ClipOptions:
    """Train a small CLIP model on pictures of the simulated tasks, with captions made from the simulator's state.

    It needs no internet. Beside the checkpoint a data card (JSON) says what it was trained on and what it can tell.
    """

    out: Path
    """The checkpoint to write (.safetensors)."""
    pairs: int = 8000
    """Pictures; each gets new captions whenever it is used."""
    minutes: float = 6.0
    """How long to train."""
    steps: int | None = None
    """Train for exactly so many steps instead: repeats to the bit."""
    tasks: tuple[str, ...] = ("reach", "pick_cube", "peg_insert")
    """Which tasks' scenes."""
    camera: str = "front"
    """Whose pictures: front, side or wrist."""
    image_size: int = 64
    """Height and width of the pictures; a multiple of 32."""
    training: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    seed: int = 0
    device: str = "cpu"
    """cpu or cuda."""

    def __post_init__(self) -> None:
        check_ranges(self, "", seed=SEED)
        pictured = [name for name, task in TASKS.items() if hasattr(task, "pictured")]
        unknown = [task for task in self.tasks if task not in pictured]
        if unknown or not self.tasks:
            raise ConfigError(f"tasks: got {unknown or 'none'}, allowed: one or more of {', '.join(pictured)}")
        if self.image_size % 32 or self.image_size < 32:
            raise ConfigError(f"image_size: got {self.image_size}, allowed: multiples of 32")
        if self.pairs < 10 * len(self.tasks) * PLACED:
            raise ConfigError(f"pairs: got {self.pairs}, allowed: at least {10 * len(self.tasks) * PLACED}")
        if not self.minutes > 0.0 or (self.steps is not None and self.steps < 1):
            raise ConfigError(f"minutes {self.minutes}, steps {self.steps}: allowed above 0")
        if self.out.suffix != ".safetensors":
            raise ConfigError(f"out: got {self.out}, allowed: a name that ends in .safetensors")


@dataclass(frozen=True, eq=False)
class Frames:
    """Pictures and what is true of them. N pictures."""

    pictures: NDArray[np.uint8]
    """Shape (N, H, W, 3)."""
    facts: tuple[Facts, ...]
    table: NDArray[np.int64]
    """`facts` as numbers: which of an attribute's values, -1 where it has none. Shape (N, attributes)."""
    scenes: NDArray[np.int64]
    """The scene (seed) of each picture, those of the tasks in turn. Shape (N,)."""
    captions: Captions
    """In the words of the tasks."""
    tasks: int
    """How many."""

    def of(self, chosen: NDArray[Any]) -> Frames:
        """Some of them."""
        places = np.arange(len(self.facts))[chosen]
        facts = tuple(self.facts[i] for i in places)
        return replace(
            self, pictures=self.pictures[places], facts=facts, table=self.table[places], scenes=self.scenes[places]
        )


def run(argv: Sequence[str]) -> int:
    """Train; returns the exit code."""
    train_clip(parse(ClipOptions, "reward clip", argv))
    return 0


def train_clip(options: ClipOptions, *, quiet: bool = False) -> dict[str, Any]:
    """Render, train, measure on scenes that were held out, write checkpoint and data card; returns the card.

    Raises:
        ConfigError: open_clip is not installed.
        RenderError: this machine cannot draw.
        CheckpointError: the checkpoint cannot be written.
    """
    open_clip = load_open_clip()
    console = screen(quiet=quiet)
    with console.status("rendering") as status, tiny_is_zero():
        frames = render(options, lambda count: status.update(f"rendering: {count} of {options.pairs} pictures"))
        train, held_out = split(frames)
        encode = open_clip.SimpleTokenizer().encode
        vocabulary = Vocabulary.of(frames.captions.sentences(), encode, SENTENCE)
        architecture = small_architecture(vocabulary, options.image_size)
        model = build_model(open_clip, architecture, options.seed).to(options.device)

        def tell(step: int, loss: float, progress: float) -> None:
            status.update(f"training: {100 * progress:.0f} %, step {step}, loss {loss:.2f}")

        steps = train_contrastive(
            model,
            batches(train, vocabulary, encode, options),
            options.training,
            minutes=options.minutes,
            steps=options.steps,
            on_step=tell,
        )
        status.update("measuring")
        measured = measure(encoder_of(model, vocabulary, "new", device=options.device), held_out, train)
    card = data_card(options, train, held_out, steps, measured)
    save_clip(options.out, model, architecture, vocabulary, {"card": card})
    options.out.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    show(console, options.out, card)
    return card


def small_architecture(vocabulary: Vocabulary, image_size: int) -> dict[str, Any]:
    """Arguments of open_clip.CLIP: towers that one CPU core trains in minutes."""
    return {
        "embed_dim": 128,
        "vision_cfg": {
            "layers": [1, 1, 1, 1],
            "width": 16,
            "head_width": 64,
            "image_size": image_size,
        },
        "text_cfg": {
            "context_length": vocabulary.length,
            "vocab_size": vocabulary.size,
            "width": 64,
            "heads": 2,
            "layers": 2,
        },
    }


def build_model(open_clip: Any, architecture: Mapping[str, Any], seed: int) -> nn.Module:
    """With weights drawn from the seed."""
    with torch.random.fork_rng(devices=[]):  # open_clip draws from torch's global generator
        torch.manual_seed(seed)
        return open_clip.CLIP(**architecture)


def render(options: ClipOptions, tell: Callable[[int], None] = lambda count: None) -> Frames:
    """Pictures of scenes in turn from every task: the tool placed anywhere, and episodes of a wobbling expert."""
    pictures: list[NDArray[np.uint8]] = []
    facts: list[dict[str, str]] = []
    scenes: list[int] = []
    places = [SimConfig().open(task, clock=FakeClock(), cameras={}) for task in options.tasks]
    said = Captions([_pictured(place).facts for place in places])
    size, scene = options.image_size, 0
    try:
        while len(pictures) < options.pairs:
            place = places[scene % len(places)]
            for true in situations(place, np.random.default_rng([options.seed, scene])):
                pictures.append(place.arm.render(options.camera, size, size))
                facts.append(true)
                scenes.append(scene)
            scene += 1
            tell(len(pictures))
    finally:
        for place in places:
            place.close()
    table = table_of([f.items() for f in facts], said)
    return Frames(np.stack(pictures), tuple(facts), table, np.array(scenes), said, len(places))


def _pictured(place: SimPlace) -> Pictured:
    assert isinstance(place.task, Pictured)  # as the options made sure
    return place.task


def situations(place: SimPlace, rng: np.random.Generator) -> Iterator[dict[str, str]]:
    """Facts of the states of one scene; the arm is in each of them while it is told."""
    task, arm, pictured = place.task, place.arm, _pictured(place)
    task.reset(rng)
    if rng.random() < 0.5:
        for _ in range(PLACED):
            place_tool(arm, task.limits, rng, clearance=pictured.stays_above, keep_opening=pictured.keeps_opening)
            yield pictured.pictured(arm.observe())
        return
    noise, carries = float(rng.uniform(*NOISE)), not pictured.goes_on or bool(rng.random() < CARRIED)
    try:
        for observation in episode(place.guard, task.expert(noise), task.time_limit, rng, carries=carries):
            yield pictured.pictured(observation)
            if (pictured.goes_on or "grasped" not in observation.privileged) and task.success(observation):
                return
    except FaultLatchedError:  # a wobbling expert may press too hard; what came before is good
        place.guard.release()


def table_of(rows: Sequence[Any], captions: Captions) -> NDArray[np.int64]:
    """Facts or assertions as numbers: which of an attribute's values, -1 for none. Shape (N, attributes)."""
    places = {a: {value: k for k, value in enumerate(values)} for a, values in captions.phrases.items()}
    columns = {a: k for k, a in enumerate(captions.phrases)}
    table = np.full((len(rows), len(columns)), -1)
    for row, pairs in zip(table, rows, strict=True):
        for attribute, value in pairs:
            row[columns[attribute]] = places[attribute][value]
    return table


def truths(facts: NDArray[np.int64], asserts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether caption c is true of picture b. Shapes (B, A), (C, A) -> (B, C)."""
    return ((asserts[None] < 0) | (asserts[None] == facts[:, None])).all(axis=2)


def split(frames: Frames) -> tuple[Frames, Frames]:
    """For training and for measuring; a scene is whole in one of them, and every task's are in both."""
    period = round(1.0 / HELD_OUT)
    held_out = frames.scenes // frames.tasks % period == period - 1
    return frames.of(~held_out), frames.of(held_out)


def batches(
    frames: Frames, vocabulary: Vocabulary, encode: Callable[[str], Sequence[int]], options: ClipOptions
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Pictures, tokens of captions, and what is true of what, without end.

    Captions are of three in five of the pictures, and, so that rare values are told from their neighbours in every
    step, one sentence for every value of every attribute.
    """
    rng = np.random.default_rng([options.seed, len(frames.facts)])
    size, batch = (options.image_size, options.image_size), options.training.batch_size
    while True:
        chosen = rng.integers(len(frames.facts), size=batch)
        said = [frames.captions.caption(frames.facts[i], rng) for i in chosen[: 3 * batch // 5]]
        said += frames.captions.each_fact(rng)
        tokens = vocabulary.numbers([c.text for c in said], encode)
        tokens = vocabulary.forget(tokens, torch.from_numpy(rng.random(tokens.shape)) < options.training.unknown)
        true = truths(frames.table[chosen], table_of([c.asserts for c in said], frames.captions))
        pictures = preprocessed(torch.from_numpy(frames.pictures[chosen]).to(options.device), size)
        yield pictures, tokens.to(options.device), torch.from_numpy(true).to(options.device)


def measure(encoder: ClipEncoder, held_out: Frames, train: Frames) -> dict[str, Any]:
    """Retrieval of the whole description among all different ones, and of each attribute among its values."""
    embedded = encoder.images(held_out.pictures)
    describe = held_out.captions.describe
    described = [describe(facts) for facts in held_out.facts]
    different = list(dict.fromkeys(c.text for c in described))
    places = {text: k for k, text in enumerate(different)}
    own = torch.tensor([places[c.text] for c in described], device=embedded.device)
    found = recall(embedded, encoder.texts(different), own)
    return {
        "pictures": len(described),
        "different_captions": len(different),
        "never_trained_captions": len(set(different) - {describe(f).text for f in train.facts}),
        **{f"recall@{k}": round(share, 4) for k, share in found.items()},
        "attributes": {
            attribute: _attribute(encoder, embedded, held_out, column)
            for column, attribute in enumerate(held_out.captions.phrases)
        },
    }


def _attribute(encoder: ClipEncoder, embedded: Tensor, frames: Frames, column: int) -> dict[str, Any]:
    attribute, phrases = tuple(frames.captions.phrases.items())[column]
    values = list(phrases)
    has = frames.table[:, column] >= 0
    right = frames.table[has, column]
    if not has.any():
        return {"pictures": 0}
    sentences = encoder.texts([frames.captions.plain(attribute, value) for value in values])
    chosen = embedded[torch.from_numpy(has).to(embedded.device)]
    accuracy = choice_accuracy(chosen, sentences, torch.from_numpy(right).to(embedded.device))
    most = np.bincount(right, minlength=len(values)).max() / len(right)
    return {
        "pictures": len(right),
        "values": len(values),
        "accuracy": round(accuracy, 4),
        "most_frequent": round(float(most), 4),
    }


def data_card(
    options: ClipOptions, train: Frames, held_out: Frames, steps: int, measured: Mapping[str, Any]
) -> dict[str, Any]:
    """What the model was trained on, and how well it does on scenes it never saw."""
    return {
        "what": "pictures of simulated scenes, and sentences made from the simulator's state (captions.py)",
        "tasks": list(options.tasks),
        "camera": options.camera,
        "image_size": options.image_size,
        "pictures": len(train.facts),
        "scenes": len(np.unique(train.scenes)),
        "held_out_pictures": len(held_out.facts),
        "held_out_scenes": len(np.unique(held_out.scenes)),
        "seed": options.seed,
        "steps": steps,
        "batch_size": options.training.batch_size,
        "versions": software_versions(),
        "held_out": dict(measured),
        "limits": "It knows these scenes, this camera and these words alone; positions in three steps per direction.",
    }


def show(console: Console, path: Path, card: Mapping[str, Any]) -> None:
    """The data card for people."""
    measured = card["held_out"]
    table = Table(title=f"{card['held_out_scenes']} scenes held out, {measured['pictures']} pictures")
    for heading in ("attribute", "values", "pictures", "accuracy", "most frequent value"):
        table.add_column(heading, justify="left" if heading == "attribute" else "right")
    for name, row in measured["attributes"].items():
        if row["pictures"]:
            shares = (f"{100 * row[key]:.1f} %" for key in ("accuracy", "most_frequent"))
            table.add_row(name, str(row["values"]), str(row["pictures"]), *shares)
    console.print(table)
    console.print(
        f"whole description among {measured['different_captions']} different ones: recall@1 "
        f"{100 * measured['recall@1']:.1f} %, recall@5 {100 * measured['recall@5']:.1f} %\n"
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, {card['steps']} steps",
        highlight=False,
        soft_wrap=True,
    )
