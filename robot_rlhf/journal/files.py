"""The files of a journal's folder."""

from __future__ import annotations

import os
from pathlib import Path


def journal_files(folder: Path) -> list[Path]:
    """The numbered files of a journal folder, in the order in which they were written."""
    try:
        stems = [name.removesuffix(".mcap") for name in os.listdir(folder) if name.endswith(".mcap")]
    except FileNotFoundError:
        return []
    return [folder / f"{stem}.mcap" for stem in sorted(filter(str.isdecimal, stems), key=int)]
