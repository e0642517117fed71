"""What people say of rows afterwards: against a naive twin, and taken back without a trace."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rlhf.datatypes import Source
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.ledger import Mark
from robot_rlhf.replay.mixing import EVERYTHING, ONLINE, PRIOR, UNAIDED

CAPACITY = 25
GROUPS = (PRIOR, ONLINE, UNAIDED, EVERYTHING)
DRAWN_AS = {
    (Mark.PRAISED, Source.POLICY): Source.PRAISED,
    (Mark.PRAISED, Source.PROVEN): Source.PRAISED,
    (Mark.BLAMED, Source.POLICY): Source.BLAMED,
    (Mark.BLAMED, Source.PROVEN): Source.BLAMED,
    (Mark.BLAMED, Source.HUMAN): Source.BLAMED,
    (Mark.NOT_MEANT, Source.HUMAN): Source.OTHER,
    (Mark.AGAINST_RULE, Source.POLICY): Source.OTHER,
    (Mark.AGAINST_RULE, Source.PROVEN): Source.OTHER,
    (Mark.AGAINST_RULE, Source.PRE_INTERVENTION): Source.OTHER,
    (Mark.AGAINST_RULE, Source.HUMAN): Source.OTHER,
    (Mark.AGAINST_RULE, Source.DEMO): Source.OTHER,
}


def a_buffer() -> ReplayBuffer:
    return ReplayBuffer(CAPACITY, state_size=1, action_size=1, discount=0.9, pre_intervention=2)


def see(number: int) -> dict[str, np.ndarray]:
    return {"state": np.full(1, number, np.float32)}


@dataclass
class Twin:
    """Rows as a list of what they are, and of what was said of them."""

    own: list[Source | None] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    open: bool = False
    demonstration: bool = False
    first: int = 0

    def begin(self, demonstration: bool) -> None:
        self.own.append(None)
        self.marks.append(Mark.NONE)
        self.open, self.demonstration, self.first = True, demonstration, len(self.own) - 1

    def add(self, source: Source, ends: bool) -> None:
        if self.demonstration and source is not Source.OTHER:
            source = Source.DEMO
        if source is Source.HUMAN:
            for number in (len(self.own) - 2, len(self.own) - 3):
                if number < self.first or self.own[number] is not Source.POLICY:
                    break
                self.own[number] = Source.PRE_INTERVENTION
        self.own[-1] = source
        self.own.append(None)
        self.marks.append(Mark.NONE)
        self.open = not ends

    def prove(self) -> None:
        for number in range(len(self.own) - 2, self.first - 1, -1):
            if self.own[number] is not Source.POLICY:
                break
            self.own[number] = Source.PROVEN

    def drawn(self) -> dict[int, Source]:
        held = range(max(0, len(self.own) - CAPACITY), len(self.own))
        return {n: DRAWN_AS.get((self.marks[n], own), own) for n in held if (own := self.own[n]) is not None}


ADDED = st.sampled_from([Source.POLICY] * 4 + [Source.HUMAN, Source.OTHER])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.booleans()),
        st.tuples(st.just("add"), ADDED, st.sampled_from([False] * 9 + [True])),
        st.tuples(st.just("add"), ADDED, st.just(False)),
        st.tuples(st.just("mark"), st.integers(0, 40), st.integers(1, 12), st.sampled_from(Mark)),
        st.tuples(st.just("prove")),
        st.tuples(st.just("discard")),
    ),
    max_size=60,
)


def do(buffer: ReplayBuffer, twin: Twin, operation: tuple, *, marks: bool = True) -> None:
    match operation:
        case ("begin", bool(demonstration)):
            buffer.begin(see(len(twin.own)), demonstration=demonstration)
            twin.begin(demonstration)
        case ("add", source, ends) if twin.open:
            buffer.add(np.zeros(1, np.float32), 0.0, ends, False, source, see(len(twin.own)))
            twin.add(source, ends)
        case ("mark", back, count, mark):
            first = max(0, len(twin.own) - back)
            numbers = range(first, min(first + count, len(twin.own)))
            drawn = twin.drawn()
            if marks:
                buffer.mark(torch.tensor([*numbers], dtype=torch.int64), mark)
            for number in numbers:
                if marks and number in drawn:
                    twin.marks[number] = mark
        case ("prove",) if twin.own:
            buffer.prove()
            twin.prove()
        case ("discard",) if twin.open:
            buffer.discard(twin.first)
            twin.own[twin.first :] = [None] * (len(twin.own) - twin.first)
            twin.open = False
        case _:
            pass


def check(buffer: ReplayBuffer, twin: Twin) -> None:
    drawn = twin.drawn()
    for group in GROUPS:
        assert buffer.indices(group).tolist() == [n for n, source in drawn.items() if source in group]
    assert buffer.counts == {source: list(drawn.values()).count(source) for source in Source}
    if drawn:
        batch = buffer.gather(torch.tensor([*drawn]))
        assert [Source(s) for s in batch.source.tolist()] == [*drawn.values()]


@settings(max_examples=150, deadline=None)
@given(operations=OPERATIONS, early=st.booleans())
def test_rows_are_drawn_as_a_naive_twin_says(operations: list[tuple], early: bool) -> None:
    """Also where groups were asked for before anything was written, and kept up to date since."""
    buffer, twin = a_buffer(), Twin()
    if early:
        check(buffer, twin)
    for operation in operations:
        do(buffer, twin, operation)
        if early:
            check(buffer, twin)
    check(buffer, twin)


@settings(max_examples=60, deadline=None)
@given(operations=OPERATIONS)
def test_what_is_taken_back_leaves_no_trace_in_what_is_drawn(operations: list[tuple]) -> None:
    said, silent = a_buffer(), a_buffer()
    for buffer, marks in ((said, True), (silent, False)):
        assert not len(buffer.indices(PRIOR))  # asked for before anything was written
        twin = Twin()
        for operation in [("begin", False), ("add", Source.POLICY, False), *operations]:
            do(buffer, twin, operation, marks=marks)
        if marks:
            buffer.mark(torch.arange(buffer.written), Mark.NONE)
    if not len(silent):
        return
    for _ in range(3):
        ours, theirs = said.sample(16), silent.sample(16)
        assert torch.equal(ours.index, theirs.index)
        assert torch.equal(ours.source, theirs.source)
    assert said.counts == silent.counts


@pytest.mark.parametrize(("mark", "source"), [(Mark.PRAISED, Source.PRAISED), (Mark.BLAMED, Source.BLAMED)])
def test_success_neither_proves_what_was_judged_nor_is_lost_with_the_judgement(mark: Mark, source: Source) -> None:
    buffer = a_buffer()
    buffer.begin(see(0))
    for number in range(6):
        buffer.add(np.zeros(1, np.float32), 0.0, False, False, Source.POLICY, see(number + 1))
    buffer.mark(torch.tensor([2, 3]), mark)
    buffer.prove()
    sources = [Source(s) for s in buffer.gather(torch.arange(6)).source.tolist()]
    assert sources == [Source.PROVEN] * 2 + [source] * 2 + [Source.PROVEN] * 2
    assert buffer.mark(torch.tensor([2, 3]), Mark.NONE) == 2
    assert buffer.counts[Source.PROVEN] == 6
