"""RlhfSAC beside Stable-Baselines3's SAC on well-known environments: equal steps, seeds, demonstrations and hindsight.

    python -m benchmarks.environments run --trials pendulum fetch_reach --seeds 200 201 202
    python -m benchmarks.environments table

Each run adds one line to benchmarks/results/environments.jsonl; those that are there already are left out, so that the
command can be given again. Needs gymnasium[mujoco], gymnasium-robotics and gym-hil, whose pins ask for an older MuJoCo
than ours: in a virtual environment of their own, with this repository on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from benchmarks.gymnasium_loop import GymnasiumLoop
from benchmarks.peers import experts
from robot_rlhf.bridges.algorithm import RlhfSAC
from robot_rlhf.bridges.buffer import DeviceReplayBuffer
from robot_rlhf.bridges.demonstrations import Demonstration
from robot_rlhf.bridges.hindsight import DeviceHerReplayBuffer
from robot_rlhf.bridges.settings import PLAIN_SAC, TAUGHT_SAC
from robot_rlhf_sim.gymnasium_robot import SUCCESS_KEYS
from robot_rlhf_sim.known_environments import facts_of

RESULTS = Path(__file__).parent / "results" / "environments.jsonl"
ALGORITHMS = ("ours", "sb3", "loop")
"""RlhfSAC; their SAC; and our own loop, where a success gives 1 and ends the episode: only for environments that tell
success. A success at any step counts for the loop, one in the last step for the others; its starts are its own."""
PACKAGES = {"Fetch": "gymnasium_robotics", "Adroit": "gymnasium_robotics", "gym_hil": "gym_hil"}
FIRST_TEST_SEED = 10_000
"""Starts of evaluation, apart from those of practice and demonstrations."""


@dataclass(frozen=True)
class Trial:
    """One environment, and how both learn it."""

    environment: str
    steps: int
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of gymnasium.make."""
    gamma: float = 0.99
    learning_rate: float = 3e-4
    hindsight: bool = False
    expert: experts.Expert | None = None
    demonstrations: int = 0
    return_bounds: tuple[float, float] | None = None
    """Returns that are possible, where that is known."""
    by_return: bool = False
    """Measured by return, not by success."""
    episodes: int = 20
    """Of each evaluation."""
    evaluations: int = 5


TRIALS = {
    "pendulum": Trial("Pendulum-v1", 5_000, learning_rate=1e-3, by_return=True),
    "fetch_reach": Trial("FetchReach-v4", 2_000, gamma=0.95, learning_rate=1e-3, hindsight=True),
    "fetch_pick": Trial(
        "FetchPickAndPlace-v4",
        10_000,
        gamma=0.95,
        learning_rate=1e-3,
        hindsight=True,
        expert=experts.fetch_pick,
        demonstrations=25,
        return_bounds=(-20.0, 0.0),
    ),
    "gym_hil": Trial(
        "gym_hil/PandaPickCube-v0",
        2_000,
        {"reset_delay_seconds": 0.0, "random_block_position": True},
        gamma=0.95,
        expert=experts.panda_pick,
        demonstrations=10,
        return_bounds=(-1.0, 1.0),
    ),
    "adroit_door": Trial("AdroitHandDoor-v1", 20_000),
    "half_cheetah": Trial("HalfCheetah-v5", 20_000, by_return=True, episodes=5),
    "hopper": Trial("Hopper-v5", 20_000, by_return=True, episodes=10),
}


def made(trial: Trial) -> gymnasium.Env[Any, Any]:
    """The environment, after the package that makes it known was imported."""
    for start, package in PACKAGES.items():
        if trial.environment.startswith(start):
            importlib.import_module(package)
    return gymnasium.make(trial.environment, **trial.options)


def succeeded(info: Mapping[str, Any]) -> bool:
    return bool(next((info[key] for key in SUCCESS_KEYS if key in info), False))


