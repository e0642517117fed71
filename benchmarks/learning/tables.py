"""The tables of the report, each from the rows of one era."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.learning.cases import METHODS, TASKS
from benchmarks.learning.figures import (
    FALL,
    Key,
    below_cloning,
    cycle_seconds,
    difference,
    each,
    held,
    paired,
    rate,
    worst_helped,
    worst_unaided,
)
from benchmarks.learning.rows import Row
from benchmarks.learning.suites import ABLATIONS, LONG, SESSIONS, SUITES, VARIANTS

Groups = Mapping[Key, Sequence[Row]]
MARGIN = 1.0
"""Points that ours may be behind HG-DAgger and still count as no worse."""
PEOPLE = tuple(dict.fromkeys(case.person for suite in SUITES.values() for case in suite))


@dataclass(frozen=True)
class Table:
    """Cells of text under a header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        """As docs/results/learning.md has it."""
        lines = [_line(self.header), _line(["---"] * len(self.header)), *map(_line, self.rows)]
        title = [f"**{self.title}**", ""] if self.title else []
        return "\n".join([*title, *lines, *(["", self.note] if self.note else [])])

    def page(self) -> str:
        """As the page has it."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in self.rows
        )
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        title = html.escape(self.title)
        return f"<h2>{title}</h2><div class=wide><table><tr>{head}</tr>\n{body}</table></div>{note}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


COMPARED = (
    *("ours", "hg_dagger", "sirius", "cloning", "demonstrations", "twenty", "no_interventions", "sb3_sac"),
    *("cloning_shuffled", "cloning_iwr", "cloning_sirius", "scripted", "random"),
)
COLUMNS = (
    *("person", "method", "seeds", "success per seed", "success, % [95 %]", "hands on, s", "at the machine, s"),
    *("cycle, s", "worst unaided, %", "worst helped, %", "below cloning, points"),
)


def order(person: str) -> tuple[int, str]:
    """Sorts people as the cast has them."""
    return (PEOPLE.index(person) if person in PEOPLE else len(PEOPLE), person)


def people_of(groups: Groups, task: str) -> list[str]:
    """Everybody of whom there is a usual run of a task."""
    return sorted({person for of, _, person, variant in groups if of == task and not variant}, key=order)


def comparison(groups: Groups, task: str) -> Table | None:
    """All methods, person by person."""
    lines = [
        _compared(groups, (task, method, person, ""), METHODS[method].label)
        for person in people_of(groups, task)
        for method in COMPARED
        if (task, method, person, "") in groups
    ]
    note = (
        "Success is unaided, 100 episodes per seed. Other cells: the seeds' median (least–greatest). Worst unaided: "
        "the least of the evaluations during practice. Worst helped: of any 20 practice episodes in a row, with what "
        "help there was. Below cloning: how far unaided success lay below the clone of the same data, at the worst."
    )
    return Table(f"{TASKS[task].label}: all methods", COLUMNS, tuple(lines), note) if lines else None


def _compared(groups: Groups, key: Key, label: str) -> tuple[str, ...]:
    rows = groups[key]
    task, method, person, variant = key
    clones = {row["seed"]: row for row in groups.get((task, "cloning", person, variant), ())}
    of_ours = method == "ours"
    return (
        person,
        label,
        str(len(rows)),
        ", ".join(str(row["final"]["successes"]) for row in rows),
        rate([row["final"] for row in rows]),
        each(rows, lambda row: row["hands_on_seconds"]),
        each(rows, lambda row: row["at_machine_seconds"], 0),
        each(rows, cycle_seconds, 2),
        each(rows, worst_unaided, 0) if METHODS[method].kind == "training" else "–",
        each(rows, worst_helped, 0) if METHODS[method].corrects else "–",
        each(rows, lambda row: below_cloning(row, clones.get(row["seed"])), 0) if of_ours else "–",
    )


def headline(groups: Groups) -> Table | None:
    """Ours beside HG-DAgger, a line per skill and person, as short as a first page wants it."""
    lines: list[tuple[str, ...]] = []
    for task in TASKS:
        for person in people_of(groups, task):
            ours, theirs = (groups.get((task, method, person, ""), ()) for method in ("ours", "hg_dagger"))
            if not ours or not theirs:
                continue
            numbers = (each(rows, lambda row: row["hands_on_seconds"], 0).partition(" ")[0] for rows in (ours, theirs))
            rates = (rate([row["final"] for row in rows]) for rows in (ours, theirs))
            lines.append((TASKS[task].label, person, *rates, *numbers))
    header = (
        *("skill", "person", "ours, % [95 %]", "HG-DAgger, % [95 %]"),
        *("hands on, s: ours", "HG-DAgger"),
    )
    return Table("", header, tuple(lines)) if lines else None


def decision(groups: Groups, task: str) -> Table | None:
    """Ours against HG-DAgger for each person: on the same starts, over the seeds that both have."""
    lines: list[tuple[str, ...]] = []
    counts = [0, 0, 0]
    for person in people_of(groups, task):
        ours, theirs = (groups.get((task, method, person, ""), ()) for method in ("ours", "hg_dagger"))
        both = paired(ours, theirs)
        seconds = difference(ours, theirs, lambda row: row["hands_on_seconds"])
        if both is None or seconds is None:
            continue
        cycle = both.cycle_difference
        met = (both.points >= -MARGIN, seconds <= 0.0, cycle is not None and cycle < 0.0)
        counts = [count + one for count, one in zip(counts, met, strict=True)]
        in_seconds = "–" if cycle is None else f"{cycle * ours[0]['control_period']:+.2f}"
        verdicts = tuple("yes" if one else "no" for one in met)
        lines.append((person, str(both.episodes // 100), str(both), f"{seconds:+.1f}", in_seconds, *verdicts))
    if not lines:
        return None
    header = (
        *("person", "seeds", "success, points ± 95 %", "hands on, s", "cycle, s (both succeeded)"),
        *("no worse than 1 point", "no more seconds", "faster"),
    )
    no_worse, no_more, faster = (f"{count} of {len(lines)}" for count in counts)
    note = f"No worse for {no_worse} people, no more seconds for {no_more}, faster for {faster}."
    return Table(f"{TASKS[task].label}: ours minus HG-DAgger, paired", header, tuple(lines), note)


def long_runs(groups: Groups) -> Table | None:
    """Whether what was learned is still there after three times the steps."""
    lines: list[tuple[str, ...]] = []
    notes: list[str] = []
    for (task, method, person, variant), rows in sorted(groups.items(), key=lambda item: order(item[0][2])):
        if variant not in LONG:
            continue
        kept = 0
        for row in rows:
            step, least = held(row["curve"])
            fell = least is not None and least < FALL
            kept += step is not None and not fell
            told = (
                ("–", "–", "never there")
                if step is None
                else (f"{step:,}", _percent(least), "fell" if fell else "held")
            )
            final = rate([row["final"]])
            lines.append((f"{TASKS[task].label}, {METHODS[method].label}", person, str(row["seed"]), *told, final))
        notes.append(f"{person}: held on {kept} of {len(rows)} seeds.")
    header = ("what", "person", "seed", "two of 97 % at step", "least after that, %", "", "final, % [95 %]")
    return Table("15,000 steps: late falls", header, tuple(lines), " ".join(notes)) if lines else None


def falls(groups: Groups) -> Table | None:
    """Whether the usual runs' unaided success, once there, was still there later in practice; over all people."""
    lines: list[tuple[str, ...]] = []
    for task in TASKS:
        for method in COMPARED:
            usual = (found for key, found in groups.items() if key[:2] == (task, method) and not key[3])
            rows = [row for found in usual for row in found if row["curve"]]
            there = [least for step, least in (held(row["curve"]) for row in rows) if step is not None]
            if not rows:
                continue
            later = [least for least in there if least is not None]
            fell = sum(least < FALL for least in later)
            counts = map(str, (len(rows), len(there), fell))
            lines.append((TASKS[task].label, METHODS[method].label, *counts, _percent(min(later, default=None))))
    header = ("task", "method", "runs", "two of 97 % in a row", "of these below 93 % later", "least after that, %")
    return Table("Falls during practice, all people and seeds", header, tuple(lines)) if lines else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f}"


