"""Where the journal of a run lies."""

from __future__ import annotations

from pathlib import Path


def journal_path(path: Path) -> Path:
    """The journal inside a run's folder, or the path itself."""
    return path / "journal" if (path / "config.yaml").is_file() else path
