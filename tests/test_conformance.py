"""The suites of laws themselves: they ask for pytest, and for nothing else that a user lacks."""

from __future__ import annotations

import importlib
import sys

import pytest


def test_without_pytest_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    monkeypatch.delitem(sys.modules, "robot_rlhf.conformance", raising=False)
    with pytest.raises(ImportError, match=r"^robot_rlhf\.conformance: its suites need pytest; pip install pytest$"):
        importlib.import_module("robot_rlhf.conformance")
