"""What MkDocs asks while it builds the site: pages that are made, and links that lead out of docs/."""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path[:0] = [str(Path(__file__).parents[2] / folder) for folder in (".", "sim", "hardware")]

from docs.generators import figures, links, options, reference, tables  # noqa: E402  MkDocs runs this file by itself


@functools.cache
def made() -> dict[str, dict[str, str]]:
    """The pages that are made, by folder and name."""
    return {"cli": options.pages(), "api": reference.pages()}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages that are made in the place of their folder's name in the navigation."""
    config.nav = _with_made(config.nav)
    return config


def _with_made(nav: Any) -> Any:
    if isinstance(nav, list):
        return [_with_made(entry) for entry in nav]
    if isinstance(nav, dict):
        return {title: _with_made(entry) for title, entry in nav.items()}
    return [f"{nav}/{name}" for name in made()[nav]] if nav in made() else nav


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made: command line, library, figures, and files from outside docs/."""
    for folder, pages in made().items():
        for name, text in pages.items():
            files.append(File.generated(config, f"{folder}/{name}", content=text))
    for source, page in links.PAGES.items():
        files.append(File.generated(config, page, content=(links.ROOT / source).read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as scratch:
        for name in figures.draw_all(Path(scratch)):
            picture = (Path(scratch) / name).read_bytes()
            files.append(File.generated(config, f"{links.FIGURES}{name}", content=picture))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put tables that are made where they belong, and turn the links of the repository into those of the site."""
    return links.for_the_site(tables.with_tables(markdown), page.file.src_uri)
