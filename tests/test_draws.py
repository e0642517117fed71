"""`make test` draws the same each time, whatever ran before; `make slow` draws other things, and more."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.draws import draws


def drawn() -> list[int]:
    found = []

    @settings(settings.get_profile("fixed"))
    @given(number=st.integers(0, 10**6))
    def look(number: int) -> None:
        found.append(number)

    look()
    return found


def test_what_is_drawn_does_not_depend_on_what_was_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawn()
    source = tmp_path / "constants.py"
    source.write_text(f"MANY = {list(range(100_000, 101_000))}")
    spec = importlib.util.spec_from_file_location("constants", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "constants", module)
    spec.loader.exec_module(module)
    assert len(before) >= 100
    assert drawn() == before


def test_slow_draws_more_and_keeps_what_fails() -> None:
    fixed, free = settings.get_profile("fixed"), settings.get_profile("free")
    assert fixed.derandomize
    assert fixed.database is None
    assert not free.derandomize
    assert free.database is not None
    assert free.max_examples == 10 * fixed.max_examples
    now = settings()
    try:
        settings.load_profile("fixed")
        assert (draws(30).max_examples, draws(30).derandomize) == (30, True)
        settings.load_profile("free")
        assert (draws(30).max_examples, draws(30).derandomize) == (300, False)
    finally:
        settings.load_profile("free" if now.max_examples == free.max_examples else "fixed")
