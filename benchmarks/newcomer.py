"""A newcomer at the keyboard who knows nothing but what is on the screen: looks at the page, presses keys, looks again.

They see the pictures as they are drawn, pixel by pixel, and no state of the robot. They know the cube when they see it,
try out which key moves the mark where, bring the mark's foot to the cube in both pictures, go down, close, lift.

    python -m benchmarks.newcomer                10 demonstrations each: with marks, without them, and with eyes shut
    python -m benchmarks.newcomer --eyes marks   only with marks

Results are printed and appended to benchmarks/results/console.jsonl.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.browser import LiveSession, browser, open_console
from benchmarks.console import report
from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, Outcome
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import read_journal

Eyes = Literal["marks", "no marks", "shut"]
EYES: tuple[Eyes, ...] = ("marks", "no marks", "shut")
AWAY, RIGHT, UP, DOWN, CLOSE, OPEN, SLOW = "KeyW", "KeyD", "KeyE", "KeyQ", "KeyC", "KeyV", "Digit1"
BACK = {AWAY: "KeyS", RIGHT: "KeyA", UP: DOWN, DOWN: UP}
DISCARD = "Backspace"
TRIAL = 6
"""Control periods for which a key is tried out. Time is what the page's step counter shows, not the wall clock's: on a
busy machine only that says how long a key moved the robot."""
LONGEST = 12
"""Periods for which a key is held between two looks."""
SETTLED = 5
"""Pictures after which the arm has come to rest."""
CLOSE_ENOUGH = 0.012
"""Of a picture's height, between the foot of the mark and that of the cube."""
ON_THE_TABLE = 0.035
"""Length of the plumb line, of a picture's height, at which the fingers are as low as the cube."""
WHOLE = 0.08
"""Pieces of a colour that are nearer than this, of a picture's height, are one thing."""
TRIES = 6
"""Grasps after which a demonstration is given up."""
WAIT = 60_000
"""Milliseconds to wait for what must come."""

_Point = NDArray[np.float64]
_Mask = NDArray[np.bool_]
_VIOLET = (179, 136, 255)
MARKS = (_MAGENTA, _GREEN, _CYAN) = (255, 0, 255), (0, 255, 102), (0, 229, 255)
"""Colours of the page's marks: of the fingers, of fingers that hold something, of the plumb line's foot."""
_SEES = """() => ({
    situations: window.console_rlhf.stats.situations,
    badge: document.getElementById('d-badge').textContent,
    step: Number(document.getElementById('d-step').textContent) || 0,
    boxes: [...document.querySelectorAll('.d-camera')].map((e) => {
        const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }),
})"""


HELD_AT_MOST = 5_000
"""Milliseconds."""
_STEPS = """([step, longest]) => new Promise((done) => {
    const end = performance.now() + longest;
    const look = () => Number(document.getElementById('d-step').textContent) >= step || performance.now() > end
        ? done() : setTimeout(look, 5);
    look();
})"""
"""Until the page's step counter is there."""


@dataclass(frozen=True)
class View:
    """What a person makes out in one picture; points are (column, row) in heights of the picture."""

    cube: _Point | None
    """Where it stands: the middle of its lower side."""
    clear: float
    """How much of the cube is in view, in squared heights."""
    tip: _Point | None
    foot: _Point | None
    holds: bool


