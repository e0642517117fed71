"""Simulated robots, tasks, experts and people; the only package that knows MuJoCo."""

import contextlib
import importlib
import os
import sys

if sys.platform == "linux" and not os.environ.get("MUJOCO_GL") and not os.environ.get("DISPLAY"):
    os.environ["MUJOCO_GL"] = "egl"  # mujoco reads it when it is imported for the first time
    if "mujoco.rendering.classic.gl_context" in sys.modules:  # a script imported it before: it chooses again
        with contextlib.suppress(AttributeError, ImportError, OSError, RuntimeError):  # no backend: none as before
            importlib.reload(sys.modules["mujoco.rendering.classic.gl_context"])
