"""Cases and suites of the learning benchmark: settings that exist, an order of use while a part is done."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.learning.__main__ import parsed, warnings_of
from benchmarks.learning.cases import METHODS, REPORT_SEEDS, TUNE_SEEDS, Case
from benchmarks.learning.settings import changed_settings, config_of, with_settings
from benchmarks.learning.suites import SUITES, VARIANTS, chosen
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.learner.cloning import DaggerConfig
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.run.settings import defaults_for
from robot_rlhf_sim.place import SimConfig

ALL = sorted({case for suite in SUITES.values() for case in suite}, key=lambda case: case.name)


def test_every_run_of_every_suite_has_settings_that_exist(tmp_path: Path) -> None:
    assert len({case.name for case in ALL}) == len(ALL)
    for case in {(case.task, case.method, case.person, case.variant): case for case in ALL}.values():
        config = config_of(case, tmp_path)
        assert config.seed == case.seed
        assert config.evaluation.stop_at is None
        if case.variant:  # each changes something
            usual = config_of(Case(case.task, case.method, case.person, case.seed), tmp_path)
            assert changed_settings(usual) != changed_settings(config), case


def test_report_seeds_are_reported_and_tune_seeds_are_not() -> None:
    assert {case.seed for case in ALL} <= set(REPORT_SEEDS)
    assert not set(REPORT_SEEDS) & set(TUNE_SEEDS)


@pytest.mark.parametrize("suites", [list(SUITES), ["pick"], ["pick", "peg"], ["ablations", "controls"]])
def test_every_method_has_its_first_seed_before_any_has_its_second(suites: list[str]) -> None:
    ordered = chosen(suites)
    assert len(set(ordered)) == len(ordered)
    seen: dict[tuple[str, ...], int] = {}
    ranks: list[int] = []
    for case in ordered:
        group = (case.task, case.method, case.person, case.variant)
        ranks.append(seen.get(group, 0))
        seen[group] = ranks[-1] + 1
        assert case.needs is None or ordered.index(case.needs) < ordered.index(case)
    assert ranks == sorted(ranks)


def test_filters_and_seeds() -> None:
    found = chosen(["pick", "peg"], tasks=["pick_cube"], methods=["cloning"], people=["attentive"], seeds=[100, 101])
    names = [case.name for case in found]
    assert names == [f"pick_cube-{m}-attentive-{s}" for s in (100, 101) for m in ("ours", "cloning")]  # with its data
    with pytest.raises(UnknownNameError, match="suite"):
        chosen(["pik"])


@given(
    st.sampled_from(ALL),
    st.integers(0, 1000),
    st.lists(st.sampled_from(["learner.learning_rate=0.001", "steps=7"]), unique=True),
)
def test_a_case_goes_through_json(case: Case, seed: int, settings: list[str]) -> None:
    other = Case(case.task, case.method, case.person, seed, "v" if settings else "", tuple(settings))
    assert Case.from_json(other.to_json()) == other


def test_settings_are_values_of_their_type_and_typos_are_errors() -> None:
    base = defaults_for("pick_cube")
    changed = with_settings(
        base, ["learner.learning_rate=3e-5", "learner.return_bounds=none", "replay.imitate_rest=false"]
    )
    assert isinstance(changed.learner, SacConfig)
    assert (changed.learner.learning_rate, changed.learner.return_bounds) == (3e-5, None)
    assert changed.replay.imitate_rest is False
    assert with_settings(base, ["learner=dagger", "learner.weighting=iwr"]).learner == DaggerConfig(weighting="iwr")
    assert with_settings(base, ["network.hidden=[8, 8]"]).network.hidden == (8, 8)
    assert with_settings(base, ["place.task_options.clearance=0.0005"]).place == SimConfig({"clearance": 0.0005})
    assert with_settings(base, []) == base
    for wrong in ("learner.lerning_rate=1", "lerner.learning_rate=1", "learner.learning_rate.x=1"):
        with pytest.raises(UnknownNameError, match="setting"):
            with_settings(base, [wrong])
    for wrong in ("learner.learning_rate", "learner.learning_rate=fast", "steps=1.5"):
        with pytest.raises(ConfigError):
            with_settings(base, [wrong])


def test_what_is_changed_is_told(tmp_path: Path) -> None:
    """The settings that differ from `robot-rlhf train`'s, and no others."""
    changed = changed_settings(config_of(Case("pick_cube", "sirius", "late", 100), tmp_path))
    assert changed["learner.kind"] == "dagger"
    assert changed["learner.weighting"] == "sirius"
    assert changed["replay.pre_intervention"] == 15
    assert changed["operator"] == changed["demonstrator"] == "late"
    assert not {"seed", "name", "out", "learner.learning_rate"} & set(changed)


def test_bad_cases_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="method"):
        Case("pick_cube", "our", "late", 1)
    with pytest.raises(UnknownNameError, match="task"):
        Case("pick", "ours", "late", 1)
    with pytest.raises(ConfigError, match="variant"):
        Case("pick_cube", "ours", "late", 1, "", ("steps=1",))
    with pytest.raises(ConfigError, match="variant"):
        Case("pick_cube", "ours", "late", 1, "../up", ("steps=1",))


@pytest.mark.parametrize(
    ("seed", "settings", "commit", "warned"),
    [
        (200, ["steps=9"], "a" * 40, 1),
        (200, [], "a" * 40 + "+changes", 1),
        (200, ["steps=9"], "a" * 40 + "+changes", 2),
        (200, [], "a" * 40, 0),
        (100, ["steps=9"], "a" * 40 + "+changes", 0),
    ],
)
def test_whoever_spends_report_seeds_is_warned(seed: int, settings: list[str], commit: str, warned: int) -> None:
    options: argparse.Namespace = parsed(["run", *(["--variant", "v", "--set", *settings] if settings else [])])
    assert len(warnings_of(options, [Case("pick_cube", "ours", "late", seed)], commit)) == warned


def test_every_variant_and_method_has_words() -> None:
    assert all(variant.label and variant.settings for variant in VARIANTS.values())
    assert all(method.label for method in METHODS.values())
