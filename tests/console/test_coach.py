from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.console.coach import ENOUGH, MOST, RECENT, Advice, EpisodeFacts, advice
from robot_rlhf.datatypes import Driver, Outcome
from robot_rlhf.errors import InvalidValueError
from tests.draws import draws

S, F, T = Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIME_LIMIT


def alone(outcome: Outcome, steps: int = 100) -> EpisodeFacts:
    return EpisodeFacts(outcome, steps)


def helped(outcome: Outcome, at: int, length: int, *, steps: int = 100, finished: bool = False) -> EpisodeFacts:
    """One intervention."""
    return EpisodeFacts(outcome, steps, length, at, finished, 1, length)


def texts(told: tuple[Advice, ...]) -> list[str]:
    return [each.text for each in told]


def first(history: list[EpisodeFacts], **more: Any) -> Advice:
    told = advice(history, **more)
    assert told
    return told[0]


# -- facts -----------------------------------------------------------------------------------------------------------


def test_facts_are_counted_from_who_drove() -> None:
    p, h, r = Driver.POLICY, Driver.HUMAN, Driver.REFLEX
    facts = EpisodeFacts.of(S, [p, p, h, h, r, p, h, h, h, r])
    assert facts == EpisodeFacts(S, 10, 5, 2, human_finished=True, interventions=2, longest=3)
    assert not EpisodeFacts.of(S, [h, h, r, p]).human_finished
    assert not EpisodeFacts.of(F, [p, h]).human_finished
    assert EpisodeFacts.of(T, [p, p]) == alone(T, 2)
    assert EpisodeFacts.of(Outcome.STOPPED, []) == alone(Outcome.STOPPED, 0)


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": -1},
        {"human_steps": 5},
        {"first_takeover": 3},
        {"human_steps": 120, "first_takeover": 0, "interventions": 1, "longest": 120},
        {"human_steps": 5, "first_takeover": 3, "interventions": 1, "longest": 6},
        {"human_steps": 5, "first_takeover": 96, "interventions": 1, "longest": 5},
        {"human_finished": True},
    ],
)
def test_facts_that_no_episode_has_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match="one episode"):
        EpisodeFacts(**{"outcome": S, "steps": 100, **bad})


# -- one rule at a time ----------------------------------------------------------------------------------------------


def test_in_the_beginning_it_says_how_to_begin() -> None:
    told = first([alone(F)] * (ENOUGH - 1))
    assert "20 to 30 steps" in told.text
    assert told.because.startswith("4 finished episodes")
    assert first([]).because.startswith("0 finished")
    assert first([alone(F)]).because.startswith("1 finished episode so")


def test_few_rewards_ask_for_more_help() -> None:
    told = first([alone(T)] * 9 + [alone(S)] * 3)
    assert told.level == "warn"
    assert told.push == "more"
    assert told.because == "3 of the last 12 episodes succeeded, and you helped in none"
    assert "one episode in three" in told.text
    assert not [each for each in advice([alone(T)] * 8 + [alone(S)] * 4) if "in three" in each.text]


def test_episodes_that_were_broken_off_do_not_count() -> None:
    broken = [alone(outcome) for outcome in set(Outcome) - {S, F, T}]
    assert "too few" in first(broken * 5).because
    history = [alone(S)] * 6 + [alone(F, 50)]
    assert advice(history + broken * 5) == advice(history)


def test_only_recent_episodes_count() -> None:
    assert advice([alone(T)] * 50 + [alone(S)] * RECENT) == advice([alone(S)] * RECENT)


def test_long_interventions_to_the_goal_are_warned_of() -> None:
    history = [helped(S, 40, 60, finished=True)] * 4 + [alone(S), alone(T), alone(S)]
    told = first(history)
    assert (told.level, told.push) == ("warn", "less")
    assert told.because == "4 of the last 6 successes came at the end of a long intervention, of 60 steps"
    brief = [helped(S, 40, 8, finished=True)] * 4 + [alone(S), alone(T), alone(S)]
    given_back = [helped(S, 30, 60)] * 4 + [alone(S), alone(T), alone(S)]
    for other in (brief, given_back):
        assert not [each for each in advice(other) if "on track" in each.text]


def test_half_a_short_episode_is_long_too() -> None:
    assert "give back before" in first([helped(S, 10, 14, steps=24, finished=True)] * 5).text


def test_the_value_alarm_comes_first_and_says_its_number() -> None:
    history = [helped(S, 40, 60, finished=True)] * 5
    told = advice(history, alarm=True, over_estimation=0.4242)
    assert (told[0].level, told[0].push) == ("warn", "less")
    assert told[0].because == (
        "it promises itself 0.42 more than episodes return; you drove the end of 5 of the last 5 successes"
    )
    assert not [each for each in told if "on track" in each.text], "said once"
    assert first([], alarm=True, over_estimation=float("nan")).because.endswith("more than episodes return")
    assert not [each for each in advice(history, over_estimation=0.42) if "values" in each.text], "no alarm"


def test_the_value_alarm_silences_calls_for_more_help() -> None:
    assert {each.push for each in advice([alone(T)] * 10, alarm=True)} == {"less"}


def test_failures_at_a_recognisable_point_ask_to_be_earlier() -> None:
    history = [alone(F, steps) for steps in (38, 40, 41, 44)] + [alone(S)] * 4
    told = [each for each in advice(history) if "about step" in each.text]
    assert told[0].text == "Failures come at about step 40: take over a little before."
    assert told[0].because == "4 of 4 recent failures without help came between step 38 and 44"
    spread = [alone(F, steps) for steps in (12, 40, 70, 95)] + [alone(S)] * 4
    limits = [alone(T, 100)] * 4 + [alone(S)] * 4
    for other in (spread, limits):
        assert not [each for each in advice(other) if "about step" in each.text]


