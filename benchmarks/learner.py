"""How fast replay is sampled, the learner updates and the policy decides, beside SB3, sbx, torchrl and LeRobot.

    python -m benchmarks.learner [--python sbx=PATH --python torchrl=PATH --python lerobot=PATH]
    python -m benchmarks.learner --only whole --device cuda [--python lerobot=PATH]

At equal network (two hidden layers of 256, two critics) and batch, sampling included, each on the same one core: some
packages take a second one for themselves whatever they are told.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.contest import Entry, add_options, contest, interpreters, keep, show
from robot_rlhf.run.setting_values import plain
from robot_rlhf.run.settings import defaults_for

STATE, ACTION, BATCH, HIDDEN = 18, 4, 256, 256
CAMERAS, SIZE = 2, 128
CRITICS = 10
RESULTS = Path(__file__).parent / "results" / "speed.jsonl"
EQUAL = {"critic_layer_norm": False, "actor_layer_norm": False}
PLAIN = {"actor_every": 1, "cloning_weight": 0.0, "cloning_weight_end": 0.0}
"""What the others' SAC does."""
HALF = {"precision": "bfloat16"}
COMPILED = {"compiled": True}
DEFAULT = plain(defaults_for("pick_cube").learner)
TRAINS = {name: DEFAULT[name] for name in ("imitators", "caution")}
"""What the default run from state has beyond the learner's own defaults."""


def ours(
    name: str, what: str, *, hidden: int = HIDDEN, sac: Mapping[str, object] | None = None, **network: object
) -> Entry:
    """Our learner or policy from state, with some settings."""
    arguments = (what, STATE, ACTION, BATCH, hidden, "--sac", json.dumps(sac or {}), "--network", json.dumps(network))
    return Entry(name, "peers/ours.py", arguments)


def from_state(peers: dict[str, str], what: str) -> list[Entry]:
    numbers = (STATE, ACTION, BATCH, HIDDEN)
    entries = [ours("ours, plain SAC, SB3's network", what, sac=PLAIN, **EQUAL)]
    if what == "update":
        entries += [
            ours("ours, plain SAC, SB3's network, compiled", what, sac={**PLAIN, **COMPILED}, **EQUAL),
            ours("ours, plain SAC, SB3's network, bf16", what, sac={**PLAIN, **HALF}, **EQUAL),
            ours("ours, plain SAC, SB3's network, bf16, compiled", what, sac={**PLAIN, **HALF, **COMPILED}, **EQUAL),
            ours("ours, as it trains (LayerNorm, actor every 2nd)", what),
            ours("ours, as it trains from state (128 x 2)", what, hidden=128, sac=TRAINS),
            ours("ours, as it trains from state (128 x 2), compiled", what, hidden=128, sac={**TRAINS, **COMPILED}),
            ours("ours, as it trains from state (128 x 2), without imitators", what, hidden=128),
            ours(
                "ours, as it trains from state (128 x 2), without imitators, compiled", what, hidden=128, sac=COMPILED
            ),
        ]
    entries.append(
        Entry("stable-baselines3", "peers/sb3.py", ("sb3", what, *numbers), peers.get("sb3", sys.executable))
    )
    if "sbx" in peers:
        entries.append(Entry("sbx", "peers/sb3.py", ("sbx", what, *numbers), peers["sbx"]))
    if "lerobot" in peers:
        entries.append(Entry("lerobot", "peers/lerobot_sac.py", (what, *numbers), peers["lerobot"]))
    return entries


