"""Skills to be learned on the simulated arm; each builds its own world and arm."""

from sim.tasks.pick_cube import PickCube

__all__ = ["PickCube"]
