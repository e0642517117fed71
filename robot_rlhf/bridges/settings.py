"""What a call of Stable-Baselines3's SAC asks for, as settings of our learner; what it cannot do is refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

import torch
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.learner.state import BETAS, EPSILON
from robot_rlhf.policy.mlp import ACTIVATIONS
from robot_rlhf.policy.networks import NetworkConfig
from robot_rlhf.ranges import RATE

PLAIN_SAC = SacConfig(
    temperature=1.0,
    temperature_steady=True,
    backup_entropy=True,
    actor_every=1,
    return_bounds=None,
    cloning_weight=0.0,
    cloning_weight_end=0.0,
    encoder_cloning=0.0,
    average_rate=1.0,
)
"""Soft actor-critic as published (Haarnoja et al. 2018), for dense rewards of any size and nobody to imitate. The
learner's own defaults are for a sparse reward with demonstrations: returns clipped to [-1, 1], a temperature of 0.01
(from 1.0 the entropy bonus drowns a sparse reward; from 0.01 a dense one is explored too little), imitation, and an
averaged actor."""
TAUGHT_SAC = replace(
    PLAIN_SAC,
    temperature=0.05,
    backup_entropy=False,
    cloning_weight=20.0,
    cloning_weight_end=5.0,
    cloning_updates=20_000,
    average_rate=0.005,
)
"""For who has demonstrations to imitate: less exploration, imitation that weighs much and fades, an averaged actor. Its
weights are for returns of tens, as -1 per step gives; returns that are possible, where known, go into return_bounds."""
OF_GSDE = ("log_std_init", "use_expln", "clip_mean")
"""Arguments of their policies that state-dependent exploration alone reads."""
LATENT_NAMES = ("features_dim", "cnn_output_dim")
"""What their extractors call the length of the vector that a picture becomes."""
OWN_ADAM: Mapping[str, Any] = {"betas": BETAS, "eps": EPSILON, "weight_decay": 0.0, "amsgrad": False}
"""Adam as the learner has it."""


class PolicyKwargs(TypedDict, total=False):
    """The arguments of Stable-Baselines3's SACPolicy, as `policy_kwargs` names them."""

    net_arch: Sequence[int] | Mapping[str, Sequence[int]] | None
    activation_fn: type[nn.Module]
    use_sde: bool
    log_std_init: float
    use_expln: bool
    clip_mean: float
    features_extractor_class: type[nn.Module]
    features_extractor_kwargs: Mapping[str, Any] | None
    normalize_images: bool
    optimizer_class: type[torch.optim.Optimizer]
    optimizer_kwargs: Mapping[str, Any] | None
    n_critics: int
    share_features_extractor: bool


def network_of(asked: PolicyKwargs, own: NetworkConfig | None, *, pictures: bool) -> NetworkConfig:
    """The networks that `policy_kwargs` ask for.

    Args:
        own: what the others are changed in; None for the defaults, without LayerNorm where `net_arch` is asked for.
        pictures: the observations have some.

    Raises:
        ConfigError: what our networks cannot be; names the argument, what is allowed, and why.
        UnknownNameError: no argument of SACPolicy.
    """
    for name in asked:
        if name not in PolicyKwargs.__annotations__:
            raise UnknownNameError("policy_kwargs", name, PolicyKwargs.__annotations__)
    _check_gsde(asked)
    _check_optimizer(asked)
    _check_extractor(asked, pictures=pictures)
    network = own or NetworkConfig()
    if (arch := asked.get("net_arch")) is not None:
        network = _with_layers(network, arch)
        if own is None:  # networks as theirs, then
            network = replace(network, critic_layer_norm=False, actor_layer_norm=False)
    if (function := asked.get("activation_fn")) is not None:
        network = _with_activation(network, function)
    if (critics := asked.get("n_critics")) is not None:
        network = replace(network, critics=critics)
    for value in (asked.get("features_extractor_kwargs") or {}).values():
        network = replace(network, image_latent=value)
    return network


