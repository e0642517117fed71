"""Pictures of a batch, however they are made, against one picture at a time."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError, ReplayError
from robot_rlhf.replay.augment import augment, shift
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.memory import Bytes, bytes_free
from robot_rlhf.replay.pictures import (
    DTYPES,
    DevicePictures,
    Finish,
    HostPictures,
    PictureConfig,
    Pictures,
    PinnedPictures,
    normalise,
)
from tests.draws import draws

CPU = torch.device("cpu")
Dtype = Literal["uint8", "float32", "bfloat16"]


def unpinned(shape: tuple[int, int]) -> Tensor:
    return torch.empty(shape, dtype=torch.uint8)


def stores(capacity: int, size: tuple[int, int], config: PictureConfig) -> list[Pictures]:
    return [
        HostPictures(capacity, size, config),
        DevicePictures(capacity, size, Finish(size, DTYPES[config.dtype], None), CPU),
        PinnedPictures(capacity, size, Finish(size, DTYPES[config.dtype], None), CPU, unpinned),
    ]


def naive(image: np.ndarray[Any, Any], down: int, right: int) -> np.ndarray[Any, Any]:
    height, width, _ = image.shape
    lines = [min(max(y + down, 0), height - 1) for y in range(height)]
    return image[lines][:, [min(max(x + right, 0), width - 1) for x in range(width)]]


@draws(40)
@given(
    st.integers(1, 6), st.integers(1, 7), st.integers(1, 7), st.integers(0, 5), st.sampled_from([*DTYPES]), st.randoms()
)
def test_all_stores_equal_one_picture_at_a_time(
    capacity: int, height: int, width: int, pad: int, dtype: Dtype, random: Any
) -> None:
    rng = np.random.default_rng(random.randrange(2**32))
    images = rng.integers(0, 256, (capacity, height, width, 3), dtype=np.uint8)
    slots = rng.integers(0, capacity, 5)
    offsets = rng.integers(-pad, pad + 1, (2, 5), dtype=np.int32) if pad else None
    expected = np.stack(
        [naive(images[s], *(offsets[:, k] if offsets is not None else (0, 0))) for k, s in enumerate(slots)]
    )
    for store in stores(capacity, (height, width), PictureConfig(dtype, pad)):
        for slot in range(capacity):
            store.write(slot, images[slot] if slot % 2 else torch.as_tensor(images[slot]))
        assert torch.equal(store.stored(torch.as_tensor(slots)), torch.as_tensor(images[slots]))
        made = store.take(torch.as_tensor(slots), None if offsets is None else torch.as_tensor(offsets))
        assert made.dtype == DTYPES[dtype]
        assert made.permute(0, 3, 1, 2).is_contiguous(memory_format=torch.channels_last)
        if dtype == "uint8":
            np.testing.assert_array_equal(made.numpy(), expected)
        else:
            exact = torch.as_tensor(expected.astype(np.float64) / 255 - 0.5)
            step = 1e-7 if dtype == "float32" else 2.0**-9
            assert float((made.double() - exact).abs().max()) <= step


def test_a_batch_is_not_overwritten_while_it_is_held() -> None:
    """Staging blocks and the pool's memory are used again; what was handed out must stay."""
    for dtype in ("uint8", "float32"):
        for store in stores(4, (2, 2), PictureConfig(dtype)):
            for slot in range(4):
                store.write(slot, np.full((2, 2, 3), slot, np.uint8))
            taken = [store.take(torch.tensor([slot, slot]), None) for slot in (0, 1, 2, 3)]
            for slot, pictures in enumerate(taken):
                expected = normalise(torch.full((2, 2, 2, 3), slot, dtype=torch.uint8), DTYPES[dtype])
                torch.testing.assert_close(pictures, expected)


def filled(pictures: PictureConfig, n_step: int = 1, seed: int = 0) -> ReplayBuffer:
    """Wraps; each picture's pixels are smooth, so that a shifted one tells by how much."""
    buffer = ReplayBuffer(
        40,
        state_size=1,
        action_size=1,
        discount=0.9,
        cameras={"front": (9, 9), "wrist": (5, 6)},
        n_step=n_step,
        seed=seed,
        pictures=pictures,
    )
    rng = np.random.default_rng(0)

    def see(t: float) -> dict[str, np.ndarray[Any, Any]]:
        images = {
            name: rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            for name, size in (("front", (9, 9)), ("wrist", (5, 6)))
        }
        return {"state": np.array([t], np.float32), **images}

    for _ in range(6):
        buffer.begin(see(0))
        for t in range(9):
            buffer.add(np.zeros(1, np.float32), 1.0, t == 8, False, Source.POLICY, see(t + 1))
    return buffer


