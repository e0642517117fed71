"""The pages of the library: one per room, its modules by their docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from docs.generators.links import ROOT

NOUNS = "nouns"
SCRIPTS = "scripts"
LOOSE = {
    SCRIPTS: ("Scripts and notebooks", "What `import robot_rlhf` gives: places, people, learners and runs."),
    NOUNS: (
        "Nouns and ports",
        "The values that go round the ring, what it asks of its parts, errors, clocks, and names.",
    ),
    "simulation": (
        "Simulation",
        "MuJoCo: arms, tasks and their experts, pictures, and Gymnasium environments as robots.",
    ),
    "hardware": ("Hardware", "Robots and people's devices, and everything that knows ROS 2."),
}
"""Pages that are no room of their own: title, and what they hold."""
FIRST = ("datatypes", "ports")
"""Modules that come before the others of their page."""
LEFT_OUT = ("apps", "console")
"""Rooms of programs rather than of a library; the command line has pages of its own."""
ALSO = ("robot_rlhf.apps.environments",)
"""Modules of theirs that are used from programs all the same."""


def modules() -> dict[str, list[str]]:
    """The modules of each page, by the page's name."""
    found: dict[str, list[str]] = {SCRIPTS: ["robot_rlhf.api"], NOUNS: []}
    core = ROOT / "robot_rlhf"
    nouns = sorted(path.stem for path in core.glob("*.py") if path.stem not in ("__init__", "api"))
    found[NOUNS] = [f"robot_rlhf.{name}" for name in sorted(nouns, key=lambda name: name not in FIRST)]
    for room in sorted(path for path in core.iterdir() if (path / "__init__.py").exists()):
        if room.name not in LEFT_OUT:
            found[room.name] = list(_below(core, room))
    found.setdefault("bridges", []).extend(ALSO)
    for page, folder, package in (
        ("simulation", "sim", "robot_rlhf_sim"),
        ("hardware", "hardware", "robot_rlhf_hardware"),
    ):
        found[page] = list(_below(ROOT / folder, ROOT / folder / package))
    return {page: names for page, names in found.items() if names}


def _below(top: Path, folder: Path) -> Iterator[str]:
    """Modules with a public name in them; a package counts where it holds more than a docstring."""
    for path in sorted(folder.rglob("*.py")):
        if any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(folder).parts):
            continue
        if path.name == "__init__.py" and len(_body(path)) < 2:
            continue
        parts = path.relative_to(top).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        yield name if top.name != "robot_rlhf" else f"robot_rlhf.{name}"


def _body(path: Path) -> list[ast.stmt]:
    return ast.parse(path.read_text(encoding="utf-8")).body


def _about(page: str) -> str:
    """What the page holds: in the words of the package, where it is one."""
    if page in LOOSE:
        return LOOSE[page][1]
    file = ROOT / "robot_rlhf" / page / "__init__.py"
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "") if file.exists() else ""


def pages() -> dict[str, str]:
    """The pages in Markdown, by file name; mkdocstrings makes the rest of the lines that begin with colons."""
    rows = [f"| [{title_of(page)}]({page}.md) | {_about(page)} |" for page in modules()]
    found = {
        "index.md": "\n".join(
            [
                "# Library",
                "",
                "Made from docstrings. Shapes, units and frames stand at the fields; SI units, quaternions wxyz,",
                "actions in [-1, 1] unless said otherwise.",
                "",
                "| room | holds |",
                "|---|---|",
                *rows,
                "",
            ]
        )
    }
    for page, names in modules().items():
        lines = [f"# {title_of(page)}", "", _about(page), ""]
        for name in names:
            lines += [f"::: {name}", ""]
        found[f"{page}.md"] = "\n".join(lines)
    return found


def title_of(page: str) -> str:
    return LOOSE[page][0] if page in LOOSE else f"robot_rlhf.{page}"
