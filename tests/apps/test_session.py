"""A whole live session, driven as an operator drives it: a real browser, a real keyboard, a simulated robot."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import LiveSession, open_console
from benchmarks.keyboard import KeyboardOperator, prepare
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.datatypes import (
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    GuardEvent,
    Outcome,
    Step,
)
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import JournalTail
from robot_rlhf.run.live.live_console import serve
from robot_rlhf.run.results.summary import KEYS
from robot_rlhf.run.settings import ConsoleConfig, defaults_for
from tests.waits import CEILING

needs_console = pytest.mark.skipif(
    importlib.util.find_spec("nicegui") is None, reason="the console needs the extra 'console'"
)
DEAD_MAN = 0.5
Z = 2
"""Place of z in pick_cube's actions."""
PADS = """() => {
    window.pads = [];
    navigator.getGamepads = () => window.pads;
}"""
PAD = """(axes) => {
    const buttons = Array.from({length: 17}, () => ({pressed: false, touched: false, value: 0}));
    const pad = {id: 'Test pad', index: 0, connected: true, mapping: 'standard', timestamp: 0, axes, buttons};
    window.pads = axes ? [pad] : [];
}"""


class Watch:
    """What the journal holds so far, episode by episode."""

    def __init__(self, journal: Path) -> None:
        self._tail = JournalTail(journal, pictures=False)
        self.metas: list[EpisodeMeta] = []
        self.steps: dict[str, list[Step]] = {}
        self.ends: dict[str, EpisodeEnd] = {}
        self.feedback: list[Feedback] = []
        self.guard: list[GuardEvent] = []

    def look(self) -> Watch:
        for record in self._tail.poll():
            if isinstance(record, EpisodeStarted):
                self.metas.append(record.meta)
                self.steps[record.meta.id] = []
            elif isinstance(record, Step):
                self.steps[self.metas[-1].id].append(record)
            elif isinstance(record, EpisodeEnd):
                self.ends[record.id] = record
            elif isinstance(record, Feedback):
                self.feedback.append(record)
            else:
                self.guard.append(record)
        return self

    @property
    def kind(self) -> EpisodeKind:
        return self.metas[-1].kind

    @property
    def now(self) -> list[Step]:
        """Steps of the newest episode."""
        return self.steps[self.metas[-1].id]

    @property
    def count(self) -> int:
        return sum(len(steps) for steps in self.steps.values())

    def of(self, kind: FeedbackKind) -> list[Feedback]:
        return [feedback for feedback in self.feedback if feedback.kind is kind]

    def driven_last(self) -> bool:
        """A person drove the newest step."""
        return bool(self.now) and self.now[-1].driver is Driver.HUMAN


def wait(page: Any, what: str, condition: Callable[[], object], seconds: float = CEILING) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for: {what}"
        page.wait_for_timeout(20)


def phase(page: Any) -> str:
    return page.evaluate("() => window.seen.present.phase")


@needs_console
@pytest.mark.timeout(900)
def test_an_operator_teaches_by_hand(browser: Any, tmp_path: Path) -> None:
    options = ["--task", "pick_cube", "--operator", "kim", "--console.port", "0", "--demonstrations", "1"]
    options += ["--evaluation.final-episodes", "2", "--video-episodes", "0", "--trainer.warm-start-updates", "100"]
    with LiveSession(tmp_path, options) as session:
        _story(browser, session)
        assert session.process.wait(timeout=CEILING) == 0
    summary = session.summary()
    assert summary["interrupted"] is False
    assert summary["demonstrations"] == 1
    assert summary["operator"] == "kim"


