"""How often the robot goes for what a person means who asks for a block and a bowl in words of their own.

    python -m benchmarks.goals_said                  # tests/language/goals/*.tsv, both halves
    python -m benchmarks.goals_said --half mended --wrong

A file has one sentence in each line, behind what is wanted: `red`, `bowl_left`, `red>bowl_left`, or `unknown` where one
has to ask; `, all along` where it says that nothing else was ever wanted. Every sentence is heard in an episode of
`blocks` that asks for another block and another bowl. Lines of odd numbers may be used to mend the tables.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from robot_rlhf.datatypes import EpisodeKind, EpisodeMeta, Feedback, FeedbackKind, HumanInput, Segment, Sentence
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.language.goals import GoalDirector, for_place
from robot_rlhf.language.settings import LanguageConfig
from robot_rlhf.rewards.metrics import wilson_interval
from robot_rlhf.run.words import open_listening
from robot_rlhf.runtime.listening import Listening, Moment
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.place import SimConfig, SimPlace
from robot_rlhf_sim.tasks.blocks import BOWLS, COLOURS

FOLDER = Path(__file__).parents[1] / "tests" / "language" / "goals"
Half = Literal["mended", "kept"]
VERDICTS = ("right", "asks", "other bowl", "other block")
ALL_ALONG = "all along"


@dataclass(frozen=True)
class Case:
    """A sentence, and what a person wants who says it."""

    person: str
    half: Half
    thing: str
    """Empty where any block will do that was wanted before."""
    place: str
    all_along: bool
    sentence: str


def read_cases(folder: Path) -> list[Case]:
    """The sentences of a folder. Raises InvalidValueError for a line that wants no block and no bowl."""
    cases: list[Case] = []
    for path in sorted(folder.glob("*.tsv")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            wanted, tab, sentence = line.partition("\t")
            goal, _, since = wanted.partition(", ")
            names = [] if goal == "unknown" else goal.split(">")
            thing = names[0] if names and names[0] in COLOURS else ""
            place = names[-1] if names and names[-1] in BOWLS else ""
            if not tab or [name for name in (thing, place) if name] != names or since not in ("", ALL_ALONG):
                raise InvalidValueError(f"{path}, line {number}", line[:80], "thing[>place][, all along]<TAB>sentence")
            half: Half = "mended" if number % 2 else "kept"
            cases.append(Case(path.stem, half, thing, place, bool(since), sentence.strip()))
    return cases


class Heard:
    """A place that asks for one thing, and hears that another is wanted."""

    def __init__(self, place: SimPlace) -> None:
        self.director: GoalDirector = for_place(place)
        self._place = place
        self._listening: Listening = open_listening(LanguageConfig(), place)
        self._listening.steer(self.director)
        self._episodes = 0

    def hear(self, case: Case) -> tuple[tuple[str, str], tuple[str, str], Feedback]:
        """What was wanted, what is wanted after the sentence, and what is told of it."""
        meta = EpisodeMeta(f"practice-{self._episodes:06d}", "blocks", EpisodeKind.PRACTICE, 0, "o", "task@1")
        self._episodes += 1
        before = (
            next(name for name in COLOURS if name != case.thing),
            next(name for name in BOWLS if name != case.place),
        )
        self.director.name_goal(*before)
        self._listening.begin(meta)
        said, span = Sentence(case.sentence, 3.0), Segment(meta.id, 0, 20)
        self._listening.attend(
            HumanInput(sentences=(said,)), Moment(meta.id, self._place.arm.observe(), False), lambda began: span
        )
        told = self._listening.about(said, Feedback(FeedbackKind.CORRECTION, "o", 3.1, span, text=said.text))
        self._listening.let_go()
        return before, self.director.goal, told[0]


def verdict(case: Case, before: tuple[str, str], after: tuple[str, str], told: Feedback) -> str:
    """One of VERDICTS; to ask where nothing can be known is right."""
    wanted = case.thing or before[0], case.place or before[1]
    if case.thing or case.place:
        if after == wanted:
            return "right"
        if after == before:
            return "asks" if told.payload["doing"] in ("ask", "nothing") else "other block"
        return "other bowl" if after[0] == wanted[0] else "other block"
    return "right" if after == before and told.payload["doing"] in ("ask", "nothing") else "other block"


def score(cases: Sequence[Case]) -> Iterator[tuple[Case, str, Feedback]]:
    """Hear every sentence."""
    with closing(SimConfig().open("blocks", clock=FakeClock(), cameras={})) as place:
        place.task.reset(np.random.default_rng(0))
        heard = Heard(place)
        for case in cases:
            before, after, told = heard.hear(case)
            yield case, verdict(case, before, after, told), told


def table(scored: Sequence[tuple[Case, str, Feedback]]) -> Table:
    """Of each half, person, and of the sentences that say that it had been so all along."""
    made = Table(title="goals in words of their own", title_justify="left")
    for heading in ("", "n", *VERDICTS, "right [95 %]", "since when, right"):
        made.add_column(heading)
    groups: dict[str, list[tuple[Case, str, Feedback]]] = {}
    for each in scored:
        for name in (each[0].half, f"{each[0].half}, {each[0].person}"):
            groups.setdefault(name, []).append(each)
    for name, members in sorted(groups.items()):
        counts = Counter(found for _, found, _ in members)
        low, high = wilson_interval(counts["right"], len(members))
        named = [(case, told) for case, found, told in members if found == "right" and (case.thing or case.place)]
        since = sum(case.all_along == bool(told.payload.get("all_along")) for case, told in named)
        made.add_row(
            name,
            str(len(members)),
            *(str(counts[each]) for each in VERDICTS),
            f"{100 * counts['right'] / len(members):.1f} [{100 * low:.0f}, {100 * high:.0f}]",
            f"{since} of {len(named)}",
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--half", choices=("mended", "kept"), help="that half alone")
    parser.add_argument("--wrong", action="store_true", help="show what was not right")
    given = parser.parse_args()
    cases = [case for case in read_cases(given.folder) if given.half in (None, case.half)]
    scored = list(score(cases))
    console = Console(markup=False, width=160)
    console.print(table(scored))
    for case, found, told in scored if given.wrong else ():
        since = case.all_along != bool(told.payload.get("all_along"))
        if found != "right" or since:
            what = f"{case.thing or '-'} {case.place or '-'}"
            means = told.payload["meanings"], told.payload["doing"], told.payload.get("why", "")
            console.print(f"{found}{', since' if since else ''}: wanted {what}, got {means}: {case.sentence}")


if __name__ == "__main__":
    main()
