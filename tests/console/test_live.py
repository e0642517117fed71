"""The present in shared memory: a reader gets a whole moment or none, however fast the writer is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from robot_rlhf.console.live import TEXT_SIZE, LiveBlock
from robot_rlhf.datatypes import Observation, Phase, Situation
from robot_rlhf.errors import LinkError
from tests.console.fake_session import FakeRobot, make_spec

CAMERAS = {"front": (48, 64), "wrist": (32, 32)}


def moment(number: int, *, pictures: bool = True) -> Situation:
    """A situation all of whose parts show its number."""
    template = FakeRobot(make_spec(8)).observe(float(number))
    images = {name: np.full((*size, 3), number % 251, np.uint8) for name, size in CAMERAS.items()}
    observation: Observation = replace(template, images=images if pictures else {})
    return Situation(float(number), Phase.RUNNING, observation, step=number, detail="x" * (number % 97))


def test_the_newest_is_read() -> None:
    block = LiveBlock(CAMERAS)
    assert block.read() is None
    for number in range(1, 8):
        block.write(moment(number))
        seen = block.read()
        assert seen is not None
        count, present, pictures = seen
        assert (count, present.step) == (number, number)
        assert {name: picture.shape for name, picture in pictures.items()} == {n: (*s, 3) for n, s in CAMERAS.items()}
        assert all((picture == number).all() for picture in pictures.values())
    block.close()
    block.close()


def test_without_pictures() -> None:
    block = LiveBlock(CAMERAS)
    block.write(moment(1, pictures=False))
    seen = block.read()
    assert seen is not None
    assert seen[2] == {}
    block.write(moment(2))
    seen = block.read(pictures=False)
    assert seen is not None
    assert seen[2] == {}
    block.close()


def test_no_reader_ever_sees_two_moments_mixed() -> None:
    block = LiveBlock(CAMERAS)
    stop = threading.Event()
    torn: list[str] = []
    reads = [0, 0]

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            block.write(moment(number))

    def read(reader: int) -> None:
        last = 0
        while not stop.is_set():
            try:
                seen = block.read()
            except LinkError:
                continue
            if seen is None:
                continue
            count, present, pictures = seen
            values = {int(v) for picture in pictures.values() for v in np.unique(picture)}
            if values != {present.step % 251} or len(present.detail) != present.step % 97 or count != present.step:
                torn.append(f"situation {count}: step {present.step}, pictures {sorted(values)}")
            if count < last:
                torn.append(f"{count} after {last}")
            last = count
            reads[reader] += 1

    threads = [threading.Thread(target=write), *(threading.Thread(target=read, args=(i,)) for i in range(2))]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        time.sleep(2.0)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10.0)
        sys.setswitchinterval(interval)
    assert torn == []
    assert min(reads) > 20
    block.close()


def test_a_reader_that_is_overtaken_again_and_again_says_so() -> None:
    block = LiveBlock(CAMERAS)

    class Slow(LiveBlock):
        """Each copy takes so long that the writer has gone round."""

        def _view(self, base: int, camera: str) -> np.ndarray:
            for number in range(3):
                block.write(moment(number))
            return super()._view(base, camera)

    block.write(moment(1))
    reader = Slow(CAMERAS, os.dup(block.descriptor))
    with pytest.raises(LinkError, match="written over"):
        reader.read()
    reader.close()
    block.close()


def test_another_process_maps_it() -> None:
    block = LiveBlock(CAMERAS)
    block.write(moment(41))
    code = (
        "from robot_rlhf.console.live import LiveBlock\n"
        f"seen = LiveBlock({CAMERAS}, {block.descriptor}).read()\n"
        "assert seen[1].step == 41 and (seen[2]['wrist'] == 41).all()\n"
    )
    subprocess.run([sys.executable, "-c", code], pass_fds=(block.descriptor,), check=True, timeout=60)
    block.close()


def test_a_block_of_other_cameras_is_refused() -> None:
    block = LiveBlock(CAMERAS)
    with pytest.raises(LinkError, match="expected"):
        LiveBlock({"front": (8, 8)}, block.descriptor)
    with pytest.raises(LinkError, match=str(TEXT_SIZE)):
        block.write(replace(moment(1), detail="x" * TEXT_SIZE))
    block.close()
