"""Laws of learners."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robot_rlhf.datatypes import Batch, WeightSnapshot, weights_checksum
from robot_rlhf.errors import CheckpointError
from robot_rlhf.ports import Learner


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


def _copied(value: Any) -> Any:
    """A value that later updates of the learner cannot reach."""
    return value.clone() if hasattr(value, "clone") else value
