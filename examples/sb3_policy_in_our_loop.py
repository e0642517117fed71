"""A policy of Stable-Baselines3 drives the robot in our control loop: guard, person and journal as for any other."""

from stable_baselines3 import SAC

from robot_rlhf.apps.environments import make_environment
from robot_rlhf.bridges.policy import StableBaselinesPolicy
from robot_rlhf.policy.features import Features
from robot_rlhf.run.build import build_station, open_place
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.runtime.evaluation import Evaluation, evaluate
from robot_rlhf.timing import FakeClock


def main(steps: int = 20_000, episodes: int = 20) -> Evaluation:
    """Train outside, run inside."""
    model = SAC("MlpPolicy", make_environment("reach", reward="gold"), gamma=0.97, seed=0, device="cpu")
    model.learn(steps)
    config = defaults_for("reach")
    world = open_place(config, FakeClock())
    station = build_station(config, world)
    station.policy = StableBaselinesPolicy(model, Features(world.spec, config.features))
    return evaluate(station, episodes=episodes, seed=0)


if __name__ == "__main__":
    result = main()
    print(f"success rate {result.success_rate:.0%}, 95 % interval {result.interval}")
