"""Parts of one's own by name, and settings of several kinds."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from robot_rlhf.errors import ConfigError, InvalidValueError, UnknownNameError
from robot_rlhf.naming import OfKind, find_own, make_own, name_of
from robot_rlhf.run.setting_values import build, plain


@dataclass(frozen=True)
class Shape(OfKind):
    KINDS: ClassVar[Mapping[str, str]] = {"square": f"{__name__}:Square"}
    WHAT: ClassVar[str] = "shape"


@dataclass(frozen=True)
class Square(Shape):
    kind: ClassVar[str] = "square"
    side: float = 1.0


@dataclass(frozen=True)
class Drawing:
    shape: Shape = Square()
    name: str = ""


def write(folder: Path, text: str) -> str:
    file = folder / "mine.py"
    file.write_text(text)
    return str(file)


def test_an_attribute_of_a_module_and_of_a_file(tmp_path: Path) -> None:
    assert find_own("math:pi", "number") == pytest.approx(3.14159, abs=1e-4)
    file = write(tmp_path, "class A:\n    b = 3\n")
    assert find_own(f"{file}:A.b", "number") == 3
    assert find_own(f"{file}:A", "number") is find_own(f"{file}:A", "number"), "imported once"


def test_a_module_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_of_the_current_folder.py").write_text("x = 4\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/somewhere"])
    assert find_own("module_of_the_current_folder:x", "number") == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pi", r"unknown number 'pi'.*module:name"),
        (":pi", "allowed: .*module:name"),
        ("math:", "allowed: .*module:name"),
        ("math:rho", "math has no 'rho'"),
        ("math:flor", r"math has no 'flor'\. Did you mean 'floor'\?"),
        ("nowhere:pi", "no module 'nowhere'"),
        ("math.nowhere:pi", "no module"),
        ("nowhere.py:pi", "no such file"),
    ],
)
def test_what_is_not_there_is_named(name: str, said: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=said):
        find_own(name, "number")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("def f(:\n", "SyntaxError"),
    ],
)
def test_a_users_module_that_fails_is_blamed(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, text)
    for _ in range(2):  # nothing half imported stays behind
        with pytest.raises(ConfigError, match=said) as caught:
            find_own(f"{file}:f", "task")
        assert "cannot be imported" in str(caught.value)


def test_a_users_factory_that_fails_is_blamed() -> None:
    with pytest.raises(ConfigError, match=r"task .m:f.: cannot be made .ZeroDivisionError"):
        make_own(lambda: 1 / 0, "m:f", "task")
    with pytest.raises(ConfigError, match="is a int"):
        make_own(3, "m:f", "task")

    def refuses() -> None:
        raise InvalidValueError("side", -1, "> 0")

    with pytest.raises(InvalidValueError, match="side"):
        make_own(refuses, "m:f", "task")


def test_settings_of_a_kind_there_and_back(tmp_path: Path) -> None:
    drawing = Drawing(Square(2.0), "a")
    assert plain(drawing) == {"shape": {"kind": "square", "side": 2.0}, "name": "a"}
    assert build(Drawing, plain(drawing), "file") == drawing
    file = write(
        tmp_path,
        f"from dataclasses import dataclass\nfrom {__name__} import Shape\n"
        "@dataclass(frozen=True)\nclass Disc(Shape):\n    radius: float = 1.0\n",
    )
    own = build(Drawing, {"shape": {"kind": f"{file}:Disc", "radius": 3.0}}, "file")
    assert plain(own)["shape"] == {"kind": f"{file}:Disc", "radius": 3.0}


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"kind": "squre"}, "unknown shape 'squre'. Did you mean 'square'"),
        ({"kind": "math:pi"}, "is not a Shape"),
        ({"side": 1.0}, "kind: got None, allowed: square"),
        ({"kind": "square", "sid": 1.0}, "unknown setting"),
    ],
)
def test_settings_of_no_kind_are_refused(shape: dict[str, object], said: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=said):
        build(Drawing, {"shape": shape}, "file")


def test_what_is_handed_in_is_found_again_by_its_name(tmp_path: Path) -> None:
    ours = find_own("robot_rlhf.naming:OfKind", "task")
    assert ours is OfKind
    assert name_of(ours, "task") == "robot_rlhf.naming:OfKind"
    file = write(tmp_path, "class Task:\n    class Inner: ...\ndef made(): ...\n")
    for attribute in ("Task", "Task.Inner", "made"):
        mine = find_own(f"{file}:{attribute}", "task")
        assert name_of(mine, "task") == f"{Path(file).resolve()}:{attribute}"
        assert find_own(name_of(mine, "task"), "task") is mine


def test_a_file_that_runs_is_not_loaded_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = ModuleType("__main__")
    script.__file__ = write(tmp_path, "raise SystemExit('it runs once more')\n")
    monkeypatch.setattr(script, "Task", object, raising=False)
    monkeypatch.setitem(sys.modules, "__main__", script)
    assert find_own(f"{script.__file__}:Task", "task") is object


@pytest.mark.parametrize(
    ("own", "said"),
    [(7, "task 7: is a int"), (Square(), "is a Square"), (lambda: None, "is defined within a function")],
)
def test_what_no_other_process_could_find_is_refused(own: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        name_of(own, "task")