def from_pictures(peers: dict[str, str]) -> list[Entry]:
    numbers = (STATE, ACTION, BATCH, HIDDEN, CAMERAS, SIZE)

    def entry(name: str, *more: object) -> Entry:
        return Entry(name, "peers/ours.py", ("update", *numbers, *more))

    frozen = ("--frozen", 4 * 4 * 512)
    entries = [
        entry("ours, small convolutions"),
        entry("ours, small convolutions, bf16", "--sac", json.dumps(HALF)),
        entry("ours, features of a frozen ResNet kept in replay", *frozen),
        Entry("stable-baselines3", "peers/sb3.py", ("sb3", "update", *numbers), peers.get("sb3", sys.executable)),
    ]
    if "lerobot" in peers:
        entries.append(Entry("lerobot", "peers/lerobot_sac.py", ("update", *numbers), peers["lerobot"]))
    return entries


def replay(peers: dict[str, str]) -> list[Entry]:
    numbers = (STATE, ACTION, BATCH, HIDDEN, CAMERAS, SIZE)
    entries = [
        Entry("ours", "peers/ours.py", ("sample", *numbers)),
        Entry("ours, shifted", "peers/ours.py", ("sample", *numbers, "--shift", 4)),
        Entry("stable-baselines3", "peers/sb3.py", ("sb3", "sample", *numbers), peers.get("sb3", sys.executable)),
    ]
    if "torchrl" in peers:
        few = (STATE, ACTION, BATCH, CAMERAS, SIZE)
        entries.append(Entry("torchrl", "peers/torchrl_sample.py", few, peers["torchrl"]))
    if "lerobot" in peers:
        entries.append(Entry("lerobot", "peers/lerobot_sac.py", ("sample", *numbers), peers["lerobot"]))
    return entries


def whole(peers: dict[str, str], device: str) -> list[Entry]:
    """Updates as on a GPU: two cameras, ten critics, sampling and shift included; one graph against one by one."""
    numbers, on = (STATE, ACTION, BATCH, HIDDEN, CAMERAS, SIZE), ("--device", device)

    def entry(name: str, sac: Mapping[str, object], *more: object) -> Entry:
        settings = ("--sac", json.dumps(sac), "--network", json.dumps({"critics": CRITICS}))
        return Entry(name, "peers/ours.py", ("update", *numbers, *settings, *on, *more))

    entries = [entry("ours, eager", {}), entry("ours, eager, bf16", HALF)]
    if device == "cuda":
        entries += [entry("ours, one graph", {}, "--graph"), entry("ours, one graph, bf16", HALF, "--graph")]
    if "lerobot" in peers:
        arguments = ("update", *numbers, *on, "--critics", CRITICS)
        entries.append(Entry("lerobot", "peers/lerobot_sac.py", arguments, peers["lerobot"]))
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("state", "act", "pictures", "sample", "whole"), default=None)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="of 'whole', which is for a GPU")
    add_options(parser)
    options = parser.parse_args()
    peers = interpreters(options)
    parts = {
        "state": ("update from state, batch 256", from_state(peers, "update"), options.seconds),
        "act": ("decision, batch 1", from_state(peers, "act"), min(1.0, options.seconds)),
        "pictures": (
            f"update from {CAMERAS} pictures {SIZE} x {SIZE}, batch 256",
            from_pictures(peers),
            options.seconds,
        ),
        "sample": (f"batch of 256 with {CAMERAS} pictures {SIZE} x {SIZE} from replay", replay(peers), options.seconds),
    }
    if options.only == "whole":
        title = (
            f"whole update on {options.device}, {CAMERAS} pictures {SIZE} x {SIZE}, {CRITICS} critics, batch {BATCH}"
        )
        parts["whole"] = (title, whole(peers, options.device), options.seconds)
    for name, (title, entries, seconds) in parts.items():
        if options.only in (None, name):
            entries = [entry if name == "whole" else replace(entry, cores="0") for entry in entries]
            results = contest(entries, rounds=options.rounds, seconds=seconds)
            show(title, results, first=next(iter(results)) if name == "whole" else "stable-baselines3")
            keep(RESULTS, title, results, cores=os.cpu_count(), load=round(os.getloadavg()[0], 2))


if __name__ == "__main__":
    main()
