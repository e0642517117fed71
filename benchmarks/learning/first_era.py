"""Reads the rows of the first era, which had other names; the files stay as they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.learning.cases import NOBODY

FIRST_ERA = "2026-11-21"
"""Measured from then until 2026-11-27: another learner, other people, seeds on which settings were tuned, and an end of
practice where two evaluations were good enough."""
TASKS: Mapping[str, tuple[str, str]] = {
    "pick_cube": ("pick_cube", ""),
    "pick_pixels": ("pick_pixels", ""),
    "peg_1mm": ("peg_insert", ""),
    "peg_0.5mm": ("peg_insert", "0.5mm"),
    "peg_felt": ("peg_insert", "felt"),
}
VARIANTS = ("continuous_gripper", "bfloat16")
"""These were methods, of ours."""


def is_of_first_era(row: Mapping[str, Any]) -> bool:
    """Whether a row has the first era's names."""
    return "setting" in row


def as_now(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the first era by the names of today; what it did not tell, as each episode's outcome, stays untold."""
    task, variant = TASKS[row["setting"]]
    method = row["method"]
    if method in VARIANTS:
        method, variant = "ours", method
    final = {
        "episodes": row["eval_episodes"],
        "successes": row["eval_successes"],
        "success_rate": row["success_rate"],
        "cycle_steps": row["cycle_steps"],
        "outcomes": None,
        "lengths": None,
        "starts": None,
    }
    kept = ("seed", "env_steps", "train_s", "hands_on_seconds", "at_machine_seconds", "human_step_share_last_20")
    return {
        **{name: row[name] for name in kept if name in row},
        "task": task,
        "method": method,
        "person": NOBODY if method == "sb3_sac" else row["operator"],
        "variant": variant,
        "settings": [],
        "commit": None,
        "versions": row.get("versions", {}),
        "control_period": 0.05,
        "ended": FIRST_ERA,
        "final": final,
        "curve": row.get("curve", []),
    }
