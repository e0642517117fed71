"""The doctor finds the delay that a recorded robot had, and says when it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.apps.doctor_delay import LONGEST, DeadTime, dead_time, dead_time_of
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.run.build import build_station, open_place
from robot_rlhf.run.settings import PEOPLE, TrainConfig
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig
from robot_rlhf_sim.place import SimConfig
from tests.journal.sessions import make_episode, make_spec, tell

DATASETS = Path(__file__).parents[2] / "datasets"


def recorded(folder: Path, disturbance: DisturbanceConfig, demonstrations: int = 4) -> Path:
    config = TrainConfig(place=SimConfig(disturbance=disturbance), seed=3)
    world = open_place(config, FakeClock())
    person = world.person(PEOPLE["clumsy"])
    tally = Tally(world.spec.control_period)
    with JournalWriter(folder, world.spec) as journal:
        station = replace(build_station(config, world), subscribers=(journal, tally, person))
        Session(station, tally, config.seed, {}).demonstrate(demonstrations, person, "clumsy")
    return folder


@pytest.mark.parametrize(("command", "sensing"), [(0, 0), (1, 0), (0, 2), (2, 1)])
def test_finds_the_delay_of_a_recorded_arm(tmp_path: Path, command: int, sensing: int) -> None:
    found = dead_time_of(recorded(tmp_path / "journal", DisturbanceConfig(command, sensing)))
    assert (found.low, found.periods, found.high) == (command + sensing,) * 3
    assert found.is_sure
    assert found.explained > found.second + 0.01


def test_jitter_and_noise_widen_the_answer_and_it_says_so(tmp_path: Path) -> None:
    """Between 2 and 4 periods, 3 on the average."""
    found = dead_time_of(recorded(tmp_path / "journal", DisturbanceConfig(1, 1, jitter=0.5, action_noise=0.1)))
    assert found.low <= 3 <= found.high
    assert not found.is_sure


def servo(commanded: np.ndarray, dead: int, lag: float, rng: np.random.Generator, noise: float) -> np.ndarray:
    """A tool behind a first-order servo: the naive twin of any arm."""
    moved, speed = np.zeros_like(commanded), np.zeros(3)
    for t in range(len(commanded)):
        wished = commanded[t - dead] if t >= dead else np.zeros(3)
        speed = lag * speed + (1.0 - lag) * wished
        moved[t] = speed + noise * rng.standard_normal(3)
    return moved


@pytest.mark.parametrize("dead", range(LONGEST + 1))
@pytest.mark.parametrize("lag", [0.0, 0.4, 0.8])
def test_a_slow_servo_is_no_delay(dead: int, lag: float) -> None:
    rng = np.random.default_rng(dead)
    motions = []
    for _ in range(6):
        commanded = 0.01 * rng.uniform(-1.0, 1.0, (60, 3))
        motions.append((commanded, servo(commanded, dead, lag, rng, 2e-4)))
    found = dead_time(motions)
    assert (found.low, found.periods, found.high) == (dead, dead, dead)


def test_one_recording_is_not_sure_of_what_it_does_not_show() -> None:
    """Slow motion that is seen inexactly is explained by 2, 3 and 4 periods about as well."""
    sure = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        steps = 0.002 * np.cumsum(rng.normal(0.0, 1.0, (400, 3)), axis=0)
        slow = np.stack([np.convolve(axis, np.ones(25) / 25, "same") for axis in steps.T], axis=1)
        found = dead_time([(slow, servo(slow, 2, 0.5, rng, 6e-3))])
        sure += found.is_sure
    assert sure <= 1
    rng = np.random.default_rng(0)
    quick = 0.01 * rng.uniform(-1.0, 1.0, (400, 3))
    assert dead_time([(quick, servo(quick, 2, 0.5, rng, 2e-4))]).is_sure


def test_motion_that_nobody_commanded_is_not_believed() -> None:
    rng = np.random.default_rng(0)
    motions = [(0.01 * rng.uniform(-1, 1, (60, 3)), 0.01 * rng.standard_normal((60, 3))) for _ in range(6)]
    found = dead_time(motions)
    assert not found.is_sure
    assert "record a minute" in found.advice


def test_too_little_and_robots_without_a_tool_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 steps"):
        dead_time([(np.zeros((5, 3)), np.zeros((5, 3)))])
    spec = make_spec()
    direct = replace(spec, command=replace(spec.command, kind="direct"))
    with JournalWriter(tmp_path, direct) as journal:
        tell(journal, make_episode(direct, 0, 3))
    with pytest.raises(ConfigError, match="no motions of a tool"):
        dead_time_of(tmp_path)


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        (DeadTime(0, 0, 0, 0.9, 0.5, 500), "train as it is: nothing is late"),
        (DeadTime(2, 2, 2, 0.9, 0.5, 500), "--features.ahead, in simulation --disturbance.command-delay 2"),
        (
            DeadTime(1, 1, 2, 0.9, 0.9, 500),
            "--features.ahead, in simulation --disturbance.command-delay 1 --disturbance.jitter",
        ),
        (DeadTime(5, 5, 5, 0.9, 0.5, 500), "--disturbance.command-delay 3 --disturbance.sensing-delay 2"),
        (
            DeadTime(7, 7, 7, 0.9, 0.5, 500),
            "--disturbance.command-delay 3 --disturbance.sensing-delay 3 (it can be 6 periods late at most)",
        ),
    ],
)
def test_says_what_to_train_with(found: DeadTime, advice: str) -> None:
    assert advice in found.advice


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "journal", DisturbanceConfig(2))
    assert main(["doctor", "--delay", str(tmp_path / "journal")]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "2 control periods" in told
    assert "--features.ahead" in told
    assert main(["doctor", "--ros", "--delay", str(tmp_path)]) == 2
