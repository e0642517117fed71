"""The monitor of practice: figures by hand, what it never does, how often luck alone alarms it, and what it needs to
see a fall."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.conformance import SubscriberConformance, sample_steps
from robot_rlhf.datatypes import (
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    Outcome,
    RobotSpec,
    Segment,
)
from robot_rlhf.errors import LinkError
from robot_rlhf.rewards.metrics import wilson_interval
from robot_rlhf.runtime.loop import run_episode
from robot_rlhf.runtime.outcomes import MEMORY, AloneOutcomes, SuccessRate
from robot_rlhf.runtime.practice_monitor import PracticeMonitor, Verdict
from robot_rlhf.runtime.practice_weights import STANDINGS, Standings, Weights, read_standings, write_standings
from robot_rlhf.runtime.seeds import generators
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.fake import FakeRobot
from tests.runtime.stations import LEFT, Hands, Rig

SPEC = FakeRobot(FakeClock()).spec
N, A, K = Weights.NEWEST, Weights.AVERAGED, Weights.KEPT


class TestPracticeMonitor(SubscriberConformance):
    def make_spec(self) -> RobotSpec:
        return SPEC

    def make_subscriber(self, spec: RobotSpec, folder: Path) -> PracticeMonitor:
        return PracticeMonitor()


def told(*outcomes: tuple[Weights, bool]) -> PracticeMonitor:
    monitor = PracticeMonitor()
    for weights, alone in outcomes:
        monitor.note(alone, weights)
    return monitor


# -- rates -------------------------------------------------------------------------------------------------------------


def test_a_rate_that_forgets_by_hand() -> None:
    rate = SuccessRate()
    assert (rate.mean, rate.interval()) == (0.5, (0.0, 1.0))
    for success in (True, False, True):
        rate.fade(10.0)
        rate.note(success)
    assert (rate.successes, rate.failures) == pytest.approx((0.81 + 1.0, 0.9))
    assert rate.mean == pytest.approx((1.81 + 0.5) / (2.71 + 1.0))
    assert rate.interval() == pytest.approx(wilson_interval(1.81, 2.71))


def test_no_more_is_remembered_than_the_memory_holds() -> None:
    rate = SuccessRate()
    for _ in range(1_000):
        rate.fade()
        rate.note(True)
    assert rate.episodes == pytest.approx(MEMORY)


def test_what_was_done_alone() -> None:
    """Success without help, and nothing else; demonstrations, evaluations and broken episodes are not asked."""
    heard: list[bool] = []
    rig = Rig(listeners=(AloneOutcomes(heard.append),))
    rig.run()
    assert heard == [False], "the time limit"
    rig.task.succeeds = lambda o: True
    rig.run(seed=1)
    rig.run(EpisodeKind.EVALUATION, seed=2)
    assert heard == [False, True]
    rig.station.teleop = Hands([LEFT])
    rig.run(seed=3)
    assert heard == [False, True, False], "a success, with help"
    told = len(rig.listener.steps)
    rig.station.may_move = lambda: len(rig.listener.steps) == told
    rig.task.succeeds = lambda o: False
    rig.run(seed=4)
    assert len(heard) == 3, "stopped"


def test_a_helped_part_of_a_paused_episode_counts_for_the_whole() -> None:
    heard: list[bool] = []
    listener = AloneOutcomes(heard.append)
    by_policy, by_human = (
        replace(step, driver=driver)
        for step, driver in zip(sample_steps(SPEC, 2, 0), (Driver.POLICY, Driver.HUMAN), strict=True)
    )
    whole = EpisodeMeta("practice-1", "bench", EpisodeKind.PRACTICE, 0, "tester", "task")
    for meta, step, outcome in (
        (whole, by_human, Outcome.PAUSED),
        (replace(whole, id="practice-1+01", continues=whole.id, continues_at=1), by_policy, Outcome.SUCCESS),
        (replace(whole, id="practice-2"), by_policy, Outcome.SUCCESS),
    ):
        listener.on_episode_start(meta, step.observation)
        listener.on_step(step)
        listener.on_episode_end(EpisodeEnd(meta.id, outcome, 1))
    assert heard == [False, True]


def test_who_goes_back_in_an_episode_helps() -> None:
    """The policy failed before, where nobody drove, and did not get out of it by itself."""
    heard: list[bool] = []
    listener = AloneOutcomes(heard.append)
    steps = [replace(step, driver=Driver.POLICY) for step in sample_steps(SPEC, 4, 0)]
    whole = EpisodeMeta("practice-1", "bench", EpisodeKind.PRACTICE, 0, "tester", "task")
    for goes_on_at in (4, 2):
        part = replace(whole, id="practice-1+01", continues=whole.id, continues_at=goes_on_at)
        for meta, outcome in ((whole, Outcome.PAUSED), (part, Outcome.SUCCESS)):
            listener.on_episode_start(meta, steps[0].observation)
            for step in steps:
                listener.on_step(step)
            listener.on_episode_end(EpisodeEnd(meta.id, outcome, 4))
    assert heard == [True, False]


# -- decisions by hand -------------------------------------------------------------------------------------------------


def test_the_fifth_episode_keeps_the_first_weights() -> None:
    """Five successes that fade by 1/30 are 4.67 episodes; the sixth makes 5.5, more than the five that are asked."""
    monitor = told(*[(A, True)] * 5)
    assert monitor.kept is None
    monitor.note(True, A)
    assert monitor.to_keep is A
    assert monitor.kept is not None
    assert monitor.kept.episodes == pytest.approx(sum((29 / 30) ** i for i in range(6)))


def test_the_better_of_newest_and_averaged_is_kept() -> None:
    monitor = told(*[(A, False), (N, True)] * 4)
    assert monitor.better is N
    assert monitor.to_keep is N
    assert told(*[(A, True), (N, True)] * 4).better is N, "told last, so that less of it has faded"
    assert told(*[(A, False), (N, False)] * 4).better is A, "nothing is known: the average"


def test_a_worse_present_is_not_kept_and_a_better_one_is() -> None:
    monitor = told(*[(N, True)] * 30)
    monitor.to_keep = None
    monitor.note(False, N)
    assert monitor.to_keep is None
    for _ in range(200):
        monitor.note(True, N)
    assert monitor.to_keep is N


def test_what_practice_began_with_competes_until_it_is_known() -> None:
    monitor = PracticeMonitor()
    monitor.adopt()
    for _ in range(20):
        monitor.note(False, N)
    assert monitor.to_keep is None, "who knows what the first weights would have done"
    assert K in monitor.standings.known
    for alone in (True, False, False, True, False):
        monitor.note(alone, K)
    assert K not in monitor.standings.known
    for _ in range(20):
        monitor.note(False, A)
    assert monitor.to_keep is None, "it was better"
    for _ in range(60):
        monitor.note(True, A)
    assert monitor.to_keep is A


def test_a_fall_is_told_the_kept_weights_practise_again_and_so_is_its_end() -> None:
    monitor = told(*[(N, True)] * 60)
    assert monitor.verdict is Verdict.NONE
    while monitor.verdict is not Verdict.WORSE:
        monitor.note(False, N)
    fallen = monitor.present.failures
    assert 3.0 < fallen < 12.0
    assert K in monitor.standings.known
    assert "done without help, and 9" in monitor.report.because
    for _ in range(60):
        monitor.note(True, A)
    assert monitor.verdict is not Verdict.WORSE
    assert K not in monitor.standings.known


def test_practice_of_a_task_that_is_done_is_of_no_more_use() -> None:
    monitor = told(*[(A, True)] * 99)
    assert monitor.verdict is Verdict.NONE
    monitor.note(True, A)
    assert monitor.verdict is Verdict.MASTERED
    assert monitor.report.because.startswith("98% of the last episodes")


def test_practice_that_stays_where_it_is_is_of_no_more_use() -> None:
    monitor = told(*[(A, i % 2 == 0) for i in range(399)])
    assert monitor.verdict is Verdict.NONE, "halves of 100 leave room for a gain of 0.117, those of 200 are not there"
    monitor.note(False, A)
    assert monitor.verdict is Verdict.STUCK


# -- laws --------------------------------------------------------------------------------------------------------------

outcomes = st.lists(st.tuples(st.sampled_from([N, A, K]), st.booleans()), max_size=300)


@given(outcomes, st.booleans())
def test_the_best_is_never_forgotten(episodes: list[tuple[Weights, bool]], adopted: bool) -> None:
    """What replaces it was worth at least as much; and its record changes by its own episodes alone."""
    monitor = PracticeMonitor()
    if adopted:
        monitor.adopt()
    for weights, alone in episodes:
        before = None if monitor.kept is None else SuccessRate(monitor.kept.successes, monitor.kept.failures)
        monitor.to_keep = None
        monitor.note(alone, weights)
        if before is None or monitor.kept is None:
            continue
        if monitor.to_keep is not None:
            assert monitor.kept.interval(1.0)[0] >= before.interval(1.0)[0]
            assert weights is not K
        elif weights is K:
            assert monitor.kept.episodes == pytest.approx(before.episodes + 1.0)
        else:
            assert monitor.kept == before


@given(outcomes)
def test_a_journal_played_again_brings_it_back(episodes: list[tuple[Weights, bool]]) -> None:
    first, again = told(*episodes), told(*episodes)
    assert (first.report, first.standings, first.to_keep) == (again.report, again.standings, again.to_keep)
    assert first.report.episodes == len(episodes)


def test_an_episode_discarded_after_its_end_was_none() -> None:
    """As when the journal is played again; whatever else is discarded, or kept after all, changes nothing."""
    monitor, rest = told(*[(N, True)] * 8), told(*[(N, True)] * 8)
    rig = Rig(listeners=(monitor,))
    meta = EpisodeMeta("practice-8", "bench", EpisodeKind.PRACTICE, 0, "none", "task")
    rig.task.succeeds = lambda o: True
    run_episode(rig.station, meta, *generators(0))
    assert monitor.episodes == 9

    def discard(name: str, value: float) -> None:
        monitor.on_event(Feedback(FeedbackKind.DISCARD, "tester", 1.0, Segment(name, 0, 1), value))

    discard("practice-7", 1.0)
    discard("practice-8", 0.0)
    assert monitor.episodes == 9
    discard("practice-8+01", 1.0)
    discard("practice-8", 1.0)
    assert (monitor.report, monitor.standings, monitor.to_keep) == (rest.report, rest.standings, rest.to_keep)
    monitor.note(False, A)
    rest.note(False, A)
    assert monitor.report == rest.report


def test_the_meta_says_whose_episode_it_was() -> None:
    monitor = PracticeMonitor()
    rig = Rig(listeners=(monitor,))
    for number, weights in enumerate(("", "averaged", "kept")):
        meta = EpisodeMeta(f"practice-{number}", "bench", EpisodeKind.PRACTICE, 0, "none", "task", weights=weights)
        run_episode(rig.station, meta, *generators(number))
    assert monitor.rates[N].episodes == pytest.approx((29 / 30) ** 2)
    assert monitor.rates[A].episodes == pytest.approx(29 / 30)
    assert monitor.kept == SuccessRate(0.0, 1.0)


# -- chance ------------------------------------------------------------------------------------------------------------


def lived(chances: list[float], seed: int) -> dict[Verdict, int]:
    """Practise with a policy of given chances of success; kept weights have the chance of their time. First times."""
    rng = np.random.default_rng(seed)
    monitor, kept, first = PracticeMonitor(), chances[0], dict[Verdict, int]()
    for number, chance in enumerate(chances):
        weights = monitor.standings.choose(seed, number)
        monitor.note(bool(rng.random() < (kept if weights is K else chance)), weights)
        if monitor.to_keep is not None:
            monitor.to_keep, kept = None, chance
        first.setdefault(monitor.verdict, number)
    return first


@pytest.mark.parametrize(("chance", "most"), [(0.5, 2), (0.8, 1)])
def test_luck_alone_rarely_counts_as_a_fall(chance: float, most: int) -> None:
    """Of 20 practices of 300 equal episodes. Of 200 of 500 at chances of 0.5, 0.7, 0.8, 0.9 and above it were
    3.5, 1.5, 1, 0 and 0 %."""
    assert sum(Verdict.WORSE in lived([chance] * 300, seed) for seed in range(20)) <= most


def test_a_fall_from_19_to_10_of_20_is_seen_within_60_episodes() -> None:
    """Half of 200 such falls within 25 episodes."""
    seen = [lived([0.95] * 100 + [0.5] * 80, seed).get(Verdict.WORSE, 1_000) - 100 for seed in range(10)]
    assert min(seen) >= 0
    assert max(seen) <= 80
    assert statistics.median(seen) <= 40


def test_a_policy_that_gets_better_is_not_called_stuck() -> None:
    rises = [lived(list(np.linspace(0.2, 0.95, 250)), seed) for seed in range(10)]
    assert sum(Verdict.STUCK in first for first in rises) <= 2


# -- choosing ----------------------------------------------------------------------------------------------------------


def test_with_nothing_known_the_newest_practise() -> None:
    assert {Standings().choose(0, number) for number in range(20)} == {N}


def test_who_practises_is_drawn_by_what_is_known() -> None:
    clear = Standings({N: SuccessRate(0.0, 30.0), A: SuccessRate(30.0, 0.0)})
    drawn = [clear.choose(3, number) for number in range(400)]
    assert drawn == [clear.choose(3, number) for number in range(400)]
    assert drawn.count(N) == pytest.approx(100, abs=30), "their quarter, to be met and mended"
    even = Standings({N: SuccessRate(5.0, 5.0), A: SuccessRate(5.0, 5.0)})
    assert [even.choose(3, number) for number in range(400)].count(N) == pytest.approx(250, abs=40)


def test_standings_round_trip(tmp_path: Path) -> None:
    assert read_standings(tmp_path) == Standings()
    known = Standings({N: SuccessRate(1.5, 2.0), K: SuccessRate(0.0, 4.0)})
    write_standings(tmp_path, known)
    assert read_standings(tmp_path) == known


@pytest.mark.parametrize("text", ["", "[]", '{"newest": 3}', '{"other": [1, 2]}', '{"newest": [1, "x"]}'])
def test_standings_that_no_run_wrote_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / STANDINGS).write_text(text)
    with pytest.raises(LinkError, match=STANDINGS):
        read_standings(tmp_path)
