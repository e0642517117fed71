"""How often the robot goes for what a person means who asks for a block and a bowl in words of their own.

    python -m benchmarks.goals_said                  # tests/language/goals/*.tsv, both halves
    python -m benchmarks.goals_said --half mended --wrong
    python -m benchmarks.goals_said --runs RUN...    # what trained policies do, asked in words that were kept apart

Runs are those of benchmarks.goals with
`--methods "five networks" --learner cloning --demonstrations 20 --steps 0 --keep FOLDER`.

A file has one sentence in each line, behind what is wanted: `red`, `bowl_left`, `red>bowl_left`, or `unknown` where one
has to ask; `, all along` where it says that nothing else was ever wanted. Every sentence is heard in an episode of
`blocks` that asks for another block and another bowl. Lines of odd numbers may be used to mend the tables.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.goals import HELD_OUT
from robot_rlhf.datatypes import (
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Event,
    Feedback,
    FeedbackKind,
    HumanInput,
    Observation,
    Outcome,
    Segment,
    Sentence,
    Step,
)
from robot_rlhf.errors import InvalidValueError
from robot_rlhf.language.goals import GoalDirector, for_place
from robot_rlhf.language.settings import LanguageConfig
from robot_rlhf.rewards.metrics import wilson_interval
from robot_rlhf.run.build import build_station, load_policy, software_versions
from robot_rlhf.run.folder.provenance import source_commit
from robot_rlhf.run.folder.run_folder import RunFolder, append_json
from robot_rlhf.run.settings import read_yaml
from robot_rlhf.run.words import open_listening
from robot_rlhf.runtime.listening import Listening, Moment
from robot_rlhf.runtime.loop import run_episode
from robot_rlhf.runtime.seeds import episode_seed, generators
from robot_rlhf.timing import Clock, FakeClock
from robot_rlhf_sim.place import SimConfig, SimPlace
from robot_rlhf_sim.tasks.blocks import BOWLS, COLOURS, PAIRS

FOLDER = Path(__file__).parents[1] / "tests" / "language" / "goals"
RESULTS = Path(__file__).parent / "results" / "goals_said.jsonl"
Half = Literal["mended", "kept"]
VERDICTS = ("right", "asks", "other bowl", "other block")
ALL_ALONG = "all along"
AT = 0.035
"""Metres from the fingers at which they are at a block: less than blocks are apart."""


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


# -- with a policy ---------------------------------------------------------------------------------------------------


@dataclass
class _Voice:
    """A Teleop and a Subscriber: wants something else as an episode begins, says so, and sees what is picked up."""

    director: GoalDirector
    before: tuple[str, str]
    text: str
    clock: Clock
    went: str = ""
    """The first block that the fingers were at."""
    picked: str = ""
    """The first one in them."""
    _said: bool = False

    def read(self) -> HumanInput:
        if self._said:
            return HumanInput()
        self._said = True
        return HumanInput(sentences=(Sentence(self.text, self.clock.now()),))

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self.director.name_goal(*self.before)

    def on_step(self, step: Step) -> None:
        seen = step.next_observation
        tool = seen.tool_pose_in_base[:3]
        near = [name for name in COLOURS if np.linalg.norm(seen.privileged[name][:3] - tool) < AT]
        self.went = self.went or (near[0] if near else "")
        held = int(seen.privileged["held"][0])
        if held and not self.picked:
            self.picked = tuple(COLOURS)[held - 1]

    def on_event(self, event: Event) -> None:
        """What is understood shows in what is done."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        """The next one has a voice of its own."""


def starts(cases: Sequence[Case], goals: Sequence[tuple[str, str]]) -> Iterator[tuple[Case, tuple[str, str]]]:
    """Sentences after which one of these goals is wanted, and a goal to say them at; round and round."""
    for case in itertools.cycle(cases):
        for thing, place in goals:
            if case.thing == thing and case.place in ("", place):
                other = next(name for name in BOWLS if name != place)
                yield case, (next(name for name in COLOURS if name != thing), other if case.place else place)


def run_policy(run: Path, episodes: int, first_seed: int = 50_000) -> dict[str, Any]:
    """Unaided episodes of a trained policy whose goal is said in words that were kept apart."""
    folder = RunFolder.existing(run)
    config = read_yaml(folder.config)
    cases = [case for case in read_cases(FOLDER) if case.half == "kept" and case.thing]
    held_out = [cast("tuple[str, str]", tuple(pair.split(">"))) for pair in HELD_OUT.split(",")]
    counted: dict[str, Any] = {"seed": config.seed}
    clock = FakeClock()
    with closing(config.place.open("blocks", clock=clock, cameras={})) as place:
        assert folder.chosen is not None
        policy, _ = load_policy(config, place.spec, folder.chosen)
        station = build_station(config, place, policy)
        assert isinstance(station.director, GoalDirector)
        listening = open_listening(LanguageConfig(), place)
        listening.steer(station.director)
        for what, goals in (("seen", [pair for pair in PAIRS if pair not in held_out]), ("unseen", held_out)):
            went = right = successes = wrong = 0
            for number, (case, before) in zip(range(episodes), starts(cases, goals), strict=False):
                voice = _Voice(station.director, before, case.sentence, clock)
                own = replace(station, teleop=voice, listening=listening, subscribers=(voice, listening.standing))
                meta = EpisodeMeta(f"practice-{what}{number:06d}", "blocks", EpisodeKind.PRACTICE, 0, "o", "task@1")
                end = run_episode(own, meta, *generators(episode_seed(first_seed + config.seed, meta.kind, number)))
                went += voice.went == case.thing
                right += voice.picked == case.thing
                wrong += voice.picked not in ("", case.thing)
                wanted = case.thing, case.place or before[1]
                successes += end.outcome is Outcome.SUCCESS and station.director.goal == wanted
            counted[what] = {"went": went, "right": right, "other": wrong, "successes": successes, "of": episodes}
    return counted


def policy_table(rows: Sequence[dict[str, Any]]) -> Table:
    """What trained policies pick up and do, all seeds together."""
    seeds = ", ".join(str(row["seed"]) for row in rows)
    made = Table(title=f"goals said in kept words, seeds {seeds}: % [95 %]", title_justify="left")
    for heading in ("pairs", "went for the right block", "picked it up", "picked up another", "done", "of"):
        made.add_column(heading)
    for what in ("seen", "unseen"):
        of = sum(row[what]["of"] for row in rows)
        cells: list[str] = []
        for name in ("went", "right", "other", "successes"):
            count = sum(row[what][name] for row in rows)
            low, high = wilson_interval(count, of)
            cells.append(f"{100 * count / of:.1f} [{100 * low:.0f}, {100 * high:.0f}]")
        made.add_row(what, *cells, str(of))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--half", choices=("mended", "kept"), help="that half alone")
    parser.add_argument("--wrong", action="store_true", help="show what was not right")
    parser.add_argument("--runs", type=Path, nargs="+", help="runs whose policies are asked, in kept words")
    parser.add_argument("--episodes", type=int, default=100, help="with each policy, for each kind of pair")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    console = Console(markup=False, width=160)
    if given.runs:
        rows = [run_policy(run, given.episodes) for run in given.runs]
        for row in rows:
            append_json(given.out, {**row, "commit": source_commit(), "versions": software_versions()})
        console.print(policy_table(rows))
        return
    cases = [case for case in read_cases(given.folder) if given.half in (None, case.half)]
    scored = list(score(cases))
    console.print(table(scored))
    for case, found, told in scored if given.wrong else ():
        since = case.all_along != bool(told.payload.get("all_along"))
        if found != "right" or since:
            what = f"{case.thing or '-'} {case.place or '-'}"
            means = told.payload["meanings"], told.payload["doing"], told.payload.get("why", "")
            console.print(f"{found}{', since' if since else ''}: wanted {what}, got {means}: {case.sentence}")


if __name__ == "__main__":
    main()
