"""config.yaml gives back what was written, and refuses what it does not know."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.apps.config import TASKS, TrainConfig, defaults_for, read_yaml, write_yaml
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.runtime.preference_learning import TeacherConfig
from robot_rlhf.runtime.reward import SparseReward
from sim.person import PEOPLE, PersonConfig

CONFIGS = st.builds(
    dataclasses.replace,
    st.sampled_from(sorted(TASKS)).map(defaults_for),
    seed=st.integers(0, 2**31),
    name=st.none() | st.text("abc-", min_size=1, max_size=8),
    operator=st.sampled_from(sorted(PEOPLE)),
    person=st.none() | st.builds(PersonConfig, attention=st.floats(0.0, 1.0), burst=st.none() | st.floats(0.1, 9.0)),
    task_options=st.dictionaries(st.sampled_from(["clearance", "hole_error"]), st.floats(0.0, 0.01)),
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
        ("sac:\n  temprature: 1.0\n", UnknownNameError, "Did you mean 'temperature'?"),
        ("task: reech\n", UnknownNameError, "Did you mean 'reach'?"),
        ("algorithm: sca\n", UnknownNameError, "Did you mean 'sac'?"),
        ("reward:\n  judge: taks\n", UnknownNameError, "Did you mean 'task'?"),
        ("device: abacus\n", ConfigError, "device 'abacus': not usable here"),
        ("evaluation:\n  every: -1\n", ConfigError, "evaluation.every: got -1, allowed >= 0"),
        ("evaluation:\n  stop_at: 2\n", ConfigError, "evaluation.stop_at: got 2.0, allowed: above 0, up to 1"),
        ("steps: many\n", ConfigError, "steps: got 'many', allowed: int"),
        ("steps: true\n", ConfigError, "steps: got True, allowed: int"),
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
        ({"reward_model": RewardModelConfig(learns=True), "algorithm": "dagger"}, "looks at no reward"),
        ({"teacher": TeacherConfig(labeler="oracle")}, "reward-model.learns"),
    ],
)
def test_rewards_that_do_not_go_together(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrainConfig(**settings)