def test_late_help_that_fails_asks_to_be_earlier() -> None:
    told = first([helped(F, 90, 10)] * 3 + [alone(S)] * 3)
    assert "earlier" in told.text
    assert told.because == "in 3 of the last 3 failed episodes that you helped, help came in the last fifth"
    assert not [each for each in advice([helped(S, 90, 10)] * 3 + [alone(S)] * 3) if "earlier" in each.text]


def test_early_takeovers_ask_for_patience() -> None:
    history = [helped(S, at, 10) for at in (2, 5, 9)] + [alone(S), alone(T), alone(T)]
    told = first(history)
    assert told.text == "Let the robot try for 20 to 30 steps before you take over."
    assert told.push == "less"
    assert "at step 5, typically" in told.because
    patient = [helped(S, at, 10) for at in (22, 25, 30)] + [alone(S), alone(T), alone(T)]
    assert not [each for each in advice(patient) if "before you take over" in each.text]


def test_patience_fits_the_length_of_the_episodes() -> None:
    short = [helped(S, 8, 5, steps=30)] * 3 + [alone(S, 30)] * 3
    assert not [each for each in advice(short) if "before you take over" in each.text]
    hasty = [helped(S, 2, 5, steps=30)] * 3 + [alone(S, 30)] * 3
    assert "at least 6 steps" in texts(advice(hasty))[0]


def test_driving_most_of_the_time_asks_to_give_back() -> None:
    told = [each for each in advice([helped(S, 30, 60)] * 6) if "Give back sooner" in each.text]
    assert told[0].because == "you drove 60% of the steps of the last 6 episodes"


def test_success_alone_asks_to_taper_off_or_is_praised() -> None:
    told = first([alone(S)] * 6 + [helped(S, 40, 30)] * 4)
    assert (told.level, told.push) == ("hint", "less")
    assert told.because == "6 of 6 recent episodes without help succeeded; you drove 12% of all steps"
    assert [each.level for each in advice([alone(S)] * 9 + [alone(T)])] == ["good"]


def test_success_in_the_few_episodes_without_help_proves_nothing() -> None:
    history = [alone(S)] * 5 + [helped(T, 40, 12)] * 7
    assert not [each for each in advice(history) if "alone" in each.text]


def test_failures_that_nobody_helps_ask_for_recoveries() -> None:
    told = first([alone(S)] * 6 + [alone(T)] * 4)
    assert "recoveries" in told.text
    assert told.because == "4 of 10 recent episodes without help failed; you hardly helped"


def test_tapering_off_is_praised() -> None:
    history = [helped(T, 30, 25), helped(S, 30, 25)] * 3 + [helped(S, 40, 10), alone(S), alone(T)] * 2
    assert [each.level for each in advice(history)] == ["good"]
    assert first(history).because == "your share of the steps went from 25% to 3%, successes from 50% to 67%"


def test_why_it_does_not_train_passes_through_and_comes_first() -> None:
    told = advice([alone(T)] * 10, not_training="collecting: 120 of 300 steps")
    assert told[0] == Advice("warn", "The robot is not learning right now.", "collecting: 120 of 300 steps")
    assert len(told) > 1
    assert first([], not_training="waiting").level == "hint"


# -- laws ------------------------------------------------------------------------------------------------------------


@st.composite
def episodes(draw: st.DrawFn) -> EpisodeFacts:
    spans = draw(st.lists(st.tuples(st.sampled_from(list(Driver)), st.integers(1, 60)), max_size=6))
    drivers = [driver for driver, length in spans for _ in range(length)]
    return EpisodeFacts.of(draw(st.sampled_from([S, S, F, T, Outcome.FAULT])), drivers)


@draws(300)
@given(
    st.lists(st.tuples(episodes(), st.integers(1, 12)), max_size=5),
    st.booleans(),
    st.none() | st.floats(),
    st.sampled_from(["", "waiting"]),
)
def test_advice_is_short_and_never_contradicts_itself(
    runs: list[tuple[EpisodeFacts, int]], alarm: bool, over: float | None, reason: str
) -> None:
    history = [facts for facts, times in runs for _ in range(times)]
    told = advice(history, alarm=alarm, over_estimation=over, not_training=reason)
    assert len(told) <= MOST
    assert len({each.push for each in told} - {""}) <= 1
    assert len({each.text for each in told}) == len(told)
    assert all(each.text.endswith(".") and each.because for each in told)
    if any(each.level == "good" for each in told):
        assert len(told) == 1
    if reason:
        assert told[0].because == reason
    if alarm:
        assert any(each.push == "less" and each.level == "warn" for each in told)


# -- the run's monitor -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verdict", "level"), [("worse", "warn"), ("mastered", "good"), ("stuck", "hint")])
def test_what_the_monitor_of_practice_finds_comes_first_with_its_figures(verdict: str, level: str) -> None:
    told = first([alone(S)] * 12, practice=(verdict, "62% of the last episodes"))
    assert (told.level, told.because) == (level, "62% of the last episodes")
    assert advice([alone(S)] * 12, practice=("", "")) == advice([alone(S)] * 12)


def test_a_fall_asks_for_more_and_nothing_beside_it_for_less() -> None:
    pushes = {each.push for each in advice([helped(S, 2, 90)] * 12, practice=("worse", "it fell"))}
    assert pushes == {"more"}
