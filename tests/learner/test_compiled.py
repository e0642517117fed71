"""Compiled updates: the eager ones but for rounding, and the eager ones themselves where nothing can be compiled."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from robot_rlhf.learner.compiled import Compiled, Work
from robot_rlhf.learner.given import Noise, as_given, from_given
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.learner.state import AdamState
from robot_rlhf.policy import products
from robot_rlhf.policy.networks import NetworkConfig, Shapes
from robot_rlhf.policy.vectors import Difference
from tests.learner.test_sac import SHAPES, SMALL, batch_of

ALWAYS = SacConfig(actor_every=1, learning_rate_end=1e-4, learning_rate_updates=4)
"""One kind of update, so one compilation; with a learning rate that changes."""


def learner_of(config: SacConfig, *, shapes: Shapes = SHAPES, network: NetworkConfig = SMALL) -> SacLearner:
    return SacLearner(shapes, network, config, seed=0)


def compiled(config: SacConfig) -> SacConfig:
    return dataclasses.replace(config, compiled=True)


def assert_near(ours: SacLearner, theirs: SacLearner, *, atol: float) -> None:
    a, b = ours.state(), theirs.state()
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=atol, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


def really_compiled(learner: SacLearner) -> bool:
    work = learner._compiled  # pyright: ignore[reportPrivateUsage]
    return work is not None and not work.fails and bool(work._runs)  # pyright: ignore[reportPrivateUsage]


def regression(seed: int) -> tuple[Compiled, Work, list[torch.nn.Parameter]]:
    """A step of Adam on a linear model: compiled, as it is written, and what both change."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.nn.Parameter(torch.randn(3, generator=generator))
    adam = AdamState([weight], 1e-2)

    def work(given: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        loss = (given["x"] @ weight - given["y"]).square().mean()
        adam.step(loss)
        return {"loss": loss.detach()}

    def written_out(on: bool) -> None:
        adam.written_out = on

    return Compiled(work, adam.held(), written_out), work, [weight]


def test_compiled_work_is_the_eager_work() -> None:
    (compiled, _, ours), (_, work, theirs) = regression(0), regression(0)
    for step in range(4):
        given = {"x": batch_of(8, step).action, "y": batch_of(8, step).reward}
        torch.testing.assert_close(compiled(given)["loss"], work(given)["loss"], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-6, rtol=1e-5)
    assert not torch.equal(ours[0], regression(0)[2][0])
    assert not compiled.fails


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compiled_updates_are_the_eager_ones_and_checkpoints_fit_both() -> None:
    eager, first, second = learner_of(ALWAYS), learner_of(compiled(ALWAYS)), learner_of(compiled(ALWAYS))
    for step in range(5):
        batch = batch_of(32, step)
        expected, got = eager.update(batch), first.update(batch)
        second.update(batch)
        assert got.keys() == expected.keys()
        for name in expected:
            torch.testing.assert_close(
                got[name], expected[name], atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
            )
    assert really_compiled(first)
    assert_near(first, eager, atol=1e-5)
    a, b = first.state(), second.state()
    assert all(torch.equal(a[name], b[name]) for name in a)  # the same twice, to the bit

    eager.load_state(first.state())
    first.load_state(eager.state())
    for learner in (eager, first):
        learner.update(batch_of(32, 9))
    assert_near(first, eager, atol=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN")
def test_updates_with_products_by_onednn_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "FOR_ONEDNN", True)
    monkeypatch.setattr(products, "LEAST_WORK", 64**3)
    wide = NetworkConfig(hidden=(96, 96))
    eager, ours = learner_of(ALWAYS, network=wide), learner_of(compiled(ALWAYS), network=wide)
    for step in range(4):
        for learner in (eager, ours):
            learner.update(batch_of(128, step))
    assert really_compiled(ours)
    assert_near(ours, eager, atol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("shapes", "network", "changes"),
    [
        (Shapes(3, 3, None), NetworkConfig(hidden=(32, 32), critics=4), {"backup_entropy": True}),
        (SHAPES, SMALL, {"precision": "bfloat16"}),
        (SHAPES, SMALL, {"imitators": 3, "caution": 1.0}),
        (Shapes(3, 3, 2, {"front": (32, 32)}), SMALL, {}),
        (Shapes(3, 3, 2, {}, {"front": 64}), SMALL, {}),
        (Shapes(3, 3, 2, relative=(Difference(0, 1, 2),), normalised=True), SMALL, {}),
    ],
    ids=["subset", "bfloat16", "imitators", "pictures", "frozen", "normalised"],
)
def test_every_kind_of_update_compiles(shapes: Shapes, network: NetworkConfig, changes: dict[str, Any]) -> None:
    config = dataclasses.replace(SacConfig(), **changes)
    eager = learner_of(config, shapes=shapes, network=network)
    ours = learner_of(compiled(config), shapes=shapes, network=network)
    half = config.precision == "bfloat16"
    width = dataclasses.replace(shapes, state=shapes.state + sum(shapes.frozen.values()))
    for learner in (eager, ours):
        learner.warm_critic([batch_of(32, 50, width)])
        for step in range(4):
            learner.update(batch_of(32, step, width))
    assert really_compiled(ours)
    assert_near(ours, eager, atol=2e-3 if half else 1e-4)


def test_adam_written_out_is_torchs() -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(5, 3, generator=generator), torch.randn((), generator=generator)]
    sides: list[tuple[list[torch.nn.Parameter], AdamState]] = []
    for written_out in (False, True):
        parameters = [torch.nn.Parameter(value.clone()) for value in start]
        adam = AdamState(parameters, 3e-3)
        adam.written_out = written_out
        for step in range(20):
            adam.set_learning_rate(3e-3 / (1 + step))
            weight = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
            adam.step((parameters[0] * weight).square().sum() + parameters[1].exp())
        sides.append((parameters, adam))
    (theirs, a), (ours, b) = sides
    for left, right in zip(theirs, ours, strict=True):
        torch.testing.assert_close(left, right, atol=1e-6, rtol=1e-6)
    for name, value in a.state().items():
        torch.testing.assert_close(value, b.state()[name], atol=1e-6, rtol=1e-6)


