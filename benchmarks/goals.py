"""What is learned of things and places one by one, asked for in pairs: seen in practice, never seen, and misnamed.

    python -m benchmarks.goals --seeds 200 201 202         trains what is not in the results yet, then prints the table
    python -m benchmarks.goals --seeds 200 201 202 --print the table alone
    python -m benchmarks.goals --learner cloning --demonstrations 20 --steps 0      demonstrations alone

Two of the eight pairs of `blocks` are asked for neither in demonstrations nor in practice. A row per training is
appended to benchmarks/results/goals.jsonl as soon as it is measured: what was interrupted goes on with the next call.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from robot_rlhf.datatypes import Assignment, Observation, Outcome
from robot_rlhf.language.goals import GoalDirector, Taught, for_place, from_tool
from robot_rlhf.rewards.metrics import wilson_interval
from robot_rlhf.run.build import load_policy, open_place, software_versions
from robot_rlhf.run.folder.provenance import source_commit
from robot_rlhf.run.folder.run_folder import RunFolder, append_json, read_json_lines
from robot_rlhf.run.results.judge import final_evaluation
from robot_rlhf.run.setting_values import changed
from robot_rlhf.run.settings import TrainConfig, defaults_for
from robot_rlhf.run.train import train
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks.blocks import PAIRS

RESULTS = Path(__file__).parent / "results" / "goals.jsonl"
HELD_OUT = "red>bowl_right,blue>bowl_left"
"""Asked for only in the measurement: of both, block and bowl were asked for in other pairs."""
MISNAMED = "benchmarks.goals:misnamed"
METHODS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "whole scene": {"features.scene": True},
    "misnamed": {"director": MISNAMED},
    "five networks": {"learner.imitators": 5},
}
"""What is not as usual in a training: the usual policy sees of the scene only what is asked for."""
SEEN, UNSEEN, WRONG = "seen", "unseen", "unseen, misnamed"
"""What is measured: pairs that practice asked for, those that it did not, and those while another one is named."""


@dataclass(frozen=True)
class Trial:
    """One training."""

    method: str
    """One of METHODS."""
    operator: str
    seed: int
    steps: int
    demonstrations: int
    learner: str

    @property
    def key(self) -> dict[str, Any]:
        return dict(vars(self))


class MisnamingDirector(GoalDirector):
    """Names in each episode one of the pairs that are not asked for: what a policy gains from a name is lost."""

    _named = PAIRS[0]

    def reset(self, rng: np.random.Generator) -> None:
        others = [pair for pair in PAIRS if pair != self.goal]
        self._named = others[int(rng.integers(len(others)))]

    def asked(self, observation: Observation) -> Assignment:
        thing, place = self._named
        context = {"thing": from_tool(observation, thing), "place": from_tool(observation, place)}
        return Assignment(super().asked(observation).instruction, context)


def misnamed(place: Taught) -> MisnamingDirector:
    """The director of a place of which no name can be trusted."""
    honest = for_place(place)
    return MisnamingDirector(honest.task, honest.things)


def settings(trial: Trial, out: Path) -> TrainConfig:
    """Of a training."""
    changes = {
        "place.task_options": {"held_out": HELD_OUT},
        "learner": {"kind": trial.learner},
        "operator": trial.operator,
        "seed": trial.seed,
        "steps": trial.steps,
        "demonstrations": trial.demonstrations,
        "evaluation.every": 0,
        "video_episodes": 0,
        "out": str(out),
        "name": "run",
        **METHODS[trial.method],
    }
    if trial.learner == "cloning":
        changes["trainer.warm_start_updates"] = 10_000
    if trial.learner == "sac":  # the settings of the task's defaults, not those of the class
        del changes["learner"]
    return changed(defaults_for("blocks"), changes, "benchmark")


def measure(trial: Trial, keep: Path | None = None) -> dict[str, Any]:
    """Train, then count what becomes of the pairs. Args: keep: a folder in which the run stays."""
    begun = time.monotonic()
    with TemporaryDirectory(prefix="goals-") as folder:
        config = settings(trial, keep or Path(folder))
        config = replace(config, name=f"{trial.method}-{trial.seed}")
        summary = train(config, quiet=True)
        run = RunFolder.existing(config.out / str(config.name))
        with closing(open_place(config, FakeClock())) as place:
            spec = place.spec
        assert run.chosen is not None
        policy, _ = load_policy(config, spec, run.chosen)
        measured: dict[str, Any] = {}
        asked = {"place.task_options": {"goals": HELD_OUT}}
        for what, changes in ((SEEN, {}), (UNSEEN, asked), (WRONG, {**asked, "director": MISNAMED})):
            result = final_evaluation(changed(config, changes, "benchmark"), policy)
            measured[what] = {
                "successes": sum(result.successes),
                "of": result.episodes,
                "wrong": result.outcomes.count(Outcome.FAILURE),
                "cycle_steps": round(result.cycle_steps, 1) if any(result.successes) else None,
            }
    return {
        **trial.key,
        "measured": measured,
        "hands_on_seconds": summary.get("hands_on_seconds"),
        "seconds": round(time.monotonic() - begun),
        "commit": source_commit(),
        "versions": software_versions(),
    }


def table(rows: list[dict[str, Any]], seeds: list[int]) -> Table:
    """Successes and wrong placings, summed over the seeds that are there."""
    title = f"blocks, seeds {', '.join(map(str, seeds))}: % right without help (Wilson), and % of wrong placings"
    made = Table(title=title, title_justify="left")
    for heading in ("method", "learner", "demonstrations", "steps", SEEN, UNSEEN, WRONG, "hands, s", "seeds"):
        made.add_column(heading)
    kinds = {(r["method"], r["learner"], r["demonstrations"], r["steps"]): None for r in rows if r["seed"] in seeds}
    for kind in kinds:
        found = [
            r
            for r in rows
            if r["seed"] in seeds and (r["method"], r["learner"], r["demonstrations"], r["steps"]) == kind
        ]
        hands = sum(r["hands_on_seconds"] for r in found) / len(found)
        made.add_row(*map(str, kind), *_cells(found), f"{hands:.0f}", str(len(found)))
    return made


def _cells(rows: list[dict[str, Any]]) -> Iterator[str]:
    for what in (SEEN, UNSEEN, WRONG):
        wins, of, wrong = (sum(row["measured"][what][name] for row in rows) for name in ("successes", "of", "wrong"))
        low, high = wilson_interval(wins, of)
        yield f"{100 * wins / of:.0f} ({100 * low:.0f}-{100 * high:.0f}), {100 * wrong / of:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--operator", default="attentive")
    parser.add_argument("--seeds", type=int, nargs="+", default=[200, 201, 202])
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--demonstrations", type=int, default=10)
    parser.add_argument("--learner", default="dagger", choices=("dagger", "sac", "cloning"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--keep", type=Path, help="a folder in which the runs stay")
    parser.add_argument("--print", action="store_true", help="train nothing")
    given = parser.parse_args()
    for method in () if given.print else given.methods:
        for seed in given.seeds:
            trial = Trial(method, given.operator, seed, given.steps, given.demonstrations, given.learner)
            if not any(trial.key.items() <= row.items() for row in read_json_lines(given.out)):
                append_json(given.out, measure(trial, given.keep))
    Console(width=160).print(table(read_json_lines(given.out), given.seeds))


if __name__ == "__main__":
    main()
