"""How well and how fast this machine's recognisers of speech hear short commands, spoken by a synthesiser.

    python benchmarks/speech.py [--recognisers whisper pocketsphinx] [--voices en-us en-gb] [--sure 0.6]

Each command is said by espeak-ng, with each voice. Reported per recogniser and voice: word error rate (Levenshtein over
words), commands heard without an error, seconds from the end of the sound to the words and how busy a core was, and of
those heard surely enough to be sent how many were wrong. How many of the commands are among the examples that the
recognisers are shown, is told, too.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from robot_rlhf.errors import ConfigError
from robot_rlhf.language.ears import PACKAGES, Ear, SpeechConfig, open_ear
from robot_rlhf.language.phrases import EXPECTED
from tests.speech import RATE, SYNTHESISER, spoken

COMMANDS = """left|right|up|down|stop|a bit to the left|a little to the right|move forward|go back a little|lift it
lower|open the gripper|close the gripper|let go|grab it|slower|faster|turn left|turn right|not so fast|too far left
don't go right|three centimetres up|two centimetres to the left|go above the cube|down on it|put it in the bowl
put it in the left bowl|take the red one|the blue block|push the puck to the ring|get behind the puck|go to the handle
pull the drawer open|keep away from the glass|slower near the glass|always from above|never touch the lamp|try again
once more from the start|that was good|well done|that was wrong|bad|scratch that|never mind|forget what I said
stop going left|a lot further forward|closer to me|away from the lamp|rotate the wrist a little to the right
put the green cube in the right bowl|the yellow one please|hold it tighter|hurry up|careful with the glass|higher|wait
a hair to the right"""
SAME = {"centimeters": "centimetres", "centimeter": "centimetre", "2": "two", "3": "three", "colour": "color"}
"""Spellings that mean the same."""


def words(text: str) -> list[str]:
    """Words as they are compared: lower case, without marks."""
    return [SAME.get(word, word) for word in re.sub(r"[^a-z0-9' ]", " ", text.lower()).split()]


def errors(said: list[str], heard: list[str]) -> int:
    """Least number of words to insert, delete or replace (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, one in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


def measure(ear: Ear, voice: str, commands: Sequence[str], sure: float) -> str:
    """One row of the table."""
    wrong = total = right = sent = sent_wrong = 0
    seconds: list[float] = []
    busy: list[float] = []
    for command in commands:
        pcm = spoken(command, voice=voice)
        began, began_busy = time.perf_counter(), time.process_time()
        heard = ear.hear(pcm, RATE)
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - began_busy)
        said, got = words(command), words(heard.text)
        count = errors(said, got)
        wrong, total, right = wrong + count, total + len(said), right + (count == 0)
        if heard.text and heard.confidence >= sure:
            sent, sent_wrong = sent + 1, sent_wrong + (count > 0)
        if count:
            print(f"  {voice}: {command!r} heard as {heard.text!r} ({heard.confidence:.2f})", file=sys.stderr)
    p50, p99 = np.percentile(seconds, [50, 99])
    return (
        f"{voice} | {100 * wrong / total:.1f} % | {right} of {len(commands)} | {p50:.2f} / {p99:.2f} s "
        f"| {np.median(busy):.2f} s "
        f"| {sent}, of them {sent_wrong} wrong"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recognisers", nargs="+", choices=list(PACKAGES), default=list(PACKAGES))
    parser.add_argument("--voices", nargs="+", default=["en-us", "en-gb"], help="of espeak-ng")
    parser.add_argument("--sure", type=float, default=SpeechConfig().sure, help="confidence from which words are sent")
    chosen = parser.parse_args()
    commands = COMMANDS.replace("\n", "|").split("|")
    shown = {tuple(words(each)) for each in EXPECTED}
    alike = [each for each in commands if tuple(words(each)) in shown]
    synthesiser = subprocess.run([SYNTHESISER, "--version"], capture_output=True, text=True, check=True).stdout
    print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}; {synthesiser.strip()}")
    print(f"{len(commands)} commands, of which {len(alike)} are examples that the recognisers are shown: {alike}")
    print("recogniser | voice | word errors | without an error | p50 / p99 | of a core, p50 | sent at once")
    print("--- | --- | --- | --- | --- | --- | ---")
    for recogniser in chosen.recognisers:
        try:
            ear = open_ear(SpeechConfig(recogniser))
        except ConfigError as error:
            print(error)
            continue
        distributions = [package.replace("_", "-") for package in PACKAGES[recogniser]]
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in distributions)
        for voice in chosen.voices:
            print(f"{recogniser} ({versions}) | {measure(ear, voice, commands, chosen.sure)}", flush=True)


if __name__ == "__main__":
    main()
