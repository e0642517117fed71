"""Arms in processes of their own: what was said at one, or taken back in review, stands at every one."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from robot_rlhf.datatypes import Feedback, FeedbackKind, RobotSpec, Segment
from robot_rlhf.journal.labels import LabelWriter
from robot_rlhf.journal.shared import WRITER
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.meaning import Meaning
from robot_rlhf.run.build import open_place
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.practice.arm import Watch, _Arm, arm_name
from robot_rlhf.run.practice.said_elsewhere import SaidElsewhere
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.standing import StandingSentences
from robot_rlhf.timing import FakeClock
from tests.runtime.runs import tiny

ARMS = 2
SLOWER, LEFT = Meaning("rule", rule="slower"), Meaning("left", 0.02)


def settings(out: Path) -> TrainConfig:
    base = tiny(out)
    evaluation = replace(base.evaluation, every=10**6)
    return replace(base, mode="parallel", arms=ARMS, demonstrations=0, steps=0, evaluation=evaluation)


def spec_of(config: TrainConfig) -> RobotSpec:
    with closing(open_place(config, FakeClock())) as place:
        return place.spec


def said(sentence: str, doing: str, *meanings: Meaning, text: str = "go easy", by: str = "grammar") -> Feedback:
    payload = {"sentence": sentence, "by": by, "doing": doing, "meanings": [each.to_json() for each in meanings]}
    span = Segment(sentence.partition("/")[0], 0, 1)
    return Feedback(FeedbackKind.MEANING, "Ada", 1.0, span, text=text, payload=payload)


def writer_of(folder: Path, spec: RobotSpec, number: int) -> JournalWriter:
    return JournalWriter(folder, spec, metadata={WRITER: arm_name(number, ARMS)}, shared=True)


def record(folder: Path, spec: RobotSpec, number: int, *events: Feedback) -> None:
    with writer_of(folder, spec, number) as writer:
        for event in events:
            writer.on_event(event)


def standing_of(run: RunFolder, config: TrainConfig, number: int) -> StandingSentences:
    """As an arm has it that goes on and has nothing left to do."""
    arm = _Arm(run, config, number, Watch(os.getppid()))
    arm.main()
    return arm.actor.listening.standing


def rules(standing: StandingSentences) -> dict[str, Meaning]:
    return {one.sentence: one.rule for one in standing.rules.standing}


def test_arms_that_go_on_have_the_same_rules_and_words(tmp_path: Path) -> None:
    config, run = settings(tmp_path), RunFolder(tmp_path / "run")
    spec = spec_of(config)
    run.exchange.mkdir(parents=True)
    record(run.journal, spec, 0, said("practice-000000/0", "rule", SLOWER), said("practice-000000/1", "rule", SLOWER))
    asked = [
        said("practice-000001/0", doing, *meant, text="flurb", by="Ada")
        for doing, meant in (("ask", ()), ("nudge", (LEFT,)))
    ]
    record(run.journal, spec, 1, *asked, said("practice-000003/0", "rule", replace(SLOWER, thing="target")))
    with LabelWriter(run.journal) as review:
        review.give(said("practice-000000/0", "undone", by="Bob"))
    found = [standing_of(run, config, number) for number in range(ARMS)]
    for standing in found:
        assert rules(standing) == {"practice-000000/1": SLOWER, "practice-000003/0": replace(SLOWER, thing="target")}
        assert "practice-000001/0" in standing.lexicon
    assert [list(standing.with_traces()) for standing in found] == [
        ["practice-000000/1"],
        ["practice-000003/0", "practice-000001/0"],
    ], "a word takes back what was said here"


def test_an_arm_hears_of_what_is_said_elsewhere_while_it_goes_on(tmp_path: Path) -> None:
    spec = spec_of(settings(tmp_path))
    standing = StandingSentences(spec)
    with SaidElsewhere(tmp_path / "journal", arm_name(0, ARMS), standing) as elsewhere:
        elsewhere.recover(own=Path.exists)
        with writer_of(tmp_path / "journal", spec, 0) as own, writer_of(tmp_path / "journal", spec, 1) as other:
            elsewhere.hear()
            own.on_event(said("practice-000000/0", "rule", SLOWER))  # whoever writes it has been told, too
            other.on_event(said("practice-000001/0", "rule", SLOWER))
            elsewhere.hear()
            assert set(rules(standing)) == {"practice-000001/0"}
            other.on_event(said("practice-000001/0", "undone"))
            elsewhere.hear()
            assert rules(standing) == {}


def test_whose_a_file_is_is_decided_once_it_says_so(tmp_path: Path) -> None:
    spec, folder = spec_of(settings(tmp_path)), tmp_path / "journal"
    folder.mkdir()
    standing = StandingSentences(spec)
    with SaidElsewhere(folder, arm_name(0, ARMS), standing) as elsewhere:
        for number in range(ARMS):
            whole = tmp_path / f"whole{number}"
            record(whole, spec, number, said(f"practice-00000{number}/0", "rule", SLOWER))
            data = (whole / "000.mcap").read_bytes()
            path = folder / f"00{number}.mcap"
            path.write_bytes(data[:20])  # its header is on its way
            elsewhere.recover(own=Path.exists)
            elsewhere.hear()
            path.write_bytes(data)
            elsewhere.hear()
    assert set(rules(standing)) == {"practice-000001/0"}, "the other one's is followed, its own is not"


def test_its_own_files_are_read_once_and_nobody_is_followed_where_nobody_speaks(tmp_path: Path) -> None:
    spec, folder = spec_of(settings(tmp_path)), tmp_path / "journal"
    standing, own = StandingSentences(spec), list[Path]()
    record(folder, spec, 0, said("practice-000000/0", "rule", SLOWER))
    record(folder, spec, 1, said("practice-000001/0", "rule", SLOWER))
    with SaidElsewhere(folder, arm_name(0, ARMS), standing, follows=False) as elsewhere:
        elsewhere.recover(own.append)
        assert [path.name for path in own] == ["000.mcap"]
        assert set(rules(standing)) == {"practice-000001/0"}, "whoever reads a file of one's own tells of it"
        record(folder, spec, 1, said("practice-000003/0", "rule", SLOWER))
        elsewhere.hear()
        assert set(rules(standing)) == {"practice-000001/0"}
