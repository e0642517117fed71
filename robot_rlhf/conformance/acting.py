"""Laws of what stands between what is seen and what is done: policies, directors, shields."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rlhf.conformance.randomness import global_generator
from robot_rlhf.datatypes import Action, Assignment, Driver, Observation, WeightSnapshot
from robot_rlhf.errors import CheckpointError
from robot_rlhf.ports import Director, Policy, Shield, TrainablePolicy


class PolicyConformance:
    """Laws of a Policy."""

    instruction = "do it"
    action_size: int

    def make_policy(self) -> Policy:
        raise NotImplementedError

    def make_observation(self) -> Observation:
        """One that the policy understands."""
        raise NotImplementedError

    def test_is_a_policy(self) -> None:
        policy = self.make_policy()
        assert isinstance(policy, Policy)
        assert isinstance(policy.version, int)
        assert policy.version >= -1

    def test_wishes_actions(self) -> None:
        policy, observation = self.make_policy(), self.make_observation()
        policy.reset()
        rng = np.random.default_rng(0)
        for _ in range(5):
            action = policy.act(observation, Assignment(self.instruction), rng)
            assert isinstance(action, Action)
            assert action.values.shape == (self.action_size,)
            assert np.abs(action.values).max() <= 1.0 + 1e-6

    def test_a_seed_reproduces(self) -> None:
        policy, observation = self.make_policy(), self.make_observation()

        def episode() -> list[bytes]:
            policy.reset()
            rng = np.random.default_rng(3)
            return [policy.act(observation, Assignment(self.instruction), rng).values.tobytes() for _ in range(4)]

        assert episode() == episode()

    def test_leaves_the_global_generator_alone(self) -> None:
        policy, observation = self.make_policy(), self.make_observation()
        before = global_generator()
        policy.reset()
        policy.act(observation, Assignment(self.instruction), np.random.default_rng(0))
        assert global_generator() == before


class TrainablePolicyConformance(PolicyConformance):
    """Laws of a TrainablePolicy; `make_policy` gives one that has its weights."""

    def make_policy(self) -> TrainablePolicy:
        raise NotImplementedError

    def make_weights(self, seed: int) -> WeightSnapshot:
        """Weights of its architecture; other ones for another seed."""
        raise NotImplementedError

    def _acts(self, policy: Policy) -> bytes:
        policy.reset()
        asked = Assignment(self.instruction)
        return policy.act(self.make_observation(), asked, np.random.default_rng(3)).values.tobytes()

    def test_is_trainable(self) -> None:
        policy = self.make_policy()
        assert isinstance(policy, TrainablePolicy)
        assert policy.version >= 0

    def test_acts_by_the_weights_that_it_says(self) -> None:
        policy, other = self.make_policy(), self.make_policy()
        for seed in (1, 2, 1):
            weights = self.make_weights(seed)
            policy.load(weights)
            assert (policy.version, policy.checksum) == (weights.version, weights.checksum)
        other.load(self.make_weights(1))
        assert self._acts(policy) == self._acts(other)
        other.load(self.make_weights(2))
        assert self._acts(policy) != self._acts(other)

    def test_refuses_foreign_weights_and_keeps_its_own(self) -> None:
        policy = self.make_policy()
        policy.load(self.make_weights(1))
        before, version, checksum = self._acts(policy), policy.version, policy.checksum
        own = self.make_weights(2)
        with pytest.raises(CheckpointError):
            policy.load(WeightSnapshot(own.version, {f"foreign {name}": own.arrays[name] for name in own.arrays}))
        assert (policy.version, policy.checksum, self._acts(policy)) == (version, checksum, before)


class DirectorConformance:
    """Laws of a Director."""

    def make_director(self) -> Director:
        raise NotImplementedError

    def make_observation(self) -> Observation:
        """One that the director understands."""
        raise NotImplementedError

    def _episode(self, director: Director) -> list[Assignment]:
        director.reset(np.random.default_rng(3))
        return [director.asked(self.make_observation()) for _ in range(4)]

    def test_is_a_director(self) -> None:
        assert isinstance(self.make_director(), Director)

    def test_asks_for_what_it_said_it_would(self) -> None:
        director = self.make_director()
        sizes = dict(director.context_sizes)
        for _ in range(2):
            for assignment in self._episode(director):
                assert isinstance(assignment, Assignment)
                assert {name: len(vector) for name, vector in assignment.context.items()} == sizes
        assert dict(director.context_sizes) == sizes

    def test_a_seed_reproduces(self) -> None:
        def plain() -> list[tuple[str, dict[str, bytes]]]:
            told = self._episode(director)
            return [(one.instruction, {name: v.tobytes() for name, v in one.context.items()}) for one in told]

        director = self.make_director()
        assert plain() == plain()

    def test_leaves_the_global_generator_alone(self) -> None:
        before = global_generator()
        self._episode(self.make_director())
        assert global_generator() == before


class ShieldConformance:
    """Laws of a Shield."""

    action_size: int

    def make_shield(self) -> Shield:
        raise NotImplementedError

    def make_observation(self) -> Observation:
        """One that the shield understands."""
        raise NotImplementedError

    def _episode(self, shield: Shield) -> list[bytes]:
        shield.reset()
        rng, given = np.random.default_rng(0), list[bytes]()
        for driver in (*Driver, *Driver):
            wish = Action(rng.uniform(-1, 1, self.action_size).astype(np.float32))
            before = wish.values.tobytes()
            passed = shield.filter(self.make_observation(), wish, driver)
            assert isinstance(passed, Action)
            assert passed.values.shape == (self.action_size,)
            assert wish.values.tobytes() == before, "what was wished is recorded: it stays as it was"
            given.append(passed.values.tobytes())
        return given

    def test_is_a_shield(self) -> None:
        assert isinstance(self.make_shield(), Shield)

    def test_gives_actions(self) -> None:
        assert self._episode(self.make_shield())

    def test_an_episode_reproduces(self) -> None:
        shield = self.make_shield()
        assert self._episode(shield) == self._episode(shield)

    def test_leaves_the_global_generator_alone(self) -> None:
        before = global_generator()
        self._episode(self.make_shield())
        assert global_generator() == before
