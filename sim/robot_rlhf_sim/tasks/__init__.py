"""Skills to be learned on the simulated arm; each builds its own world and arm."""

from robot_rlhf_sim.tasks.blocks import Blocks
from robot_rlhf_sim.tasks.drawer_store import DrawerStore
from robot_rlhf_sim.tasks.peg_insert import PegInsert
from robot_rlhf_sim.tasks.pick_cube import PickCube
from robot_rlhf_sim.tasks.push import Push
from robot_rlhf_sim.tasks.reach import Reach

__all__ = ["Blocks", "DrawerStore", "PegInsert", "PickCube", "Push", "Reach"]
