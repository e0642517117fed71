"""The operator's page in a real browser, on a made-up robot with the real console process; and what it is made from."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

nicegui = pytest.importorskip("nicegui")

from robot_rlhf.console.history import History  # noqa: E402
from robot_rlhf.console.pages import learning, state, theme  # noqa: E402
from robot_rlhf.console.pages.drive import main_camera  # noqa: E402
from robot_rlhf.datatypes import HumanInput, Phase  # noqa: E402
from tests.console.fake_session import FakeSession  # noqa: E402
from tests.waits import until  # noqa: E402

EVIL = "<img src=x onerror='window.evil=1'> higher"

# -- what the page is made from ------------------------------------------------------------------------------------


def test_numbers_that_nobody_said_are_dashes() -> None:
    assert set(state.numbers({}).values()) == {state.DASH}
    odd = {
        "success_with_help": None,
        "human_share": float("nan"),
        "updates": "many",
        "unaided": 3,
        "hands_on_seconds": True,
    }
    assert set(state.numbers(odd).values()) == {state.DASH}


def test_numbers_in_words() -> None:
    told = {"success_with_help": 0.725, "unaided": [0.5, 4], "human_share": 0.0, "updates": 12345}
    told |= {"hands_on_seconds": 90, "at_machine_seconds": 240}
    words = state.numbers(told)
    assert words["help"] == "72 %"
    assert words["alone"] == "50 %"
    assert state.labels(told)["alone"] == "alone (last 4)"
    assert words["share"] == "0 %"
    assert words["minutes"] == "1.5 of 4.0"
    assert words["updates"] == "12\u202f345"
    assert words["age"] == state.DASH


@pytest.mark.parametrize(
    ("status", "level", "part"),
    [
        ({}, "", state.DASH),
        ({"learner_state": "learning", "learner_healthy": True, "ratio": 3.94}, "good", "3.9 updates per step"),
        ({"learner_state": "waits for 200 steps", "learner_healthy": True}, "warn", "waits for 200 steps"),
        ({"learner_state": "learning", "learner_healthy": False}, "warn", "Not training"),
    ],
)
def test_says_why_it_is_not_training(status: dict[str, Any], level: str, part: str) -> None:
    told = state.trains(status)
    assert told["level"] == level
    assert part in told["text"]


def test_curves_leave_out_discarded_episodes_and_average_over_twenty() -> None:
    success = np.array([1.0, 0.0, np.nan, 1.0])
    series = {
        "episode": np.arange(1.0, 5.0),
        "success": success,
        "human_share": np.zeros(4),
        "return": np.array([1.0, 0, 9, 1]),
        "practice": np.ones(4),
    }
    episode, mean, _ = learning.curves("success", series, learning.Trend())
    assert episode.tolist() == [1, 2, 4]
    assert mean.tolist() == pytest.approx([1, 0.5, 2 / 3])
    assert learning.curves("return", series, learning.Trend())[1].tolist() == [1, 0, 1]
    naive = [np.mean([float(v) for v in range(max(0, i - 19), i + 1)]) for i in range(50)]
    assert learning.running_mean(np.arange(50.0)).tolist() == pytest.approx(naive)


def test_curves_are_of_practice_alone() -> None:
    shown = {
        "episode": np.arange(1.0, 7.0),
        "success": np.array([1.0, 1, 1, 0, 0, 1]),
        "practice": np.array([0.0, 0, 0, 1, 1, 1]),
        "human_share": np.array([1.0, 1, 1, 0, 0, 0]),
        "return": np.array([1.0, 1, 1, 0, 0, 1]),
    }
    episode, success, share = learning.curves("success", shown, learning.Trend())
    assert episode.tolist() == [4, 5, 6]
    assert success.tolist() == pytest.approx([0, 0, 1 / 3]), "five demonstrations are no success of the robot"
    assert share.tolist() == [0, 0, 0]
    assert learning.curves("return", shown, learning.Trend())[1].tolist() == [0, 0, 1]


def test_the_coach_speaks_of_the_phase_that_is() -> None:
    status = {"stage": "demonstrations", "demonstrations": 1, "demonstrations_wanted": 5}
    (line,) = state.advice_lines(History("nowhere"), status)
    assert line["because"] == "1 of 5 demonstrations so far"
    assert "Show the whole task" in line["text"]
    (line,) = state.advice_lines(History("nowhere"), {"stage": "practice"})
    assert "Let the robot try" in line["text"]


def test_what_the_run_finds_of_its_practice_is_advice() -> None:
    found = {"verdict": "worse", "because": "40% of the last episodes were done without help, and 95% before"}
    lines = state.advice_lines(History("nowhere"), {"stage": "practice", "practice": found})
    assert (lines[0]["level"], lines[0]["because"]) == ("warn", found["because"])
    assert "the best policy is kept" in lines[0]["text"]
    for well in ({"verdict": "", "because": "all is well"}, None, "worse"):
        (line,) = state.advice_lines(History("nowhere"), {"stage": "practice", "practice": well})
        assert "Let the robot try" in line["text"]


def test_the_end_says_where_it_all_lies_and_what_comes_next() -> None:
    lines = dict(state.summary(History("nowhere"), {}, "runs/my run"))
    assert lines["Folder"] == "runs/my run"
    assert lines["Look at it"] == "robot-rlhf review 'runs/my run'"
    assert "Policy" not in lines
    untaught = dict(state.summary(History("nowhere"), {"updates": 0, "learned": False}, "runs/my run"))
    assert untaught["Policy"] == "has learned nothing yet, and is not measured"
    assert "Policy" not in dict(state.summary(History("nowhere"), {"updates": 0, "learned": True}, "runs/my run"))


def test_trend_stays_small_and_keeps_beginning_and_end() -> None:
    trend = learning.Trend()
    for i in range(3 * learning.TREND):
        trend.take({"session_seconds": 60.0 * i, "q": float(i)})
    minutes = trend.column(0)
    assert len(minutes) <= learning.TREND
    assert minutes[0] == 0.0
    assert minutes[-1] >= 3 * learning.TREND - 8
    assert np.isnan(trend.column(3)).all()
    thinned = learning.thin(minutes)
    assert len(thinned) <= learning.MAX_POINTS
    assert (thinned[0], thinned[-1]) == (minutes[0], minutes[-1])


def test_main_camera_is_the_one_that_stands_in_front() -> None:
    assert main_camera(("wrist", "front")) == "front"
    assert main_camera(("wrist", "side")) == "wrist"


def test_guard_lines_put_latched_faults_first_and_count_repeats() -> None:
    notes = [SimpleNamespace(stamp=99.0 - i, kind="guard", text="slow down", latched=False) for i in range(3)]
    notes.append(SimpleNamespace(stamp=20.0, kind="guard", text="long ago", latched=False))
    console = SimpleNamespace(
        robot=SimpleNamespace(present=SimpleNamespace(stamp=100.0, faults=(("stop", "pressed"),))),
        history=SimpleNamespace(notes=lambda: tuple(notes)),
    )
    lines = state.guard_lines(cast("Any", console))
    assert [(line["latched"], line["count"]) for line in lines] == [(True, 1), (False, 3)]


# -- the look ------------------------------------------------------------------------------------------------------


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, 1.4.3."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _themes() -> dict[str, dict[str, str]]:
    sheet = (theme.STATIC / "console.css").read_text()
    dark = sheet[sheet.index(":root {") : sheet.index("}")]
    begin = sheet.index('html[data-theme="light"] {')
    light = sheet[begin : sheet.index("}", begin)]
    variable = r"--([a-z-]+): (#[0-9a-f]{6})"
    return {"dark": dict(re.findall(variable, dark)), "light": dict(re.findall(variable, dark + light))}


@pytest.mark.parametrize("name", ["dark", "light"])
def test_text_is_legible(name: str) -> None:
    colours = _themes()[name]
    for text in ("text", "dim", "good", "warn", "bad", "accent"):
        for ground in ("panel", "bg"):
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for text in ("text", "dim"):
        assert _contrast(colours[text], colours["raised"]) >= 4.5, text
    for driver in ("policy", "other", "reflex", "nobody", "waiting", "paused", "rewinding", "resetting", "stopped"):
        assert _contrast(colours["on-driver"], colours[driver]) >= 4.5, driver
    assert _contrast(colours["on-you"], colours["you"]) >= 7


# -- in the browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("session")
    with FakeSession(folder, time_limit=4000) as session:
        yield session


class Pages:
    """Opens the page, and notes what went wrong in it."""

    def __init__(self, browser: Any, session: Any) -> None:
        self._browser = browser
        self._session = session
        self.wrong: list[str] = []

    def open(self, width: int = 1366, height: int = 768, *, touch: bool = False) -> Any:
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch
        )
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self._own(request.url))
        page.goto(self._session.open_address)
        page.wait_for_selector("#drive:not([data-look=lost])", timeout=120_000)
        return page

    def _own(self, url: str) -> None:
        if not url.startswith((self._session.address, "ws://127.0.0.1", "blob:", "data:")):
            self.wrong.append(f"asked for {url}")


@pytest.fixture(scope="module")
def pages(browser: Any, session: Any) -> Pages:
    return Pages(browser, session)


@pytest.fixture(scope="module")
def operator(pages: Pages) -> Any:
    page = pages.open()
    page.wait_for_selector("#drive[data-seat='1']", timeout=120_000)
    page.wait_for_function("window.console_rlhf.ready", timeout=120_000)
    page.wait_for_selector("#drive[data-look=policy]", timeout=120_000)
    page.wait_for_function("window.console_rlhf.stats.situations > 20", timeout=120_000)
    return page


def go_on(page: Any) -> None:
    """Until the policy drives: on a busy machine the dead man's watch may have paused, or pauses meanwhile."""
    for _ in range(6):
        page.wait_for_selector("#drive[data-look=policy], #drive[data-look=paused]", timeout=120_000)
        if page.get_attribute("#drive", "data-look") == "policy":
            return
        page.keyboard.press("n")
        page.wait_for_selector("#drive:not([data-look=paused])", timeout=120_000)
    raise AssertionError("the policy never drove")


