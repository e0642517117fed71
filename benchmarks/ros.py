"""The loop over ROS topics on this machine: learning, latency, faults; every node a process, DDS between them.

    python -m benchmarks.ros learn      pick_cube learned through topics only, beside the loop in one process
    python -m benchmarks.ros latency    from the stamp of an observation to the arrival of the command
    python -m benchmarks.ros faults     kill -9 of each process, stale joints, a frozen camera, a lost operator

Results are printed and appended to benchmarks/results/ros.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.ros_nodes import Graph, Watch, environment, last_change, wait_for
from robot_rlhf.datatypes import Command, Observation, RobotSpec, Step
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import read_journal
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.practice.robot import RobotPractice
from robot_rlhf.run.ring import open_ring
from robot_rlhf.run.settings import defaults_for, write_yaml
from robot_rlhf.runtime.exchange import read_news
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf_sim.arm import SimArm
from robot_rlhf_sim.graphics import prepare_graphics
from robot_rlhf_sim.place import SimPlace

RESULTS = Path(__file__).parent / "results" / "ros.jsonl"
TASK = "pick_cube"
CAMERAS = ["front", "wrist"]
RUN_TIMEOUT = 7_200.0


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("learn", "latency", "faults"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="runs of 'learn'")
    parser.add_argument("--steps", type=int, default=5_000, help="practice steps of 'learn'; of 'latency' 1,200")
    parser.add_argument("--episodes", type=int, default=100, help="unaided episodes of 'learn'")
    parser.add_argument("--trials", type=int, default=50, help="of each kind of 'faults'")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), help="of 'faults'")
    parser.add_argument("--only", choices=("ros", "one_process"), help="one side of 'learn' and 'latency'")
    parser.add_argument("--out", type=Path, default=None, help="folder of the runs; a temporary one by default")
    arguments = parser.parse_args(argv)
    sides = [arguments.only] if arguments.only else ["ros", "one_process"]
    with tempfile.TemporaryDirectory() as scratch:
        out = arguments.out or Path(scratch)
        if arguments.what == "learn":
            for seed in arguments.seeds:
                for side in sides:
                    report(LEARN[side](out / f"{side}-{seed}", seed, arguments.steps, arguments.episodes))
        elif arguments.what == "latency":
            for side in sides:
                report(LATENCY[side](out / f"latency-{side}", min(arguments.steps, 1_200)))
        else:
            for kind in arguments.kinds:
                report(faults(out / f"faults-{kind}", kind, arguments.trials))


def report(row: dict[str, Any]) -> None:
    """Print a result, and keep it."""
    row = {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), **environment(), **row}
    sys.stdout.write(json.dumps(row, indent=2) + "\n")
    sys.stdout.flush()
    with RESULTS.open("a") as file:
        file.write(json.dumps(row) + "\n")


# -- learning ----------------------------------------------------------------------------------------------------------


def learn_over_ros(out: Path, seed: int, steps: int, episodes: int) -> dict[str, Any]:
    """Stand-in robot, policy and learner in a process each; the simulated person at the gamepad of the first."""
    policy = {"seed": seed, "steps": steps, "evaluate": episodes}
    with Graph(out, TASK, {"seed": seed}, policy, "attentive") as graph:
        graph.start("robot_sim")
        code = graph.start("policy").wait(RUN_TIMEOUT)
    if code:
        raise RuntimeError(f"the policy node ended with code {code}; see {out}/policy.log")
    summary = json.loads((graph.run / "summary.json").read_text())
    kept = ("success_rate", "eval_successes", "eval_episodes", "wilson_low", "wilson_high", "cycle_steps")
    kept += ("minutes", "env_steps", "updates", "hands_on_minutes", "at_machine_minutes", "demonstrations")
    kept += ("period_p50_ms", "period_p99_ms", "period_overruns")
    return {"what": "learn", "side": "ros", "seed": seed, **{name: summary[name] for name in kept}}


def learn_in_one_process(out: Path, seed: int, steps: int, episodes: int) -> dict[str, Any]:
    """The asynchronous loop with the same settings: robot in the loop's process, learner in its own."""
    began = time.monotonic()
    command = [sys.executable, "-m", "robot_rlhf.apps.cli", "train", "--task", TASK, "--mode", "asynchronous"]
    command += ["--seed", str(seed), "--steps", str(steps), "--out", str(out), "--name", "run", "--quiet"]
    command += ["--evaluation.every", "0", "--evaluation.final-episodes", str(episodes), "--video-episodes", "0"]
    subprocess.run(command, check=True, timeout=RUN_TIMEOUT)
    summary = json.loads((out / "run" / "summary.json").read_text())
    return {
        "what": "learn",
        "side": "one_process",
        "seed": seed,
        **{name: summary[name] for name in ("success_rate", "eval_successes", "eval_episodes")},
        **{name: summary[name] for name in ("wilson_low", "wilson_high", "cycle_steps", "env_steps", "updates")},
        **{name: value for name, value in summary.items() if name.endswith(("seconds", "minutes"))},
        "whole_minutes": round((time.monotonic() - began) / 60.0, 2),
    }


