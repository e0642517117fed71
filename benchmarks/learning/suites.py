"""Which runs there are, by what they are to show. A mechanism of the learner, or a delay, is one more line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.learning.cases import NOBODY, REPORT_SEEDS, Case
from robot_rlhf.errors import UnknownNameError
from robot_rlhf.people.person import CAST

FIVE, THREE, TEN = (tuple(REPORT_SEEDS)[:count] for count in (5, 3, 10))
PEG_PEOPLE = ("attentive", "slow", "late", "novice")
TWO_PEOPLE = ("attentive", "novice")
"""The quick expert and the one who has it hardest, for what is not shown with everybody."""
BESIDE = ("sirius", "cloning", "demonstrations", "no_interventions")
"""Baselines with three seeds; ours and HG-DAgger, between which it is decided, have five."""


@dataclass(frozen=True)
class Variant:
    """Settings that differ from the usual ones."""

    label: str
    settings: tuple[str, ...]


ABLATIONS: Mapping[str, Variant] = {
    "no_warm_start": Variant("no imitation before practice", ("trainer.warm_start_updates=0",)),
    "no_warm_critic": Variant("critics not learned before the actor", ("trainer.warm_critic_updates=0",)),
    "no_imitation": Variant("no imitation beside Q", ("learner.cloning_weight=0", "learner.cloning_weight_end=0")),
    "constant_imitation": Variant("imitation not weakened", ("learner.cloning_weight_end=5",)),
    "no_imitators": Variant("the actor acts alone", ("learner.imitators=0",)),
    "one_imitator": Variant("one imitator instead of five", ("learner.imitators=1",)),
    "no_own_successes": Variant("own successes not imitated", ("learner.proven_weight=0",)),
    "no_caution": Variant("the critics' mean followed", ("learner.caution=0",)),
    "loud_practice": Variant(
        "practice with the whole noise, and the gripper drawn", ("exploration.noise=1", "exploration.gripper=drawn")
    ),
    "rests_imitated": Variant("a person's rests imitated", ("replay.imitate_rest=true",)),
    "no_prior_share": Variant("a person's steps drawn like any", ("trainer.prior_share=0",)),
    "no_bounds": Variant("TD targets not clipped", ("learner.return_bounds=none",)),
    "no_average": Variant("newest weights deployed", ("learner.average_rate=1",)),
    "one_critic": Variant("one critic", ("network.critics=1", "learner.target_subset=1")),
    "continuous_gripper": Variant("continuous gripper", ("network.gripper=continuous",)),
    "one_update": Variant("one update per step", ("trainer.updates_per_step=1",)),
}
"""Each mechanism off, one by one."""
SESSIONS: Mapping[str, Variant] = {
    f"{steps}_steps": Variant(f"{steps:,} steps", (f"steps={steps}",)) for steps in (500, 1_000, 2_000)
}
SPOKEN: Mapping[str, Variant] = {
    "10000_steps": Variant("10,000 steps", ("steps=10000", "evaluation.every=0")),
    "10000_five": Variant("10,000 steps, five networks imitate", ("steps=10000", "learner.imitators=5")),
}
LONG = {"long": Variant("15,000 steps", ("steps=15000", "evaluation.episodes=100"))}
HARD: Mapping[str, Variant] = {
    "0.5mm": Variant("0.5 mm clearance", ("place.task_options.clearance=0.0005",)),
    "felt": Variant("hole reported up to 2 mm off", ("place.task_options.hole_error=0.002",)),
}
HALF = {"bfloat16": Variant("products in bfloat16", ("learner.precision=bfloat16",))}
VARIANTS: Mapping[str, Variant] = {**ABLATIONS, **SESSIONS, **SPOKEN, **LONG, **HARD, **HALF}
"""Every variant by name; no two suites may mean different things by one."""


def cases(
    methods: Sequence[str],
    people: Sequence[str],
    seeds: Sequence[int],
    *,
    task: str = "pick_cube",
    variants: Sequence[str] = ("",),
) -> tuple[Case, ...]:
    """Every method with every person, variant and seed."""
    return tuple(
        Case(task, method, person, seed, variant, VARIANTS[variant].settings if variant else ())
        for person in people
        for variant in variants
        for method in methods
        for seed in seeds
    )


def _compared(task: str, people: Sequence[str], many: Sequence[int], few: Sequence[int]) -> tuple[Case, ...]:
    """All methods of the comparison that decides."""
    return (
        *cases(("ours", "hg_dagger"), people, many, task=task),
        *cases(BESIDE, people, few, task=task),
        *cases(("sb3_sac",), (NOBODY,), few, task=task),
    )


def _world(task: str) -> tuple[Case, ...]:
    """What corrections add to as many demonstrations, between what a script and what chance does."""
    return (
        *cases(("scripted", "random"), (NOBODY,), THREE, task=task),
        *cases(("twenty",), ("clumsy",), THREE, task=task),
        *cases(("twenty", "ours", "hg_dagger", "no_interventions"), TWO_PEOPLE, THREE, task=task),
    )


def _spoken(task: str, steps: str) -> tuple[Case, ...]:
    """Words beside nobody, beside other words at the same times, beside a deaf robot, beside hands, and with hands."""
    spoken = ("words", "words_alone"), ("clear", "random", NOBODY)
    return (
        *cases(*spoken, THREE, task=task, variants=(steps,)),
        *cases(("words", "words_alone"), ("mixed_up",), THREE, task=task, variants=(steps,)),
        *cases(("deaf", "deaf_alone"), ("clear",), THREE, task=task, variants=(steps,)),
        *cases(("hands", "hands_alone"), ("attentive",), THREE, task=task, variants=(steps,)),
        *cases(("words_alone",), ("helping",), THREE, task=task, variants=(steps,)),
    )


SUITES: Mapping[str, tuple[Case, ...]] = {
    "pick": _compared("pick_cube", CAST, FIVE, THREE),
    "peg": _compared("peg_insert", PEG_PEOPLE, THREE, THREE),
    "long": cases(("ours",), TWO_PEOPLE, TEN, variants=tuple(LONG)),
    "short": cases(("session",), TWO_PEOPLE, THREE, variants=tuple(SESSIONS)),
    "ablations": (
        *cases(("ours",), TWO_PEOPLE, THREE),
        *cases(("ours",), TWO_PEOPLE, THREE, variants=tuple(ABLATIONS)),
    ),
    "controls": cases(
        ("demonstrations", "cloning", "cloning_shuffled", "cloning_iwr", "cloning_sirius", "no_interventions"),
        TWO_PEOPLE,
        THREE,
    ),
    "worlds": (*_world("push"), *_world("drawer_store")),
    "words": (*_spoken("pick_cube", "2000_steps"), *_spoken("push", "10000_five")),
    "hard": cases(("ours",), ("attentive",), THREE, task="peg_insert", variants=tuple(HARD)),
    "pixels": cases(("ours", "demonstrations"), ("attentive",), THREE, task="pick_pixels"),
    "precision": (
        *cases(("ours",), ("attentive",), THREE, variants=tuple(HALF)),
        *cases(("ours",), ("attentive",), THREE, task="pick_pixels", variants=tuple(HALF)),
    ),
}


def chosen(
    suites: Sequence[str],
    *,
    tasks: Sequence[str] = (),
    methods: Sequence[str] = (),
    people: Sequence[str] = (),
    seeds: Sequence[int] = (),
    variant: str = "",
    settings: Sequence[str] = (),
) -> list[Case]:
    """The runs of some suites, each once, and those whose data they need, in the order in which they are done.

    Every method, person and variant has its first seed before any has its second, so that a part of the runs is a
    table already.

    Args:
        tasks, methods, people: only these; empty: all of the suites.
        seeds: these in the place of the suites' own.
        variant, settings: changes all runs, which must be usual ones, and is how they are called then.

    Raises:
        UnknownNameError: there is no such suite.
    """
    ranked: dict[Case, int] = {}
    groups: dict[Case, list[int]] = {}
    for suite in suites:
        if suite not in SUITES:
            raise UnknownNameError("suite", suite, SUITES)
        for case in SUITES[suite]:
            groups.setdefault(replace(case, seed=0), []).append(case.seed)
    for group, own in groups.items():
        wanted = (group.task, tasks), (group.method, methods), (group.person, people)
        if any(names and name not in names for name, names in wanted):
            continue
        if settings:
            group = replace(group, variant=variant, settings=(*group.settings, *settings))
        for rank, seed in enumerate(seeds or sorted(set(own))):
            case = replace(group, seed=seed)
            for one in (case.needs, case):
                if one is not None:
                    ranked[one] = min(rank, ranked.get(one, rank))
    return sorted(ranked, key=ranked.__getitem__)  # stable: within a rank as the suites have it, what is needed first