class Newcomer:
    """One person at one page."""

    def __init__(self, page: Any, eyes: Eyes = "marks", seed: int = 0) -> None:
        """Args: seed: of what they do with their eyes shut."""
        self.page = page
        self.eyes: Eyes = eyes
        self._rng = np.random.default_rng(seed)
        self._hue: float | None = None
        self._effects: dict[str, list[_Point]] = {}
        """Key to where a period of it moves the mark, in each picture."""
        self._pictures: list[NDArray[np.uint8]] = []
        self.looks = 0
        self.presses = 0
        self.marked = 0
        """Pixels of marks that were seen in the last look's last picture."""

    # -- demonstrating -----------------------------------------------------------------------------------------------

    def demonstrate(self) -> bool:
        """One demonstration; False when it was given up."""
        self._wait_for_turn()
        self._hue = None
        badge = self._page()["badge"]
        self._tap(SLOW)
        for _ in range(TRIES):
            (self._try_in_the_dark if self.eyes == "shut" else self._try)(badge)
            if self._page()["badge"] != badge:
                return True
        self._tap(DISCARD)
        return False

    def _try(self, badge: str) -> None:
        """Over the cube, down, close, up."""
        if not self._effects:
            for key in (AWAY, RIGHT, UP):
                self._try_out(key)
        if not self._align() or not self._descend():
            self._press(UP, 8)
            return
        self._press(CLOSE, 3)
        self._wait(3 * SETTLED)
        if self.eyes == "marks" and not any(view.holds for view in self.look()):
            self._press(OPEN, 3)
            self._press(UP, 16)
            return
        for _ in range(4):
            self._press(UP, 10)
            if self._page()["badge"] != badge:
                return
        self._press(OPEN, 3)

    def _try_in_the_dark(self, badge: str) -> None:
        for _ in range(4):
            key = str(self._rng.choice([AWAY, RIGHT]))
            self._press(key if self._rng.random() < 0.5 else BACK[key], int(self._rng.integers(1, LONGEST)))
        self._press(DOWN, 40)
        self._press(CLOSE, 3)
        self._wait(2 * SETTLED)
        for _ in range(4):
            self._press(UP, 10)
            if self._page()["badge"] != badge:
                return
        self._press(OPEN, 3)

    def _try_out(self, key: str) -> None:
        """See where a key moves the mark, and go back."""
        before = self.look()
        self._press(key, TRIAL)
        after = self.look()
        self._press(BACK[key], TRIAL)
        self._wait(SETTLED)
        mark = "tip" if key == UP else "foot"  # the foot stays when the hand rises
        moved = [(getattr(a, mark), getattr(b, mark)) for a, b in zip(before, after, strict=True)]
        if any(a is None or b is None for a, b in moved):
            raise RuntimeError(f"the {mark} of the mark is not to be seen")
        self._effects[key] = [(b - a) / TRIAL for a, b in moved]

    def _align(self) -> bool:
        """Bring the mark's foot to the cube's, as both pictures show them."""
        for _ in range(12):
            looked = list(enumerate(self.look()))
            best = max(view.clear for _, view in looked)
            gaps = [
                (view.cube - view.foot, i)
                for i, view in looked
                if view.cube is not None and view.foot is not None and view.clear > 0.6 * best
            ]
            if not gaps:
                return False
            # Without marks nobody knows where on the table the hand is; a thing below it is below it in both pictures.
            part = slice(1) if self.eyes == "no marks" else slice(2)
            missing = np.concatenate([gap[part] for gap, _ in gaps])
            if np.abs(missing).max() < CLOSE_ENOUGH:
                return True
            columns = [np.concatenate([self._effects[key][i][part] for _, i in gaps]) for key in (AWAY, RIGHT)]
            periods, *_ = np.linalg.lstsq(np.stack(columns, axis=1), missing, rcond=None)
            for key, long in zip((AWAY, RIGHT), periods.tolist(), strict=True):
                if abs(long) > 0.4:
                    self._press(key if long > 0 else BACK[key], round(min(max(1.0, 0.9 * abs(long)), LONGEST)))
        return False

    def _descend(self) -> bool:
        """Down to the table, as far as the plumb line says; without one, until it must be there."""
        if self.eyes == "no marks":
            self._press(DOWN, 50)
            return True
        lowest = np.inf
        for _ in range(14):
            view = max(self.look(), key=lambda view: view.tip is not None and view.foot is not None)
            if view.tip is None or view.foot is None:
                return False
            length = float(view.foot[1] - view.tip[1])
            if length < ON_THE_TABLE or length > lowest - 0.002:
                return length < 2.0 * ON_THE_TABLE
            lowest = length
            rate = max(0.0025, float(np.linalg.norm(self._effects[UP][0])))
            self._press(DOWN, round(min(max(1.0, 0.7 * (length - 0.7 * ON_THE_TABLE) / rate), LONGEST)))
        return False

    # -- seeing ------------------------------------------------------------------------------------------------------

    def look(self) -> list[View]:
        """What is in the pictures on the screen, the large one first."""
        self._wait(SETTLED)
        boxes = self._page()["boxes"]
        left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
        right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
        clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        png = np.frombuffer(self.page.screenshot(clip=clip, type="png"), np.uint8)
        decoded = cv2.imdecode(png, cv2.IMREAD_COLOR)
        assert decoded is not None
        screen = np.asarray(decoded[:, :, ::-1], np.uint8)
        self.looks += 1
        self._pictures = []
        for x, y, width, height in boxes:
            row, column = round(y - top), round(x - left)
            self._pictures.append(screen[row : row + round(height), column : column + round(width)])
        return [self._make_out(picture) for picture in self._pictures]

    def ghosts(self) -> bool:
        """Wait until somebody else's hand is drawn, and look whether it is in both pictures."""
        self.page.wait_for_function("() => window.console_guides.plays()", timeout=WAIT)
        self.look()
        return all(int(near(picture, _VIOLET).sum()) > 20 for picture in self._pictures)

    def _make_out(self, picture: NDArray[np.uint8]) -> View:
        height = picture.shape[0]
        self.marked = sum(int(near(picture, colour).sum()) for colour in MARKS)
        body = self._cube(picture)
        cube, clear = None, 0.0
        if body is not None:
            rows, columns = np.nonzero(body)
            low = rows.max() - 0.2 * np.ptp(rows)
            cube, clear = np.array([0.5 * (columns.min() + columns.max()), low]) / height, body.sum() / height**2
        tip, holds = _middle(near(picture, _MAGENTA), height), False
        if tip is None:
            tip = _middle(near(picture, _GREEN), height)
            holds = tip is not None
        foot = _middle(near(picture, _CYAN), height)
        if self.eyes == "no marks":
            tip = foot = _hand(picture, height)
        return View(cube, clear, tip, foot, holds)

    def _cube(self, picture: NDArray[np.uint8]) -> _Mask | None:
        """At first the largest patch of a strong colour that is neither a mark's nor the robot's; then all of its hue
        near the largest, as a person completes what marks and fingers cut in pieces."""
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV_FULL).astype(np.float64)
        hue, strength, light = hsv[:, :, 0] / 255.0, hsv[:, :, 1] / 255.0, hsv[:, :, 2] / 255.0
        known = self._hue is not None
        coloured = (strength > (0.5 if known else 0.6)) & (strength < 0.84) & (light > 0.2)
        if self._hue is not None:
            coloured &= np.abs((hue - self._hue + 0.5) % 1.0 - 0.5) < 0.04
        opened = cv2.morphologyEx(coloured.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3) if known else (7, 7)))
        _, labels, stats, centres = cv2.connectedComponentsWithStats(opened)
        areas = stats[1:, cv2.CC_STAT_AREA]
        if not len(areas) or areas.max() < 1e-4 * coloured.size:
            return None
        largest = 1 + int(areas.argmax())
        if self._hue is None:
            self._hue = float(np.median(hue[labels == largest]))
        near = np.linalg.norm(centres - centres[largest], axis=1) < WHOLE * len(picture)
        near[0] = False
        return near[labels]

    # -- the page ----------------------------------------------------------------------------------------------------

    def _page(self) -> dict[str, Any]:
        return self.page.evaluate(_SEES)

    def _press(self, key: str, periods: int) -> None:
        """Hold a key for so many control periods; a robot that stands still does not make anybody hold it for ever."""
        until = self._page()["step"] + periods
        self.page.keyboard.down(key)
        self.page.evaluate(_STEPS, [until, HELD_AT_MOST])
        self.page.keyboard.up(key)
        self.presses += 1

    def _tap(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.presses += 1

    def _wait(self, pictures: int) -> None:
        before = self._page()["situations"]
        self.page.wait_for_function(
            "(n) => window.console_rlhf.stats.situations >= n", arg=before + pictures, polling=20, timeout=WAIT
        )

    def _wait_for_turn(self) -> None:
        """Until nobody drives: the demonstration waits, or has begun by a key that was held too long."""
        self.page.wait_for_function(
            "() => ['waiting', 'nobody', 'reflex'].includes(document.getElementById('drive').dataset.look)",
            timeout=WAIT,
        )


def near(picture: NDArray[np.uint8], colour: tuple[int, int, int], within: int = 12) -> _Mask:
    """Pixels of one colour. Shape (h, w, 3) -> (h, w)."""
    return np.abs(picture.astype(np.int16) - np.array(colour, np.int16)).max(axis=2) <= within


def _middle(mask: _Mask, height: int) -> _Point | None:
    rows, columns = np.nonzero(mask)
    return None if len(rows) < 8 else np.array([columns.mean(), rows.mean()]) / height


def _hand(picture: NDArray[np.uint8], height: int) -> _Point | None:
    """Without marks: what is below the orange ring of the wrist, at the hand's lower end."""
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV_FULL)
    ring = (hsv[:, :, 1] > 205) & (hsv[:, :, 0] > 8) & (hsv[:, :, 0] < 28)
    rows, columns = np.nonzero(ring)
    return None if len(rows) < 12 else np.array([columns.mean(), rows.max() + 1.0 * np.ptp(rows)]) / height