def lead(page: Any, key: str) -> None:
    """Hold a key until the person drives; again when the dead man's watch came between."""
    for _ in range(4):
        go_on(page)
        page.keyboard.down(key)
        page.wait_for_selector("#drive[data-look=you], #drive[data-look=paused]", timeout=120_000)
        if page.get_attribute("#drive", "data-look") == "you":
            return
        page.keyboard.up(key)
    raise AssertionError("the person never drove")


def last_input(session: Any) -> HumanInput | None:
    return session.inputs[-1][1]


def test_the_banner_says_who_drives_and_the_key_lights_up(operator: Any) -> None:
    assert operator.text_content("#d-words") == "POLICY DRIVES"
    lead(operator, "w")
    assert operator.text_content("#d-words") == "YOU DRIVE"
    assert "c-held" in operator.get_attribute(".d-help kbd[data-code=KeyW]", "class")
    operator.keyboard.up("w")
    go_on(operator)
    assert "c-held" not in (operator.get_attribute(".d-help kbd[data-code=KeyW]", "class") or "")


def test_while_a_session_ends_the_banner_says_so(operator: Any) -> None:
    banner = """([stage, linked, ended]) => console_banner(
      {present: null, moment: null, state: {seat: true, stage}, fresh: false, linked, ended}).words"""
    assert operator.evaluate(banner, ["ending", "still", False]) == "ENDING THE SESSION"
    for told in (["practice", "still", False], ["ending", "lost", False], ["ending", "live", True]):
        assert operator.evaluate(banner, told) == "NO CONNECTION"