@pytest.mark.parametrize("n_step", [1, 3])
def test_shifted_batches_are_those_of_the_generator(n_step: int) -> None:
    """The rows drawn are followed by two offsets per picture: observation's, then next observation's, by camera."""
    plain, shifted = filled(PictureConfig(), n_step), filled(PictureConfig(shift=2), n_step)
    shifted.load_state(plain.state())
    raw = plain.sample(16)
    made = shifted.sample(16)
    generator = torch.Generator()
    generator.set_state(torch.as_tensor(plain.state()["generator"]))
    assert torch.equal(raw.index, made.index)
    for name in ("front", "wrist"):
        down, right = torch.randint(-2, 3, (2, 32), generator=generator, dtype=torch.int32)
        assert torch.equal(made.observation[name], shift(raw.observation[name], down[:16], right[:16]))
        assert torch.equal(made.next_observation[name], shift(raw.next_observation[name], down[16:], right[16:]))


def test_float_batches_are_the_pixels_normalised_and_gather_gives_the_pixels() -> None:
    plain, floats, half = (filled(PictureConfig(dtype)) for dtype in ("uint8", "float32", "bfloat16"))
    raw, single, low = plain.sample(8), floats.sample(8), half.sample(8)
    for name in ("front", "wrist"):
        expected = raw.next_observation[name].float().div(255.0).sub(0.5)
        torch.testing.assert_close(single.next_observation[name], expected, rtol=0, atol=1e-7)
        torch.testing.assert_close(low.next_observation[name].float(), expected, rtol=0, atol=2.0**-9)
        assert torch.equal(half.gather(low.index).observation[name], raw.observation[name])
    many = half.sample_many(2, 8)
    assert many[1].observation["front"].is_contiguous()
    assert many[1].observation["front"].dtype == torch.bfloat16


def test_settings_that_cannot_hold_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"shift -1 \(>= 0\)"):
        PictureConfig(shift=-1)
    with pytest.raises(ConfigError, match="float16"):
        PictureConfig("float16")  # pyright: ignore[reportArgumentType]  it must fail at run time too
    with pytest.raises(ConfigError, match="'pinned' needs a CUDA device, this buffer is on cpu"):
        filled(PictureConfig(where="pinned"))


def test_the_plan_says_what_lies_where() -> None:
    cameras = {"front": (128, 128), "wrist": (128, 128)}
    plan = ReplayBuffer.plan(1000, state_size=40, action_size=7, cameras=cameras)
    assert plan.pictures == Bytes(0, 98_304_000)
    assert plan.numbers == Bytes(0, 1000 * 4 * 52)
    assert plan.staging == Bytes(0, 0)
    assert plan.total.host == ReplayBuffer.bytes_needed(1000, state_size=40, action_size=7, cameras=cameras)
    on_gpu = ReplayBuffer.plan(1000, state_size=40, action_size=7, cameras=cameras, device="cuda")
    assert on_gpu.pictures == Bytes(98_304_000, 0)
    assert on_gpu.bookkeeping.device == 16_000
    pinned = ReplayBuffer.plan(
        1000,
        state_size=40,
        action_size=7,
        cameras=cameras,
        device="cuda",
        pictures=PictureConfig(where="pinned"),
        batch_size=10,
    )
    assert pinned.pictures == Bytes(0, 98_304_000)
    assert pinned.staging == Bytes(20 * 98_304, 40 * 98_304)
    lines = str(pinned).splitlines()
    assert lines[1].split() == ["GB", "cuda", "host"]
    assert [line.split()[0] for line in lines[2:]] == ["pictures", "numbers", "bookkeeping", "staging", "total"]
    free = bytes_free(CPU)
    assert free is not None
    with pytest.raises(ReplayError, match=r"GB on cpu, .* GB are free \(pictures 983\.04, numbers 2\.08"):
        ReplayBuffer(10_000_000, state_size=40, action_size=7, cameras=cameras, discount=0.9)


def test_shifting_a_learner_does_itself_equals_the_general_way() -> None:
    images = torch.randint(0, 256, (6, 7, 5, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    down, right = torch.tensor([0, 3, -3, 2, -1, 9]), torch.tensor([0, -2, 4, 0, -9, 1])
    general = shift(images.to(torch.int32), down, right)  # a type that has no faster way
    assert torch.equal(shift(images, down, right).int(), general)
    assert torch.equal(shift(images.float(), down, right).int(), general)
    leaf = images.float().requires_grad_()
    shift(leaf, down, right).sum().backward()
    assert leaf.grad is not None
    assert float(leaf.grad.sum()) == images.numel()
    batch = filled(PictureConfig()).sample(8)
    assert augment(batch, torch.Generator().manual_seed(1), 2).observation["front"].dtype == torch.uint8
