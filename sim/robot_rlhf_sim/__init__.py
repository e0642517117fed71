"""Simulated robots, tasks, experts and people; the only package that knows MuJoCo."""

import os
import sys

if sys.platform == "linux" and not os.environ.get("MUJOCO_GL") and not os.environ.get("DISPLAY"):
    os.environ["MUJOCO_GL"] = "egl"  # mujoco reads it when it is imported for the first time
