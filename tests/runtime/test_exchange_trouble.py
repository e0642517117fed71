"""The exchange between robot and learner when it goes wrong: what an earlier learner left, odd files, dead threads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from robot_rlhf.datatypes import weights_checksum
from robot_rlhf.errors import CheckpointError, LinkError
from robot_rlhf.learner.checkpoint import read_snapshot
from robot_rlhf.policy.tensor_file import FORMAT, _digest
from robot_rlhf.runtime.exchange import WEIGHTS, LearnerNews, WeightsInbox, forget, publish, write_news
from robot_rlhf.runtime.learner_elsewhere import LearnerElsewhere
from robot_rlhf.timing import FakeClock
from tests.runtime.test_exchange import LIVES, SAID, eventually, keeper, snapshot

# -- a learner that somebody else started ------------------------------------------------------------------------------


def said(stamp: float, **changes: Any) -> LearnerNews:
    return replace(SAID, stamp=stamp, **changes)


def test_what_lay_there_before_is_no_sign_of_life(tmp_path: Path) -> None:
    """Though its stamp may look new: clocks that count from the start of the machine begin again with it."""
    clock = FakeClock()
    clock.advance(100.0)
    learner = LearnerElsewhere(tmp_path, clock, heartbeat_timeout=5.0)
    write_news(tmp_path, said(99.9))
    for _ in range(3):
        assert learner._listen()
    assert learner.news is None
    assert not learner.healthy
    write_news(tmp_path, said(100.1, version=0))
    learner._listen()
    assert learner.healthy
    assert learner.news == said(100.1, version=0)
    clock.advance(6.0)
    learner._listen()
    assert not learner.healthy


def test_news_that_cannot_be_read_are_told_once_and_are_no_sign_of_life(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    elsewhere = LearnerElsewhere(tmp_path, clock, heartbeat_timeout=5.0)
    own = keeper(tmp_path, LIVES, timeout=5.0)
    own._clock, own._process = clock, SimpleNamespace(pid=SAID.pid)  # type: ignore[assignment]  # only its pid is asked
    for stamp in (1.0, 2.0):
        clock.advance(1.0)
        write_news(tmp_path, said(stamp))
        elsewhere._listen()
        own._is_hung()
    assert elsewhere.healthy
    assert own.healthy
    write_news(tmp_path, said(3.0, over_estimation=float("nan")))
    for _ in range(4):
        clock.advance(2.0)
        elsewhere._listen()
        assert not own._is_hung()
    assert not elsewhere.healthy
    assert not own.healthy
    assert caplog.text.count("over_estimation is nan") == 2, "once by each of the two"


def test_a_new_learner_takes_the_old_ones_weights_away(tmp_path: Path) -> None:
    publish(tmp_path, snapshot(7), snapshot(7), {})
    write_news(tmp_path, SAID)
    inbox = WeightsInbox(tmp_path)
    inbox._look()
    forget(tmp_path)
    assert list(tmp_path.iterdir()) == []
    inbox._look()
    assert inbox.take() is None, "what it had read of them is forgotten, too"
    publish(tmp_path, snapshot(0), snapshot(0), {})
    inbox._look()
    taken = inbox.take()
    assert taken is not None
    assert taken.version == 0


# -- files that are whole, and not what a learner writes ---------------------------------------------------------------


def odd(path: Path, kind: str) -> None:
    """A well-formed safetensors file with a right digest, odd in one thing."""
    value = {"nan": float("nan"), "infinite": float("inf")}.get(kind, 1.0)
    tensors = {"w": torch.full((4,), value, dtype=torch.bfloat16 if kind == "type" else torch.float32)}
    facts: Any = {"version": 3, "checksum": weights_checksum({"w": np.full(4, 1.0, np.float32)})}
    facts |= {"version": {"version": -1}, "boolean": {"version": True}, "text": {"version": "3"}}.get(kind, {})
    facts |= {"other checksum": {"checksum": "0" * 64}, "no checksum": {"checksum": None}}.get(kind, {})
    metadata = {"format": FORMAT, "facts": json.dumps([1] if kind == "list" else facts), "digest": _digest(tensors)}
    if kind == "no facts":
        del metadata["facts"]
    elif kind == "not JSON":
        metadata["facts"] = "{"
    path.write_bytes(save(tensors, metadata))


KINDS = ("no facts", "not JSON", "list", "nan", "infinite", "type", "version", "boolean", "text")
KINDS += ("other checksum", "no checksum")


@pytest.mark.parametrize("kind", KINDS)
def test_odd_weights_are_one_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / WEIGHTS
    odd(path, kind)
    with pytest.raises(CheckpointError, match=WEIGHTS):
        read_snapshot(path)


def test_a_file_that_is_a_folder_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        read_snapshot(tmp_path)


def test_odd_weights_are_told_and_good_ones_arrive_after_them(tmp_path: Path) -> None:
    with WeightsInbox(tmp_path, period=0.005) as inbox:
        for kind in KINDS:
            odd(tmp_path / "scratch", kind)
            (tmp_path / "scratch").replace(tmp_path / WEIGHTS)
            eventually(lambda: WEIGHTS in inbox.trouble)
            assert not inbox.dead
        publish(tmp_path, snapshot(2), snapshot(2), {})
        eventually(lambda: inbox.take() is not None)
        assert inbox.trouble == ""


def test_a_thread_that_dies_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(path: Path) -> None:
        raise KeyError("odd")

    publish(tmp_path, snapshot(2), snapshot(2), {})
    monkeypatch.setattr("robot_rlhf.runtime.exchange.read_snapshot", fail)
    with WeightsInbox(tmp_path, period=0.005) as inbox:
        eventually(lambda: inbox.dead)
        assert inbox.trouble == "thread weights-inbox died: KeyError: 'odd'"
    assert "weights-inbox died" in caplog.text


def test_a_learner_whose_keeper_dies_is_not_taken_for_a_healthy_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keeper(tmp_path, LIVES) as learner:
        eventually(lambda: learner.healthy)
        with monkeypatch.context() as patched:
            patched.setattr("robot_rlhf.runtime.learner_process.read_news", lambda folder: {}["odd"])
            eventually(lambda: bool(learner.failure))
        assert not learner.healthy
        with pytest.raises(LinkError, match="keeper died: KeyError"):
            learner.check()
