"""Every page on every screen: no control out of reach, STOP and Release always in sight, with keys and with sticks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("nicegui", reason="the console needs the extra 'console'")

from tests.console.fake_session import FakeSession

SCREENS = (
    (1280, 720),
    (1366, 768),
    (1440, 900),
    (1512, 860),
    (1680, 1050),
    (1920, 1080),
    (1024, 768),
    (820, 1180),
    (1180, 820),
    (2560, 1440),
)
"""Width and height of windows, in CSS pixels; each also at a browser's zoom of 125 %."""
TINY = ((390, 844), (700, 420))
"""Too small for all of it: the page scrolls below the banner, STOP and Release."""

OUT_OF_REACH = """() => {
  const CONTROLS = 'button, input, select, a[href], canvas, [role=slider], [role=application]';
  const root = document.documentElement, wrong = [];
  const all = {left: 0, top: 0, right: innerWidth, bottom: innerHeight};
  const name = (e) => `${e.id || e.dataset.press || e.dataset.answer || e.className || e.tagName} ${e.innerText || ''}`;
  const beside = (a, b) => a.left < b.left - 1 || a.right > b.right + 1;
  const outside = (a, b) => beside(a, b) || a.top < b.top - 1 || a.bottom > b.bottom + 1;
  const scrolls = (e) => /auto|scroll/.test(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 1;
  const panelOf = (e) => {
    for (let up = e.parentElement; up && up !== document.body; up = up.parentElement) if (scrolls(up)) return up;
    return null;
  };
  if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight) {
    wrong.push(`page of ${root.scrollWidth} x ${root.scrollHeight}`);
  }
  for (const e of document.querySelectorAll(CONTROLS)) {
    if (!e.checkVisibility({visibilityProperty: true}) || e.closest('[hidden], .q-dialog, .q-menu')) continue;
    let at = e.getBoundingClientRect();
    const panel = panelOf(e);
    if (panel) { // reachable when it is no wider than its panel, and the panel is in the window
      const box = panel.getBoundingClientRect();
      if (beside(at, box)) wrong.push(`${name(e)}: beside its panel`);
      if (box.height < 60) wrong.push(`${name(e)}: its panel is ${box.height} high`);
      at = box;
    } else if (e.tagName !== 'CANVAS') { // words and lines may lie over a picture
      const top = document.elementFromPoint((at.left + at.right) / 2, (at.top + at.bottom) / 2);
      if (top && !e.contains(top) && !top.contains(e)) wrong.push(`${name(e)}: covered by ${top.id || top.className}`);
    }
    if (outside(at, all)) wrong.push(`${name(e)}: ${[at.left, at.top, at.right, at.bottom].map(Math.round)}`);
    if (e.matches('button') && e.scrollWidth > e.clientWidth + 1) wrong.push(`${name(e)}: its words are cut`);
  }
  return wrong;
}"""
COVERED = """(selectors) => selectors.flatMap((selector) => {
  const e = document.querySelector(selector), r = e.getBoundingClientRect(), wrong = [];
  const inside = r.left >= 0 && r.top >= 0 && r.right <= innerWidth && r.bottom <= innerHeight;
  if (!inside) wrong.push(`${selector}: not in the window`);
  if (r.width < 60 || r.height < 30) wrong.push(`${selector}: ${r.width} x ${r.height}`);
  for (const [x, y] of [[.5, .5], [.08, .15], [.92, .15], [.08, .85], [.92, .85]]) {
    const top = document.elementFromPoint(r.left + x * r.width, r.top + y * r.height);
    if (!e.contains(top)) wrong.push(`${selector}: covered by ${top && (top.className || top.tagName)}`);
  }
  return wrong;
})"""
STOPS = ["[data-press=stop]", "#d-release"]
OVER_EACH_OTHER = """() => {
  const buttons = [...document.querySelectorAll('#drive button')];
  const seen = buttons.filter((e) => e.checkVisibility({visibilityProperty: true}));
  const shown = seen.filter((e) => !e.closest('.d-stop, .d-sheet, .d-ended, dialog'));
  const at = shown.map((e) => [e, e.getBoundingClientRect()]);
  return at.flatMap(([a, p], i) => at.slice(i + 1).filter(([b, q]) => !a.closest('.d-said') && !b.closest('.d-said')
    && p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 1 && q.top < p.bottom - 1)
    .map(([b]) => `${a.innerText} over ${b.innerText}`));
}"""


@pytest.fixture(scope="module")
def session(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSession]:
    with FakeSession(tmp_path_factory.mktemp("session") / "journal", size=128, time_limit=4000) as session:
        yield session


