"""The terminal, for people."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text


def screen(*, stderr: bool = False, quiet: bool = False) -> Console:
    """A console that prints every text as it is: brackets and colons in paths, names and remedies are no markup.

    What has a colour is a rich Text.
    """
    return Console(stderr=stderr, quiet=quiet, markup=False, emoji=False)


def print_under(path: Path, table: Table) -> None:
    """A table under the path it is about; a title would be broken to the table's width."""
    console = screen()
    console.print(Text(str(path), style="bold"), soft_wrap=True)
    console.print(table)