def shown(trial: Trial, seed: int) -> Iterator[Demonstration]:
    """Episodes of the trial's expert that succeed; they last as long as the environment lets them."""
    if trial.expert is None:
        return
    env = made(trial)
    start, kept = 1000 * seed, 0
    while kept < trial.demonstrations:
        seen, _ = env.reset(seed=start)
        start += 1
        told, actions, rewards = [seen], [], []
        over, terminated, success = False, False, False
        while not over:
            actions.append(trial.expert(seen))
            seen, reward, terminated, truncated, info = env.step(actions[-1])
            told.append(seen)
            rewards.append(float(reward))
            over, success = terminated or truncated, succeeded(info)
        if success:
            kept += 1
            observations = {key: np.stack([each[key] for each in told]) for key in seen}
            yield Demonstration(observations, np.stack(actions), np.array(rewards, np.float32), terminated)
    env.close()


def measured(model: OffPolicyAlgorithm, trial: Trial) -> float:
    """Mean return, or share of episodes that succeeded at their end, of the deterministic policy."""
    env, total = made(trial), 0.0
    for episode in range(trial.episodes):
        seen, _ = env.reset(seed=FIRST_TEST_SEED + episode)
        over, info = False, {}
        while not over:
            action, _ = model.predict(seen, deterministic=True)
            seen, reward, terminated, truncated, info = env.step(action)
            over = terminated or truncated
            total += float(reward) if trial.by_return else 0.0
        total += 0.0 if trial.by_return else float(succeeded(info))
    env.close()
    return total / trial.episodes


