"""Somebody who sees only the screen lifts the cube by keys; with eyes shut nobody does; and nothing of the marks is
recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

pytest.importorskip("nicegui", reason="the console needs the extra 'console'")

from benchmarks.browser import LiveSession, open_console
from benchmarks.newcomer import MARKS, Eyes, Newcomer, demonstrated, near
from robot_rlhf.datatypes import Outcome, Step
from robot_rlhf.journal.reader import episodes, read_journal

OPTIONS = ("--task", "pick_cube", "--operator", "kim", "--console.port", "0", "--video-episodes", "0")
OPTIONS += ("--evaluation.final-episodes", "1")


@contextmanager
def sitting(browser: Any, folder: Path, eyes: Eyes, demonstrations: int) -> Iterator[tuple[LiveSession, Newcomer]]:
    options = (*OPTIONS, "--demonstrations", str(demonstrations))
    with LiveSession(folder, options) as session:
        yield session, Newcomer(open_console(browser, session.address), eyes)


def coloured(picture: ArrayLike) -> int:
    return sum(int(near(np.asarray(picture, np.uint8), colour).sum()) for colour in MARKS)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_who_sees_only_the_screen_lifts_the_cube_and_no_mark_is_recorded(browser: Any, tmp_path: Path) -> None:
    with sitting(browser, tmp_path, "marks", 1) as (session, newcomer):
        newcomer.page.click("#d-show")
        assert newcomer.ghosts(), "a script shows it, in the pictures"
        assert not [record for record in read_journal(session.journal) if isinstance(record, Step)]
        assert any(newcomer.demonstrate() for _ in range(2))
        assert newcomer.marked > 50, "marks were on the screen"
    assert Outcome.SUCCESS in demonstrated(session.journal)
    episode = next(iter(episodes(session.journal)))
    pictures = {n: c for n, c in episode.observations.items() if n.startswith("images/")}
    assert set(pictures) == {"images/front", "images/side"}
    assert all(coloured(picture) == 0 for column in pictures.values() for picture in column[::10])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nine_of_ten_demonstrations_lift_the_cube(browser: Any, tmp_path: Path) -> None:
    with sitting(browser, tmp_path, "marks", 10) as (session, newcomer):
        for _ in range(10):
            newcomer.demonstrate()
    outcomes = demonstrated(session.journal)[:10]
    assert outcomes.count(Outcome.SUCCESS) >= 9, outcomes


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_eyes_shut_nobody_lifts_it(browser: Any, tmp_path: Path) -> None:
    with sitting(browser, tmp_path, "shut", 5) as (session, newcomer):
        assert not any(newcomer.demonstrate() for _ in range(5))
    assert Outcome.SUCCESS not in demonstrated(session.journal)