def learning_of(own: SacConfig, *, rate: Any, tau: float, entropy: str | float, target: str | float) -> SacConfig:
    """The settings of learning that the arguments of SAC ask for.

    Args:
        own: what they change.
        rate: learning_rate; a schedule is the algorithm's business, and changes nothing here.
        entropy: ent_coef: 'auto' begins at own.temperature, 'auto_0.1' at 0.1, a number stays.
        target: target_entropy; 'auto' leaves own.target_entropy.

    Raises:
        ConfigError: outside the ranges of our settings, or a schedule beside own.learning_rate_end.
    """
    if isinstance(rate, int | float):
        if rate < 0.0:
            raise ConfigError(f"learning_rate: got {rate}, allowed: 0 or more")
        own = replace(own, learning_rate=float(rate)) if rate in RATE else own  # what is not, the algorithm hands on
    elif own.learning_rate_end is not None:
        raise ConfigError("learning_rate: got a schedule beside sac.learning_rate_end; allowed: one of the two")
    if tau:
        own = replace(own, target_rate=tau)
    if target != "auto":
        own = replace(own, target_entropy=_number("target_entropy", target))
    if entropy == "auto":
        return own
    if isinstance(entropy, str) and entropy.startswith("auto_"):
        return replace(own, temperature=_number("ent_coef", entropy[5:]), temperature_fixed=False)
    return replace(own, temperature=_number("ent_coef", entropy), temperature_fixed=True)


def _number(name: str, value: str | float) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ConfigError(f"{name}: got {value!r}, allowed: 'auto', 'auto_0.1' for ent_coef, or a number") from error


def _check_gsde(asked: PolicyKwargs) -> None:
    if asked.get("use_sde"):
        raise ConfigError("policy_kwargs.use_sde: got True, allowed False; the actor explores by its head alone")
    for name in OF_GSDE:
        if name in asked:
            raise ConfigError(f"policy_kwargs.{name}: allowed to leave out; it belongs to use_sde, which is refused")


def _check_optimizer(asked: PolicyKwargs) -> None:
    kind: type[torch.optim.Optimizer] = asked.get("optimizer_class", torch.optim.Adam)
    if kind not in (torch.optim.Adam, torch.optim.AdamW):
        raise ConfigError(f"policy_kwargs.optimizer_class: got {kind.__name__}, allowed Adam; its step is written out")
    given = {"weight_decay": 0.01} if kind is torch.optim.AdamW else {}
    given |= asked.get("optimizer_kwargs") or {}
    for name, value in given.items():
        if name not in OWN_ADAM or value != OWN_ADAM[name]:
            allowed = ", ".join(f"{key} {constant}" for key, constant in OWN_ADAM.items())
            raise ConfigError(f"policy_kwargs.optimizer_kwargs: got {name} {value}, allowed Adam with {allowed}")


def _check_extractor(asked: PolicyKwargs, *, pictures: bool) -> None:
    kind = asked.get("features_extractor_class")
    if kind is not None and (pictures or kind is not FlattenExtractor):
        raise ConfigError(
            f"policy_kwargs.features_extractor_class: got {kind.__name__}, allowed to leave out, or FlattenExtractor "
            "where there are no pictures; pictures are seen by network.encoder, which the critics train"
        )
    kwargs = asked.get("features_extractor_kwargs") or {}
    if not set(kwargs) <= set(LATENT_NAMES) or len(kwargs) > 1:
        raise ConfigError(
            f"policy_kwargs.features_extractor_kwargs: got {sorted(kwargs)}, allowed one of {', '.join(LATENT_NAMES)}"
        )
    if pictures and asked.get("share_features_extractor") is False:
        raise ConfigError(
            "policy_kwargs.share_features_extractor: got False, allowed True; one encoder serves actor and critics"
        )


def _with_layers(network: NetworkConfig, arch: Sequence[int] | Mapping[str, Sequence[int]]) -> NetworkConfig:
    if not isinstance(arch, Mapping):
        arch = {"pi": arch, "qf": arch}
    if set(arch) != {"pi", "qf"} or not all(arch.values()):
        raise ConfigError(
            f"policy_kwargs.net_arch: got {dict(arch)}, allowed: hidden layers, one at least, of pi and qf"
        )
    return replace(network, hidden=tuple(arch["pi"]), critic_hidden=tuple(arch["qf"]))


def _with_activation(network: NetworkConfig, function: type[nn.Module]) -> NetworkConfig:
    for name, known in ACTIVATIONS.items():
        if known is function:
            return replace(network, activation=name)
    allowed = ", ".join(known.__name__ for known in ACTIVATIONS.values())
    raise ConfigError(f"policy_kwargs.activation_fn: got {function!r}, allowed {allowed}")
