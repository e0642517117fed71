"""The tool's pose from a bag's tf: every transform between base and tool, composed."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.poses import compose, inverse, normalised
from robot_rlhf.journal.bags.series import BagClock, Order, Series, Times
from robot_rlhf.journal.bags.source import Bag, BagMessage

TF = "/tf"
TF_STATIC = "/tf_static"
TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")


class FrameTree:
    """All transforms of a bag, by child frame. Only what lies between base and tool must be in order."""

    def __init__(self, bag: Bag, clock: BagClock) -> None:
        self._bag = bag
        self._clock = clock
        self._parents: dict[str, str] = {}
        self._rows: dict[str, list[list[float]]] = {}
        self._time: dict[str, list[int]] = {}
        self._received: dict[str, list[int]] = {}
        self._orders: dict[str, Order] = {}
        self._fixed: set[str] = set()
        self._trouble: dict[str, str] = {}
        """Child frame to what is wrong with it, in words."""
        self.disorder = ""
        """What was out of order between base and tool, for people; known after `pose`."""

    def add(self, message: BagMessage) -> None:
        for transform in message.value.transforms:
            self._add(message, transform)

    def _add(self, message: BagMessage, transform: Any) -> None:
        child, parent = (str(n).strip("/") for n in (transform.child_frame_id, transform.header.frame_id))
        where = f"topic {message.topic} at {self._bag.moment(message.received)}"
        if self._parents.setdefault(child, parent) != parent:
            words = f"{where}: frame {child!r} has two parents, {self._parents[child]!r} and {parent!r}"
            self._trouble.setdefault(child, words)
            return
        if message.topic == TF_STATIC:
            self._fixed.add(child)
        stamp = transform.header.stamp.sec * 1_000_000_000 + transform.header.stamp.nanosec
        if child not in self._fixed:
            try:
                self._orders.setdefault(child, Order()).add(stamp)
            except ValueError as error:
                self._trouble.setdefault(child, f"{where}: frame {child!r}: {error}")
                return
        p, q = transform.transform.translation, transform.transform.rotation
        self._rows.setdefault(child, []).append([p.x, p.y, p.z, q.w, q.x, q.y, q.z])
        self._received.setdefault(child, []).append(message.received)
        by_stamp = self._clock == "stamp" and child not in self._fixed
        self._time.setdefault(child, []).append(stamp if by_stamp else message.received)

    def pose(self, base: str, tool: str) -> Series:
        """Poses of the tool in the base frame, one whenever a transform between them changes.

        Raises:
            JournalError: a frame is missing, or the two do not hang together.
        """
        up, down = self._chain(base), self._chain(tool)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise JournalError(f"{self._bag.path}: topic {TF}: frames {base!r} and {tool!r} are not connected")
        links = up[: up.index(common)], down[: down.index(common)]
        self._check([frame for side in links for frame in side])
        moving = [frame for side in links for frame in side if frame not in self._fixed]
        if not moving:
            raise JournalError(f"{self._bag.path}: topic {TF}: nothing moves between frames {base!r} and {tool!r}")
        # Before the first transform of every link nothing is known.
        begin = max(self._time[frame][0] for frame in moving)
        times = np.unique(np.concatenate([np.array(self._time[frame], np.int64) for frame in moving]))
        times = times[times >= begin]
        to_base, to_tool = (self._composed(side, times) for side in links)
        values = compose(inverse(to_base), to_tool)
        received = np.array(self._received[moving[0]], np.int64)
        heard = received[np.clip(np.searchsorted(self._time[moving[0]], times, "right") - 1, 0, None)]
        names = ("x", "y", "z", "qw", "qx", "qy", "qz")
        return Series(TF, times, heard, values, names, base, disorder=self.disorder)

    def _check(self, frames: list[str]) -> None:
        """Bring these frames' transforms into order of time; raises JournalError for what cannot be."""
        words: list[str] = []
        for frame in frames:
            if frame in self._trouble:
                raise JournalError(f"{self._bag.path}: {self._trouble[frame]}")
            try:
                said = self._orders[frame].words() if frame in self._orders else ""
            except ValueError as error:
                raise JournalError(f"{self._bag.path}: topic {TF}: frame {frame!r}: {error}") from error
            words += [f"frame {frame!r}: {said}"] if said else []
            order = sorted(range(len(self._time[frame])), key=self._time[frame].__getitem__)
            for column in (self._rows, self._time, self._received):
                column[frame] = [column[frame][i] for i in order]  # pyright: ignore[reportArgumentType] -- each its own
        self.disorder = "; ".join(words)

    def _chain(self, frame: str) -> list[str]:
        """The frame, its parent, and so on."""
        frame = frame.strip("/")
        if frame not in self._parents and frame not in self._parents.values():
            known = sorted({*self._parents, *self._parents.values()})
            raise JournalError(f"{self._bag.path}: topic {TF}: no frame {frame!r}; it has {', '.join(known) or 'none'}")
        chain = [frame]
        while frame in self._parents and self._parents[frame] not in chain:
            frame = self._parents[frame]
            chain.append(frame)
        return chain

    def _composed(self, links: list[str], times: Times) -> Any:
        """The pose of the first link's frame in the parent of the last, at each time. Shape (N, 7)."""
        whole = np.tile([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], (len(times), 1))
        for frame in links:
            place = np.searchsorted(self._time[frame], times, "right") - 1
            if frame in self._fixed:
                place = np.full(len(times), len(self._rows[frame]) - 1)
            rows = np.array(self._rows[frame], np.float64)[place]
            bad = ~np.isfinite(rows).all(axis=1) | ~(np.abs(np.linalg.norm(rows[:, 3:], axis=1) - 1.0) < 0.01)
            if bad.any():
                heard = self._received[frame][int(place[int(np.argmax(bad))])]
                where = f"{self._bag.path}: topic {TF} at {self._bag.moment(heard)}"
                raise JournalError(f"{where}: frame {frame!r} has no transform of finite numbers and unit quaternion")
            whole = compose(normalised(rows), whole)
        return whole