def test_a_fall_of_practice_is_told_with_its_figures_and_its_end_takes_that_away(operator: Any, session: Any) -> None:
    line = "#d-advice .d-hint[data-level=warn]"
    session.practice = {"verdict": "worse", "because": "40% of the last episodes were done without help"}
    operator.wait_for_selector(f"{line} span:has-text('the best policy is kept')", timeout=120_000)
    assert operator.text_content(f"{line} em") == "because 40% of the last episodes were done without help"
    session.practice = {"verdict": "", "because": ""}
    operator.wait_for_selector(line, state="detached", timeout=120_000)


def test_settings_show_what_is_so_also_when_changed_by_key(operator: Any) -> None:
    operator.click("[data-frame=tool]")
    operator.wait_for_selector("[data-frame=tool][aria-pressed=true]")
    operator.keyboard.press("f")
    operator.wait_for_selector("[data-frame=camera][aria-pressed=true]")
    operator.keyboard.press("3")
    operator.wait_for_selector("[data-speed='3'][aria-pressed=true]")
    operator.click("[data-frame=base]")


def test_a_sentence_is_sent_with_its_beginning_and_shown_as_text(operator: Any, session: Any) -> None:
    operator.keyboard.press("t")
    operator.wait_for_function("document.activeElement.id === 'd-text'")
    before = session.clock.now()
    operator.keyboard.type("<", delay=0)
    time.sleep(0.3)
    operator.keyboard.insert_text(EVIL[1:])
    operator.keyboard.press("Enter")
    until(lambda: any(human and human.sentences for _, human in list(session.inputs)))
    came, sentence = next((at, human.sentences[0]) for at, human in list(session.inputs) if human and human.sentences)
    assert sentence.text == EVIL
    assert before - 0.2 < sentence.began < came - 0.25
    operator.wait_for_function("document.querySelector('#d-said').textContent.includes('onerror')")
    operator.wait_for_function("document.querySelector('#d-chips').textContent.includes('onerror')")
    assert operator.evaluate("window.evil === undefined && !document.querySelector('#drive img')")
    assert operator.input_value("#d-text") == ""


