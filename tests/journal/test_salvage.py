"""`journal salvage` writes what is whole in a damaged journal into a new one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.journal_fuzz import INSIDE, SAMPLE, TAILS, Damage, heard, small_journal, source
from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import Feedback, FeedbackKind, Segment
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import episodes, read_journal
from robot_rlhf.journal.salvage import salvage
from robot_rlhf.journal.tail import journal_session
from robot_rlhf.journal.writer import JournalWriter
from tests.journal.sessions import make_spec, plain

EPISODES, STEPS = 4, 6


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return small_journal(tmp_path / "journal", EPISODES, STEPS)


def read(folder: Path) -> dict[str, object]:
    return {e.meta.id: plain(e) for e in episodes(folder)}


def place_in(path: Path, episode: int, step: int) -> int:
    """A byte of the block of a step."""
    data = path.read_bytes()
    at = data.index(b'"meta":{"id":')  # behind the schemas
    for _ in range(episode * STEPS + step + 1):
        at = data.index(b'{"index":', at + 1)
    return at


def test_steps_up_to_the_damage_and_every_other_episode(journal: Path, tmp_path: Path) -> None:
    before = read(journal.parent)
    data = bytearray(journal.read_bytes())
    data[place_in(journal, 1, 3)] ^= 1
    journal.write_bytes(data)
    with pytest.raises(JournalError, match="salvage"):
        read(journal.parent)
    report = salvage(journal.parent, tmp_path / "new")
    assert (report.episodes, report.steps) == (EPISODES - 1, EPISODES * STEPS - (STEPS - 3))
    assert report.broken_off == ("episode-0001",)
    assert [gap.start for gap in report.gaps] == [g.start for g in report.gaps if g.start < place_in(journal, 1, 3)]
    assert "behind step 3 of episode-0001" in report.gaps[0].place
    assert report.left_out == STEPS - 4 + 1 + 2  # whole steps behind the damage, the end, and events about all steps
    after = read(tmp_path / "new")
    assert {name: after[name] for name in after if name != "episode-0001"} == {
        name: before[name] for name in before if name != "episode-0001"
    }
    (broken,) = (e for e in episodes(tmp_path / "new") if e.end is None)
    assert (broken.meta.id, len(broken)) == ("episode-0001", 3)
    assert journal.read_bytes() == data
    assert journal_session(tmp_path / "new")[1]["salvaged_from"] == "000.mcap"


def test_events_about_what_is_lost_stay_behind(tmp_path: Path) -> None:
    """A label of a later file about a lost episode would be about nothing."""
    path = small_journal(tmp_path / "journal", EPISODES, STEPS)
    spec = make_spec({"front": (6, 4)})
    gone, whole = Segment("episode-0002", 0, STEPS), Segment("episode-0000", 0, STEPS)
    with JournalWriter(tmp_path / "journal", spec) as writer:
        for kind, span, other in (
            (FeedbackKind.PREFERENCE, whole, gone),
            (FeedbackKind.SUCCESS, gone, None),
            (FeedbackKind.FAILURE, whole, None),
        ):
            writer.on_event(Feedback(kind, "person", 99.0, span, 1.0, other=other))
    data = bytearray(path.read_bytes())
    start = data.index(b'"id":"episode-0002"')
    data[start] ^= 1
    path.write_bytes(data)
    report = salvage(tmp_path / "journal", tmp_path / "new")
    assert (report.episodes, report.broken_off) == (EPISODES - 1, ())
    kept = [r for r in read_journal(tmp_path / "new") if isinstance(r, Feedback) and r.stamp == 99.0]
    assert [event.kind for event in kept] == [FeedbackKind.FAILURE]


@pytest.mark.parametrize("damage", [*INSIDE, *TAILS])
def test_what_is_saved_was_recorded(damage: Damage, journal: Path, tmp_path: Path) -> None:
    """Whatever the damage: each episode saved is one that was recorded, or its beginning."""
    origin = source("", journal)
    before = {e.meta.id: e for e in episodes(journal.parent)}
    rng = np.random.default_rng(2)
    path = tmp_path / "damaged" / "000.mcap"
    path.parent.mkdir()
    for trial in range(6):
        path.write_bytes(damage(origin.data, origin.ends, rng))
        try:
            report = salvage(path, tmp_path / f"new{trial}")
        except JournalError as error:
            assert "no start of an episode" in str(error) or str(path) in str(error)  # noqa: PT017 -- some have nothing
            continue
        with heard() as warnings:
            saved = list(episodes(tmp_path / f"new{trial}"))
        assert not warnings
        assert sum(len(e) for e in saved) == report.steps
        for episode in saved:
            recorded = before[episode.meta.id]
            count = len(episode)
            assert np.array_equal(episode.executed, recorded.executed[:count])
            assert (episode.end is None and count <= len(recorded)) or plain(episode) == plain(recorded)


def test_a_block_twice_costs_nothing(journal: Path, tmp_path: Path) -> None:
    origin = source("", journal)
    before = read(journal.parent)
    i = len(origin.ends) // 2
    data = origin.data
    journal.write_bytes(data[: origin.ends[i]] + data[origin.ends[i - 1] :])
    report = salvage(journal.parent, tmp_path / "new")
    assert (report.episodes, report.left_out) == (EPISODES, 0)
    assert read(tmp_path / "new") == before


def test_lost_definitions_of_channels_cost_nothing(journal: Path, tmp_path: Path) -> None:
    before = read(journal.parent)
    data = bytearray(journal.read_bytes())
    at = data.index(b"sensor_msgs/msg/JointState")
    data[at : at + 200] = bytes(200)
    journal.write_bytes(data)
    assert salvage(journal.parent, tmp_path / "new").episodes == EPISODES
    assert read(tmp_path / "new") == before


def test_what_no_checksum_covers_is_saved_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "old" / "000.mcap"
    path.parent.mkdir()
    data = bytearray(SAMPLE.read_bytes())
    data[60_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match="--unchecked"):
        salvage(path, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    report = salvage(path, tmp_path / "new", unchecked=True)
    assert report.unchecked == (path,)
    assert len(report.broken_off) == 1
    assert journal_session(tmp_path / "new")[1]["salvaged_unchecked"] == "true"
    path.write_bytes(SAMPLE.read_bytes())
    report = salvage(path, tmp_path / "whole")
    assert (report.unchecked, report.gaps, report.left_out) == ((), (), 0)
    assert read(tmp_path / "whole") == read(path.parent)


def test_places_that_are_refused(journal: Path, tmp_path: Path) -> None:
    for target in (journal.parent, tmp_path):
        with pytest.raises(JournalError, match="exists already"):
            salvage(journal.parent, target)
    for target in (journal, journal.parent / "new"):
        with pytest.raises(JournalError, match="inside the journal"):
            salvage(journal.parent, target)
    with pytest.raises(JournalError, match="exists already"):
        salvage(journal, journal)
    (tmp_path / "empty").mkdir()
    salvage(journal.parent, tmp_path / "empty")
    assert [path.name for path in journal.parent.iterdir() if path.suffix == ".mcap"] == ["000.mcap"]


def test_a_killed_one_leaves_nothing_under_the_name(journal: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from robot_rlhf.journal import salvage as s\n"
        "told = s.tell\n"
        "def tell(record, writer):\n"
        "    told(record, writer)\n"
        "    tell.count += 1\n"
        "    if tell.count == 9: os.kill(os.getpid(), signal.SIGKILL)\n"
        "tell.count = 0\n"
        "s.tell = tell\n"
        "s.salvage(sys.argv[1], sys.argv[2])\n"
    )
    target = tmp_path / "out" / "new"
    target.parent.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run([sys.executable, "-c", program, journal.parent, target], env=environment, check=False)
    assert killed.returncode == -9
    assert not target.exists()
    assert salvage(journal.parent, target).episodes == EPISODES
    assert [path.name for path in target.parent.iterdir()] == ["new"]


def test_the_command(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(journal.read_bytes())
    data[place_in(journal, 2, 1)] ^= 1
    journal.write_bytes(data)
    assert main(["journal", "info", str(journal.parent)]) == 2
    assert main(["journal", "salvage", str(journal.parent), "--out", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out
    assert f"{EPISODES - 1} whole episodes" in said
    assert f"passed over: {journal}: bytes " in said
    assert "broken off, saved up to there: episode-0002" in said
    assert sum(isinstance(record, EpisodeStarted) for record in read_journal(tmp_path / "new")) == EPISODES
