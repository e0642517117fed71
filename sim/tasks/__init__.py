"""Skills to be learned on the simulated arm; each builds its own world and arm."""

from sim.tasks.peg_insert import PegInsert
from sim.tasks.pick_cube import PickCube
from sim.tasks.reach import Reach

__all__ = ["PegInsert", "PickCube", "Reach"]
