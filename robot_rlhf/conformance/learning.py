"""Laws of learners, and of what scores their transitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from robot_rlhf.conformance.randomness import global_generator
from robot_rlhf.datatypes import Batch, WeightSnapshot, weights_checksum
from robot_rlhf.errors import CheckpointError
from robot_rlhf.ports import AdvisedLearner, Learner, Scores, StartableLearner, ValueLearner

if TYPE_CHECKING:
    from torch import Tensor


class LearnerConformance:
    """Laws of a Learner."""

    def make_learner(self) -> Learner:
        """Two calls give equal learners."""
        raise NotImplementedError

    def make_batch(self, seed: int) -> Batch:
        raise NotImplementedError

    def _updated(self, learner: Learner, seeds: range) -> WeightSnapshot:
        for seed in seeds:
            learner.update(self.make_batch(seed))
        return learner.snapshot()

    def test_is_a_learner(self) -> None:
        assert isinstance(self.make_learner(), Learner)

    def test_metrics_are_numbers(self) -> None:
        metrics = self.make_learner().update(self.make_batch(0))
        assert metrics
        for name, value in metrics.items():
            assert np.isfinite(float(value)), name

    def test_snapshot_has_its_checksum_and_grows_in_version(self) -> None:
        learner = self.make_learner()
        before = learner.snapshot()
        after = self._updated(learner, range(3))
        assert after.version > before.version
        assert before.checksum == weights_checksum(before.arrays)
        assert after.checksum == weights_checksum(after.arrays)
        assert after.checksum != before.checksum

    def test_snapshot_is_a_copy(self) -> None:
        learner = self.make_learner()
        snapshot = self._updated(learner, range(1))
        self._updated(learner, range(1, 3))
        assert snapshot.checksum == weights_checksum(snapshot.arrays)

    def test_equal_learners_stay_equal(self) -> None:
        a = self._updated(self.make_learner(), range(4))
        b = self._updated(self.make_learner(), range(4))
        assert a.checksum == b.checksum

    def test_a_loaded_state_goes_on_equally(self) -> None:
        learner, resumed = self.make_learner(), self.make_learner()
        self._updated(learner, range(3))
        state = {name: _copied(value) for name, value in learner.state().items()}
        resumed.load_state(state)
        assert resumed.snapshot().checksum == learner.snapshot().checksum
        assert self._updated(resumed, range(3, 6)).checksum == self._updated(learner, range(3, 6)).checksum

    def test_refuses_a_foreign_state(self) -> None:
        learner = self.make_learner()
        state = dict(learner.state())
        with pytest.raises(CheckpointError):
            learner.load_state({f"foreign {name}": value for name, value in state.items()})

    def test_begins_with_a_policy_of_another_where_it_can(self) -> None:
        """A StartableLearner: the policy acts by those weights from then on; those of another architecture are refused.

        Critics and whatever else stands beside the actor's weights are the learner's own matter.
        """
        learner, given = self.make_learner(), self._updated(self.make_learner(), range(3))
        if not isinstance(learner, StartableLearner):
            return
        before = learner.snapshot()
        with pytest.raises(CheckpointError):
            learner.begin_with(WeightSnapshot(1, {f"foreign {name}": value for name, value in given.arrays.items()}))
        assert learner.snapshot().checksum == before.checksum
        learner.begin_with(given)
        for snapshot in (learner.snapshot(), learner.averaged()):
            actor = [name for name in given.arrays if not name.startswith(("imitators.", "judge."))]
            assert actor
            for name in actor:
                np.testing.assert_array_equal(snapshot.arrays[name], given.arrays[name])


class ValueLearnerConformance(LearnerConformance):
    """Laws of a ValueLearner."""

    def make_learner(self) -> ValueLearner:
        raise NotImplementedError

    def _values(self, learner: ValueLearner) -> Tensor:
        batch = self.make_batch(7)
        return learner.q_values(batch.observation, batch.action)

    def test_knows_values(self) -> None:
        learner = self.make_learner()
        assert isinstance(learner, ValueLearner)
        values = self._values(learner)
        assert values.shape == (len(self.make_batch(7).index),)
        assert not values.requires_grad
        assert bool(values.isfinite().all())

    def test_asking_changes_nothing(self) -> None:
        learner = self._warmed()
        before, values = learner.snapshot().checksum, self._values(learner)
        assert bool((self._values(learner) == values).all())
        assert learner.snapshot().checksum == before

    def test_values_alone_are_learned_before_the_policy_follows(self) -> None:
        new = self.make_learner()
        assert not bool((self._values(self._warmed()) == self._values(new)).all())
        assert bool((self._values(self._warmed()) == self._values(self._warmed())).all()), "equal learners stay equal"

    def _warmed(self) -> ValueLearner:
        learner = self.make_learner()
        learner.warm_critic(self.make_batch(seed) for seed in range(3))
        return learner


class AdvisedLearnerConformance:
    """Laws of an AdvisedLearner, beside those of a Learner."""

    def make_learner(self) -> AdvisedLearner:
        """Two calls give equal learners, which act by what they learn."""
        raise NotImplementedError

    def make_batch(self, seed: int) -> Batch:
        raise NotImplementedError

    def _advised(self, learner: AdvisedLearner, times: int, weight: float = 1.0, entries: float = 1.0) -> float:
        """Advises what the batch's actions are; how far its policy is from that now, as a mean square."""
        batch = self.make_batch(7)
        mask, weights = batch.action * 0.0 + entries, batch.weight * 0.0 + weight
        for _ in range(times):
            metrics = learner.advise(batch.observation, batch.action.sign() * 0.5, mask, weights)
            assert all(np.isfinite(float(value)) for value in metrics.values())
        return float((learner.mode(batch.observation) - batch.action.sign() * 0.5).square().mean())

    def test_takes_advice(self) -> None:
        learner = self.make_learner()
        assert isinstance(learner, AdvisedLearner)
        before, updates = self._advised(learner, 0), (learner.updates, learner.policy_updates)
        assert self._advised(learner, 100) < before
        assert (learner.updates, learner.policy_updates) == updates, "advice is no update"

    @pytest.mark.parametrize(("weight", "entries"), [(0.0, 1.0), (1.0, 0.0)])
    def test_what_weighs_nothing_or_names_nothing_changes_nothing(self, weight: float, entries: float) -> None:
        learner, untold = self.make_learner(), self.make_learner()
        assert self._advised(learner, 3, weight, entries) == self._advised(untold, 0)

    def test_nothing_is_drawn_and_asking_changes_nothing(self) -> None:
        learner, other = self.make_learner(), self.make_learner()
        before = global_generator()
        self._advised(learner, 3)
        self._advised(learner, 0)
        self._advised(other, 3)
        assert global_generator() == before
        for each in (learner, other):
            each.update(self.make_batch(0))
        assert learner.snapshot().checksum == other.snapshot().checksum

    def test_an_advised_state_goes_on_equally(self) -> None:
        learner, resumed = self.make_learner(), self.make_learner()
        self._advised(learner, 3)
        resumed.load_state({name: _copied(value) for name, value in learner.state().items()})
        assert self._advised(resumed, 3) == self._advised(learner, 3)