def test_what_is_typed_behind_t_is_text_and_nothing_reaches_the_hands(operator: Any, session: Any) -> None:
    go_on(operator)
    before = len(session.inputs)
    operator.evaluate(
        """() => { // faster than any round trip: all in one turn of the page
          for (const code of ['KeyT', 'KeyS', 'KeyL', 'KeyO', 'KeyW']) {
            const at = document.activeElement, key = code[3].toLowerCase();
            for (const kind of ['keydown', 'keyup']) {
              at.dispatchEvent(new KeyboardEvent(kind, {code, key, bubbles: true, cancelable: true}));
            }
          }
        }"""
    )
    assert operator.evaluate("document.activeElement.id") == "d-text"
    operator.keyboard.type("slower near the cube")
    assert operator.input_value("#d-text") == "slower near the cube"
    operator.fill("#d-text", "")
    operator.keyboard.press("Escape")
    time.sleep(0.2)
    assert all(human is None or (human.action is None and not human.buttons) for _, human in session.inputs[before:])


def test_the_list_of_keys_opens_and_closes_by_h_and_the_keys_go_on_driving(operator: Any, session: Any) -> None:
    go_on(operator)
    operator.keyboard.press("h")
    operator.wait_for_selector("#d-sheet:visible")
    sheet, stop = (operator.locator(s).bounding_box() for s in ("#d-sheet", "[data-press=stop]"))
    assert sheet["y"] > stop["y"] + stop["height"], "the list lies below STOP"
    assert "go on driving" in operator.inner_text("#d-sheet")
    lead(operator, "w")
    assert "c-held" in operator.get_attribute("#d-sheet kbd[data-code=KeyW]", "class")
    operator.keyboard.up("w")
    before = len(session.inputs)
    operator.keyboard.press("Escape")
    operator.wait_for_selector("#d-sheet", state="hidden")
    time.sleep(0.2)
    assert not any(human and human.buttons for _, human in session.inputs[before:]), "closing judges nothing"
    for shown in ("visible", "hidden"):
        operator.keyboard.press("h")
        operator.wait_for_selector("#d-sheet", state=shown)
    operator.click("#d-person")
    operator.wait_for_selector("text=Keys do not drive while this is open")
    operator.keyboard.press("Escape")
    operator.wait_for_selector("[data-press=save-name]", state="hidden")


