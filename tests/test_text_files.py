"""Text files are UTF-8 on every machine: whoever opens one says so, whatever the machine's own encoding is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_layers import ROOT, sources

MODES = frozenset("rwxabt+")


def unsaid(tree: ast.AST) -> Iterator[int]:
    """Lines that open, read or write text in the machine's own encoding."""
    opened = {id(item.context_expr) for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(keyword.arg in ("encoding", None) for keyword in node.keywords):
            continue
        of_file = isinstance(node.func, ast.Attribute)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = any(k.arg in ("text", "universal_newlines") for k in node.keywords)
        if name in ("read_text", "write_text") or (name in ("run", "Popen", "check_output") and texts):
            yield node.lineno
        elif name in ("open", "fdopen"):
            places = node.args[:1] if of_file and name == "open" else node.args[1:2]
            modes = [k.value for k in node.keywords if k.arg == "mode"] + places
            mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else None
            if mode is None:  # of files alone: `with path.open() as file`, `open(path)`
                is_text = not modes and (id(node) in opened or not of_file)
            else:
                is_text = isinstance(mode, str) and set(mode) <= MODES and "b" not in mode
            if is_text:
                yield node.lineno


@pytest.mark.parametrize("path", [*sources(), ROOT / "setup.py"], ids=lambda path: str(path.relative_to(ROOT)))
def test_an_encoding_is_said(path: Path) -> None:
    lines = list(unsaid(ast.parse(path.read_text(encoding="utf-8"))))
    assert not lines, f"{path.relative_to(ROOT)}: no encoding in lines {lines}"


@pytest.mark.parametrize(
    "code",
    [
        "path.read_text()",
        "path.write_text(text)",
        "path.open('w')",
        "path.open(mode='a')",
        "open(path)",
        "open(path, 'r')",
        "with path.open() as file: pass",
        "os.fdopen(descriptor, 'w')",
        "subprocess.run(command, text=True)",
    ],
)
def test_the_check_finds(code: str) -> None:
    assert list(unsaid(ast.parse(code))) == [1]


@pytest.mark.parametrize(
    "code",
    [
        "path.read_text(encoding='utf-8')",
        "path.open('rb')",
        "open(path, 'wb')",
        "Recording.open(path)",
        "writer.open()",
        "os.open(path, os.O_RDONLY)",
    ],
)
def test_the_check_lets_pass(code: str) -> None:
    assert not list(unsaid(ast.parse(code)))
