"""How fast pick_cube simulates and renders on one core, beside gym-hil's PandaPickCube in the same run.

    python benchmarks/simulation.py                              # ours alone
    python benchmarks/simulation.py --peer-python PEER/bin/python  # and the peer
    python benchmarks/simulation.py --arms 1 2 4                 # and whole runs, with so many arms in parallel

The peer needs an older MuJoCo, so it lives in an environment of its own:

    python3.11 -m venv PEER && PEER/bin/pip install gym-hil 'mujoco<3.9'

Both draw random actions, reset at the end of an episode, and are timed by the CPU seconds of their process, one thread,
software OpenGL where no GPU is used. State: simulated seconds per CPU second. Cameras: pictures (front and wrist,
128x128) per CPU second with the physics running. Median of five repetitions, and their range.

Whole runs (policy, simulated person, guard and journal included): practice steps per second of wall time, one by one,
synchronous beside parallel; from state, and with two cameras of 64x64 and 128x128 that the policy sees. Without updates
the arms alone count; with --updates-per-step the learner does, too, on batches of --batch-size. The steps after the
first fifth make five windows of equal length; median and range of their rates.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from robot_rlhf.datatypes import Action, Command
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.settings import TrainConfig, defaults_for
from robot_rlhf.run.train import train
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.tasks import PickCube

REPEATS = 5
CAMERAS = {"front": (128, 128), "wrist": (128, 128)}

PEER = """
import json, os, sys, time
os.environ.setdefault("MUJOCO_GL", "egl")
import gymnasium as gym, numpy as np
import gym_hil
from importlib.metadata import version

def measure(images, steps, repeats):
    env = gym.make("gym_hil/PandaPickCubeBase-v0", image_obs=images, random_block_position=True)
    base = env.unwrapped
    env.reset(seed=0)
    env.action_space.seed(0)
    rates = []
    for repeat in range(repeats + 1):
        begin = time.process_time()
        for _ in range(steps):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()
        seconds = time.process_time() - begin
        if repeat:  # the first warms up
            rates.append(2 * steps / seconds if images else steps * base.control_dt / seconds)
    return rates