LEARN: dict[str, Callable[..., dict[str, Any]]] = {"ros": learn_over_ros, "one_process": learn_in_one_process}


# -- latency -----------------------------------------------------------------------------------------------------------


def latency_over_ros(out: Path, steps: int) -> dict[str, Any]:
    """A third process pairs each command with the stamps of the observation it was made from, both as they arrive.

    Two cameras of 128x128 at 20 Hz are observed and recorded; the learner learns meanwhile.
    """
    sim = {"cameras": CAMERAS, "seed": 0}
    policy = {"cameras": CAMERAS, "steps": steps}
    with Graph(out, TASK, sim, policy, "attentive") as graph, Watch(graph.domain) as watch:
        graph.start("robot_sim")
        node = graph.start("policy")
        code = node.wait(RUN_TIMEOUT)
    if code:
        raise RuntimeError(f"the policy node ended with code {code}; see {out}/policy.log")
    times = [at for at, _ in watch.commands]
    found: dict[str, list[float]] = {"joint_states": [], **{f"{camera}/image_raw": [] for camera in CAMERAS}}
    next_command = 0
    for heard, step in watch.steps:
        while next_command < len(times) and times[next_command] < heard:
            next_command += 1
        if step["terminated"] or step["truncated"] or next_command == len(times):
            continue
        if times[next_command] - heard < 0.04:  # the command of the step that begins with this observation
            for topic, values in found.items():
                values.append(times[next_command] - step["stamps"][f"/{topic}"])
    summary = json.loads((graph.run / "summary.json").read_text())
    row: dict[str, Any] = {"what": "latency", "side": "ros", "commands": len(found["joint_states"])}
    for topic, values in found.items():
        row |= spread(topic.split("/")[0], values)
    kept = ("period_p50_ms", "period_p99_ms", "period_overruns", "updates")
    return row | {name: summary[name] for name in kept}


class TimedArm:
    """The simulated arm, noting how long after an observation's stamp each command comes."""

    def __init__(self, arm: SimArm) -> None:
        self._arm = arm
        self._stamp = 0.0
        self.latencies: list[float] = []

    @property
    def spec(self) -> RobotSpec:
        return self._arm.spec

    def observe(self) -> Observation:
        seen = self._arm.observe()
        self._stamp = seen.stamp
        return seen

    def send(self, command: Command) -> Command:
        self.latencies.append(self._arm.clock.now() - self._stamp)
        return self._arm.send(command)

    def stop(self) -> None:
        self._arm.stop()


def latency_in_one_process(out: Path, steps: int) -> dict[str, Any]:
    """The same session without topics: the stamp is taken before the pictures are rendered."""
    prepare_graphics()
    os.environ.setdefault("LP_NUM_THREADS", "0")  # as `robot-rlhf session` has it: pictures in the loop's own thread
    config = replace(defaults_for(TASK), mode="asynchronous", steps=steps, cameras=tuple(CAMERAS), out=out, name="run")
    evaluation = replace(config.evaluation, every=0, final_episodes=1)
    config = replace(config, evaluation=evaluation, video_episodes=0)
    folder = RunFolder.create(config.out, "run")
    write_yaml(config, folder.config)
    ring = open_ring(folder, config, resumed=False, quiet=True)
    practice = ring.practice
    assert isinstance(practice, RobotPractice)
    place, pace = practice.place, practice.pace
    assert isinstance(place, SimPlace)
    arm = TimedArm(place.arm)
    place.guard = GuardedRobot(arm, place.task.limits, place.clock)
    summary = ring.run()
    assert pace is not None
    row: dict[str, Any] = {"what": "latency", "side": "one_process", "commands": len(arm.latencies)}
    row |= spread("observation", arm.latencies)
    return row | spread("period", list(pace.recent)) | {"overruns": pace.overruns, "updates": summary["updates"]}


LATENCY: dict[str, Callable[..., dict[str, Any]]] = {"ros": latency_over_ros, "one_process": latency_in_one_process}


