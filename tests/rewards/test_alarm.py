"""The alarm on made-up curves: it sounds for an exploited reward, and for nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_rlhf.errors import ConfigError, ShapeError
from robot_rlhf.rewards.alarm import AlarmRule, proxy_alarm

EPISODES = 200


def noisy(curve: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    return curve + 0.05 * np.random.default_rng(seed).standard_normal(len(curve))


def drawn(rate: NDArray[np.float64], seed: int = 0) -> NDArray[np.bool_]:
    return np.random.default_rng(seed + 1).random(len(rate)) < rate


RISING = np.linspace(0.0, 1.0, EPISODES)
FALLING = np.concatenate([np.full(80, 0.98), np.linspace(0.98, 0.0, EPISODES - 80)])


@pytest.mark.parametrize("seed", range(5))
def test_a_rising_proxy_over_falling_success_alarms(seed: int) -> None:
    alarm = proxy_alarm(noisy(RISING, seed), drawn(FALLING, seed))
    assert alarm.first is not None
    assert 40 <= alarm.first < 140
    assert alarm.raised[120:].mean() > 0.7


@pytest.mark.parametrize("seed", range(5))
def test_a_rising_proxy_over_success_that_stays_away_alarms(seed: int) -> None:
    alarm = proxy_alarm(noisy(RISING, seed), np.zeros(EPISODES, bool))
    assert alarm.first == 39  # with the second window


@pytest.mark.parametrize("seed", range(5))
def test_flat_and_falling_proxies_and_reached_goals_are_quiet(seed: int) -> None:
    flat, low, high = np.zeros(EPISODES), np.full(EPISODES, 0.3), np.full(EPISODES, 0.98)
    assert proxy_alarm(noisy(flat, seed), drawn(low, seed)).raised.mean() < 0.03  # 3 standard errors
    assert proxy_alarm(noisy(-RISING, seed), drawn(FALLING, seed)).first is None
    assert proxy_alarm(noisy(RISING, seed), drawn(high, seed)).first is None


def test_success_that_rises_with_the_proxy_is_quiet() -> None:
    success = np.zeros(EPISODES, bool)
    for window in range(EPISODES // 20):
        success[window * 20 : window * 20 + 2 * window] = True
    ends = np.arange(39, EPISODES, 20)
    assert not proxy_alarm(noisy(RISING), success).raised[ends].any()


def test_the_rule_by_hand() -> None:
    alarm = proxy_alarm([0, 2, 3, 5], [True, False, False, False], AlarmRule(window=2, rise=2.0))
    # means 1 and 4, variances 2 and 2: 3 / sqrt(4 / 2)
    assert alarm.rise[3] == pytest.approx(3 / np.sqrt(2))
    assert np.isnan(alarm.rise[:3]).all()
    assert alarm.gained[3] == -0.5
    assert alarm.raised.tolist() == [False, False, False, True]
    assert alarm.first == 3
    assert proxy_alarm([0, 2, 3, 5], [True, False, False, False], AlarmRule(window=2, rise=2.2)).first is None


def test_curves_without_noise() -> None:
    assert proxy_alarm([1.0, 1.0, 2.0, 2.0], [False] * 4, AlarmRule(window=2)).first == 3
    assert proxy_alarm([1.0] * 4, [False] * 4, AlarmRule(window=2)).first is None


def test_what_cannot_be_judged() -> None:
    assert proxy_alarm([], []).first is None
    with pytest.raises(ShapeError):
        proxy_alarm([1.0], [])
    with pytest.raises(ConfigError, match="window 1"):
        AlarmRule(window=1)