def test_a_judgement_goes_to_the_episode_on_the_page_is_named_and_taken_back(operator: Any, session: Any) -> None:
    go_on(operator)
    shown = operator.evaluate("window.console_rlhf.shown")
    operator.keyboard.press("Backspace")
    operator.wait_for_function(
        "(name) => document.querySelector('#d-last-words').textContent.startsWith(name + ': Discarded')", arg=shown
    )
    operator.click("#d-undo")
    operator.wait_for_function("document.querySelector('#d-last-words').textContent.includes('taken back')")
    go_on(operator)
    later = operator.evaluate("window.console_rlhf.shown")
    assert later != shown
    operator.click("[data-press=failure]")
    operator.wait_for_function(
        "(name) => document.querySelector('#d-last-words').textContent.startsWith(name + ': Failure')", arg=later
    )
    operator.evaluate(
        """(shown) => {
          window.console_drive_state.last = {text: `${shown}: Failure (judged by Anna)`, undo: 'Undo'};
          document.getElementById('d-undo').click();
        }""",
        shown,
    )
    operator.wait_for_selector(".q-notification:has-text('the last episode, as it is shown now')")
    operator.click(".q-notification button")
    assert operator.inner_text("#d-last-words").startswith(f"{later}: Failure"), "another one than was shown"
    until(lambda: session.phase is Phase.RESETTING or session.phase is Phase.RUNNING)
    go_on(operator)


def test_paused_then_a_moment_is_chosen_on_the_time_line(operator: Any, session: Any) -> None:
    go_on(operator)
    until(lambda: session.step > 30)
    operator.keyboard.press("p")
    operator.wait_for_selector("#drive[data-look=paused]")
    operator.wait_for_selector("#d-moment:not([disabled])")
    operator.wait_for_selector("[data-press=pause]", state="hidden")
    operator.keyboard.press("p")
    time.sleep(0.3)
    assert session.phase is Phase.PAUSED, "whoever means to pause wakes nobody"
    before = session.step - 20
    operator.evaluate(
        "(step) => { const s = document.getElementById('d-moment'); s.value = step;"
        " for (const e of ['input', 'change']) s.dispatchEvent(new Event(e)); }",
        before,
    )
    until(lambda: session.step == before)
    until(lambda: session.phase is Phase.PAUSED)
    operator.click("[data-press=resume]")
    operator.wait_for_selector("#drive[data-look=policy]")


def test_a_watcher_may_only_stop_and_take_the_seat(operator: Any, pages: Pages, session: Any) -> None:
    watcher = pages.open()
    watcher.wait_for_selector(".d-watch:visible")
    watcher.wait_for_function("document.getElementById('d-text').title.includes('has the seat')")
    assert watcher.is_disabled("#d-text")
    go_on(operator)
    watcher.keyboard.press("w")
    time.sleep(0.2)
    assert operator.get_attribute("#drive", "data-look") in ("policy", "paused"), "paused: a busy machine"
    watcher.click("[data-press=stop]")
    operator.wait_for_selector("#drive[data-look=stopped]")
    assert "release" in operator.text_content("#d-words")
    assert watcher.is_disabled("#d-release")
    operator.click("#d-release")
    operator.wait_for_selector("#drive[data-look=paused]")
    watcher.click("[data-press=take-seat]")
    watcher.wait_for_selector("#drive[data-seat='1']")
    operator.wait_for_selector("#drive[data-seat='0']")
    operator.click("[data-press=take-seat]")
    operator.wait_for_selector("#drive[data-seat='1']")
    operator.keyboard.press("n")
    operator.wait_for_selector("#drive[data-look=policy]")
    watcher.context.close()


