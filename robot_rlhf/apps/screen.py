"""The terminal, for people."""

from __future__ import annotations

from rich.console import Console


def screen(*, stderr: bool = False, quiet: bool = False) -> Console:
    """A console that prints every text as it is: brackets and colons in paths, names and remedies are no markup.

    What has a colour is a rich Text.
    """
    return Console(stderr=stderr, quiet=quiet, markup=False, emoji=False)
