"""The encoders: what they see, whose weights they take, and that frozen ones are seen with once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.policy.encoders import (
    FixedNorm,
    FrozenEncoder,
    ImageEncoder,
    ResidualTrunk,
    features_of,
    flat,
    load_trunk,
    make_trunk,
    normalised,
)
from robot_rlhf.policy.networks import Actor, NetworkConfig, Shapes


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def weights_of(trunk: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trunk.state_dict().items()}


@pytest.fixture
def resnet10(tmp_path: Path) -> Path:
    """A file of weights as a classifier has them."""
    trunk = make_trunk("resnet10", generator())
    weights = weights_of(trunk)
    weights |= {"fc.weight": torch.zeros(10, 512), "bn1.num_batches_tracked": torch.zeros((), dtype=torch.int64)}
    weights["bn1.running_mean"] += 0.1
    path = tmp_path / "resnet10.safetensors"
    save_file(weights, path)
    return path


def pictures(count: int, size: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, size, size, 3), generator=generator(), dtype=torch.uint8)


def test_normalised_pictures_are_taken_as_they_are() -> None:
    images = pictures(2, 32)
    seen = normalised(images)
    assert seen.shape == (2, 3, 32, 32)
    assert seen.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(seen[1, 2, 3, 4], images[1, 3, 4, 2] / 255.0 - 0.5)
    torch.testing.assert_close(normalised(images.float() / 255.0 - 0.5), seen)


def test_fixed_norm_is_batch_norm_in_evaluation() -> None:
    ours, theirs = FixedNorm(5), nn.BatchNorm2d(5).eval()
    for module in (ours, theirs):
        g = generator()
        for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
            assert tensor is not None
            with torch.no_grad():
                tensor.copy_(torch.rand(5, generator=g) + 0.5)
    x = torch.randn(3, 5, 4, 4, generator=generator())
    torch.testing.assert_close(ours(x), theirs(x))


def test_tensors_are_named_as_published_weights_name_them() -> None:
    names = set(make_trunk("resnet18", generator()).state_dict())
    assert len(names) == 100  # 20 convolutions and 20 normalisations of four tensors
    assert {"conv1.weight", "bn1.running_var", "layer1.1.conv2.weight", "layer4.0.downsample.1.bias"} <= names


@pytest.mark.parametrize(("kind", "millions"), [("resnet10", 4.9), ("resnet18", 11.2)])
def test_residual_networks_have_the_published_size(kind: str, millions: float) -> None:
    """ResNet-18 has 11.69 million parameters with its classifier of 513,000 (He et al. 2016, table 1)."""
    count = sum(p.numel() for p in make_trunk(kind, generator()).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_names_are_torchvisions() -> None:
    models = pytest.importorskip("torchvision.models")
    theirs = models.resnet18(weights=None).state_dict()
    ours = make_trunk("resnet18", generator())
    kept = {k: v for k, v in theirs.items() if not k.startswith("fc.") and "num_batches" not in k}
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in kept.items()}


@pytest.mark.parametrize("kind", ["conv", "resnet10", "resnet18"])
@pytest.mark.parametrize("size", [(48, 64), (128, 128)])
def test_every_encoder_learns_from_pictures_of_any_size(kind: str, size: tuple[int, int]) -> None:
    encoder = ImageEncoder(kind, size, 7, generator())
    images = torch.randint(0, 256, (2, *size, 3), generator=generator(), dtype=torch.uint8)
    out = encoder(images)
    assert out.shape == (2, 7)
    out.square().sum().backward()
    first = next(encoder.trunk.parameters())
    assert first.grad is not None
    assert bool(first.grad.abs().sum() > 0)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_pictures_may_have_other_channels_than_three(channels: int) -> None:
    encoder = ImageEncoder("conv", (16, 24), 7, generator(), channels=channels)
    images = torch.randint(0, 256, (2, 16, 24, channels), generator=generator(), dtype=torch.uint8)
    encoder(images).square().sum().backward()
    first = next(encoder.trunk.parameters())
    assert first.shape[1] == channels
    assert first.grad is not None
    assert bool((first.grad.abs().sum(dim=(0, 2, 3)) > 0).all())
    with pytest.raises(ConfigError, match=r"network\.encoder.*takes three"):
        ImageEncoder("resnet10", (48, 48), 7, generator(), channels=channels)


def test_weights_are_read_without_the_classifier(resnet10: Path, tmp_path: Path) -> None:
    trunk = make_trunk("resnet10", torch.Generator().manual_seed(7))
    load_trunk(trunk, resnet10)
    assert isinstance(trunk, ResidualTrunk)
    torch.testing.assert_close(trunk.bn1.running_mean, torch.full((64,), 0.1))
    as_torch_file = tmp_path / "weights.pth"
    torch.save({"state_dict": weights_of(trunk)}, as_torch_file)
    other = make_trunk("resnet10", torch.Generator().manual_seed(8))
    load_trunk(other, as_torch_file)
    x = normalised(pictures(1, 64))
    torch.testing.assert_close(trunk(x), other(x))


def test_wrong_weights_are_named(resnet10: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"lacks 'layer1\.1\.bn1\.bias'"):
        load_trunk(make_trunk("resnet18", generator()), resnet10)
    with pytest.raises(CheckpointError, match="no such file"):
        load_trunk(make_trunk("resnet18", generator()), tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(CheckpointError, match="not a file of weights"):
        load_trunk(make_trunk("resnet18", generator()), tmp_path / "text.safetensors")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(CheckpointError, match="not a file of weights"):
        load_trunk(make_trunk("resnet18", generator()), tmp_path / "text.pth")
    wrong = weights_of(make_trunk("resnet10", generator()))
    wrong["conv1.weight"] = torch.zeros(64, 4, 7, 7)
    save_file(wrong, tmp_path / "wrong.safetensors")
    with pytest.raises(CheckpointError, match=r"'conv1.weight' has shape \(64, 4, 7, 7\)"):
        load_trunk(make_trunk("resnet10", generator()), tmp_path / "wrong.safetensors")


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="encoder_weights"):
        NetworkConfig(encoder="resnet10", encoder_frozen=True)
    with pytest.raises(ConfigError, match="allowed conv, resnet10, resnet18"):
        make_trunk("vit", generator())
    with pytest.raises(ConfigError, match="needs 32 pixels"):
        features_of(make_trunk("resnet10", generator()), (24, 24))


def test_frozen_features_are_those_of_the_trunk(resnet10: Path) -> None:
    frozen = FrozenEncoder("resnet10", resnet10)
    trunk = make_trunk("resnet10", generator())
    load_trunk(trunk, resnet10)
    images = pictures(2, 96)
    with torch.no_grad():
        expected = flat(trunk(normalised(images)))
    assert frozen.size((96, 96)) == expected.shape[1]
    for image, features in zip(images, expected, strict=True):
        np.testing.assert_allclose(frozen(image.numpy()), features, atol=1e-5)


def test_a_frozen_camera_enters_the_network_like_a_learning_one(resnet10: Path) -> None:
    frozen = FrozenEncoder("resnet10", resnet10)
    size = frozen.size((64, 64))
    actor = Actor(Shapes(3, 2, None, frozen={"front": size}), NetworkConfig(hidden=(8,)), generator())
    features = torch.as_tensor(frozen(pictures(1, 64)[0].numpy()))
    out = actor({"state": torch.cat([torch.zeros(3), features]).unsqueeze(0)})
    assert out.continuous.mode().shape == (1, 2)
    other = actor({"state": torch.cat([torch.zeros(3), features.flip(0)]).unsqueeze(0)})
    assert not torch.equal(out.continuous.mode(), other.continuous.mode())
