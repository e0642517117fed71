"""Chooses how MuJoCo draws, before it is imported: some choices make the import itself fail."""

from __future__ import annotations

import contextlib
import importlib
import os

from robot_rlhf.errors import UnknownNameError

BACKENDS = ("cgl", "disable", "egl", "glfw", "glx", "off", "osmesa", "wgl", "0", "1")
"""What MUJOCO_GL may be."""


def prepare_graphics() -> str:
    """Import MuJoCo with a backend that this machine has; returns what is wrong with the wished one, or nothing.

    Where no backend can be loaded, the simulation runs without pictures, and
    whoever needs one gets a RenderError.

    Raises:
        UnknownNameError: MUJOCO_GL names no backend.
    """
    wished = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wished and wished not in BACKENDS:
        raise UnknownNameError("MUJOCO_GL backend", wished, BACKENDS)
    try:
        import mujoco
    except (AttributeError, ImportError, OSError, RuntimeError) as error:  # each loader fails with a type of its own
        os.environ["MUJOCO_GL"] = "disable"
        import mujoco  # noqa: F401  (loads without any backend)

        return f"MUJOCO_GL={wished} cannot be loaded ({type(error).__name__}: {str(error).splitlines()[0]})"
    return ""


def load_before_opengl() -> None:
    """Load the compiler that torch uses, where it is installed, before Mesa loads its own.

    Both carry LLVM. Once Mesa's software renderer is in the process, loading triton crashes it (measured with triton
    3.9 and Mesa's llvmpipe: the first torch optimizer made after the first picture ends in a segmentation fault).
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
