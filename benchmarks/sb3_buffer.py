"""Stock Stable-Baselines3 SAC on pictures with our replay buffer and with its own: speed and memory.

    python -m benchmarks.sb3_buffer [--size 64] [--rows 5000]

The memory is what the process has grown by while the buffer was filled.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.contest import Entry, add_options, contest, keep, show

RESULTS = Path(__file__).parent / "results" / "speed.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--batch", type=int, default=256)
    add_options(parser)
    options = parser.parse_args()
    for what in ("sample", "update"):
        arguments = (what, options.batch, options.size, options.rows)
        entries = [
            Entry("its own buffer", "peers/sb3_pictures.py", ("theirs", *arguments)),
            Entry("ours", "peers/sb3_pictures.py", ("ours", *arguments)),
        ]
        results = contest(entries, rounds=options.rounds, seconds=options.seconds)
        title = f"stock SB3 SAC, pictures {options.size} x {options.size}, batch {options.batch}: {what}"
        show(title, results, first="its own buffer")
        keep(RESULTS, title, results, cores=os.cpu_count(), load=round(os.getloadavg()[0], 2))


if __name__ == "__main__":
    main()
