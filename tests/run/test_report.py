"""Figures that people read: intervals, rolling means, the grid of a video, the table at the end."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from robot_rlhf.errors import InvalidValueError, RenderError
from robot_rlhf.run.bookkeeping import _figures
from robot_rlhf.run.results.progress import Progress, result_table
from robot_rlhf.run.results.report import draw_curves, rolling_sum, write_json
from robot_rlhf.run.results.summary import summarise
from robot_rlhf.run.results.video import FAILURE_COLOUR, HOLD, SUCCESS_COLOUR, grid, write_video
from robot_rlhf.run.screen import screen
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.evaluation import wilson_interval
from robot_rlhf.runtime.tally import EpisodeCount, Tally

SUMMARY = {
    "task": "reach",
    "seed": 0,
    "algorithm": "sac",
    "env_steps": 500,
    "updates": 2000,
    "wall_s": 60.0,
    "human_steps": 20,
    "hands_on_minutes": 0.25,
    "hands_on_seconds": 15.0,
    "at_machine_minutes": 4.2,
    "success_rate": 0.9,
    "eval_episodes": 10,
    "eval_successes": 9,
    "wilson_low": 0.6,
    "wilson_high": 0.98,
}


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (97, 100, 0.9155, 0.9897), (5, 10, 0.2366, 0.7634)],
)
def test_wilson_interval_against_known_values(successes: int, episodes: int, low: float, high: float) -> None:
    assert wilson_interval(successes, episodes) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_rate_and_mirrors(counts: tuple[int, int]) -> None:
    successes, episodes = counts
    low, high = wilson_interval(successes, episodes)
    assert 0.0 <= low <= successes / episodes + 1e-12
    assert successes / episodes - 1e-12 <= high <= 1.0
    assert wilson_interval(episodes - successes, episodes) == pytest.approx((1.0 - high, 1.0 - low))


def test_wilson_interval_of_nothing() -> None:
    with pytest.raises(InvalidValueError, match="0 of 0"):
        wilson_interval(0, 0)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.integers(1, 25))
def test_rolling_sum_against_its_naive_twin(values: list[float], window: int) -> None:
    naive = [sum(values[max(0, i + 1 - window) : i + 1]) for i in range(len(values))]
    assert rolling_sum(np.array(values), window) == pytest.approx(naive, abs=1e-9)


def test_grid_holds_each_episode_and_marks_its_outcome() -> None:
    long, short = [np.full((240, 240, 3), 10 * t, np.uint8) for t in range(5)], [np.zeros((240, 240, 3), np.uint8)] * 2
    frames = list(grid([(long, False), (short, True)], 0.05))
    assert len(frames) == 5 + HOLD
    assert frames[0].shape == (240, 480, 3)
    assert (frames[2][:, :240] == 20).all()
    assert tuple(frames[2][1, 241]) == SUCCESS_COLOUR
    assert tuple(frames[-1][1, 1]) == FAILURE_COLOUR


def test_a_video_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="no frames"):
        write_video(tmp_path / "x.mp4", [], 20)
    assert list(tmp_path.iterdir()) == []


def test_curves_of_a_run_without_any_data(tmp_path: Path) -> None:
    draw_curves(SUMMARY, Tally(0.05), [], []).savefig(tmp_path / "curves.png", dpi=130)
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_json(path, {"b": 1, "a": 2})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_text() == '{\n  "a": 2,\n  "b": 1\n}\n'


def test_the_table_leads_with_the_person_s_time(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(result_table(tmp_path, SUMMARY))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.lstrip().startswith("reach: 0.25 minutes hands on, 4.2 at the machine")
    assert "90%  (9 of 10; 95 % interval 60% to 98%)" in text


def test_the_table_says_what_was_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen().print(result_table(tmp_path, SUMMARY))
    assert "sentence" not in capsys.readouterr().out
    said = {"sentences": 3, "speaking_seconds": 5.7, "spoken_steps": 55}
    screen().print(result_table(tmp_path, SUMMARY | said))
    assert "3 sentences, 6 s to say: they decided 55 steps" in capsys.readouterr().out


def test_the_table_says_why_nothing_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without = {name: value for name, value in SUMMARY.items() if name != "success_rate"}
    screen().print(result_table(tmp_path, without | {"not_measured": "nothing has been learned yet", "updates": 0}))
    text = capsys.readouterr().out
    assert "not measured: nothing has been learned yet" in text
    assert "robot-rlhf train --resume" in text, "there is nothing that eval could measure"


def test_warnings_and_paths_are_printed_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    odd = "the learner made no update: see [bold]a/learner.log"
    screen().print(result_table(tmp_path / "[x]", SUMMARY | {"warnings": [odd]}))
    text = capsys.readouterr().out
    assert odd in text
    assert "[yellow]" not in text
    assert f"robot-rlhf eval '{tmp_path}/[x]'" in text


def test_tensorboard_compares_runs_by_figures_that_a_summary_has() -> None:
    summary = summarise(TrainConfig(), Tally(0.05), [], None, None, {"updates": 3}) | {"success_rate": 0.9}
    names = ("success_rate", "hands_on_minutes", "at_machine_minutes", "env_steps", "updates")
    assert set(_figures(summary)) == {f"result/{name}" for name in names}


def test_progress_without_a_terminal_says_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally(0.05, steps=300, history=[EpisodeCount(10, 1, 1.0, True)])
    with Progress(TrainConfig(steps=1000), tally) as progress:
        progress.learner_says("waiting for 100 practice steps", 7)
        progress.alarm(True, 0.5)
        progress.alarm(True, 0.6)
        progress.evaluated(0.42)
    text = capsys.readouterr().err
    assert text.count("over-estimated") == 1
    assert "300/1000 steps" in text
    assert "42% unaided" in text
    assert "waiting for 100 practice steps" in text


def test_quiet_progress_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(TrainConfig(), Tally(0.05), quiet=True) as progress:
        progress.note("hello")
        progress.evaluated(0.5)
        progress.done(tmp_path, SUMMARY)
    said = capsys.readouterr()
    assert said.out == said.err == ""


def test_the_title_of_a_run_with_a_long_name_is_on_the_page() -> None:
    figure = draw_curves({**SUMMARY, "task": "line.py:PushTheBlockOverTheLineOnTheTable"}, Tally(0.05), [], [])
    (title,) = (text for text in figure.texts if "PushTheBlock" in text.get_text())
    extent = title.get_window_extent()
    assert extent.x0 >= 0.0
    assert extent.x1 <= figure.bbox.width