def short_sessions(groups: Groups) -> Table | None:
    """What sessions without evaluation deploy, beside the other policies they could have."""
    lines: list[tuple[str, ...]] = []
    names = ("deployed", "newest", "averaged", "cloned")
    position = {variant: number for number, variant in enumerate(SESSIONS)}
    keys = [key for key in groups if key[1] == "session"]
    for key in sorted(keys, key=lambda key: (key[0], order(key[2]), position.get(key[3], -1))):
        task, _, person, variant = key
        rows = groups[key]
        label = SESSIONS[variant].label if variant in SESSIONS else variant or "as usual"
        measured = (rate([row["policies"][name] for row in rows]) for name in names)
        lines.append((TASKS[task].label, person, label, str(len(rows)), *measured))
    header = ("task", "person", "practice", "seeds", *(f"{name}, % [95 %]" for name in names))
    return Table("Short sessions: what is deployed", header, tuple(lines)) if lines else None


def variants(groups: Groups, names: Mapping[str, str], title: str) -> Table | None:
    """Variants of ours beside the usual run, on the same starts.

    Args:
        names: label by variant.
    """
    lines: list[tuple[str, ...]] = []
    pairs = dict.fromkeys((key[0], key[2]) for key in groups if key[1] == "ours" and key[3] in names)
    for task, person in sorted(pairs, key=lambda pair: (pair[0], order(pair[1]))):
        usual = groups.get((task, "ours", person, ""), ())
        for variant in ("", *names):
            rows = groups.get((task, "ours", person, variant), ())
            if not rows:
                continue
            against = paired(rows, usual) if variant else None
            seconds = difference(rows, usual, lambda row: row["hands_on_seconds"]) if variant else None
            lines.append(
                (
                    TASKS[task].label,
                    person,
                    names.get(variant, "as usual"),
                    str(len(rows)),
                    rate([row["final"] for row in rows]),
                    "–" if against is None else str(against),
                    each(rows, lambda row: row["hands_on_seconds"]),
                    "–" if seconds is None else f"{seconds:+.1f}",
                    each(rows, cycle_seconds, 2),
                    each(rows, worst_unaided, 0),
                    each(rows, worst_helped, 0),
                )
            )
    header = (
        *("task", "person", "variant", "seeds", "success, % [95 %]", "minus usual, points ± 95 %", "hands on, s"),
        *("minus usual, s", "cycle, s", "worst unaided, %", "worst helped, %"),
    )
    return Table(title, header, tuple(lines)) if lines else None


def all_tables(groups: Groups) -> list[Table]:
    """Every table for which there are rows."""
    known = {*ABLATIONS, *LONG, *SESSIONS}
    others = {key[3]: VARIANTS[key[3]].label if key[3] in VARIANTS else key[3] for key in groups if key[3]}
    found = [
        *(table for task in TASKS for table in (decision(groups, task), comparison(groups, task))),
        falls(groups),
        long_runs(groups),
        short_sessions(groups),
        variants(groups, {name: variant.label for name, variant in ABLATIONS.items()}, "Each mechanism off"),
        variants(groups, {name: label for name, label in others.items() if name not in known}, "Other variants"),
    ]
    return [table for table in found if table is not None]
