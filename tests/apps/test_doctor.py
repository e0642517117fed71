"""What the doctor finds missing has a remedy, and looking changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from robot_rlhf.apps import doctor
from robot_rlhf.apps.doctor import Check, DoctorOptions, checks
from robot_rlhf.run.priority import REAL_TIME_PRIORITY

needs_schedulers = pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="this system has no such calls")
Find = Callable[[str], Check]


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Find:
    """One check by its name, out of the whole report; the slow ones are left out."""
    for slow in ("_torch", "_simulation", "_pictures", "_video", "_disk", "_timing"):
        monkeypatch.setattr(doctor, slow, lambda *_: Check("left out", "ok", ""))

    def found(name: str) -> Check:
        (check,) = [c for c in checks(DoctorOptions()) if c.name == name]
        return check

    return found


def installed(monkeypatch: pytest.MonkeyPatch, nicegui: str | None) -> None:
    real = doctor.version

    def version(name: str) -> str:
        if name != "nicegui":
            return real(name)
        if nicegui is None:
            raise doctor.PackageNotFoundError(name)
        return nicegui

    monkeypatch.setattr(doctor, "version", version)


@pytest.mark.parametrize(("nicegui", "said"), [(None, "missing: nicegui"), ("2.24.1", "nicegui 2.24.1")])
def test_without_its_pages_the_console_cannot_run(
    nicegui: str | None, said: str, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, nicegui)
    check = find("console")
    assert check.state == "warn", "a run without a console works"
    assert said in check.found
    assert "pip install 'robot-rlhf[console]'" in check.remedy


def test_with_them_it_can(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "3.18.0")
    assert find("console") == Check("console", "ok", "nicegui 3.18.0")


@needs_schedulers
def test_a_user_without_real_time_priority_is_told_how_to_get_it(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    check = find("real-time priority")
    assert check.state == "warn"
    assert "limits.conf" in check.remedy
    assert "ulimit -r" in check.remedy
    assert f"rtprio {REAL_TIME_PRIORITY}" in check.remedy


@needs_schedulers
def test_a_user_with_real_time_priority_is_well(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def grant(_: int, policy: int, parameters: os.sched_param) -> None:
        asked.append((policy, parameters.sched_priority))

    monkeypatch.setattr(os, "sched_setscheduler", grant)
    assert find("real-time priority").state == "ok"
    assert asked[0] == (os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, REAL_TIME_PRIORITY)
    assert asked[-1] == (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority), "given back"


@needs_schedulers
def test_looking_leaves_the_priority_as_it_was(find: Find) -> None:
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    assert find("real-time priority").state in ("ok", "warn")
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before