def spread(name: str, seconds: list[float]) -> dict[str, Any]:
    """Median, 99th percentile and maximum in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {f"{name}_p50_ms": None}
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {f"{name}_{p}_ms": round(1e3 * ordered[int(q * (len(ordered) - 1))], 2) for p, q in places.items()}


# -- faults ------------------------------------------------------------------------------------------------------------

KINDS = ("robot_killed", "policy_killed", "learner_killed", "stale_joints", "frozen_camera", "lost_operator")
MEANS: dict[str, dict[str, list[str]]] = {
    "stale_joints": {"silent": ["joint_states"]},
    "frozen_camera": {"frozen": ["front/image_raw"]},
    "lost_operator": {"silent": ["joy"]},
}
LIMITS_MS = {
    "robot_killed": 200 + 10 + 50,
    "policy_killed": 150 + 10 + 10,
    "learner_killed": 100 + 2 * 50 + 50,
    "stale_joints": 200 + 10 + 50,
    "frozen_camera": 300 + 50 + 10 + 50,
    "lost_operator": 350 + 20 + 2 * 50,
}
"""What is stated: age limit or timeout, a tick of the watchdog, and a control period, message or signal on its way."""
ENDS_BY_ITSELF = ("success", "failure", "time_limit")
STILL_FOR = 1.0
"""Seconds after which the command counts as zero for good."""


def faults(out: Path, kind: str, trials: int) -> dict[str, Any]:
    """Time from a fault, at a random moment of a motion, to the last change of what the robot is told to do.

    A simulated person demonstrates without end, so that something moves; the policy itself does for a killed learner.
    """
    rng = random.Random(KINDS.index(kind))
    practises = kind == "learner_killed"
    cameras = ["front"] if kind == "frozen_camera" else []
    policy: dict[str, Any] = {"cameras": cameras, "demonstrations": 5 if practises else 1000}
    policy |= {"learner": "spawn", "without_learner": "hold"} if practises else {"learner": "none", "steps": 0}
    out.mkdir(parents=True, exist_ok=True)
    if practises:
        settings = defaults_for(TASK)
        write_yaml(replace(settings, asynchronous=replace(settings.asynchronous, restarts=10_000)), out / "config.yaml")
        policy["config"] = str(out / "config.yaml")
    times: list[float] = []
    with Graph(out, TASK, {"cameras": cameras}, policy, "attentive") as graph, Watch(graph.domain) as watch:
        graph.start("robot_sim")
        graph.start("policy")
        while len(times) < trials:
            taken = _trial(kind, graph, watch, rng)
            if taken is None:
                sys.stderr.write(f"{kind}: the episode had just ended, once more\n")
                continue
            times.append(taken)
            sys.stderr.write(f"{kind} {len(times)}: {1e3 * taken:.0f} ms\n")
        told = set(watch.told)
    lost = told - recorded_steps(graph.run)
    row: dict[str, Any] = {"what": "faults", "kind": kind, "trials": trials, **spread("zero", times)}
    row |= {"mean_ms": round(1e3 * statistics.mean(times), 1), "stated_ms": LIMITS_MS[kind]}
    return row | {"steps_told": len(told), "steps_lost": len(lost)}


def _trial(kind: str, graph: Graph, watch: Watch, rng: random.Random) -> float | None:
    """One fault, its end, and how long it took until the command was zero; None where the episode had just ended, so
    that what is told afterwards is where the reset has put the robot."""
    wanted = "practice" if kind == "learner_killed" else "demonstration"
    before = time.time()

    def ready() -> bool:
        at, episode = watch.episodes[-1] if watch.episodes else (0.0, {})
        return at > before and episode.get("event") == "start" and episode.get("kind") == wanted

    wait_for(ready, f"an episode of {wanted}")
    time.sleep(rng.uniform(0.2, 0.7))
    wait_for(lambda: watch.moving, "motion")
    watch.commands[:-20] = []
    if kind in MEANS:
        at = watch.fault(**MEANS[kind])
    elif kind == "learner_killed":
        at = _kill_learner(graph)
    else:
        at = graph.nodes["policy" if kind == "policy_killed" else "robot_sim"].kill()
    time.sleep(STILL_FOR)
    by_itself = any(t > at and episode.get("outcome") in ENDS_BY_ITSELF for t, episode in watch.episodes)
    taken = None if by_itself else _time_to_zero(kind, watch, at)
    _mend(kind, graph, watch)
    return taken


def _time_to_zero(kind: str, watch: Watch, at: float) -> float:
    if kind == "policy_killed":  # nobody commands any more: the robot's own timeout counts
        wait_for(lambda: any(holds and t > at for t, holds in watch.holding), "the robot to hold still", 10.0)
        return next(t for t, holds in watch.holding if holds and t > at) - at
    changed = last_change(watch.commands, 1e-6)
    assert changed is not None
    if time.time() - changed < 0.3:
        raise RuntimeError(f"{kind}: the command still changes {time.time() - at:.2f} s after the fault")
    return max(0.0, changed - at)


def _kill_learner(graph: Graph) -> float:
    news = read_news(RunFolder(graph.run).exchange)
    assert news is not None
    now = time.time()
    subprocess.run(["kill", f"-{int(signal.SIGKILL)}", str(news.pid)], check=True)
    return now


def _mend(kind: str, graph: Graph, watch: Watch) -> None:
    """End the fault, and start again what was killed."""
    if kind in MEANS:
        watch.fault()
    elif kind == "robot_killed":
        graph.nodes["robot_sim"].restart()
    elif kind == "policy_killed":
        graph.nodes["policy"].restart()


def recorded_steps(run: Path) -> set[tuple[str, int]]:
    """Episode and number of every step in a run's journal."""
    found: set[tuple[str, int]] = set()
    episode = ""
    for record in read_journal(run / "journal", pictures=False):
        if isinstance(record, EpisodeStarted):
            episode = record.meta.id
        elif isinstance(record, Step):
            found.add((episode, record.index))
    return found


if __name__ == "__main__":
    main()
