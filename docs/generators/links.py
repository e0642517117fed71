"""Which files of the repository are pages of the site, and where their links lead there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "hardware/README.md": "devices.md",
    "hardware/robot_rlhf_hardware/ros/README.md": "ros-topics.md",
    "datasets/README.md": "recordings.md",
}
"""Files outside docs/ that are pages, too."""
PICTURES = "benchmarks/results/"
"""Pictures of measurements: on the site they are drawn anew from the rows."""
FIGURES = "results/figures/"

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"(^```.*?^```[^\n]*$|`[^`\n]*`)", re.DOTALL | re.MULTILINE)


def source_of(page: str) -> str:
    """The file of the repository behind a page of the site."""
    return next((source for source, mapped in PAGES.items() if mapped == page), f"docs/{page}")


def page_of(source: str) -> str | None:
    """Where a file of the repository is on the site; None where it is not."""
    if source in PAGES:
        return PAGES[source]
    if source.startswith(PICTURES) and source.endswith(".png"):
        return FIGURES + source.removeprefix(PICTURES)
    return source.removeprefix("docs/") if source.startswith("docs/") else None


def targets(text: str) -> list[str]:
    """What the links of a Markdown text lead to, those to other sites left out; code is none."""
    found: list[str] = []
    rewritten(text, lambda match: found.append(match["target"]) or match[0])
    return found


def rewritten(text: str, change: Callable[[re.Match[str]], str]) -> str:
    """A Markdown text with its relative links changed."""

    def one(match: re.Match[str]) -> str:
        return match[0] if re.match(r"[a-z]+:", match["target"]) else change(match)

    return "".join(part if i % 2 else _LINK.sub(one, part) for i, part in enumerate(_CODE.split(text)))


def for_the_site(text: str, page: str) -> str:
    """A page's text with links that hold on the site; what is not there is named by its path."""
    folder = posixpath.dirname(source_of(page))

    def change(match: re.Match[str]) -> str:
        path, hash_, anchor = match["target"].partition("#")
        if not path:
            return match[0]
        source = posixpath.normpath(posixpath.join(folder, path))
        mapped = page_of(source)
        if mapped is None:
            return f"{match['text']} (`{source}`)" if match["text"].strip("`") != source else f"`{source}`"
        target = posixpath.relpath(mapped, posixpath.dirname(page) or ".")
        return f"{match['image']}[{match['text']}]({target}{hash_}{anchor})"

    return rewritten(text, change)
