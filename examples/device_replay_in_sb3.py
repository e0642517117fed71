"""Stock Stable-Baselines3 SAC from pictures, with replay that keeps each frame once, on the learner's device."""

from stable_baselines3 import SAC
from stable_baselines3.common.env_util import make_vec_env

from robot_rlhf.apps.environments import make_environment
from robot_rlhf.bridges.buffer import DeviceReplayBuffer


def main(steps: int = 50_000, buffer_size: int = 50_000, image_size: int = 64) -> int:
    """Train on two environments at once; returns the bytes of the replay."""
    env = make_vec_env(lambda: make_environment("reach", cameras=("front",), image_size=image_size), n_envs=2, seed=0)
    model = SAC(
        "MultiInputPolicy",
        env,
        buffer_size=buffer_size,
        gamma=0.97,
        seed=0,
        replay_buffer_class=DeviceReplayBuffer,
    )
    model.learn(steps)
    replay = model.replay_buffer
    assert isinstance(replay, DeviceReplayBuffer)
    return replay.bytes_needed


if __name__ == "__main__":
    print(f"{main() / 1e6:.0f} MB of replay")
