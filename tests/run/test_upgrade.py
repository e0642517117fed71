"""Settings of earlier versions, read as today's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from robot_rlhf.errors import ConfigError, RobotRlhfError
from robot_rlhf.learner.cloning import CloningConfig, DaggerConfig
from robot_rlhf.learner.iql import IqlConfig
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.run.settings import TrainConfig, defaults_for, read_yaml, write_yaml
from robot_rlhf.run.upgrade import SCHEMA, upgrade

WRITTEN_BY_0_1_0 = Path(__file__).parent / "config_0_1_0.yaml"


def test_a_file_of_0_1_0_means_what_it_meant(tmp_path: Path) -> None:
    read = read_yaml(WRITTEN_BY_0_1_0)
    usual = defaults_for("pick_cube")
    assert read == replace(
        usual,
        learner=DaggerConfig(spread_weight=0.1),
        steps=600,
        evaluation=replace(usual.evaluation, every=0, final_episodes=2),
        video_episodes=0,
    )
    write_yaml(read, tmp_path / "config.yaml")
    assert yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))["schema"] == SCHEMA
    assert read_yaml(tmp_path / "config.yaml") == read


@pytest.mark.parametrize(
    ("old", "learner"),
    [
        ({}, SacConfig()),
        ({"sac": {"caution": 1.0}}, SacConfig(caution=1.0)),
        ({"algorithm": "sac"}, SacConfig()),
        ({"algorithm": "iql", "sac": {"caution": 1.0}, "iql": {"expectile": 0.8}}, IqlConfig(expectile=0.8)),
        ({"algorithm": "cloning", "cloning": {"weighting": "iwr"}}, CloningConfig(weighting="iwr")),
        ({"algorithm": "dagger", "cloning": {"weighting": "iwr"}}, DaggerConfig(weighting="iwr")),
        ({"learner": {"kind": "iql"}}, IqlConfig()),
    ],
)
def test_the_section_of_the_algorithm_becomes_the_learner(old: dict[str, Any], learner: object, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(old), encoding="utf-8")
    assert read_yaml(file) == TrainConfig(learner=learner)  # pyright: ignore[reportArgumentType]  any of them


@pytest.mark.parametrize("schema", [0, 4, True, "2", None, 1.5])
def test_a_schema_of_another_time_is_named(schema: object) -> None:
    with pytest.raises(ConfigError, match=r"config.yaml: schema: got .*, allowed 1 to 3"):
        upgrade({"schema": schema}, "config.yaml")


@pytest.mark.parametrize(
    "old",
    [
        {"sac": 5},
        {"sac": None},
        {"sac": {"kind": 3}},
        {"algorithm": ["sac"]},
        {"algorithm": "sca"},
        {"algorithm": None},
        {"schema": 2, "algorithm": "sac"},
        {"learner": {"kind": "sac"}, "sac": {}},
    ],
)
def test_what_was_never_allowed_is_refused_in_one_line(old: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(old), encoding="utf-8")
    with pytest.raises(RobotRlhfError) as caught:
        read_yaml(file)
    assert "\n" not in str(caught.value)


def test_what_is_no_mapping_is_left_alone() -> None:
    assert upgrade([1], "x") == [1]
    assert upgrade(None, "x") is None
