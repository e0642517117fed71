"""`robot-rlhf reward report`: what each section says of sessions made up for it, and one page of a real one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_rlhf.apps import reward_report, reward_train
from robot_rlhf.audit.material import Audited
from robot_rlhf.audit.page import number, share, write_page
from robot_rlhf.audit.sections import (
    calibration_section,
    confusion_section,
    disagreement_section,
    gold_section,
    order_section,
    success_section,
)
from robot_rlhf.audit.supervision import label_section, training_section
from robot_rlhf.datatypes import EpisodeKind, Feedback, FeedbackKind, Segment
from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.journal.reader import episodes
from robot_rlhf.learner.reward_data import Moments
from robot_rlhf.rewards.metrics import Proportion
from robot_rlhf.rewards.model import Calibration, LearnedReward
from robot_rlhf.rewards.network import HEADS, Head, RewardConfig, RewardInputs
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.recordings import Recording
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.run.train import train
from tests.journal.sessions import make_spec
from tests.runtime.runs import tiny

STEPS = 9


def trajectory(name: str, success: bool | None, *, task: str = "lift") -> Trajectory:
    state = np.linspace(0.0, 1.0 if success else 0.4, STEPS + 1, dtype=np.float32)
    columns = {"state": np.stack([state, np.full_like(state, float(task == "lift"))], axis=1)}
    return Trajectory(name, task, f"please {task}", columns, np.zeros((STEPS, 2), np.float32), success)


def audited(
    trajectories: list[Trajectory],
    said: Mapping[Head, NDArray[np.floating]],
    *,
    gold: bool = True,
    labels: tuple[Feedback, ...] = (),
    text: int = 0,
    calibration: Calibration | None = None,
) -> Audited:
    """Members that say what is given, and gold that is the first entry of the state."""
    model = LearnedReward(RewardInputs(2), RewardConfig(members=2, hidden=(8,), text=text), seed=0)
    model.trained = tuple(said)
    model.reads = model.trained[0]
    model.calibration = calibration or Calibration()
    recording = Recording(Path("run"), Path("run/journal"), make_spec(), TrainConfig())
    return Audited(
        model=model,
        moments=Moments(trajectories, model.inputs),
        recordings=(recording,),
        preferences=labels,
        kinds={t.id: EpisodeKind.PRACTICE for t in trajectories},
        gold={t.id: t.observations["state"][1:, 0] for t in trajectories} if gold else {},
        said={head: np.asarray(values, np.float32) for head, values in said.items()},
        evaluations={},
    )


def states(trajectories: list[Trajectory]) -> NDArray[np.float32]:
    """What a member would say that knows gold. Shape (N,)."""
    return np.concatenate([t.observations["state"][:, 0] for t in trajectories])


SOME = [trajectory(f"practice-{i:06d}", i % 2 == 0) for i in range(8)]
TRUE = states(SOME)


# -- sections --------------------------------------------------------------------------------------------------------


def test_a_reward_that_is_gold_agrees_with_it() -> None:
    wrong = 1.0 - TRUE
    section = gold_section(audited(SOME, {"progress": np.stack([TRUE, TRUE]), "preference": np.stack([wrong, wrong])}))
    good, bad = section.facts["progress"], section.facts["preference"]
    assert good["spearman"] == pytest.approx(1.0)
    assert good["spearman_within_episodes"] == pytest.approx(1.0)
    assert good["epic"] == pytest.approx(0.0, abs=1e-6)
    assert bad["spearman"] == pytest.approx(-1.0)
    assert bad["epic"] == pytest.approx(1.0)
    assert "8 episodes (4 success, 4 failure), 72 steps" in section.basis


def test_without_gold_it_says_so() -> None:
    section = gold_section(audited(SOME, {"progress": np.stack([TRUE, TRUE])}, gold=False))
    assert section.missing is not None
    assert "real robot" in section.missing
    assert section.draw is None


def test_success_is_told_at_the_threshold() -> None:
    logits = np.where(TRUE > 0.95, 4.0, -4.0)
    logits[SOME[0].observations["state"].shape[0] + 3] = 4.0  # one moment of a failure looks like a success
    found = audited(SOME, {"success": np.stack([logits, logits])}, calibration=Calibration(hold=1))
    section = success_section(found)
    moments, ends = section.facts["moments"], section.facts["episodes"]
    assert moments["recall"]["rate"] == 1.0
    # of a success the last is positive and three are left out: 6 others each; of a failure all 10 are others
    assert moments["false positive rate"]["hits"] == 1
    assert moments["false positive rate"]["total"] == 4 * 6 + 4 * 10
    assert moments["precision"]["hits"] == 4
    assert ends["false positive rate"]["rate"] == 0.25
    chance = 1.0 / (1.0 + math.exp(4.0))  # promised to 63 moments, of which none succeeded; the other 5: 4 of 5
    by_hand = (63 * chance + 5 * abs((1.0 - chance) - 0.8)) / 68
    assert calibration_section(found).facts["expected_calibration_error"] == pytest.approx(by_hand, abs=1e-6)


def test_what_a_reward_without_success_head_cannot_say() -> None:
    found = audited(SOME, {"progress": np.stack([TRUE, TRUE])})
    section = success_section(found)
    assert section.missing is not None
    assert section.facts["final_value_auc"] == 1.0
    assert "no probability" in str(calibration_section(found).missing)
    assert "reads no sentences" in str(confusion_section(found).missing)


def test_one_class_only_is_said() -> None:
    good = [t for t in SOME if t.success]
    failures = [t for t in SOME if not t.success]
    found = audited(failures, {"success": np.zeros((2, len(failures) * (STEPS + 1)))})
    assert "one class" in str(success_section(found).missing)
    order = order_section(audited(good, {"progress": np.stack([states(good)] * 2)}))
    assert order.facts["voc"]["successes"] == pytest.approx(1.0)
    assert math.isnan(order.facts["auc_final"])


def test_members_that_differ_where_they_are_wrong_warn() -> None:
    off = np.where(TRUE < 0.2, 1.0, TRUE)  # wrong at the start of every episode
    section = disagreement_section(audited(SOME, {"progress": np.stack([TRUE, off])}))
    assert section.facts["spearman_with_error"] > 0.5
    same = disagreement_section(audited(SOME, {"progress": np.stack([TRUE, TRUE])}))
    assert same.facts["mean"] == 0.0
    assert math.isnan(same.facts["spearman_with_error"])


def test_sentences_are_told_apart_by_their_task() -> None:
    both = [trajectory("a", True), trajectory("b", True, task="reach")]
    found = audited(both, {"progress": np.stack([states(both)] * 2)}, text=4)
    section = confusion_section(found)
    assert section.facts["tasks"] == ["lift", "reach"]
    assert np.shape(section.facts["mean_final"]) == (2, 2)
    assert section.facts["episodes"] == [1, 1]


def test_labels_are_held_against_gold_and_the_reward() -> None:
    late, early = Segment(SOME[0].id, 6, 3), Segment(SOME[0].id, 0, 3)

    def label(first: Segment, second: Segment, value: float | None, author: str) -> Feedback:
        return Feedback(FeedbackKind.PREFERENCE, author, 0.0, first, value, other=second)

    other = Segment(SOME[2].id, 0, 3)
    labels = (label(late, early, 1.0, "right"), label(early, late, 1.0, "wrong"), label(early, other, 0.5, "right"))
    found = audited(SOME, {"preference": np.stack([TRUE, TRUE])}, labels=labels)
    section = label_section(found)
    assert section.facts["gold agreement of right"]["rate"] == 1.0
    assert section.facts["gold agreement of wrong"]["rate"] == 0.0
    assert section.facts["contradictions"] == 1
    assert section.facts["ordered_as_gold"]["rate"] == 1.0
    nobody = label_section(audited(SOME, {"progress": np.stack([TRUE, TRUE])}))
    assert "nobody has compared" in str(nobody.missing)


@pytest.mark.parametrize("exploited", [False, True])
def test_an_exploited_reward_alarms(exploited: bool) -> None:
    count = 60
    some = [trajectory(f"practice-{i:06d}", i < 20 if exploited else i >= 20) for i in range(count)]
    rising = np.repeat(np.linspace(0.0, 1.0, count), STEPS + 1)
    section = training_section(audited(some, {"progress": np.stack([rising, rising])}), "run", "")
    assert section.alarming is exploited
    assert (section.facts["alarm_from_episode"] is not None) is exploited
    short = training_section(audited(some[:10], {"progress": np.stack([rising[:100]] * 2)}), "run", "")
    assert dict(short.lines)["alarm"] == "cannot be computed: 10 episodes, 40 it takes"


# -- the page --------------------------------------------------------------------------------------------------------


def test_figures_in_words() -> None:
    assert number(math.nan) == "cannot be computed"
    assert number(0.12345) == "0.123"
    assert share(Proportion(0, 0)) == "cannot be computed: none"
    assert share(Proportion(1, 2)) == "50.0% (1 of 2; 95 % interval 9.5% to 90.5%)"


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    section = order_section(audited(SOME, {"progress": np.stack([TRUE, TRUE])}))
    write_page(tmp_path / "page.html", "<b>r</b>", "&", ["<script>"], [("a", "<i>")], [section])
    page = (tmp_path / "page.html").read_text()
    assert "<script>" not in page
    assert "&lt;b&gt;r&lt;/b&gt;" in page
    assert page.count("data:image/png;base64,") == 1


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    train(tiny(out), quiet=True)
    names = [e.meta.id for e in episodes(out / "run" / "journal") if len(e) >= 6]
    with LabelWriter(out / "run" / "journal") as writer:
        for name in names:
            left, right = Segment(name, 3, 3), Segment(name, 0, 3)
            writer.give(Feedback(FeedbackKind.PREFERENCE, "oracle", 0.0, left, 1.0, other=right))
    return out / "run"


@pytest.fixture(scope="module")
def reward(recorded: Path) -> Path:
    file = recorded.parent / "reward.safetensors"
    argv = [str(recorded), "--out", str(file), "--head", "progress", "preference", "--training.updates", "20"]
    assert reward_train.run([*argv, "--quiet"]) == 0
    return file


def test_one_page_that_needs_nothing_else(recorded: Path, reward: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reward_report.run([str(recorded), "--reward", str(reward)]) == 0
    said = capsys.readouterr().out
    folder = reward.with_name("reward-report")
    page = (folder / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "<script" not in page
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    assert found["head"] == "progress"
    assert found["warnings"]
    assert "held out" in found["warnings"][0]
    assert "was trained on this session" in said
    assert page.count("<h2>") == 1 + len(found["sections"])
    for title, section in found["sections"].items():
        assert title in page
        assert section["basis"]
        assert title in said or len(title) > 30  # a narrow terminal folds it
    assert found["sections"]["Calibration"]["missing"]
    assert found["sections"]["Preference labels"]["labels"] > 0
    assert found["steps"] == sum(len(e) for e in episodes(recorded / "journal"))


def test_several_sessions_each_have_their_training(recorded: Path, reward: Path, tmp_path: Path) -> None:
    argv = [str(recorded), str(recorded / "journal"), "--reward", str(reward), "--out", str(tmp_path), "--head"]
    assert reward_report.run([*argv, "preference"]) == 0
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["head"] == "preference"
    assert {f"Reward and success during practice: {name}" for name in ("run", "journal")} <= set(found["sections"])


def test_what_is_wrong_is_said(recorded: Path, reward: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        reward_report.run([str(recorded), "--reward", str(recorded / "config.yaml")])
    with pytest.raises(ConfigError, match="success head has not been trained"):
        reward_report.run([str(recorded), "--reward", str(reward), "--head", "success"])
    with pytest.raises(ConfigError, match="no RUN"):
        reward_report.run(["--reward", str(reward)])
    with pytest.raises(ConfigError, match="is a file"):
        reward_report.run([str(recorded), "--reward", str(reward), "--out", str(reward)])
    assert set(HEADS) == {"progress", "preference", "success"}
