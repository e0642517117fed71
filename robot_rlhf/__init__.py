"""Teach a robot a skill, live: practise, take over, judge, learn.

From a script or a notebook: `import robot_rlhf as rr`, then what `robot_rlhf.api` holds. It is looked up when it is
first used, because torch and MuJoCo take seconds to import.
"""

from importlib import import_module

__version__ = "0.1.0"

PUBLIC = (
    *("OpenPlace", "Run", "Measured", "Rows"),
    *("open_place", "person", "recipe", "train", "learn_offline", "load"),
)
"""What is looked up in robot_rlhf.api."""


def __getattr__(name: str) -> object:
    if name in PUBLIC:
        return getattr(import_module(f"{__name__}.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(PUBLIC)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
