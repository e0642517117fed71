"""Learned rewards, measured: one row per seed in benchmarks/results/rewards.jsonl; a finished seed is not run again.

    python -m benchmarks.rewards preferences --tasks reach --only oracle mistakes disagreement --seeds 0 1 2
    python -m benchmarks.rewards progress success --tasks pick_cube --only state
    python -m benchmarks.rewards sentence-order sentence-policy --clip clip.safetensors
    python -m benchmarks.rewards optimise offline frames period --clip clip.safetensors
    python -m benchmarks.rewards report

--tiny runs through everything in small: a check of the program, whose rows go to another file.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.rewards import choice, heads, offline, optimise, preferences, sentences, speed
from benchmarks.rewards.report import report
from benchmarks.rewards.rows import RESULTS, Asked, Job, do

SHOWS: Mapping[str, Callable[[Asked], list[Job]]] = {
    "progress": heads.progress_jobs,
    "frames": speed.frame_jobs,
    "period": speed.period_jobs,
    "offline": offline.jobs,
    "optimise": optimise.jobs,
    "preferences": preferences.jobs,
    "choice": choice.jobs,
    "sentence-order": sentences.order_jobs,
    "sentence-policy": sentences.policy_jobs,
    "success": heads.success_jobs,
    "success-policy": heads.policy_jobs,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is asked for, one thing after another."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.rewards", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shows", nargs="+", choices=("report", *SHOWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", choices=("reach", "pick_cube", "peg_insert"), default=["reach"])
    parser.add_argument("--only", nargs="+", default=[], help="some variants, sentences, or kinds of these shows")
    parser.add_argument("--clip", type=Path, help="checkpoint of `robot-rlhf reward clip`, or MODEL:TAG of open_clip")
    parser.add_argument("--sessions", type=Path, help="folder that keeps what `progress` and `success` record")
    parser.add_argument("--results", type=Path, help="file of rows in the place of results/rewards.jsonl")
    parser.add_argument("--tiny", action="store_true", help="a check of the program, no measurement")
    options = parser.parse_args(argv)
    rows = options.results or (Path(tempfile.gettempdir()) / "rewards-tiny.jsonl" if options.tiny else RESULTS)
    asked = Asked(options.seeds, options.tasks, options.only, options.tiny, options.clip, options.sessions)
    for show in options.shows:
        if show == "report":
            report(rows)
        else:
            do(SHOWS[show](asked), rows)


if __name__ == "__main__":
    main()
