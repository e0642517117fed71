"""config.yaml gives back what was written, and refuses what it does not know."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError, RobotRlhfError, UnknownNameError
from robot_rlhf.learner.cloning import CloningConfig, DaggerConfig
from robot_rlhf.learner.iql import IqlConfig
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.people.person import PEOPLE, PersonConfig
from robot_rlhf.policy.networks import NetworkConfig
from robot_rlhf.run.build import build_policy, open_place
from robot_rlhf.run.learning import ReplayConfig
from robot_rlhf.run.setting_values import build, plain
from robot_rlhf.run.settings import ConsoleConfig, TrainConfig, defaults_for, read_yaml, write_yaml
from robot_rlhf.run.trainer import build_learning
from robot_rlhf.runtime.preference_learning import TeacherConfig
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import TASKS, SimConfig
from robot_rlhf_sim.tasks import Reach

CONFIGS = st.builds(
    dataclasses.replace,
    st.sampled_from(sorted(TASKS)).map(defaults_for),
    seed=st.integers(0, 2**31),
    name=st.none() | st.text("abc-", min_size=1, max_size=8),
    operator=st.sampled_from(sorted(PEOPLE)),
    person=st.none() | st.builds(PersonConfig, attention=st.floats(0.0, 1.0), burst=st.none() | st.floats(0.1, 9.0)),
    place=st.builds(
        SimConfig,
        st.dictionaries(st.sampled_from(["clearance", "hole_error"]), st.floats(0.0, 0.01)),
        randomise=st.floats(0.0, 1.0),
    ),
    out=st.sampled_from([Path("runs"), Path("/somewhere/else")]),
    cameras=st.sampled_from([(), ("front",), ("front", "wrist")]),
)


@given(config=CONFIGS)
def test_round_trip(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    write_yaml(config, path)
    assert read_yaml(path) == config


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("taks: reach\n", UnknownNameError, "Did you mean 'task'?"),
        ("learner: {kind: sac, temprature: 1.0}\n", UnknownNameError, "Did you mean 'temperature'?"),
        ("task: reech\n", UnknownNameError, "Did you mean 'reach'?"),
        ("learner: {kind: sca}\n", UnknownNameError, "Did you mean 'sac'?"),
        ("reward:\n  judge: taks\n", UnknownNameError, "Did you mean 'task'?"),
        ("device: abacus\n", ConfigError, "device 'abacus': not usable here"),
        ("evaluation:\n  every: -1\n", ConfigError, "evaluation.every: got -1, allowed >= 0"),
        ("evaluation:\n  stop_at: 2\n", ConfigError, "evaluation.stop_at: got 2.0, allowed: above 0, up to 1"),
        ("steps: many\n", ConfigError, "steps: got 'many', allowed: int"),
        ("steps: true\n", ConfigError, "steps: got True, allowed: int"),
        ("cameras: [[1]]\n", ConfigError, "cameras[0]: got [1], allowed: str"),
        ('network: {hidden: ["a"]}\n', ConfigError, "hidden[0]: got 'a', allowed: int"),
        ("trainer: {updates_per_step: .nan}\n", ConfigError, "updates_per_step: got nan, allowed: a finite number"),
        ("learner: {kind: sac, return_bounds: [1]}\n", ConfigError, "return_bounds: got [1], allowed: a list of 2"),
        ("steps: 2001-13-45\n", ConfigError, "not YAML"),
        ("task_options: {clearance: [1]}\n", ConfigError, "clearance: got [1], allowed: float"),
        ("[1, 2]\n", ConfigError, "allowed: settings by name"),
        ("a: [\n", ConfigError, "not YAML"),
    ],
)
def test_what_is_wrong_is_named(text: str, error: type[Exception], said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(error, match=r".") as caught:
        read_yaml(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"reward": SparseReward(judge="model")}, "only together"),
        ({"success_model": Path("x")}, "only together"),
        ({"reward_model": RewardModelConfig(learns=True), "learner": DaggerConfig()}, "looks at no reward"),
        (
            {"reward_model": RewardModelConfig(learns=True), "learner": IqlConfig()},
            "reward_model: iql learns from recorded rewards alone; allowed with learner sac",
        ),
        ({"reward_model": RewardModelConfig(learns=True), "learner": CloningConfig()}, "looks at no reward"),
        ({"teacher": TeacherConfig(labeler="oracle")}, "reward-model.learns"),
    ],
)
def test_rewards_that_do_not_go_together(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrainConfig(**settings)


def test_a_person_of_an_older_run_is_the_one_they_were(tmp_path: Path) -> None:
    """Settings of people that came later are missing in its file."""
    path = tmp_path / "config.yaml"
    write_yaml(dataclasses.replace(defaults_for("reach"), person=PersonConfig(attention=0.3, burst=None)), path)
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    later = ("sight_delay", "speed", "keyboard", "key_change", "mirror_rate", "mirror", "linger", "presence")
    for name in later:
        del settings["person"][name]
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    assert read_yaml(path).person == PersonConfig(attention=0.3, burst=None)


ODD: tuple[Any, ...] = (None, True, -1, 0, 10**30, 0.5, float("nan"), float("inf"), "", "odd", "\x00", [], [[1]], ["a"])
ODD += ([None], [float("nan")], {}, {"a": 1}, {1: 2}, {"a": {"b": []}}, datetime.date(2001, 1, 1), b"bytes")


def paths(settings: dict[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every setting, also those that hold others."""
    for name, value in settings.items():
        yield (*before, name)
        if isinstance(value, dict):
            yield from paths(value, (*before, name))


