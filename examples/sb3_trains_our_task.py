"""Stock Stable-Baselines3 SAC learns one of our tasks, through its Gymnasium environment."""

import gymnasium
from stable_baselines3 import SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

import robot_rlhf.apps.environments  # noqa: F401  makes the names known


def main(steps: int = 20_000, episodes: int = 20) -> float:
    """Train from the true reward, evaluate on success; returns the success rate."""
    model = SAC("MlpPolicy", gymnasium.make("robot_rlhf/Reach-v0", reward="gold"), gamma=0.97, seed=0, device="cpu")
    model.learn(steps)
    successes: list[bool] = []

    def note(told: dict, _: dict) -> None:
        if told["done"]:
            successes.append(told["info"]["is_success"])

    evaluate_policy(model, Monitor(gymnasium.make("robot_rlhf/Reach-v0")), episodes, callback=note)
    return sum(successes) / len(successes)


if __name__ == "__main__":
    print(f"success rate {main():.0%}")
