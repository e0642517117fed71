"""How often a property test is tried on something drawn."""

from pathlib import Path

from hypothesis import settings

FOUND = Path(".hypothesis/found")
"""Where `make slow` keeps what made a property test fail."""


def draws(count: int) -> settings:
    """`@draws(30)`: 30 examples in `make test`, and in `make slow` more by as much as its profile has more."""
    usual = settings.get_profile("fixed").max_examples
    return settings(max_examples=max(1, count * settings().max_examples // usual))
