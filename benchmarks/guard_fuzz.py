"""Random sequences of everything that can change what a robot is told, judged by an oracle that is not the guard.

python -m benchmarks.guard_fuzz --minutes 5
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any

import numpy as np

from tests.safety.sequences import Player, drawn, drawn_setup

LENGTH = 60
"""Operations of a sequence; each is up to some tens of commands."""


def fuzz(seconds: float, seed: int, most: int) -> dict[str, Any]:
    """Play sequences for so long, or so many; every fourth is of a robot with native commands."""
    broken: Counter[str] = Counter()
    sequences = commands = stops = broken_sequences = 0
    examples: list[str] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds and sequences < most:
        rng = np.random.default_rng([seed, sequences])
        player = Player(drawn_setup(rng, direct=sequences % 4 == 3))
        violations = player.play(drawn(rng, LENGTH))
        broken.update(player.oracle.counts)
        broken_sequences += bool(violations)
        if violations and len(examples) < 20:
            examples.append(f"sequence {sequences}: {violations[0]}")
        sequences += 1
        commands += player.oracle.commands
        stops += player.oracle.stops
    return {
        "seed": seed,
        "sequences": sequences,
        "commands": commands,
        "stops": stops,
        "violations": sum(broken.values()),
        "by_law": dict(broken.most_common()),
        "sequences_with_violations": broken_sequences,
        "seconds": round(time.monotonic() - began, 1),
        "first": examples,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--sequences", type=int, default=10**9, help="at most")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = fuzz(60.0 * options.minutes, options.seed, options.sequences)
    print(json.dumps(found, indent=1))
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