def _story(browser: Any, session: LiveSession) -> None:
    # A wrong token opens nothing.
    stranger = browser.new_context().new_page()
    answer = stranger.goto(session.address.split("token=")[0] + "token=guessed")
    assert answer.status == 403
    assert "token" in stranger.inner_text("body").lower() or "address" in stranger.inner_text("body").lower()

    page = open_console(browser, session.address)
    page.evaluate(PADS)
    assert "token" not in page.url
    prepare(page)
    watch = Watch(session.journal)

    # Lifts the cube by hand: the demonstration.
    assert phase(page) == "waiting"
    operator = KeyboardOperator(page, session.journal, defaults_for("pick_cube"))
    deadline = time.monotonic() + 3 * CEILING
    while not any(end.outcome is Outcome.SUCCESS for end in watch.look().ends.values()):
        assert time.monotonic() < deadline, "the cube was not lifted by hand"
        operator.tick()
        page.wait_for_timeout(15)
    operator.release()
    lifted = next(meta for meta in watch.metas if watch.ends[meta.id].outcome is Outcome.SUCCESS)
    assert (lifted.kind, lifted.operator) == (EpisodeKind.DEMONSTRATION, "kim")
    assert watch.steps[lifted.id][-1].terminated

    # The robot practises; the operator takes over and gives back.
    wait(
        page,
        "practice",
        lambda: watch.look().kind is EpisodeKind.PRACTICE and watch.now and watch.now[-1].driver is Driver.POLICY,
    )
    page.keyboard.down("KeyE")
    wait(page, "the take-over", lambda: watch.look().driven_last())
    page.wait_for_timeout(300)
    up = [step for step in watch.look().now if step.driver is Driver.HUMAN]
    assert all(step.action.values[Z] > 0 for step in up[3:])
    page.keyboard.up("KeyE")
    wait(page, "the intervention's record", lambda: watch.look().of(FeedbackKind.INTERVENTION))

    # Judges: success.
    judged = len(watch.of(FeedbackKind.SUCCESS))
    page.keyboard.press("Enter")
    wait(page, "the judgement", lambda: len(watch.look().of(FeedbackKind.SUCCESS)) > judged)
    verdict = watch.of(FeedbackKind.SUCCESS)[-1]
    assert verdict.author == "kim"
    wait(page, "the end", lambda: verdict.span.episode_id in watch.look().ends)
    assert watch.ends[verdict.span.episode_id].outcome is Outcome.SUCCESS

    # Speaks.
    wait(page, "some practice", lambda: len(watch.look().now) > 3)
    page.keyboard.press("KeyT")
    page.wait_for_function("() => document.activeElement.id === 'd-text'")
    page.keyboard.type("approach more slowly & <b>gently</b>")
    page.keyboard.press("Enter")
    wait(page, "the sentence", lambda: watch.look().of(FeedbackKind.CORRECTION))
    (said,) = watch.of(FeedbackKind.CORRECTION)
    assert said.text == "approach more slowly & <b>gently</b>"
    assert said.span.episode_id in watch.steps
    assert said.span.start + said.span.length <= len(watch.steps[said.span.episode_id])
    assert len(watch.of(FeedbackKind.SUCCESS)) == judged + 1, "Enter in the text box is no judgement"
    page.keyboard.press("Escape")

    # A gamepad drives, too.
    page.evaluate(PAD, [0.0, -0.9, 0.0, 0.0])
    wait(page, "the gamepad's take-over", lambda: watch.look().driven_last())
    page.evaluate(PAD, None)
    wait(page, "the gamepad's hand-back", lambda: not watch.look().driven_last())

    _moves_by_a_sentence(page, watch)
    _pauses_and_goes_back(page, watch)
    page = _vanishes_while_driving(page, session, watch)
    _compares_clips(page, session, watch)
    _stops_and_ends(page, watch)