class ScoresConformance:
    """Laws of Scores."""

    def make_scores(self) -> Scores:
        """Two calls give equal ones."""
        raise NotImplementedError

    def make_batch(self, seed: int) -> Batch:
        """At least four transitions."""
        raise NotImplementedError

    def test_are_scores(self) -> None:
        scores = self.make_scores()
        assert isinstance(scores, Scores)
        assert isinstance(scores.version, int)
        assert scores.version >= 0
        assert isinstance(scores.is_ready, bool)
        assert isinstance(scores.has_bounds, bool)

    def test_each_member_scores_each_row(self) -> None:
        scores, batch = self.make_scores(), self.make_batch(0)
        said = scores.members_of(batch)
        assert said.ndim == 2
        assert said.shape[0] >= 1
        assert said.shape[1] == len(batch.index)
        assert not said.requires_grad
        assert bool(said.isfinite().all())
        if scores.has_bounds:
            assert float(said.min()) >= 0.0
            assert float(said.max()) <= 1.0

    def test_a_score_hangs_on_its_row_alone(self) -> None:
        scores, batch = self.make_scores(), self.make_batch(0)
        whole = scores.members_of(batch)
        half = len(batch.index) // 2
        for part in (slice(0, half), slice(half, None)):
            said = scores.members_of(_rows(batch, part))
            np.testing.assert_allclose(said.cpu().numpy(), whole[:, part].cpu().numpy(), rtol=1e-4, atol=1e-5)

    def test_scoring_changes_nothing(self) -> None:
        scores, batch = self.make_scores(), self.make_batch(0)
        version, said = scores.version, scores.members_of(batch)
        before = global_generator()
        scores.members_of(self.make_batch(1))
        assert bool((scores.members_of(batch) == said).all())
        assert scores.version == version
        assert global_generator() == before


def _rows(batch: Batch, part: slice) -> Batch:
    """Some transitions of a batch."""

    def of(value: Any) -> Any:
        if value is None:
            return None
        return {name: tensor[part] for name, tensor in value.items()} if isinstance(value, Mapping) else value[part]

    given: dict[str, Any] = {field.name: of(getattr(batch, field.name)) for field in fields(batch)}
    return Batch(**given)


def _copied(value: Any) -> Any:
    """A value that later updates of the learner cannot reach."""
    return value.clone() if hasattr(value, "clone") else value
