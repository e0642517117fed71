"""How well sentences are understood: right, asked about, opposite, per kind and language, and how long a reading takes.

    python benchmarks/sentences.py                       # tests/language/sentences/*.tsv with the grammar
    python benchmarks/sentences.py --wrong               # with every sentence that was not right
    python benchmarks/sentences.py --backend my.py:make  # an interpreter of one's own, or a function that makes one

A file has one sentence in each line, behind what is to be read in it, a tab between: `left,down<TAB>left and down`. Its
name begins with the language: en_anna.tsv. Opposite is a reading whose opposite is wanted while itself is not.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from robot_rlhf.errors import InvalidValueError
from robot_rlhf.facts import FactBook
from robot_rlhf.language.choice import LANGUAGES, make_interpreter
from robot_rlhf.language.things import usual_facts
from robot_rlhf.meaning import GRIPS, MOVES, OPPOSITE, READINGS, SPEEDS, TURNS
from robot_rlhf.naming import find_own
from robot_rlhf.ports import Interpreter

FOLDER = Path(__file__).parents[1] / "tests" / "language" / "sentences"
VERDICTS = ("right", "asks", "wrong", "opposite")
KINDS: Mapping[str, str] = {
    **dict.fromkeys(MOVES, "motion"),
    **dict.fromkeys(TURNS, "turn"),
    **dict.fromkeys(GRIPS, "grip"),
    **dict.fromkeys(SPEEDS, "speed"),
    **dict.fromkeys(("good", "bad"), "judgement"),
    **dict.fromkeys(("stop", "retry", "undo"), "order"),
}
"""Reading to kind; others are a kind of their own."""


@dataclass(frozen=True)
class Case:
    """A sentence, and what is to be read in it."""

    language: str
    wanted: Sequence[str]
    sentence: str

    @property
    def kind(self) -> str:
        return "several" if len(self.wanted) > 1 else KINDS.get(self.wanted[0], self.wanted[0])


@dataclass(frozen=True)
class Scored:
    """A sentence, what was read in it, and how long that took."""

    case: Case
    got: tuple[str, ...]
    seconds: float

    @property
    def verdict(self) -> str:
        return verdict(self.case.wanted, self.got)


def verdict(wanted: Sequence[str], got: Sequence[str]) -> str:
    """One of VERDICTS; to ask where nothing can be known is right."""
    if list(wanted) == list(got):
        return "right"
    if any(OPPOSITE.get(reading) in wanted and reading not in wanted for reading in got):
        return "opposite"
    return "asks" if "unknown" in got else "wrong"


def read_cases(folder: Path) -> list[Case]:
    """The sentences of a folder's files. Raises InvalidValueError for a line without a reading that there is."""
    cases: list[Case] = []
    for path in sorted(folder.glob("*.tsv")):
        language = next((name for name in LANGUAGES if path.stem.lower().startswith(name)), "en")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            readings, tab, sentence = line.partition("\t")
            wanted = tuple(reading.strip() for reading in readings.split(","))
            if not tab or not set(wanted) <= set(READINGS):
                raise InvalidValueError(f"{path}, line {number}", line[:80], "reading[,reading]<TAB>sentence")
            cases.append(Case(language, wanted, sentence.strip()))
    return cases


def score(cases: Iterable[Case], make: Callable[[str], Interpreter], facts: FactBook) -> Iterator[Scored]:
    """Read every sentence with the interpreter of its language."""
    made: dict[str, Interpreter] = {}
    for case in cases:
        if case.language not in made:
            made[case.language] = make(case.language)
            made[case.language].read("warm up", facts)
        began = time.perf_counter()
        heard = made[case.language].read(case.sentence, facts)
        yield Scored(case, tuple(heard.readings), time.perf_counter() - began)


def shares(scored: Sequence[Scored]) -> dict[str, float]:
    """Of each verdict."""
    counts = Counter(each.verdict for each in scored)
    return {name: counts[name] / max(len(scored), 1) for name in VERDICTS}


def _tables(scored: Sequence[Scored], backend: str) -> Table:
    table = Table(title=f"{backend}: {len(scored)} sentences", title_justify="left")
    for heading in ("", "n", *VERDICTS):
        table.add_column(heading, justify="left" if not heading else "right")
    groups: dict[str, list[Scored]] = {"all": list(scored)}
    for each in scored:
        groups.setdefault(f"language {each.case.language}", []).append(each)
    for each in scored:
        groups.setdefault(each.case.kind, []).append(each)
    for name, members in groups.items():
        table.add_row(name, str(len(members)), *(f"{100 * share:.1f} %" for share in shares(members).values()))
    return table


def _maker(backend: str) -> Callable[[str], Interpreter]:
    if backend == "grammar":
        return lambda language: make_interpreter((language,))
    own = find_own(backend, "interpreter", ("grammar",))
    return lambda language: own if isinstance(own, Interpreter) else own()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--backend", action="append", help="grammar, or module:name or file.py:name of one's own")
    parser.add_argument("--wrong", action="store_true", help="show what was not right")
    options = parser.parse_args()
    cases = read_cases(options.folder)
    if not cases:
        raise SystemExit(f"{options.folder}: no sentences; allowed: a folder of .tsv files")
    console = Console(markup=False)
    console.print(f"python {platform.python_version()} on {platform.machine()}")
    for backend in options.backend or ["grammar"]:
        scored = list(score(cases, _maker(backend), usual_facts()))
        console.print(_tables(scored, backend))
        times = sorted(1_000 * each.seconds for each in scored)
        console.print(
            f"time to reading: median {statistics.median(times):.2f} ms, p99 {times[len(times) * 99 // 100]:.2f} ms"
        )
        for each in scored if options.wrong else ():
            if each.verdict != "right":
                wanted, got = ",".join(each.case.wanted), ",".join(each.got)
                console.print(f"{each.verdict}: wanted {wanted}, got {got}: {each.case.sentence}", soft_wrap=True)


if __name__ == "__main__":
    main()