def _moves_by_a_sentence(page: Any, watch: Watch) -> None:
    """It is understood and done, seen so on the page, and taken back by a key."""
    wait(
        page, "an episode under way", lambda: len(watch.look().now) in range(14, 60)
    )  # past the reaction to the episode before
    there = len(watch.of(FeedbackKind.MEANING))
    page.keyboard.press("KeyT")
    page.keyboard.type("a bit to the left")
    page.keyboard.press("Enter")
    wait(page, "its meaning", lambda: len(watch.look().of(FeedbackKind.MEANING)) > there)
    meaning = watch.of(FeedbackKind.MEANING)[there]
    assert (meaning.text, meaning.payload["doing"]) == ("a bit to the left", "nudge")
    name = meaning.payload["sentence"]
    wait(page, "the motion", lambda: any(step.spoken == name for step in watch.look().now))
    assert all(step.driver is Driver.HUMAN for step in watch.now if step.spoken)
    page.wait_for_selector(f".d-sentence[data-name='{name}'] .d-does:has-text('nudging left 2 cm')")
    page.keyboard.press("KeyZ")
    page.wait_for_selector(f".d-sentence[data-name='{name}'][data-state=undone]")
    assert watch.look().of(FeedbackKind.MEANING)[-1].payload["doing"] == "undone"


def _pauses_and_goes_back(page: Any, watch: Watch) -> None:
    wait(page, "an episode under way", lambda: len(watch.look().now) in range(12, 60))
    page.keyboard.press("KeyP")
    wait(page, "the pause", lambda: phase(page) == "paused")
    here = page.evaluate("() => window.seen.present.step")
    page.keyboard.down("KeyB")
    wait(page, "going back", lambda: page.evaluate("() => window.seen.present.step") <= here - 5)
    page.keyboard.up("KeyB")
    wait(page, "standing still again", lambda: phase(page) == "paused")
    before, taken_up = watch.look().count, -1
    while (shown := page.evaluate("() => window.seen.present.step")) != taken_up:  # a busy machine shows it late
        taken_up = shown
        page.wait_for_timeout(300)
    assert watch.look().count == before, "nothing is recorded while paused"
    page.keyboard.down("KeyE")  # drives on from the chosen moment
    wait(page, "driving on", lambda: watch.look().driven_last())
    page.keyboard.up("KeyE")
    part = next(meta for meta in reversed(watch.metas) if meta.continues)
    assert abs(part.continues_at - taken_up) <= 1
    assert watch.ends[part.continues].outcome is Outcome.PAUSED


def _vanishes_while_driving(page: Any, session: LiveSession, watch: Watch) -> Any:
    context = page.context
    wait(page, "an episode under way", lambda: len(watch.look().now) in range(1, 40))
    page.keyboard.down("KeyE")
    wait(page, "the take-over", lambda: watch.look().driven_last())
    page.close(run_before_unload=False)
    gone = time.monotonic()
    other = context.new_page()
    time.sleep(1.2)
    watch.look()
    last_by_hand = max(
        s.next_observation.stamp for steps in watch.steps.values() for s in steps if s.driver is Driver.HUMAN
    )
    assert last_by_hand < gone + DEAD_MAN
    still = watch.count
    time.sleep(0.8)
    assert watch.look().count == still, "nothing is handed back by itself"
    other.goto(session.address.split("?")[0])  # the cookie opens it; a reload takes the session up again
    other.wait_for_function("() => window.console_rlhf && window.console_rlhf.ready")
    other.evaluate("() => { window.seen = {}; window.console_rlhf.onPresent((p) => { window.seen.present = p; }); }")
    wait(other, "the pause on the new page", lambda: other.evaluate("() => window.seen.present?.phase") == "paused")
    other.keyboard.press("KeyN")
    wait(other, "going on", lambda: watch.look().count > still)
    return other


def _compares_clips(page: Any, session: LiveSession, watch: Watch) -> None:
    labels = page.context.new_page()
    labels.goto(session.address.split("?")[0] + "label")
    labels.wait_for_selector("canvas")
    labels.wait_for_timeout(1500)
    labels.keyboard.press("ArrowLeft")
    wait(labels, "the label", lambda: watch.look().of(FeedbackKind.PREFERENCE))
    (preference,) = watch.of(FeedbackKind.PREFERENCE)
    assert preference.value == 1.0
    assert preference.other is not None
    assert preference.other != preference.span
    labels.close()


