"""How a script that knows the simulation would do the task from where a demonstration begins, for people to see.

It moves nothing and nothing of it is recorded: the script runs in a world of its own.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from robot_rlhf.datatypes import Assignment, EpisodeKind, Phase, Situation
from robot_rlhf.errors import FaultLatchedError
from robot_rlhf.place import Place
from robot_rlhf.ports import Restorable
from robot_rlhf.run.build import open_place
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.timing import FakeClock

EVERY = 2
"""Control periods between two moments that are told of."""
BREATH = 0.002
"""Seconds of rest between two periods, in which the control loop has the interpreter for itself."""


class Ghost:
    """A Monitor: when a demonstration begins to wait, a thread works out how it could be done."""

    def __init__(self, config: TrainConfig, world: Restorable) -> None:
        """Args: world: of the place that people drive; only its state is looked at."""
        self._place = open_place(config, FakeClock(), cameras=False)
        self._world = world
        self._thread: threading.Thread | None = None
        self._due = False
        """The robot was reset since the last look."""
        self.way: dict[str, Any] = {}
        """'episode' and 'moments', the newest: of each moment the tool's pose x, y, z, qw, qx, qy, qz and the opening.
        Empty before the first."""

    def show(self, situation: Situation) -> None:
        if situation.phase is Phase.RESETTING:  # before it a demonstration may wait, too, but not where it begins
            self._due = True
        busy = self._thread is not None and self._thread.is_alive()
        waits = situation.phase is Phase.WAITING and situation.kind is EpisodeKind.DEMONSTRATION
        if not waits or busy or not self._due:
            return
        self._due = False
        arguments = (situation.episode, self._world.snapshot())
        self._thread = threading.Thread(target=self._work, args=arguments, name="ghost", daemon=True)
        self._thread.start()

    def _work(self, episode: str, state: object) -> None:
        self.way = {"episode": episode, "moments": expert_way(self._place, state)}

    def close(self) -> None:
        """Let go of its world, once what was asked for is there."""
        self.wait()
        self._place.close()

    def wait(self, timeout: float = 10.0) -> None:
        """Until what was asked for is there."""
        if self._thread is not None:
            self._thread.join(timeout)


def expert_way(place: Place, state: object) -> list[list[float]]:
    """The moments of the task's scripted expert from a state until it succeeds; as Ghost.way tells them."""
    task, guard, rng = place.task, place.guard, np.random.default_rng(0)
    expert = place.expert()
    if expert is None or place.world is None:
        return []
    place.world.restore(state)
    guard.release()
    guard.anchor()
    moments: list[list[float]] = []
    for step in range(task.time_limit):
        observation = guard.observe()
        done = task.success(observation)
        if done or step % EVERY == 0:
            pose = [*observation.tool_pose_in_base.tolist(), observation.gripper]
            moments.append([round(float(value), 4) for value in pose])
        if done:
            break
        try:
            guard.act(expert.act(observation, Assignment(task.instruction), rng))
        except FaultLatchedError:  # the script has got stuck: what it did until then is shown
            break
        time.sleep(BREATH)
    return moments
