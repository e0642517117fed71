"""LeRobot's SAC: one update as its learner does it, its own sampling included; one decision; or its sampling alone.

python benchmarks/peers/lerobot_sac.py {update,act,sample} STATE ACTION BATCH HIDDEN [CAMERAS SIZE]
    [--device cuda] [--critics 10]
"""

from __future__ import annotations

import argparse

import lerobot
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.sac.configuration_sac import (
    ActorNetworkConfig,
    CriticNetworkConfig,
    SACConfig,
)
from lerobot.policies.sac.modeling_sac import SACPolicy
from lerobot.rl.buffer import ReplayBuffer
from serve import serve

STATE, IMAGE = "observation.state", "observation.image"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("update", "act", "sample"))
    parser.add_argument("numbers", type=int, nargs="+")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--critics", type=int, default=2)
    options = parser.parse_args()
    what, device = options.what, options.device
    state, action, batch, hidden, *rest = options.numbers
    cameras, size = rest or (0, 0)
    torch.set_num_threads(1)
    images = [f"{IMAGE}.camera{i}" for i in range(cameras)]
    inputs = {STATE: PolicyFeature(FeatureType.STATE, (state,))}
    inputs |= {name: PolicyFeature(FeatureType.VISUAL, (3, size, size)) for name in images}
    policy = SACPolicy(
        SACConfig(
            device=device,
            num_critics=options.critics,
            input_features=inputs,
            output_features={"action": PolicyFeature(FeatureType.ACTION, (action,))},
            critic_network_kwargs=CriticNetworkConfig(hidden_dims=[hidden, hidden]),
            actor_network_kwargs=ActorNetworkConfig(hidden_dims=[hidden, hidden]),
            use_torch_compile=False,
        )
    )
    policy.to(device).train()

    def observe() -> dict[str, torch.Tensor]:
        return {STATE: torch.randn(1, state), **{name: torch.rand(1, 3, size, size) for name in images}}

    if what == "act":
        seen = {name: value.to(device) for name, value in observe().items()}
        serve(lambda: policy.select_action(seen), lerobot.__version__)
        return
    buffer = ReplayBuffer(600, device=device, state_keys=[STATE, *images])
    for i in range(600):
        buffer.add(observe(), torch.rand(1, action), 0.0, observe(), i % 100 == 99, False)
    if what == "sample":
        serve(lambda: buffer.sample(batch), lerobot.__version__)
        return
    config = policy.config
    groups = policy.get_optim_params()
    adam = {
        "actor": torch.optim.Adam(groups["actor"], lr=config.actor_lr),
        "critic": torch.optim.Adam(groups["critic"], lr=config.critic_lr),
        "temperature": torch.optim.Adam([groups["temperature"]], lr=config.temperature_lr),
    }
    parameters = {
        "critic": list(policy.critic_ensemble.parameters()),
        "actor": list(policy.actor.parameters()),
        "temperature": [policy.log_alpha],
    }

    def update() -> None:
        drawn = buffer.sample(batch)
        forward = {
            "action": drawn["action"],
            "reward": drawn["reward"],
            "state": drawn["state"],
            "next_state": drawn["next_state"],
            "done": drawn["done"],
            "observation_feature": None,
            "next_observation_feature": None,
            "complementary_info": drawn["complementary_info"],
        }
        for model in ("critic", "actor", "temperature"):
            loss = policy.forward(forward, model=model)[f"loss_{model}"]
            adam[model].zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters[model], max_norm=config.grad_clip_norm)
            adam[model].step()
        policy.update_target_networks()
        if device == "cuda":
            torch.cuda.synchronize()

    serve(update, lerobot.__version__)


if __name__ == "__main__":
    main()
