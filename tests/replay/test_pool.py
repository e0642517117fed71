"""A block is used again when nobody holds it, and never before."""

from __future__ import annotations

import torch

from robot_rlhf.replay.pool import KEPT, Pool


def test_a_block_is_reused_once_it_is_free() -> None:
    pool = Pool()
    first = pool.take(4, 6)
    address = first.data_ptr()
    assert pool.take(4, 6).data_ptr() != address
    assert pool.take(2, 6).data_ptr() != address
    del first
    assert address == pool.take(4, 6).data_ptr()


def test_views_and_graphs_keep_a_block() -> None:
    pool = Pool()
    taken = pool.take(4, 6)
    address = taken.data_ptr()
    view = taken[1:2].view(3, 2)
    del taken
    assert pool.take(4, 6).data_ptr() != address
    weight = torch.ones(6, 1, requires_grad=True)
    graph = (torch.ones(1, 1, requires_grad=True) * weight).sum() + view.sum()
    del view
    assert address == pool.take(4, 6).data_ptr()
    assert graph.requires_grad


def test_more_blocks_than_are_kept_are_all_distinct() -> None:
    pool = Pool()
    taken = [pool.take(2, 3) for _ in range(KEPT + 3)]
    for k, tensor in enumerate(taken):
        tensor.fill_(k)
    assert [int(tensor[0, 0]) for tensor in taken] == list(range(KEPT + 3))
