"""Scores of a model in the place of recorded rewards: by hand, and row by row against the buffer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robot_rlhf.datatypes import Source
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner.rewarding import PAR_REFERENCES, Rewarding, RewardKeeper, RewardModelConfig
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.rewards.model import LearnedReward
from robot_rlhf.rewards.network import Head, RewardConfig, RewardInputs

GAMMA = 0.9


def a_model(reads: Head, members: int = 3) -> LearnedReward:
    model = LearnedReward(RewardInputs(2), RewardConfig(members=members, hidden=(8,)), seed=4, reads=reads)
    model.trained = (reads,)
    model.version = 1
    return model


def a_buffer(n_step: int = 1) -> ReplayBuffer:
    return ReplayBuffer(64, state_size=2, action_size=1, discount=GAMMA, n_step=n_step)


def practise(buffer: ReplayBuffer, rewards: list[float], *, terminated: bool, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    buffer.begin({"state": rng.normal(size=2).astype(np.float32)})
    for t, reward in enumerate(rewards):
        last = t == len(rewards) - 1
        state = {"state": rng.normal(size=2).astype(np.float32)}
        buffer.add(np.zeros(1), reward, last and terminated, last and not terminated, Source.POLICY, state)


def rewards_of(buffer: ReplayBuffer) -> torch.Tensor:
    return buffer.gather(buffer.indices(), one_step=True).reward


@pytest.mark.parametrize("terminated", [False, True])
def test_a_potential_is_added_to_the_recorded_reward(terminated: bool) -> None:
    model, buffer = a_model("progress"), a_buffer()
    practise(buffer, [0.0, 0.5, 1.0], terminated=terminated)
    batch = buffer.gather(buffer.indices(), one_step=True)
    after = model.members(batch.next_observation).mean(dim=0) * 2.0
    before = model.members(batch.observation).mean(dim=0) * 2.0
    keep = torch.tensor([GAMMA, GAMMA, 0.0 if terminated else GAMMA])
    keeper = RewardKeeper(buffer, Rewarding(model, RewardModelConfig(learns=True, scale=2.0), GAMMA))
    assert keeper.finish() == 3
    torch.testing.assert_close(rewards_of(buffer), torch.tensor([0.0, 0.5, 1.0]) + keep * after - before)
    assert (buffer.columns(buffer.indices())["reward_version"] == 2).all()


@pytest.mark.parametrize("terminated", [False, True])
def test_instead_of_the_recorded_reward_what_is_reached_counts(terminated: bool) -> None:
    """The value of an episode that ends by itself is what it reached, that of one step of it a share."""
    model, buffer = a_model("progress"), a_buffer()
    practise(buffer, [7.0, 8.0, 9.0], terminated=terminated)
    reached = model.members(buffer.gather(buffer.indices(), one_step=True).next_observation).mean(dim=0)
    share = torch.tensor([1 - GAMMA, 1 - GAMMA, 1.0 if terminated else 1 - GAMMA])
    RewardKeeper(buffer, Rewarding(model, RewardModelConfig(learns=True, use="replace"), GAMMA)).finish()
    torch.testing.assert_close(rewards_of(buffer), share * reached)


def test_without_a_model_a_recorded_dense_reward_says_what_is_reached() -> None:
    buffer = a_buffer()
    practise(buffer, [0.2, 0.4, 1.0], terminated=True)
    assert RewardKeeper(buffer, Rewarding(None, RewardModelConfig(), GAMMA)).finish() == 3
    torch.testing.assert_close(rewards_of(buffer), torch.tensor([0.02, 0.04, 1.0]))


def test_a_score_that_never_changes_is_the_value_whenever_the_episode_ends() -> None:
    for steps in (1, 5, 20):
        share = [1 - GAMMA] * (steps - 1) + [1.0]
        assert sum(GAMMA**t * r for t, r in enumerate(share)) == pytest.approx(1.0)


def test_members_are_taken_together_as_asked() -> None:
    model, buffer = a_model("progress"), a_buffer()
    practise(buffer, [0.0] * 4, terminated=False)
    batch = buffer.gather(buffer.indices(), one_step=True)
    members = model.members(batch.next_observation)
    for name, expected in (
        ("mean", members.mean(0)),
        ("minimum", members.amin(0)),
        ("cautious", members.mean(0) - 3.0 * members.var(0)),
    ):
        config = RewardModelConfig(learns=True, members=name, penalty=3.0)  # type: ignore[arg-type]
        torch.testing.assert_close(Rewarding(model, config, GAMMA).value(batch), expected)


def test_preferences_are_squashed_around_the_first_practice() -> None:
    model, buffer = a_model("preference", members=1), a_buffer()
    practise(buffer, [0.0] * 30, terminated=False)
    batch = buffer.gather(buffer.indices(), one_step=True)
    score = model.members(batch.next_observation)[0]
    squashed = Rewarding(model, RewardModelConfig(learns=True), GAMMA)
    squashed.refer_to(batch)
    spread = score.std(correction=0)
    spread_out = score[[0, 3, 6, 10, 13, 16, 19, 23, 26, 29]]
    assert len(spread_out) == PAR_REFERENCES
    by_hand = torch.stack([torch.sigmoid((score - r) / spread) for r in spread_out]).mean(0)
    torch.testing.assert_close(squashed.value(batch), by_hand)
    free = Rewarding(model, RewardModelConfig(learns=True, bounded=False), GAMMA)
    free.refer_to(batch)
    torch.testing.assert_close(free.value(batch), (score - score.mean()) / (4 * spread))


@pytest.mark.parametrize(("use", "expected"), [("shape", [0.5, 1.0]), ("replace", [0.0, 0.0])])
def test_until_it_has_learned_nothing_is_rewarded_in_place_of_the_recorded(use: str, expected: list[float]) -> None:
    model, buffer = a_model("preference"), a_buffer()
    model.trained = ()
    practise(buffer, [0.5, 1.0], terminated=True)
    RewardKeeper(buffer, Rewarding(model, RewardModelConfig(learns=True, use=use), GAMMA)).finish()  # type: ignore[arg-type]
    assert rewards_of(buffer).tolist() == expected


def test_a_new_version_scores_again_from_what_was_recorded() -> None:
    model, buffer = a_model("progress"), a_buffer()
    practise(buffer, [0.0, 1.0], terminated=True)
    keeper = RewardKeeper(buffer, Rewarding(model, RewardModelConfig(learns=True), GAMMA))
    keeper.finish()
    first = rewards_of(buffer)
    assert keeper.advance() is False
    assert keeper.scored == 2
    practise(buffer, [0.0, 1.0, 0.0], terminated=False, seed=1)
    assert keeper.finish() == 5
    torch.testing.assert_close(rewards_of(buffer)[:2], first)
    model.version = 2
    assert keeper.finish() == 10
    torch.testing.assert_close(rewards_of(buffer)[:2], first)  # same weights, not shaped twice


def test_a_model_may_look_at_other_things_than_the_policy() -> None:
    model = a_model("progress")
    alone, buffer = a_buffer(), ReplayBuffer(64, state_size=3, action_size=1, discount=GAMMA)
    buffer.add_block("reward", state_size=2)
    practise(alone, [0.0, 1.0], terminated=True)
    batch = alone.gather(alone.indices())
    seen = torch.cat([batch.observation["state"], batch.next_observation["state"][-1:]]).numpy()
    nothing = {"state": np.zeros(3)}
    buffer.begin(nothing, beside={"reward": {"state": seen[0]}})
    buffer.add(np.zeros(1), 0.0, False, False, Source.POLICY, nothing, beside={"reward": {"state": seen[1]}})
    buffer.add(np.zeros(1), 1.0, True, False, Source.POLICY, nothing, beside={"reward": {"state": seen[2]}})
    for each, block in ((alone, "policy"), (buffer, "reward")):
        RewardKeeper(each, Rewarding(model, RewardModelConfig(learns=True), GAMMA), block).finish()
    assert not torch.equal(rewards_of(buffer), torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(rewards_of(buffer), rewards_of(alone))


@pytest.mark.parametrize("wrong", [{"scale": 0.0}, {"penalty": -1.0}])
def test_settings_outside_their_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RewardModelConfig(**wrong)  # type: ignore[arg-type]


def test_a_gate_has_the_last_word_also_before_anything_is_learned() -> None:
    model, buffer = a_model("progress"), a_buffer()
    practise(buffer, [0.0, 0.5, 1.0], terminated=False)
    seen: list[list[int]] = []

    def gate(index: torch.Tensor, reward: torch.Tensor) -> torch.Tensor:
        seen.append(index.tolist())
        return torch.where(index == 1, torch.full_like(reward, -0.5), reward)

    model.trained = ()
    keeper = RewardKeeper(buffer, Rewarding(model, RewardModelConfig(learns=True), GAMMA), gate=gate)
    keeper.finish()
    assert rewards_of(buffer).tolist() == [0.0, -0.5, 1.0]
    model.trained = ("progress",)
    model.version = 2
    keeper.finish()
    assert seen == [[0, 1, 2], [0, 1, 2]]
    got = rewards_of(buffer)
    assert got[1] == -0.5
    assert (got[[0, 2]] != torch.tensor([0.0, 1.0])).all()


def test_rows_that_the_model_has_not_seen_yet_count_nothing_where_it_replaces() -> None:
    model = a_model("progress")
    for use, wanted in (("replace", [0.0, 0.0]), ("shape", [0.5, 0.25])):
        buffer = a_buffer()
        buffer.add_block("late", state_size=2)
        practise(buffer, [1.0, 1.0, 1.0], terminated=True, seed=1)
        buffer.fill("late", torch.arange(4), {"state": np.zeros((4, 2), np.float32)})
        buffer.begin({"state": np.zeros(2, np.float32)})
        for reward in (0.5, 0.25):
            buffer.add(np.zeros(1), reward, False, False, Source.POLICY, {"state": np.zeros(2, np.float32)})
        config = RewardModelConfig(learns=True, use=use)  # type: ignore[arg-type]
        RewardKeeper(buffer, Rewarding(model, config, GAMMA), "late").finish()
        assert rewards_of(buffer)[3:].tolist() == wanted
        versions = buffer.columns(buffer.indices())["reward_version"]
        assert versions.tolist() == [2, 2, 2, 0, 0]


def test_scores_are_squashed_also_where_the_first_rows_came_late() -> None:
    model = a_model("preference")
    late, early = a_buffer(), a_buffer()
    config = RewardModelConfig(learns=True, use="replace")
    keeper = RewardKeeper(late, Rewarding(model, config, GAMMA))
    assert keeper.advance() is False, "nothing is there yet"
    for buffer in (late, early):
        practise(buffer, [0.0] * 20, terminated=False)
    keeper.finish()
    RewardKeeper(early, Rewarding(model, config, GAMMA)).finish()
    torch.testing.assert_close(rewards_of(late), rewards_of(early))
    assert (rewards_of(late) > 0.0).all()
