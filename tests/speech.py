"""Speech for tests and benchmarks, from a synthesiser: espeak-ng."""

from __future__ import annotations

import io
import shutil
import subprocess

import av
import numpy as np
from numpy.typing import NDArray

SYNTHESISER = "espeak-ng"
RATE = 16_000
PAUSE = 0.3
"""Seconds of silence before and after the words."""


def has_speech() -> bool:
    """Whether this machine can speak."""
    return shutil.which(SYNTHESISER) is not None


def spoken(text: str, *, voice: str = "en-us", words_per_minute: int = 150) -> NDArray[np.int16]:
    """A sentence at RATE, between two pauses. Shape (n,)."""
    command = [SYNTHESISER, "-v", voice, "-s", str(words_per_minute), "--stdout", text]
    wav = subprocess.run(command, capture_output=True, check=True).stdout
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(io.BytesIO(wav), "r") as file:
        frames = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    silence = np.zeros(int(PAUSE * RATE), np.int16)
    return np.concatenate([silence, *(frame.to_ndarray()[0] for frame in frames), silence])
