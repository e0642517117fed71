"""The written-out networks against torch's own modules."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from robot_rlhf.errors import ConfigError
from robot_rlhf.policy import products
from robot_rlhf.policy.mlp import ACTIVATIONS, ActivationName, mlp
from robot_rlhf.policy.networks import ActorHead, Critic, EnsembleLinear, EnsembleNorm, NetworkConfig, Shapes, layers_of


def network(members: int, sizes: tuple[int, ...], *, norm: bool) -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    modules: list[nn.Module] = []
    for size_in, size_out in itertools.pairwise(sizes):
        modules.append(EnsembleLinear(members, size_in, size_out, generator))
        if len(modules) // (3 if norm else 2) == len(sizes) - 2:
            break
        if norm:
            layer = EnsembleNorm(members, size_out)
            with torch.no_grad():
                layer.gain.uniform_(0.5, 1.5, generator=generator)
                layer.offset.uniform_(-0.5, 0.5, generator=generator)
            modules.append(layer)
        modules.append(nn.ReLU())
    return nn.Sequential(*modules)


def both(net: nn.Sequential, x: Tensor, *, half: bool) -> list[list[Tensor]]:
    """Output and all gradients, by modules and written out."""
    results: list[list[Tensor]] = []
    members = layers_of(net)[0].weight.shape[0]
    weight = torch.rand(members, len(x), 1, generator=torch.Generator().manual_seed(2))
    for written_out in (False, True):
        start = x.clone().requires_grad_(True)
        out = mlp(start, layers_of(net), half=half) if written_out else net(start.expand(members, *x.shape))
        loss = (out * weight).square().sum()
        results.append([out, *torch.autograd.grad(loss, [start, *net.parameters()])])
    return results


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("members", [1, 2, 5])
def test_in_float32_every_bit_is_the_modules(norm: bool, members: int) -> None:
    net = network(members, (7, 32, 16, 2), norm=norm)
    x = torch.randn(64, 7, generator=torch.Generator().manual_seed(1))
    theirs, ours = both(net, x, half=False)
    for a, b in zip(theirs, ours, strict=True):
        assert torch.equal(a, b)


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN")
@pytest.mark.parametrize("members", [1, 3])
def test_products_by_another_library_are_the_same_but_for_rounding(
    members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(members, (100, 96, 128, 2), norm=True)
    x = torch.randn(64, 100, generator=torch.Generator().manual_seed(1))
    asked: list[torch.Size] = []
    stack = torch.stack

    def counted(tensors: list[Tensor]) -> Tensor:
        asked.append(tensors[0].shape)
        return stack(tensors)

    monkeypatch.setattr(products.torch, "stack", counted)
    monkeypatch.setattr(products, "FOR_ONEDNN", True)
    monkeypatch.setattr(products, "LEAST_WORK", 64**3)
    theirs, ours = both(net, x, half=False)
    for a, b in zip(theirs, ours, strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=2e-4)
    assert bool(asked) == (members > 1), "the large ones go there"


@pytest.mark.parametrize("norm", [True, False])
def test_in_bfloat16_it_is_near(norm: bool) -> None:
    net = network(3, (7, 64, 64, 2), norm=norm)
    x = torch.randn(256, 7, generator=torch.Generator().manual_seed(1))
    theirs, ours = both(net, x, half=True)
    for a, b in zip(theirs, ours, strict=True):
        assert b.dtype == torch.float32
        assert float(((a - b).norm() / a.norm()).detach()) < 0.1


def test_detached_weights_get_no_gradient_and_inputs_do() -> None:
    net = network(2, (3, 8, 1), norm=True)
    x = torch.randn(5, 3, requires_grad=True)
    mlp(x, layers_of(net, detached=True)).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in net.parameters())


def test_the_critic_is_that_of_its_modules() -> None:
    critic = Critic(Shapes(3, 3, 2), NetworkConfig(hidden=(16, 16)), 3, torch.Generator().manual_seed(0))
    features, action = torch.randn(9, 3), torch.randn(9, 2)
    expected = critic.layers(torch.cat([features, action], dim=1).expand(2, 9, 5))
    assert torch.equal(critic(features, action), expected)
    critic.half_precision = True
    torch.testing.assert_close(critic(features, action), expected, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", [True, False])
def test_every_activation_is_that_of_the_modules(activation: ActivationName, norm: bool) -> None:
    config = NetworkConfig(hidden=(16, 16), activation=activation, critic_layer_norm=norm, actor_layer_norm=norm)
    critic = Critic(Shapes(3, 2, None), config, 3, torch.Generator().manual_seed(0))
    head = ActorHead(Shapes(3, 2, None), config, 3, torch.Generator().manual_seed(0))
    x = torch.randn(9, 5, generator=torch.Generator().manual_seed(1))
    expected = critic.layers(x.expand(2, 9, 5))
    out = critic(x[:, :3], x[:, 3:])
    torch.testing.assert_close(out, expected)
    assert all(type(module) is not torch.nn.ReLU for module in head.layers) or activation == "relu"
    gradients = [torch.autograd.grad(value.square().sum(), list(critic.parameters())) for value in (out, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
    calm = head(x[:, :3])
    critic.half_precision = head.half_precision = True
    torch.testing.assert_close(critic(x[:, :3], x[:, 3:]), expected, atol=0.05, rtol=0.05)
    torch.testing.assert_close(head(x[:, :3]).continuous.mode(), calm.continuous.mode(), atol=0.05, rtol=0.05)


def test_another_activation_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"network\.activation.*'swish'.*relu, tanh"):
        NetworkConfig(activation="swish")  # pyright: ignore[reportArgumentType]