def test_any_setting_of_any_value_is_taken_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_yaml(dataclasses.replace(defaults_for("reach"), console=ConsoleConfig(), mode="asynchronous"), path)
    settings: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    refused = tried = 0
    for names in paths(settings):
        for odd in ODD:
            changed: Any = odd
            for name in reversed(names):
                changed = {name: changed}
            path.write_text(yaml.safe_dump(changed), encoding="utf-8")
            tried += 1
            try:
                read_yaml(path)
            except RobotRlhfError:
                refused += 1
            except Exception as error:
                raise AssertionError(f"{'.'.join(names)}: {odd!r} gave {error!r}") from error
    assert tried > 3_000
    assert refused > tried // 2


EXTREMES = (-(10**30), -1e9, -5, -1, 0, 1e-300, 1, 2, 0.5, 1e6, 10**9, 2**63, 10**30, 1e299)


def numbers(settings: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting that holds a number or a list of them, with its value as a file has it."""
    for name, value in settings.items():
        hinted = (*before, name)
        if isinstance(value, dict):
            yield from numbers(value, hinted)
        elif isinstance(value, int | float | list) and not isinstance(value, bool):
            yield hinted, value


def set_in(settings: dict[str, Any], names: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy with one setting changed."""
    first, *rest = names
    return {**settings, first: set_in(settings[first], tuple(rest), value) if rest else value}


def refusal(settings: dict[str, Any], spec: RobotSpec) -> str | None:
    """Build what a run is made of; returns what was refused, None for nothing."""
    try:
        config = build(TrainConfig, settings, "config.yaml")
        open_place(config, FakeClock())
        build_policy(config, spec, practises=True)
        build_learning(config, spec)
    except RobotRlhfError as error:
        return str(error)
    return None


@pytest.mark.parametrize("algorithm", [pytest.param("sac", marks=pytest.mark.slow), "cloning", "iql"])
def test_a_run_can_be_built_with_every_number_that_is_allowed(algorithm: str) -> None:
    small = NetworkConfig(hidden=(8,), critics=2)
    tiny = dataclasses.replace(defaults_for("reach"), network=small, replay=ReplayConfig(rows=50))
    settings = plain(dataclasses.replace(tiny, learner=LearnerConfig.of_kind(algorithm)(), seed=1))
    settings["place"]["task_options"] = {}
    optional = [(("evaluation", "stop_at"), None)]
    optional += [(("learner", name), None) for name in ("learning_rate_end", "target_entropy") if algorithm == "sac"]
    spec = open_place(tiny, FakeClock()).spec
    built = refused = 0
    for names, value in [*numbers(settings), *optional]:
        if algorithm != "sac" and names[0] not in ("learner", "network", "replay", "trainer", "features"):
            continue
        lists = isinstance(value, list)
        for odd in [[], *([e] * n for e in EXTREMES for n in {1, len(value)})] if lists else EXTREMES:
            said = refusal(set_in(settings, names, odd), spec)
            built, refused = built + (said is None), refused + (said is not None)
            assert said is None or names[-1] in said or names == ("replay", "rows"), f"{'.'.join(names)}: {odd}: {said}"
            assert said is None or "\n" not in said
    assert built > 20
    assert refused > 100


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("network: {hidden: [-5]}", "network.hidden: got [-5], allowed: 1 to 16 layers of >= 1, at most 4096 units"),
        ("network: {hidden: []}", "network.hidden: got [], allowed"),
        ("network: {critics: 0}", "network.critics: got 0, allowed 1 to 100"),
        ("replay: {rows: 0}", "replay.rows: got 0, allowed >= 2"),
        ("replay: {n_step: 0}", "replay.n_step: got 0, allowed >= 1"),
        ("replay: {discount: 2}", "replay.discount: got 2.0, allowed 0 to 1"),
        ("trainer: {batch_size: 0}", "trainer.batch_size: got 0, allowed >= 1"),
        ("trainer: {updates_per_step: -1}", "trainer.updates_per_step: got -1.0, allowed >= 0"),
        ("learner: {kind: iql, learning_rate: 0}", "learner.learning_rate: got 0.0, allowed: above 0, up to 1"),
        ("asynchronous: {heartbeat_timeout: -1}", "asynchronous.heartbeat_timeout: got -1.0, allowed: above 0"),
        ("console: {give_back_after: -1}", "console.give_back_after: got -1.0, allowed: above 0"),
        ("console: {device: {signs: [2]}}", "console.device.signs: got (2,), allowed 1 or -1"),
        ("image_size: 0", "image_size: got 0, allowed >= 1"),
        ("seed: -1", "seed: got -1, allowed >= 0"),
        (
            "learner: {kind: sac, return_bounds: [1, -1]}",
            "learner.return_bounds: got (1.0, -1.0), allowed: the lower one first",
        ),
    ],
)
def test_impossible_numbers_are_named_with_what_is_allowed(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [b"task: \xff\xfe", b"\x00\x01", b"a: &a [*a]\ntask: *a", b"{" * 5_000])
def test_bytes_that_are_no_settings_are_one_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(RobotRlhfError, match=r"config\.yaml"):
        read_yaml(path)


