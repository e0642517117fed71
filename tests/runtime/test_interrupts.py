"""Ctrl-C: held within a block, delivered after it, never lost."""

from __future__ import annotations

import signal
import threading

import pytest

from robot_rlhf.runtime.interrupts import EndedAtOnceError, ending_in_order, interrupts_held


@pytest.fixture(autouse=True)
def usual_handler(signals_as_before: None) -> None:
    """Python's own, which raises KeyboardInterrupt."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_a_block_is_finished_first(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():  # noqa: PT012
        press()
        done.append("all of it")
    assert done == ["all of it"]
    assert "again to stop at once" in caplog.text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_happens_without_a_signal() -> None:
    with interrupts_held():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_inner_block_leaves_it_to_the_outer_one() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():  # noqa: PT012
        with interrupts_held():
            press()
        done.append("after the inner block")
    assert done == ["after the inner block"]


@pytest.mark.parametrize("nested", [False, True])
def test_a_second_one_is_not_held(nested: bool) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():  # noqa: PT012
        press()
        if nested:
            with interrupts_held():
                press()
        else:
            press()
        done.append("never")
    assert done == []


def test_an_error_of_the_block_is_kept_beside_it() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, interrupts_held():  # noqa: PT012
        press()
        raise ValueError("first")
    assert isinstance(caught.value.__context__, ValueError)


def test_an_ignored_one_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_held():
        press()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_change_nothing() -> None:
    seen: list[object] = []

    def work() -> None:
        with interrupts_held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_being_told_to_end_waits_as_well() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), interrupts_held():  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        done.append("all of it")
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_a_run_ends_in_order_though_it_is_told_twice(
    numbers: tuple[signal.Signals, ...], caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    with ending_in_order("summary.json"):
        try:
            signal.raise_signal(numbers[0])
        except KeyboardInterrupt:
            signal.raise_signal(numbers[1])
            done.append("saved")
    assert done == ["saved"]
    assert "everything is being saved; once more ends at once, without summary.json" in caplog.text
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_third_time_ends_at_once_and_says_what_is_missing() -> None:
    def impatient() -> None:
        with ending_in_order("summary.json"):
            try:
                press()
            except KeyboardInterrupt:
                press()
                press()

    with pytest.raises(EndedAtOnceError, match=r"ended at once, without summary\.json"):
        impatient()


def test_steps_are_whole_within_a_run_that_ends_in_order() -> None:
    done: list[str] = []
    with ending_in_order("summary.json"):
        try:
            with interrupts_held():
                press()
                done.append("step")
        except KeyboardInterrupt:
            with interrupts_held():
                press()
                done.append("saved")
    assert done == ["step", "saved"]
