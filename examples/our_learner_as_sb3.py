"""Our learner trains any Gymnasium environment with continuous actions, as an algorithm of Stable-Baselines3."""

import tempfile
from pathlib import Path

import gymnasium
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from robot_rlhf.bridges.algorithm import RlhfSAC


def main(steps: int = 6_000, episodes: int = 20) -> float:
    """Train, keep the best, load it, and return its mean return."""
    with tempfile.TemporaryDirectory() as folder:
        watch = EvalCallback(
            make_vec_env("Pendulum-v1", seed=1), eval_freq=max(1, steps // 4), best_model_save_path=folder, verbose=0
        )
        model = RlhfSAC("MlpPolicy", "Pendulum-v1", learning_rate=1e-3, buffer_size=100_000, seed=0)
        model.learn(steps, callback=watch)
        best = RlhfSAC.load(Path(folder) / "best_model")
    mean, _ = evaluate_policy(best, Monitor(gymnasium.make("Pendulum-v1")), episodes)
    assert isinstance(mean, float)
    return mean


if __name__ == "__main__":
    print(f"mean return {main():.0f}")
