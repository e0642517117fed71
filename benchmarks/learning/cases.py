"""What one run is, and which tasks and methods there are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from robot_rlhf.errors import ConfigError, UnknownNameError

TUNE_SEEDS = range(100, 140)
"""Seeds on which settings are chosen."""
REPORT_SEEDS = range(200, 220)
"""Seeds of published figures: whoever chooses a setting by what it does on them has none left to report on."""
NOBODY = "nobody"
"""In place of a person, for what needs none, not even demonstrations."""


@dataclass(frozen=True)
class Task:
    """A skill as this benchmark runs it."""

    label: str
    task: str
    settings: tuple[str, ...] = ()
    pictures: bool = False
    """Learned from two cameras, with the settings of `robot-rlhf train --pixels`."""


COMPILED = "learner.compiled=true"
"""Of what learns from rewards: half the time, the same results but for rounding."""
TASKS: Mapping[str, Task] = {
    "pick_cube": Task("pick_cube", "pick_cube", ("steps=5000", "evaluation.every=500")),
    "peg_insert": Task("peg_insert, 1 mm", "peg_insert", ("steps=6000", "evaluation.every=1000")),
    "pick_pixels": Task("pick_cube from two cameras", "pick_cube", ("learner.precision=float32",), pictures=True),
    "push": Task("push", "push", ("evaluation.every=1500", COMPILED)),
    "drawer_store": Task("drawer_store", "drawer_store", ("evaluation.every=1500", COMPILED)),
}
"""'auto' precision is another one on another machine, hence float32 by name."""


@dataclass(frozen=True)
class Method:
    """A way to come by a policy."""

    label: str
    settings: tuple[str, ...] = ()
    kind: Literal["training", "cloning", "session", "stock", "unlearned"] = "training"
    """training: a run of `robot-rlhf train`; cloning: of what the person did in the run of ours with the same person
    and seed; session: a run without evaluation, whose policies are measured at its end; stock: Stable-Baselines3;
    unlearned: measured as it is."""
    corrects: bool = True
    """A person corrects during practice."""
    speaks: bool = False
    """They do so by words alone: a speaker's name stands for the person's, and says SENTENCES at most."""


TWO = ("demonstrations=2",)
SENTENCES = 60
SECONDS = 130
"""What it takes to say that many, in seconds of robot time: what hands may drive beside them."""
CLONED = "trainer.warm_start_updates=10000"
"""As many updates for five demonstrations as for all that the person did."""
METHODS: Mapping[str, Method] = {
    "ours": Method("ours (RL and corrections)"),
    "hg_dagger": Method("HG-DAgger", ("learner=dagger",)),
    "sirius": Method(
        "Sirius-weighted cloning", ("learner=dagger", "learner.weighting=sirius", "replay.pre_intervention=15")
    ),
    "cloning": Method("cloning of the same data", kind="cloning"),
    "demonstrations": Method("5 demonstrations, nothing else", ("learner=cloning", CLONED), corrects=False),
    "twenty": Method(
        "20 demonstrations, nothing else", ("learner=cloning", "demonstrations=20", CLONED), corrects=False
    ),
    "no_interventions": Method("ours, nobody corrects", ("operator=absent",), corrects=False),
    "sb3_sac": Method("stock SB3 SAC", ("operator=absent",), kind="stock", corrects=False),
    "cloning_shuffled": Method("cloning, corrections dealt to other moments", kind="cloning"),
    "cloning_iwr": Method(
        "cloning of the same data, IWR", ("learner=cloning", "learner.weighting=iwr"), kind="cloning"
    ),
    "cloning_sirius": Method(
        "cloning of the same data, Sirius",
        ("learner=cloning", "learner.weighting=sirius", "replay.pre_intervention=15"),
        kind="cloning",
    ),
    "words": Method("ours, by words after 2 demonstrations", TWO, speaks=True),
    "words_alone": Method("HG-DAgger, by words after 2 demonstrations", (*TWO, "learner=dagger"), speaks=True),
    "deaf": Method("ours, deaf to words", (*TWO, "language.interpreter=deaf"), speaks=True),
    "deaf_alone": Method(
        "HG-DAgger, deaf to words", (*TWO, "learner=dagger", "language.interpreter=deaf"), speaks=True
    ),
    "hands": Method("ours, by hands as long", (*TWO, f"person.budget={SECONDS}")),
    "hands_alone": Method("HG-DAgger, by hands as long", (*TWO, "learner=dagger", f"person.budget={SECONDS}")),
    "session": Method("a session without evaluation", ("evaluation.every=0",), kind="session"),
    "scripted": Method("scripted expert, sees the truth", kind="unlearned", corrects=False),
    "random": Method("random actions", kind="unlearned", corrects=False),
}


@dataclass(frozen=True)
class Case:
    """One run."""

    task: str
    method: str
    person: str
    seed: int
    variant: str = ""
    """What is not as usual, in a word of letters, digits, '_' and '.'; empty: nothing."""
    settings: tuple[str, ...] = ()
    """The settings of the variant, as 'learner.learning_rate=3e-4'."""

    def __post_init__(self) -> None:
        for what, name, names in (("task", self.task, TASKS), ("method", self.method, METHODS)):
            if name not in names:
                raise UnknownNameError(what, name, names)
        for what in ("person", "variant"):
            if not re.fullmatch(r"[\w.]*", getattr(self, what)):
                raise ConfigError(f"{what} {getattr(self, what)!r}: allowed are letters, digits, '_' and '.'")
        if bool(self.variant) != bool(self.settings):
            raise ConfigError(f"variant {self.variant!r} with settings {self.settings}: allowed only together")

    @property
    def name(self) -> str:
        """Of its row's file and of its run's folder."""
        return "-".join(part for part in (self.task, self.method, self.person, self.variant, str(self.seed)) if part)

    @property
    def needs(self) -> Case | None:
        """The run that must be done before: whose data are cloned."""
        return replace(self, method="ours") if METHODS[self.method].kind == "cloning" else None

    def to_json(self) -> str:
        """All of it, on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Case:
        """The inverse of to_json."""
        data: dict[str, Any] = json.loads(text)
        return cls(**{**data, "settings": tuple(data["settings"])})
