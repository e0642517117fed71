"""A contestant's end of a side-by-side measurement: measures its work when told to. Standard library only.

Runs in the interpreter of the package it measures, so it may import nothing of ours.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable


def serve(work: Callable[[], object], version: str, per_call: int = 1) -> None:
    """For each line on stdin, a number of seconds, work that long; answer with the median milliseconds of one unit.

    Args:
        per_call: units that one call of `work` does.
    """
    print(json.dumps({"version": version, "python": sys.version.split()[0]}), flush=True)
    for line in sys.stdin:
        times: list[float] = []
        end = time.perf_counter() + float(line)
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            work()
            times.append(1e3 * (time.perf_counter() - start) / per_call)
        print(json.dumps({"ms": statistics.median(times)}), flush=True)