json.dump({
    "state": measure(False, 60, int(sys.argv[1])),
    "cameras": measure(True, 2, int(sys.argv[1])),
    "versions": {name: version(name) for name in ("gym-hil", "mujoco")},
}, sys.stdout)
"""


def measure_ours(cameras: bool, guarded: bool, steps: int) -> list[float]:
    """Rates of REPEATS repetitions: simulated seconds, or pictures, per CPU second."""
    clock = FakeClock()
    task = PickCube(clock, CAMERAS if cameras else None)
    guard = GuardedRobot(task.arm, task.limits, clock)
    rng = np.random.default_rng(0)
    actions = [Action(values) for values in rng.uniform(-1.0, 1.0, (steps, 5)).astype(np.float32)]
    moves = [action.values[:3] * task.arm.spec.action.scale[:3] for action in actions]
    target = np.array([0.5, 0.0, 0.15, 0.0, 1.0, 0.0, 0.0, 1.0])
    rates = []
    for repeat in range(REPEATS + 1):
        begin = time.process_time()
        for k, action in enumerate(actions):
            if k % task.time_limit == 0:
                task.reset(rng)
                guard.anchor()
            if guarded:
                guard.act(action)
                guard.observe()
            else:
                target[:3] = np.clip(target[:3] + moves[k], task.limits.workspace_lower, task.limits.workspace_upper)
                target[7] = float(action.values[4] >= 0.0)
                task.arm.send(Command(target, clock.now() + 1.0))
                task.arm.observe()
        seconds = time.process_time() - begin
        if repeat:  # the first warms up
            rates.append((len(CAMERAS) * steps if cameras else steps * task.arm.spec.control_period) / seconds)
    task.arm.close()
    return rates


def run_config(out: Path, size: int, steps: int, updates_per_step: float, batch_size: int) -> TrainConfig:
    """A run of pick_cube that only practises. Args: size: of the pictures; 0 for none."""
    base = defaults_for("pick_cube")
    cameras = tuple(CAMERAS) if size else ()
    return replace(
        base,
        out=out,
        steps=steps,
        demonstrations=2,
        cameras=cameras,
        image_size=size or base.image_size,
        features=replace(base.features, cameras=cameras),
        trainer=replace(
            base.trainer,
            updates_per_step=updates_per_step,
            batch_size=batch_size,
            warm_start_updates=5,
            warm_critic_updates=5,
        ),
        replay=replace(base.replay, rows=max(2 * steps, 2_000)),
        evaluation=replace(base.evaluation, every=0, final_episodes=1),
        video_episodes=0,
    )


def measure_run(config: TrainConfig) -> list[float]:
    """Practice steps per second in REPEATS windows of a run, as its TensorBoard file has them."""
    train(config, quiet=True)
    (path,) = config.out.iterdir()
    events = EventAccumulator(str(RunFolder(path).tensorboard), size_guidance={"scalars": 0}).Reload()
    ends = events.Scalars("practice/human_share")
    steps, seconds = np.array([end.step for end in ends]), np.array([end.wall_time for end in ends])
    marks = np.linspace(config.steps / 5, steps[-1], REPEATS + 1)
    return (np.diff(marks) / np.diff(np.interp(marks, steps, seconds))).tolist()


def measure_runs(
    arms: Sequence[int], updates_per_step: float, batch_size: int, steps: int, sizes: Sequence[int]
) -> dict[str, list[float]]:
    """Practice steps per second by row."""
    rows: dict[str, list[float]] = {}
    for size in sizes:
        what = f"2 cameras {size}x{size}" if size else "state"
        for count in (0, *arms):
            with tempfile.TemporaryDirectory() as folder:
                config = run_config(Path(folder), size, steps, updates_per_step, batch_size)
                name = f"{count} arms in parallel" if count else "synchronous"
                mode = replace(config, mode="parallel", arms=count) if count else config
                rows[f"run, {what}, {updates_per_step:g} updates per step, {name}"] = measure_run(mode)
    return rows


def line(what: str, rates: list[float]) -> str:
    return f"{what:<66} {statistics.median(rates):8.1f}   ({min(rates):.1f} to {max(rates):.1f})"


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Print the table; returns the rates by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="python of an environment with gym-hil and mujoco < 3.9")
    parser.add_argument("--steps", type=int, default=1000, help="control periods per repetition from state")
    parser.add_argument("--arms", type=int, nargs="+", default=[], help="measure whole runs, with so many arms each")
    parser.add_argument("--updates-per-step", type=float, nargs="+", default=[0.0], help="of those runs")
    parser.add_argument("--batch-size", type=int, default=64, help="of those runs")
    parser.add_argument("--run-steps", type=int, default=3000, help="practice steps of those runs")
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 64, 128], help="of their pictures; 0: from state")
    options = parser.parse_args(arguments)
    for name in ("OMP_NUM_THREADS", "LP_NUM_THREADS"):
        os.environ[name] = "1"  # the renderer and the peer start after this
    print(f"{platform.machine()}, Python {platform.python_version()}, mujoco {version('mujoco')}, one thread")
    rows = {
        "pick_cube, state: simulated s per CPU s (send + observe)": measure_ours(False, False, options.steps),
        "pick_cube, state: the same through the guard": measure_ours(False, True, options.steps),
        "pick_cube, 2 cameras: pictures per CPU s": measure_ours(True, True, max(options.steps // 5, 1)),
    }
    for updates in options.updates_per_step if options.arms else ():
        rows |= measure_runs(options.arms, updates, options.batch_size, options.run_steps, options.sizes)
    if options.peer_python:
        done = subprocess.run(
            [options.peer_python, "-c", PEER, str(REPEATS)], capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            sys.exit(f"--peer-python {options.peer_python}: {done.stderr.strip().splitlines()[-1]}")
        peer = json.loads(done.stdout[done.stdout.index("{") :])
        name = "gym-hil {gym-hil}, mujoco {mujoco}".format(**peer["versions"])
        rows[f"{name}, state: simulated s per CPU s"] = peer["state"]
        rows[f"{name}, 2 cameras: pictures per CPU s"] = peer["cameras"]
    for what, rates in rows.items():
        print(line(what, rates))
    if options.peer_python:
        medians = [statistics.median(rates) for rates in rows.values()]
        print(f"ours / theirs: state {medians[0] / medians[-2]:.1f}x, pictures {medians[2] / medians[-1]:.1f}x")
    return rows


if __name__ == "__main__":
    main()