def test_numbers_that_are_none_are_refused_however_they_come() -> None:
    base = TrainConfig()
    with pytest.raises(ConfigError, match=r"learner\.temperature: got nan, allowed: a finite number"):
        dataclasses.replace(base, learner=SacConfig(temperature=float("nan")))


def test_names_of_people_and_folders_of_any_language(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    config = dataclasses.replace(TrainConfig(), out=Path("Übung/çalışma"))
    write_yaml(config, path)
    assert "çalışma" in path.read_text(encoding="utf-8")
    assert read_yaml(path) == config


@pytest.mark.parametrize(
    ("suggested", "said"),
    [
        ({"steps": "many"}, "what reach suggests: steps: got 'many', allowed: int"),
        ({"features.fien": 0.1}, "unknown setting in what reach suggests: features 'fien'. Did you mean 'fine'?"),
        ({"trainer.start_after.x": 1}, "unknown setting in what reach suggests 'trainer.start_after.x'"),
    ],
)
def test_what_a_task_suggests_is_checked_as_what_a_file_says(
    suggested: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reach, "suggested", suggested)
    with pytest.raises((ConfigError, UnknownNameError)) as refused:
        defaults_for("reach")
    assert said in str(refused.value)


def test_settings_that_only_go_together_are_suggested_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One alone would be refused, whichever came first."""
    monkeypatch.setattr(Reach, "suggested", {"features.cameras": ("front",), "cameras": ("front",)})
    config = defaults_for("reach")
    assert config.cameras == config.features.cameras == ("front",)


def test_a_model_is_asked_about_sentences_in_real_time_alone() -> None:
    asked = {"language": {"endpoint": {"model": "any"}}}
    with pytest.raises(ConfigError, match=r"language\.endpoint\.model"):
        build(TrainConfig, asked, "settings")
    assert build(TrainConfig, {**asked, "mode": "asynchronous"}, "settings").language.endpoint.model == "any"