def test_a_browser_remembers_how_its_operator_drives(operator: Any, pages: Pages) -> None:
    operator.click("[data-frame=base]")
    operator.keyboard.press("3")
    operator.wait_for_selector("[data-speed='3'][aria-pressed=true]")
    other = pages.open()
    other.click("[data-press=take-seat]")
    other.wait_for_selector("#drive[data-seat='1']")
    other.click("[data-frame=tool]")
    other.keyboard.press("1")
    operator.wait_for_selector("[data-frame=tool][aria-pressed=true]")
    operator.wait_for_selector("[data-speed='1'][aria-pressed=true]")
    operator.click("[data-press=take-seat]")
    operator.wait_for_selector("[data-frame=base][aria-pressed=true]")
    operator.wait_for_selector("[data-speed='3'][aria-pressed=true]")
    other.context.close()


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (1180, 820), (1920, 1080)])
def test_nothing_scrolls_and_nothing_is_cut_off(operator: Any, width: int, height: int) -> None:
    operator.set_viewport_size({"width": width, "height": height})
    for hands in ("keys", "sticks"):
        if operator.get_attribute("#drive", "data-hands") != hands:
            operator.click("#d-hands")
        looked = """() => ({
              page: [document.documentElement.scrollWidth, document.documentElement.scrollHeight],
              cut: [...document.querySelectorAll('.d-judge > .c-button, .d-keys, .d-pics, .d-learn, .d-numbers,'
                + '.d-stop > *, .d-say, .c-header')]
                .filter((e) => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1)
                .map((e) => e.className)})"""
        fits = {"page": [width, height], "cut": []}
        until(
            lambda looked=looked, fits=fits: operator.evaluate(looked) == fits
        )  # a chart takes its new size a frame later
        assert operator.evaluate(looked) == fits, hands
    operator.click("#d-hands")
    operator.set_viewport_size({"width": 1366, "height": 768})


def test_a_stick_on_the_screen_drives_until_it_is_let_go(operator: Any, session: Any) -> None:
    operator.click("#d-hands")
    box = operator.locator(".d-stick-left").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    operator.mouse.move(x, y)
    operator.mouse.down()
    operator.mouse.move(x, y - box["height"] / 2, steps=4)
    until(
        lambda: (human := last_input(session)) is not None and human.action is not None and human.action.values[0] > 0.9
    )
    operator.mouse.up()
    until(lambda: (human := last_input(session)) is not None and human.action is None)
    operator.click("#d-hands")


def test_over_plain_http_the_page_says_what_the_browser_keeps_back(operator: Any, session: Any, browser: Any) -> None:
    assert "https" not in operator.inner_text("#d-pad")
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    context.set_default_timeout(120_000)
    context.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false});")
    page = context.new_page()
    page.goto(session.open_address)
    page.wait_for_selector("#drive:not([data-look=lost])", timeout=120_000)
    page.wait_for_function("document.getElementById('d-pad').textContent.includes('needs https')")
    context.close()


def test_ending_the_session_asks_first_and_the_page_says_so(operator: Any, pages: Pages, session: Any) -> None:
    operator.click("[data-press=end]")
    operator.wait_for_selector("[data-press=end-no]:visible")
    assert operator.evaluate(
        "() => { const r = document.querySelector('.d-stop-now').getBoundingClientRect();"
        " return document.elementFromPoint(r.left + 20, r.top + 20).closest('[data-press=stop]') !== null; }"
    ), "no dialog may cover STOP"
    operator.click("[data-press=end-no]")
    time.sleep(0.3)
    assert not session.ended.is_set()
    operator.click("[data-press=end]")
    operator.click("[data-press=end-yes]")
    until(session.ended.is_set)
    operator.wait_for_selector(".d-ended:visible")
    assert "The session has ended" in operator.inner_text(".d-ended")
    operator.wait_for_function("document.querySelector('#d-ended-facts').textContent.includes('Episodes saved')")
    assert pages.wrong == []
