"""New rewards in chunks, while rows come and go."""

from __future__ import annotations

import pytest
import torch

from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.replay.mixing import Group
from robot_rlhf.replay.relabel import Relabelling
from tests.replay.test_sampling import filled, make, play

HUMAN: Group = frozenset({Source.HUMAN})


def score(batch: Batch) -> torch.Tensor:
    """Tells observation and next observation of the one-step transition."""
    return 100 * batch.observation["state"][:, 0] + batch.next_observation["state"][:, 0]


def rewards(buffer: object) -> list[float]:
    from robot_rlhf.replay.buffer import ReplayBuffer

    assert isinstance(buffer, ReplayBuffer)
    return buffer.gather(buffer.indices(), one_step=True).reward.tolist()


@pytest.mark.parametrize("n_step", [1, 3])
def test_all_rows_get_the_score_of_their_one_step_transition(n_step: int) -> None:
    buffer = filled(n_step=n_step)
    work = Relabelling(buffer, score, 3, chunk=16)
    assert (work.remaining, work.changed) == (40, 0)
    assert [work.advance(), work.advance(), work.advance(), work.advance()] == [True, True, False, False]
    assert (work.remaining, work.changed) == (0, 40)
    assert rewards(buffer) == [101.0 * t + 1 for t in [*range(10), *range(30)]]
    assert set(buffer.columns(buffer.indices())["reward_version"].tolist()) == {3}


def test_between_chunks_old_and_new_rewards_lie_side_by_side() -> None:
    buffer = filled()
    work = Relabelling(buffer, score, 1, chunk=10)
    work.advance()
    assert rewards(buffer) == [*(101.0 * t + 1 for t in range(10)), *map(float, range(30))]
    assert buffer.columns(buffer.indices())["reward_version"].tolist() == [1] * 10 + [0] * 30
    assert buffer.sample(8).reward.isfinite().all()


def test_rows_that_arrive_are_covered_unless_they_have_the_version_already() -> None:
    buffer = filled()
    work = Relabelling(buffer, score, 1, chunk=30)
    work.advance()
    play(buffer, [Source.POLICY] * 5)
    assert work.remaining == 15
    while work.advance():
        pass
    assert work.changed == 45
    buffer.begin({"state": torch.zeros(1)})
    buffer.add(torch.zeros(1), 7.0, False, True, Source.POLICY, {"state": torch.ones(1)}, reward_version=1)
    assert (work.remaining, work.advance()) == (0, False)
    assert rewards(buffer)[-1] == 7.0
    play(buffer, [Source.POLICY])
    assert work.remaining == 1
    assert not work.advance()
    assert (work.remaining, work.changed) == (0, 46)


def test_rows_that_go_while_they_are_scored_are_skipped() -> None:
    buffer = make(20)
    play(buffer, [Source.POLICY] * 8)
    play(buffer, [Source.POLICY] * 8)

    def slow(batch: Batch) -> torch.Tensor:
        if buffer.written < 20:
            play(buffer, [Source.POLICY] * 6)  # rows 0 to 4 are overwritten
            buffer.discard(9, 12)
        return score(batch)

    work = Relabelling(buffer, slow, 1, chunk=12)
    assert work.advance()
    numbers = buffer.indices().tolist()
    versions = buffer.columns(buffer.indices())["reward_version"].tolist()
    assert numbers == [5, 6, 7, *range(12, 17), *range(18, 24)]
    assert versions == [1, 1, 1] + [1] + [0] * 10  # 12 was the last of the chunk
    assert work.changed == 4
    while work.advance():
        pass
    assert work.changed == 14


def test_a_group_alone_is_relabelled() -> None:
    buffer = filled()
    assert not Relabelling(buffer, score, 2, group=HUMAN).advance()
    versions = buffer.columns(buffer.indices())["reward_version"]
    assert versions.tolist() == [
        2 if source == Source.HUMAN else 0 for source in buffer.gather(buffer.indices()).source
    ]


def test_scores_that_are_no_numbers_name_the_row_and_change_nothing() -> None:
    buffer = filled()
    before = rewards(buffer)

    def broken(batch: Batch) -> torch.Tensor:
        values = score(batch)
        values[batch.index == 6] = float("nan")
        return values

    work = Relabelling(buffer, broken, 4, chunk=4)
    assert work.advance()
    with pytest.raises(InvalidValueError, match="version 4, row 6: got nan"):
        work.advance()
    assert rewards(buffer)[4:] == before[4:]
    assert work.remaining == 36
    with pytest.raises(ShapeError, match=r"\(40, 1\), expected \(40,\)"):
        Relabelling(buffer, lambda batch: score(batch)[:, None], 1).advance()
    with pytest.raises(ConfigError, match="chunks of 0"):
        Relabelling(buffer, score, 1, chunk=0)
