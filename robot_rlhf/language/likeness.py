"""Which thing a name is most like, by an encoder of sentences: a likeness that is not clear is none.

Encoders find opposites alike (all-MiniLM-L6-v2: cos("move left", "move right") = .86, above that of "move left" and "go
to the left a bit", .61), so that they are asked about names of things and about nothing else, and words that tell two
things apart are not left to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from robot_rlhf.facts import Thing
from robot_rlhf.language.names import Match
from robot_rlhf.language.vetoes import opposed, words_of
from robot_rlhf.models.minilm import MiniLm
from robot_rlhf.rewards.clip import open_encoder

FLOOR = 0.5
"""Cosine below which two names are not alike at all."""
MARGIN = 0.15
"""By how much the likest thing must be liker than the next one."""
ELSEWHERE = 0.05
"""By how much it must be liker than anything that is not here; by MARGIN where there is but one thing."""
CACHED = 256
"""Names whose vectors are kept."""
MINILM = "minilm"
NOT_HERE = (
    *("something else", "a person", "an animal", "the weather", "the time", "the story", "the game", "the problem"),
    *(
        "the room",
        "the house",
        "the street",
        "the garden",
        "the window",
        "the mirror",
        "the door",
        "the wall",
        "the roof",
    ),
    *("the phone", "the computer", "the screen", "the keyboard", "the camera", "the machine", "the engine", "the wire"),
    *("the paper", "the book", "the pen", "the letter", "the picture", "the money", "the key", "the clock", "the bag"),
    *("the shirt", "the shoe", "the hat", "the cloth", "the pillow", "the chair", "the bed", "the tree", "the flower"),
    *("the fruit", "the bread", "the meat", "the cake", "the soup", "the sugar", "the knife", "the fork", "the spoon"),
    *("the hammer", "the screw", "the nail", "the wheel", "the car", "the boat", "the bird", "the dog", "the stone"),
    *("the water", "the fire", "the hand", "the head", "the music", "the idea", "the word", "the number", "the place"),
)
"""What people talk about beside the things of a place: a name that is liker to one of these means nothing here."""

Encode = Callable[[Sequence[str]], Tensor]
"""Sentences to unit vectors. Shape (N, D)."""


class Likeness:
    """A Matcher by an encoder of sentences."""

    def __init__(self, encode: Encode, learned: frozenset[str] | None = None) -> None:
        """
        Args:
            encode: of sentences.
            learned: the words that it knows, in lower case; None for one that knows a whole language.
        """
        self._encode = encode
        self._learned = learned
        here = [said for said in NOT_HERE if not self._unknown(said)]
        self._elsewhere = encode(here) if here else None
        self._kept: dict[str, Tensor] = {}

    def find(self, name: str, things: Sequence[Thing]) -> Match:
        """The thing that is meant, where exactly one is like the name, and clearly so.

        Args:
            name: what was said, without an article.
            things: of the place.
        """
        unknown = self._unknown(name)
        if unknown:
            return Match("", 0.0, why=f"the encoder never learned {unknown[0]!r}")
        called = {thing.name: tuple(thing.words) or (thing.called,) for thing in things}
        possible = {
            key: kept for key, words in called.items() if (kept := tuple(w for w in words if not opposed(name, w)))
        }
        if not possible:
            return Match("", 0.0, why=f"nothing here can be called {name!r}")
        said = self._vectors([f"the {name}"])[0]
        scores = self._scores(said, possible)
        first, *others = sorted(scores, key=lambda key: -scores[key])
        best = scores[first]
        nearest = (first, *others)[:3]
        second = max((scores[key] for key in others), default=-1.0)
        beyond = -1.0 if self._elsewhere is None else float((self._elsewhere @ said).max())
        if best < FLOOR or best - beyond < (ELSEWHERE if others else MARGIN):
            return Match("", best, nearest, f"{name!r} is like nothing here")
        if best - second < MARGIN:
            return Match("", best, nearest, f"{name!r} may be {_spaced(first)} or {_spaced(others[0])}")
        return Match(first, best, nearest)

    def prepare(self, things: Iterable[Thing]) -> None:
        """Encode what the things of a place are called, so that no sentence has to wait for it."""
        self._vectors([word for thing in things for word in thing.words or (thing.called,)])

    def _scores(self, said: Tensor, possible: Mapping[str, tuple[str, ...]]) -> dict[str, float]:
        """The best cosine of each thing over its words."""
        cosines = iter((self._vectors([word for words in possible.values() for word in words]) @ said).tolist())
        return {name: max(next(cosines) for _ in words) for name, words in possible.items()}

    def _vectors(self, said: Sequence[str]) -> Tensor:
        """Shape (N, D)."""
        new = [name for name in dict.fromkeys(said) if name not in self._kept]
        if new:
            if len(self._kept) + len(new) > CACHED:
                self._kept.clear()
                new = [*dict.fromkeys(said)]
            self._kept.update(zip(new, self._encode(new).to(torch.float32), strict=True))
        return torch.stack([self._kept[name] for name in said])

    def _unknown(self, said: str) -> list[str]:
        learned = self._learned
        return [] if learned is None else [word for word in words_of(said) if word not in learned]


def likeness_of(encoder: str) -> Likeness:
    """Likeness by an encoder's name.

    Args:
        encoder: 'minilm' for the installed files of all-MiniLM-L6-v2, 'minilm:FOLDER' for those of a folder, or a CLIP
            as `reward clip` trains it or open_clip has it (see rewards.clip.open_encoder).

    Raises:
        ConfigError: an extra or a file is not there.
        CheckpointError: a file is not what it should be.
        UnknownNameError: no such model of open_clip.
    """
    kind, _, folder = encoder.partition(":")
    if kind == MINILM:
        return Likeness(MiniLm.load(Path(folder) if folder else None))
    clip = open_encoder(encoder)
    vocabulary = clip.vocabulary
    return Likeness(lambda said: clip.texts(said, warn=False), None if vocabulary is None else vocabulary.words)


def _spaced(name: str) -> str:
    return name.replace("_", " ")
