"""A replay buffer as a list of dicts: slow, and plain enough to be seen to be right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_rlhf.datatypes import Source

STATE, ACTION = 3, 2
CAMERAS = {"front": (3, 2), "wrist": (2, 4)}


def observation(number: int) -> dict[str, np.ndarray[Any, Any]]:
    """An observation in which every entry tells which one it is."""
    rng = np.random.default_rng(number)
    images = {name: rng.integers(0, 256, (*size, 3), dtype=np.uint8) for name, size in CAMERAS.items()}
    return {"state": np.array([number, number + 0.25, -number], np.float32), **images}


@dataclass
class Twin:
    """Keeps every observation ever seen; forgets by counting them."""

    capacity: int
    gamma: float
    n_step: int
    pre_intervention: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    """One per observation: its episode, and the step that left it (None for a last one)."""
    episode: int = -1
    demonstration: bool = False

    def begin(self, seen: dict[str, Any], demonstration: bool) -> None:
        self.episode += 1
        self.demonstration = demonstration
        self.rows.append({"episode": self.episode, "observation": seen, "step": None, "discarded": False})

    def add(self, action: Any, reward: float, terminated: bool, truncated: bool, source: Source, seen: Any) -> None:
        if self.demonstration and source is not Source.OTHER:
            source = Source.DEMO
        mine = [row for row in self.rows if row["episode"] == self.episode]
        if source is Source.HUMAN:
            for row in reversed(mine[:-1][-self.pre_intervention :] if self.pre_intervention else []):
                if row["step"]["source"] is not Source.POLICY:
                    break
                row["step"]["source"] = Source.PRE_INTERVENTION
        self.rows[-1]["step"] = {
            "action": action,
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "source": source,
        }
        self.rows.append({"episode": self.episode, "observation": seen, "step": None, "discarded": False})

    def prove(self) -> None:
        for row in reversed([row for row in self.rows if row["episode"] == self.episode][:-1]):
            if row["step"]["source"] is not Source.POLICY:
                break
            row["step"]["source"] = Source.PROVEN

    def end(self) -> None:
        """Broken off: the last step counts as truncated."""
        steps = [row["step"] for row in self.rows if row["episode"] == self.episode and row["step"]]
        if steps and not steps[-1]["terminated"]:
            steps[-1]["truncated"] = True

    def discard(self) -> None:
        self.end()
        for row in self.rows:
            if row["episode"] == self.episode:
                row["discarded"] = True

    def sampleable(self) -> dict[int, dict[str, Any]]:
        """Row number to what a batch must hold there."""
        first = max(0, len(self.rows) - self.capacity)
        return {
            number: self.transition(number)
            for number in range(first, len(self.rows))
            if self.rows[number]["step"] and not self.rows[number]["discarded"]
        }

    def transition(self, number: int) -> dict[str, Any]:
        episode = [row for row in self.rows if row["episode"] == self.rows[number]["episode"]]
        t = next(k for k, row in enumerate(episode) if row is self.rows[number])
        summed, discount, k = 0.0, 1.0, 0
        while k < self.n_step and episode[t + k]["step"] is not None:
            summed += discount * episode[t + k]["step"]["reward"]
            discount *= self.gamma * (0.0 if episode[t + k]["step"]["terminated"] else 1.0)
            k += 1
        step = episode[t]["step"]
        return {
            "observation": episode[t]["observation"],
            "next": episode[t + k]["observation"],
            "action": step["action"],
            "source": step["source"],
            "terminated": step["terminated"],
            "truncated": step["truncated"],
            "episode": episode[t]["episode"],
            "t": t,
            "reward": summed,
            "discount": discount,
        }