@pytest.fixture(scope="module", params=[1.0, 1.25], ids=["100%", "125%"])
def zoomed(request: pytest.FixtureRequest, browser: Any, session: FakeSession) -> Iterator[tuple[float, Any]]:
    """A browser's zoom, and a page in it of one visitor who has the seat."""
    context = browser.new_context(device_scale_factor=request.param)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(session.open_address)
    page.wait_for_selector("#drive:not([data-look=lost])")
    if page.get_attribute("#drive", "data-seat") != "1":
        page.click("[data-press=take-seat]")
        page.wait_for_selector("#drive[data-seat='1']")
    yield request.param, page
    context.close()


def look(page: Any, screen: tuple[int, int], zoom: float, theme: str) -> None:
    page.set_viewport_size({"width": round(screen[0] / zoom), "height": round(screen[1] / zoom)})
    if page.evaluate("console_theme.now()") != theme:
        page.evaluate("console_theme.toggle()")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def choose_hands(page: Any, hands: str) -> None:
    if page.get_attribute("#drive", "data-hands") != hands:
        page.evaluate("document.getElementById('d-hands').click()")


def test_the_drive_page_fits_every_screen(zoomed: tuple[float, Any], session: FakeSession) -> None:
    zoom, page = zoomed
    page.goto(session.address)
    page.wait_for_selector("#drive:not([data-look=lost])")
    wrong: dict[str, list[str]] = {}
    for i, screen in enumerate(SCREENS):
        for hands in ("keys", "sticks"):
            choose_hands(page, hands)
            look(page, screen, zoom, ("dark", "light")[i % 2])
            found = page.evaluate(OUT_OF_REACH) + page.evaluate(COVERED, STOPS)
            rest = page.evaluate(
                "() => { const e = document.getElementById('drive'); return e.scrollHeight - e.clientHeight; }"
            )
            if rest > 1:
                found.append(f"the page scrolls by {rest}")
            large = page.evaluate("document.querySelector('#d-mains canvas').getBoundingClientRect().height")
            if large < min(150, 0.2 * screen[1] / zoom):
                found.append(f"the picture is {large:.0f} high")
            if found:
                wrong[f"{screen}, {hands}"] = found
    assert wrong == {}


def test_on_a_tiny_screen_the_page_scrolls_below_stop_and_release(
    zoomed: tuple[float, Any], session: FakeSession
) -> None:
    zoom, page = zoomed
    page.goto(session.address)
    page.wait_for_selector("#drive:not([data-look=lost])")
    for screen in TINY:
        for hands in ("keys", "sticks"):
            choose_hands(page, hands)
            look(page, screen, zoom, "dark")
            for end in ("0", "e.scrollHeight"):
                page.evaluate(f"() => {{ const e = document.getElementById('drive'); e.scrollTop = {end}; }}")
                assert page.evaluate(COVERED, STOPS) == [], (screen, hands)
            assert page.evaluate(OVER_EACH_OTHER) == [], (screen, hands)


def test_nothing_covers_stop_and_release(zoomed: tuple[float, Any], session: FakeSession) -> None:
    zoom, page = zoomed
    page.goto(session.address)
    page.wait_for_selector("#drive:not([data-look=lost])")
    for screen in ((1366, 768), (1024, 768), (820, 1180)):
        choose_hands(page, "keys")
        look(page, screen, zoom, "dark")
        for opens, shows, closes in (
            ("[data-press=end]", "[data-press=end-no]", "[data-press=end-no]"),
            ("#d-person", "[data-press=save-name]", None),
        ):
            page.evaluate(f"document.querySelector('{opens}').click()")
            page.wait_for_selector(f"{shows}:visible")
            page.wait_for_timeout(350)  # until it stands still
            assert page.evaluate(COVERED, STOPS) == [], (screen, opens)
            if closes:
                page.click(closes)
            else:
                page.keyboard.press("Escape")
            page.wait_for_selector(shows, state="hidden")
        page.evaluate("Quasar.Notify.create({message: 'm'.repeat(300), position: 'top', timeout: 400})")
        page.wait_for_selector(".q-notification")
        assert page.evaluate(COVERED, STOPS) == [], screen
        page.wait_for_selector(".q-notification", state="detached")


@pytest.mark.parametrize("path", ["/label", "/review"])
def test_label_and_review_fit_every_screen(zoomed: tuple[float, Any], session: FakeSession, path: str) -> None:
    zoom, page = zoomed
    page.goto(session.address + path)
    page.wait_for_selector(".label-answers, .review-head")
    page.wait_for_function("document.getElementById('c-link').dataset.state === 'live'")
    wrong: dict[str, list[str]] = {}
    for i, screen in enumerate(SCREENS):
        look(page, screen, zoom, ("light", "dark")[i % 2])
        found = page.evaluate(OUT_OF_REACH) + page.evaluate(COVERED, ["#c-stop"])
        if found:
            wrong[str(screen)] = found
    assert wrong == {}