def test_without_a_compiler_updates_go_on_as_they_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_compiler(*_: object, **__: object) -> object:
        raise RuntimeError("No working C++ compiler found\nand much more")

    monkeypatch.setattr(torch, "compile", no_compiler)
    eager, ours = learner_of(SacConfig()), learner_of(compiled(SacConfig()))
    with caplog.at_level(logging.WARNING):
        for step in range(4):
            eager.update(batch_of(32, step))
            ours.update(batch_of(32, step))
    lines = [record.getMessage() for record in caplog.records if "not compiled" in record.getMessage()]
    assert lines == ["updates are not compiled (RuntimeError: No working C++ compiler found)"]
    a, b = eager.state(), ours.state()
    assert all(torch.equal(a[name], b[name]) for name in a)  # nothing that tracing did is left


def test_what_is_neither_held_nor_given_is_found_out() -> None:
    forgotten = torch.ones(3)
    work = Compiled(lambda given: {"sum": given["x"] + forgotten}, [], lambda on: None)
    with pytest.raises(AssertionError, match="neither held nor given"):
        work({"x": torch.zeros(3)})


@pytest.mark.parametrize("with_actor", [True, False])
def test_what_is_given_comes_back(with_actor: bool) -> None:
    batch = batch_of(4, 0, Shapes(3, 3, 2, {"front": (16, 16)}))
    noise = Noise(torch.randn(4, 2), None, torch.randn(4, 2) if with_actor else None)
    again, noise_again = from_given(as_given(batch, noise))
    assert again.observation.keys() == batch.observation.keys()
    assert all(torch.equal(again.next_observation[k], v) for k, v in batch.next_observation.items())
    assert all(getattr(again, name) is getattr(batch, name) for name in ("action", "reward", "discount", "weight"))
    assert noise_again.following is noise.following
    assert noise_again.subset is None
    assert noise_again.policy is noise.policy