class Curve(BaseCallback):
    """Measures at even distances; the time that takes is not counted."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial
        self.points: list[tuple[int, float]] = []
        self.seconds = 0.0

    def _on_step(self) -> bool:
        if self.num_timesteps % (self.trial.steps // self.trial.evaluations) == 0:
            begun = time.monotonic()
            self.points.append((self.num_timesteps, round(measured(self.model, self.trial), 3)))  # pyright: ignore[reportArgumentType]  an OffPolicyAlgorithm
            self.seconds += time.monotonic() - begun
        return True


def policy_for(env: gymnasium.Env[Any, Any]) -> str:
    return "MultiInputPolicy" if isinstance(env.observation_space, gymnasium.spaces.Dict) else "MlpPolicy"


def ours(trial: Trial, env: gymnasium.Env[Any, Any], seed: int) -> RlhfSAC:
    facts = facts_of(env)
    return RlhfSAC(
        policy_for(env),
        env,
        learning_rate=trial.learning_rate,
        gamma=trial.gamma,
        replay_buffer_class=DeviceHerReplayBuffer if trial.hindsight else DeviceReplayBuffer,
        sac=replace(TAUGHT_SAC if trial.demonstrations else PLAIN_SAC, return_bounds=trial.return_bounds),
        gripper=facts.gripper,
        relative=facts.relative,
        normalised=True,
        demonstrations=shown(trial, seed),
        seed=seed,
        device="cpu",
    )


def theirs(trial: Trial, env: gymnasium.Env[Any, Any], seed: int) -> SAC:
    """Their SAC, with the same demonstrations in its replay buffer, which is all that it can be given."""
    model = SAC(
        policy_for(env),
        env,
        learning_rate=trial.learning_rate,
        gamma=trial.gamma,
        replay_buffer_class=HerReplayBuffer if trial.hindsight else None,
        learning_starts=100 if trial.demonstrations or not trial.hindsight else 200,  # theirs needs whole episodes
        seed=seed,
        device="cpu",
    )
    buffer = model.replay_buffer
    assert buffer is not None
    for each in shown(trial, seed):
        actions = model.policy.scale_action(each.actions)
        for step in range(len(each)):
            before, after = ({k: v[t][None] for k, v in each.by_key.items()} for t in (step, step + 1))
            last = step == len(each) - 1
            info = {"TimeLimit.truncated": last and not each.terminated}
            reward = np.array([each.rewards[step]])
            buffer.add(before, after, actions[step][None], reward, np.array([last]), [info])  # pyright: ignore[reportArgumentType]  dictionaries
    return model


def in_our_loop(trial: Trial, seed: int) -> dict[str, Any]:
    """Curve and seconds of practice in our own loop."""
    env = made(trial)
    assert env.spec is not None
    limit = env.spec.max_episode_steps
    assert limit is not None
    loop = GymnasiumLoop(lambda: made(trial), seed=seed, time_limit=limit, hindsight=trial.hindsight)
    if trial.expert is not None:
        loop.demonstrate(trial.demonstrations, trial.expert)
    seconds, points = 0.0, []
    for part in range(1, trial.evaluations + 1):
        begun = time.monotonic()
        loop.practise(trial.steps * part // trial.evaluations)
        seconds += time.monotonic() - begun
        points.append((trial.steps * part // trial.evaluations, round(loop.success_rate(trial.episodes), 3)))
    return {"curve": points, "seconds": round(seconds, 1)}


def as_algorithm(trial: Trial, algorithm: str, seed: int) -> dict[str, Any]:
    """Curve and seconds of an algorithm with the interface of Stable-Baselines3."""
    env = Monitor(made(trial))
    begun = time.monotonic()
    model = (ours if algorithm == "ours" else theirs)(trial, env, seed)
    curve = Curve(trial)
    model.learn(trial.steps, callback=curve)
    return {"curve": curve.points, "seconds": round(time.monotonic() - begun - curve.seconds, 1)}


def run(name: str, algorithm: str, seed: int, steps: int | None) -> dict[str, Any]:
    trial = TRIALS[name]
    if steps is not None:
        trial = replace(trial, steps=steps)
    torch.set_num_threads(1)
    found = in_our_loop(trial, seed) if algorithm == "loop" else as_algorithm(trial, algorithm, seed)
    return {
        "trial": name,
        "environment": trial.environment,
        "algorithm": algorithm,
        "seed": seed,
        "steps": trial.steps,
        "measure": "return" if trial.by_return else "success",
        "episodes": trial.episodes,
        **found,
        "versions": {p: version(p) for p in ("torch", "stable-baselines3", "gymnasium", "mujoco", "numpy")},
    }


def recorded(results: Path) -> list[dict[str, Any]]:
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return [json.loads(line) for line in lines]


def table(rows: list[dict[str, Any]]) -> None:
    """Last measure of each seed, side by side."""
    print(f"{'environment':26} {'steps':>6} {'measure':8} {'RlhfSAC (each seed)':28} {'SB3 SAC':28} our loop")
    for name, steps in dict.fromkeys((row["trial"], row["steps"]) for row in rows):
        mine = [row for row in rows if (row["trial"], row["steps"]) == (name, steps)]
        cells = [
            " ".join(
                f"{row['curve'][-1][1]:g}"
                for row in sorted(mine, key=lambda row: row["seed"])
                if row["algorithm"] == each
            )
            for each in ALGORITHMS
        ]
        print(f"{mine[0]['environment']:26} {steps:6} {mine[0]['measure']:8} {cells[0]:28} {cells[1]:28} {cells[2]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--trials", nargs="+", choices=tuple(TRIALS), default=list(TRIALS))
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[200, 201, 202])
    parser.add_argument("--steps", type=int, default=None, help="instead of the trial's own")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the rows")
    asked = parser.parse_args()
    if asked.what == "table":
        table(recorded(asked.results))
        return
    for seed in asked.seeds:
        for name in asked.trials:
            for algorithm in asked.algorithms:
                steps = asked.steps or TRIALS[name].steps
                key = (name, algorithm, seed, steps)
                if algorithm == "loop" and TRIALS[name].by_return:
                    continue
                if key in {(r["trial"], r["algorithm"], r["seed"], r["steps"]) for r in recorded(asked.results)}:
                    continue
                row = run(name, algorithm, seed, asked.steps)
                with asked.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(name, algorithm, seed, row["curve"], f"{row['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
