"""Several writers, one folder: every file a journal's file, and whole episodes for whoever follows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robot_rlhf.datatypes import EpisodeEnd, Event, Outcome, Step
from robot_rlhf.episode import Episode
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.decoder import EpisodeStarted, Record
from robot_rlhf.journal.reader import episodes, read_journal
from robot_rlhf.journal.shared import WRITER, SharedTail, files_of, writer_of
from robot_rlhf.journal.summary import describe
from robot_rlhf.journal.writer import JournalWriter
from tests.draws import draws
from tests.journal.sessions import make_episode, make_spec, tell

SPEC = make_spec()


def shared(folder: Path, name: str) -> JournalWriter:
    return JournalWriter(folder, SPEC, metadata={WRITER: name}, shared=True)


def moments(writer: JournalWriter, episode: Episode) -> Iterator[None]:
    """Tells an episode one record at a time."""
    steps = episode.steps()
    writer.on_episode_start(episode.meta, steps[0].observation)
    yield
    for step in steps:
        writer.on_step(step)
        yield
    for event in episode.events:
        writer.on_event(event)
        yield
    assert episode.end is not None
    writer.on_episode_end(episode.end)


def shape(records: list[Record]) -> list[str]:
    """What was told, in words."""
    words: list[str] = []
    for record in records:
        if isinstance(record, EpisodeStarted):
            words.append(f"begin {record.meta.id}")
        elif isinstance(record, Step):
            words.append(f"step {record.index}")
        elif isinstance(record, EpisodeEnd):
            words.append(f"end {record.id} {record.outcome.value}")
        else:
            words.append("event")
    return words


def whole(episode: Episode) -> list[str]:
    assert episode.end is not None
    steps = [f"step {index}" for index in range(len(episode))]
    middle = ["event"] * len(episode.events)
    return [f"begin {episode.meta.id}", *steps, *middle, f"end {episode.meta.id} {episode.end.outcome.value}"]


@settings(draws(10), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(turns=st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_episodes_are_told_whole_in_the_order_of_their_ends(
    turns: list[tuple[int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    told: list[Record] = []
    expected: list[str] = []
    with ExitStack() as stack:
        writers = [stack.enter_context(shared(folder, f"arm {n}")) for n in range(3)]
        tail = stack.enter_context(SharedTail(folder))
        running: dict[int, tuple[Episode, Iterator[None]]] = {}
        for number, (who, looks) in enumerate(turns):
            if who not in running:
                episode = make_episode(SPEC, number, 3, name=f"{who}-{number}")
                running[who] = episode, moments(writers[who], episode)
            episode, left = running[who]
            if next(left, "over") == "over":
                expected += whole(episode)
                del running[who]
                told += tail.poll()  # at each end: else the order between two looks is by file
            elif looks:
                told += tail.poll()
        assert shape(told + tail.poll()) == expected
        assert tail.poll() == []


def test_what_one_has_recorded_all_readers_know(tmp_path: Path) -> None:
    a, b = make_episode(SPEC, 1, 4, name="a"), make_episode(SPEC, 2, 3, name="b")
    with shared(tmp_path, "arm 0") as left, shared(tmp_path, "arm 1") as right:
        tell(right, b)
        tell(left, a)
        with pytest.raises(JournalError, match="a session is writing this journal"):
            JournalWriter(tmp_path, SPEC).open()
        assert [e.meta.id for e in episodes(tmp_path)] == ["a", "b"], "also while they write"
    assert describe(tmp_path).steps == 7
    assert describe(tmp_path).files == 2
    with JournalWriter(tmp_path, SPEC), pytest.raises(JournalError, match="a session is writing"):
        shared(tmp_path, "arm 0").open()
    assert [writer_of(path) for path in sorted(tmp_path.glob("*.mcap"))] == ["arm 0", "arm 1", ""]
    assert [path.name for path in files_of(tmp_path, "arm 1")] == ["001.mcap"]


def test_what_broke_off_is_told_once_its_writer_has_begun_again(tmp_path: Path) -> None:
    with SharedTail(tmp_path) as tail:
        assert tail.poll() == []
        assert tail.spec is None
        other = shared(tmp_path, "arm 1").open()
        with shared(tmp_path, "arm 0") as writer:
            left = moments(writer, make_episode(SPEC, 1, 4, name="broken"))
            for _ in range(3):
                next(left)
        assert tail.poll() == []
        assert tail.spec is not None
        assert tail.spec.joint_names == SPEC.joint_names
        tell(other, make_episode(SPEC, 2, 1, name="whole"))
        assert shape(tail.poll())[0] == "begin whole"
        with shared(tmp_path, "arm 0"):
            stopped = f"end broken {Outcome.STOPPED.value}"
            assert shape(tail.poll()) == ["begin broken", "step 0", "step 1", stopped]
        assert tail.poll() == []
        other.close()
    kept: list[Record | Event] = list(read_journal(tmp_path))
    assert sum(isinstance(record, Step) for record in kept) == 3


def test_what_is_open_when_nobody_writes_any_more_has_broken_off(tmp_path: Path) -> None:
    first, second = make_episode(SPEC, 1, 3, name="a"), make_episode(SPEC, 2, 2, name="b")
    with shared(tmp_path, "arm 0") as writer:
        telling = moments(writer, first)
        for _ in range(3):  # the start and two steps; then its process is killed
            next(telling)
        writer.flush()
        with shared(tmp_path, "arm 1") as other:
            tell(other, second)
        with SharedTail(tmp_path) as tail:
            assert sorted(shape(tail.poll())) == sorted(whole(second))
            assert tail.poll() == []
            assert shape(tail.rest()) == ["begin a", "step 0", "step 1", "end a stopped"]
            assert tail.rest() == []


def test_many_may_begin_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that want the same number: the later one takes the next."""
    from robot_rlhf.journal import writer

    real, seen = writer.journal_files, iter([[], []])
    monkeypatch.setattr(writer, "journal_files", lambda folder: next(seen, None) or real(folder))
    with shared(tmp_path, "arm 0") as first, shared(tmp_path, "arm 1") as second:
        assert (first.path.name, second.path.name) == ("000.mcap", "001.mcap")