def measure(out: Path, eyes: Eyes, demonstrations: int, seed: int) -> dict[str, Any]:
    """One session in which one newcomer demonstrates; ended before the practice."""
    options = ("--task", "pick_cube", "--operator", "kim", "--console.port", "0", "--video-episodes", "0")
    options += ("--demonstrations", str(demonstrations), "--seed", str(seed), "--evaluation.final-episodes", "1")
    seconds: list[float] = []
    with LiveSession(out, options, f"newcomer-{eyes.replace(' ', '-')}-{seed}") as session, browser() as chromium:
        page = open_console(chromium, session.address)
        if eyes != "marks":
            page.evaluate("() => window.console_guides.set({on: false})")
        newcomer = Newcomer(page, eyes, seed)
        for _ in range(demonstrations):
            began = time.monotonic()
            newcomer.demonstrate()
            seconds.append(time.monotonic() - began)
    outcomes = demonstrated(session.journal)[:demonstrations]
    return {
        "what": "newcomer",
        "eyes": eyes,
        "seed": seed,
        "demonstrations": len(outcomes),
        "lifted": sum(outcome is Outcome.SUCCESS for outcome in outcomes),
        "seconds_median": round(statistics.median(seconds), 1),
        "seconds_max": round(max(seconds), 1),
        "looks": newcomer.looks,
        "keys": newcomer.presses,
    }


def demonstrated(journal: Path) -> list[Outcome]:
    """How each demonstration ended, as the journal has it; one that was paused goes on as a part of its own."""
    kinds: dict[str, EpisodeKind] = {}
    outcomes: list[Outcome] = []
    for record in read_journal(journal):
        if isinstance(record, EpisodeStarted):
            kinds[record.meta.id] = record.meta.kind
        elif isinstance(record, EpisodeEnd) and kinds.get(record.id) is EpisodeKind.DEMONSTRATION:
            outcomes.append(record.outcome)
    return [outcome for outcome in outcomes if outcome is not Outcome.PAUSED]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure newcomers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eyes", choices=EYES, nargs="+", default=list(EYES))
    parser.add_argument("--demonstrations", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        for eyes in arguments.eyes:
            for seed in arguments.seeds:
                report(measure(Path(scratch), eyes, arguments.demonstrations, seed))


if __name__ == "__main__":
    main()