def _stops_and_ends(page: Any, watch: Watch) -> None:
    page.bring_to_front()
    page.keyboard.press("KeyX")
    wait(page, "the stop", lambda: phase(page) == "stopped")
    assert any(event.rule == "stop" and event.latched for event in watch.look().guard)
    still = watch.count
    page.keyboard.press("KeyN")
    page.wait_for_timeout(400)
    assert watch.look().count == still, "only a release ends a stop"
    page.click("#d-release")
    wait(page, "moving again", lambda: watch.look().count > still)
    page.click("[data-press=end]")
    page.click("[data-press=end-yes]")


@needs_console
def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        session = LiveSession(tmp_path, ["--console.port", str(port)])
        with pytest.raises(RuntimeError, match=rf"console.port {port}: cannot listen there: another program uses it"):
            session.__enter__()


def test_without_nicegui_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    settings = ConsoleSettings(journal=str(tmp_path), token="t")
    with pytest.raises(ConfigError, match=r"pip install 'robot-rlhf\[console\]'"):
        serve(ConsoleConfig(port=0), settings, None, tmp_path / "console.log")


@needs_console
def test_the_same_session_runs_without_a_person(tmp_path: Path) -> None:
    options = [
        "--task",
        "reach",
        "--operator",
        "simulated",
        "--console.port",
        "0",
        "--steps",
        "60",
        "--image-size",
        "64",
    ]
    options += ["--evaluation.final-episodes", "2", "--video-episodes", "0", "--trainer.warm-start-updates", "50"]
    with LiveSession(tmp_path, options) as session:
        assert session.process.wait(timeout=CEILING) == 0
    assert set(session.summary()) == set(KEYS)
    assert session.summary()["env_steps"] >= 60
    assert json.loads((session.folder / "summary.json").read_text())["operator"] == "attentive"


@needs_console
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_round_of_comparisons_goes_on_beside_practice(browser: Any, tmp_path: Path) -> None:
    """Clips are compared in the browser while the robot practises and is corrected, and the reward learns from them."""
    options = ["--task", "reach", "--operator", "simulated", "--console.port", "0", "--steps", "100000"]
    options += ["--image-size", "64", "--trainer.warm-start-updates", "50", "--video-episodes", "0"]
    options += ["--reward-model.learns", "--preferences.every", "3", "--preferences.training.updates", "20"]
    with LiveSession(tmp_path, options) as session:
        page = open_console(browser, session.address)
        watch = Watch(session.journal)
        practising = {EpisodeKind.PRACTICE}
        # The page cuts them into clips of one length; a few short episodes would not give it four pairs.
        wait(page, "episodes to compare", lambda: sum(m.kind in practising for m in watch.look().metas) > 12)
        labels = page.context.new_page()
        labels.goto(session.address.split("?")[0] + "label")
        asked = 0
        at: list[int] = []
        while len(watch.look().of(FeedbackKind.PREFERENCE)) < 4:
            fresh = f"window.label_page && ![null, {asked}].includes(label_page.state().number)"
            labels.wait_for_function(fresh, timeout=120_000)
            asked = labels.evaluate("label_page.state().number")
            before = len(watch.look().of(FeedbackKind.PREFERENCE))
            labels.keyboard.press("ArrowRight" if before % 2 else "ArrowLeft")
            wait(labels, "the label", lambda known=before: len(watch.look().of(FeedbackKind.PREFERENCE)) > known)
            at.append(watch.count)
        reward = session.folder / "checkpoints" / "reward.safetensors"
        wait(labels, "a reward learned from them", reward.exists)
        still = watch.look().count
        wait(labels, "practice going on", lambda: watch.look().count > still + 20)
    assert at == sorted(set(at)), "steps were recorded between any two labels"
    given = watch.of(FeedbackKind.PREFERENCE)
    assert all(f.other is not None and f.span.episode_id in watch.steps for f in given)
    lines = (session.folder / "metrics.jsonl").read_text().splitlines()
    taught = [json.loads(line) for line in lines if "reward_labels" in line]
    assert taught
    assert taught[0]["reward_labels"] >= 3
