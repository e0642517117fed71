"""The fused kernel against torch's operations, in Triton's interpreter, or on a GPU where there is one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_rlhf.replay.pictures import (
    DTYPES,
    DevicePictures,
    Finish,
    HostPictures,
    PictureConfig,
    Pictures,
    PinnedPictures,
    finish,
)

CASES = [(8, 8, 4), (5, 7, 4), (3, 2, 9), (16, 44, 2), (1, 1, 1), (9, 21, 8), (6, 6, 0), (20, 130, 4)]
"""Height, width, largest shift: lines of 4 k bytes and others, shifts larger than the picture, several programs."""
STEP = 2.0**-9
"""One step of bfloat16 just below 0.5, the largest in a normalised picture."""
FAR = 44_000
"""Pictures of 128 x 128 with more than 2 ** 31 bytes in all."""


EXPECTED = 3 * 9 * len(CASES)
"""Pictures that check() compares: three types, nine pictures per case."""


def check(device: str) -> int:
    """Compare all cases. Returns how many pictures were compared."""
    from robot_rlhf.replay import kernels

    generator = torch.Generator().manual_seed(0)
    compared = 0
    for height, width, pad in CASES:
        capacity, size = 6, (height, width)
        ring = torch.randint(0, 256, (capacity, 3 * height * width), generator=generator, dtype=torch.uint8).to(device)
        slots = torch.tensor([0, capacity - 1, 3, 3, 0, capacity - 1, 2, 1, 4], device=device)
        offsets = torch.randint(-pad, pad + 1, (2, len(slots)), generator=generator, dtype=torch.int32)
        offsets[:, :2] = torch.tensor([[-pad, pad], [-pad, pad]])  # both ends of the ring, moved beyond it
        offsets = offsets.to(device)
        for dtype, tolerance in ((torch.uint8, 0.0), (torch.float32, 1e-6), (torch.bfloat16, STEP)):
            made = kernels.take(ring, slots, offsets[0], offsets[1], size, dtype)
            expected = finish(ring.index_select(0, slots), offsets, size, dtype)
            assert made.dtype == dtype
            assert made.shape == (len(slots), height, width, 3)
            assert made.is_contiguous()
            wrong = (made.double() - expected.double()).abs().max()
            assert wrong <= tolerance, f"{size}, shift {pad}, {dtype}: off by {wrong}"
            compared += len(made)
    return compared


def check_stores() -> None:
    """Both stores of a GPU's buffer with the kernel, with and without shifts, against the CPU's."""
    from robot_rlhf.replay import kernels

    size, cpu = (5, 6), torch.device("cpu")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, *size, 3), dtype=np.uint8)
    slots = torch.tensor([3, 0, 0, 2, 1])
    offsets = torch.as_tensor(rng.integers(-2, 3, (2, len(slots)), dtype=np.int32))
    for dtype in ("uint8", "float32", "bfloat16"):
        done = Finish(size, DTYPES[dtype], kernels.take)
        stores: list[Pictures] = [
            HostPictures(4, size, PictureConfig(dtype, 2)),
            DevicePictures(4, size, done, cpu),
            PinnedPictures(4, size, done, cpu, lambda shape: torch.empty(shape, dtype=torch.uint8)),
        ]
        for store in stores:
            for slot, image in enumerate(images):
                store.write(slot, image)
        for moved in (None, offsets):
            expected, *made = (store.take(slots, moved) for store in stores)
            for pictures in made:
                torch.testing.assert_close(pictures, expected, rtol=0, atol=STEP if dtype == "bfloat16" else 1e-6)


def check_far(device: str) -> None:
    """The last picture of a ring whose offsets exceed 32 bits."""
    from robot_rlhf.replay import kernels

    ring = torch.empty((FAR, 3 * 128 * 128), dtype=torch.uint8, device=device)  # pages of the others stay untouched
    ring[-1] = torch.arange(ring.shape[1]).remainder(251).to(torch.uint8)
    slots, offsets = torch.tensor([FAR - 1], device=device), torch.tensor([[2], [-3]], dtype=torch.int32, device=device)
    made = kernels.take(ring, slots, offsets[0], offsets[1], (128, 128), torch.uint8)
    assert torch.equal(made, finish(ring[-1:], offsets, (128, 128), torch.uint8))


def compile_for_gpu() -> None:
    """For compute capability 9.0, whether there is such a GPU or not: whole words in, 8 or 16 bytes out at once."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from robot_rlhf.replay import kernels

    for kind, store in (("u8", "st.global.b32"), ("bf16", "st.global.v2.b32"), ("fp32", "st.global.v4.b32")):
        types = {"ring": "*u8", "slots": "*i64", "down": "*i32", "right": "*i32", "result": f"*{kind}"}
        constants = {"height": 128, "line": 384, "normal": kind != "u8", "lines": 8, "words": 128, "edge": 16}
        aligned = {(place,): [["tt.divisibility", 16]] for place in range(len(types))}
        source = ASTSource(kernels._take, {**types, **dict.fromkeys(constants, "constexpr")}, constants, aligned)
        code = compile(source, target=GPUTarget("cuda", 90, 32)).asm["ptx"]
        assert store in code
        assert code.count("ld.global.b32") >= 16
        assert "ld.shared" not in code


def run_in_own_process(work: str, **variables: str) -> str:
    """Triton reads its variables when it is imported, and cannot be loaded beside every renderer."""
    run = subprocess.run(
        [sys.executable, "-c", f"from tests.replay.test_kernels import *; {work}"],
        env={**os.environ, **variables, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no Triton")


@needs_triton
def test_the_kernel_equals_torch_in_the_interpreter() -> None:
    assert (
        int(run_in_own_process("check_far('cpu'); check_stores(); print(check('cpu'))", TRITON_INTERPRET="1"))
        == EXPECTED
    )


@needs_triton
def test_the_kernel_compiles_for_a_gpu(tmp_path: Path) -> None:
    run_in_own_process("compile_for_gpu()", TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_kernel_equals_torch_on_cuda() -> None:
    check_far("cuda")
    assert check("cuda") == EXPECTED
