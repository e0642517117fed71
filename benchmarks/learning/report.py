"""Writes the report of an era: tables into docs/results/learning.md and README.md, one page with all, and pictures."""

from __future__ import annotations

import base64
import html
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.learning import plots
from benchmarks.learning.cases import TASKS, TUNE_SEEDS
from benchmarks.learning.figures import grouped
from benchmarks.learning.rows import Era, Row
from benchmarks.learning.suites import SUITES
from benchmarks.learning.tables import Groups, Table, all_tables, comparison, headline
from robot_rlhf.disk import replace_text
from robot_rlhf.errors import ConfigError

BEGIN = "<!-- benchmarks.learning report: written by the program from here -->"
END = "<!-- benchmarks.learning report: to here -->"
RESULTS_PAGE = Path(__file__).parents[2] / "docs" / "results" / "learning.md"
FRONT = Path(__file__).parents[2] / "README.md"
FOLDER = Path(__file__).parents[1] / "results"
"""Of the pictures, and the page that needs nothing else."""
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2em auto; padding: 0 1em }
body { color: #111; background: #fff }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { padding: .25em .7em; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap }
th { white-space: normal; vertical-align: bottom } tr:hover td { background: #f3f6ff }
img { max-width: 100%; height: auto } h2 { margin-top: 2em } p { max-width: 72ch }
"""


def report(
    era: Era, console: Console, *, page: Path = RESULTS_PAGE, front: Path = FRONT, folder: Path = FOLDER
) -> None:
    """Write everything that the rows of an era say; what the pages say beside their markers stays.

    Args:
        page: of all tables, with the markers in it.
        front: of the shortest table, with the markers in it.
        folder: where the pictures and learning.html go.

    Raises:
        ConfigError: the era has no row, or a page has no markers.
    """
    rows = list(era.all_rows())
    if not rows:
        raise ConfigError(f"era {era.name}: no row in {era.rows}; begin with python -m benchmarks.learning run")
    kept = reported(rows)
    groups = grouped(kept)
    facts, tables = facts_of(era, kept, len(rows) - len(kept)), all_tables(groups)
    drawn = {name: title for name, (title, draw) in pictures(groups).items() if draw(folder / name)}
    write_between(page, markdown(facts, tables, {f"{_way(page.parent, folder)}/{n}": t for n, t in drawn.items()}))
    if short := headline(groups):
        write_between(front, short.markdown())
    replace_text(folder / "learning.html", web_page(era, facts, [*tables, *earlier(era)], drawn, folder))
    for table in tables:
        console.print(table.title, highlight=False)
    console.print(
        f"{len(kept)} rows: {page.name}, {front.name} and {folder.name}/learning.html are written", highlight=False
    )


def reported(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows without those that were run to choose settings, unless there is nothing else."""
    return [row for row in rows if row["seed"] not in TUNE_SEEDS] or rows


def pictures(groups: Groups) -> dict[str, tuple[str, Callable[[Path], bool]]]:
    """The pictures by file name: what each shows, and what draws it where there is something to draw."""
    return {
        "learning.png": ("Unaided success over practice steps", lambda path: plots.curves(groups, path)),
        **{
            f"learning_{task}.png": (
                f"{TASKS[task].label}: success, hands on and cycle time by person",
                lambda path, task=task: plots.costs(groups, task, path),
            )
            for task in TASKS
        },
        "learning_long.png": ("15,000 steps, a line per seed", lambda path: plots.long_curves(groups, path)),
    }


def _way(start: Path, to: Path) -> str:
    """From one folder to another, as a link has it."""
    return Path(os.path.relpath(to, start)).as_posix()


def earlier(era: Era) -> list[Table]:
    """The comparisons of other eras: with other learners, so not to be compared with this one's cell by cell."""
    found: list[Table] = []
    for other in era.others:
        groups = grouped(other.all_rows())
        tables = (comparison(groups, task) for task in TASKS)
        found += [
            replace(table, title=f"Era {other.name}, another learner. {table.title}") for table in tables if table
        ]
    return found


def facts_of(era: Era, rows: Sequence[Row], left_out: int) -> list[str]:
    """What the rows were made with, and what is missing."""
    commits = Counter((row["commit"] or "unknown").replace("+changes", " with changes") for row in rows)
    versions = Counter(", ".join(f"{name} {version}" for name, version in row["versions"].items()) for row in rows)
    names = {f"{row['task']} {row['method']} {row['person']} {row['variant']} {row['seed']}" for row in rows}
    wanted = {
        case.name: f"{case.task} {case.method} {case.person} {case.variant} {case.seed}"
        for suite in SUITES.values()
        for case in suite
    }
    missing = sum(told not in names for told in wanted.values())
    failed = [failure["name"] for failure in era.all_failures()]
    told = ", ".join(f"{commit[:10]}{commit[40:]} ({count})" for commit, count in commits.most_common())
    seeds, last = sorted({row["seed"] for row in rows}), max(row["ended"] for row in rows)[:10]
    found = [
        f"Era {era.name}: {len(rows)} runs, seeds {seeds[0]} to {seeds[-1]}, last one {last}.",
        f"{'Commits, mixed' if len(commits) > 1 else 'Commit'}: {told}.",
        *(f"Versions: {text} ({count} runs)." for text, count in versions.most_common()),
    ]
    if missing:
        found.append(f"{missing} of the suites' {len(wanted)} runs are missing, so that seeds are fewer in some rows.")
    if failed:
        found.append(f"Failed: {', '.join(failed)}.")
    if left_out:
        found.append(f"{left_out} rows of the seeds on which settings are chosen are left out.")
    return found


def markdown(facts: Sequence[str], tables: Sequence[Table], drawn: Mapping[str, str]) -> str:
    """For the page; pictures by their way from there."""
    images = [f"![{title}]({path})" for path, title in drawn.items()]
    return "\n\n".join([" ".join(facts), *(table.markdown() for table in tables), *images])


def write_between(page: Path, text: str) -> None:
    """Put a text between the page's markers.

    Raises:
        ConfigError: it has none.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigError(f"{page.name}: has no lines {BEGIN!r} and {END!r} to write between")
    replace_text(page, f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def web_page(era: Era, facts: Sequence[str], tables: Sequence[Table], drawn: Mapping[str, str], folder: Path) -> str:
    """One file that needs nothing else."""
    pictures = [
        f"<h2>{html.escape(title)}</h2><img alt='{html.escape(title)}' src='data:image/png;base64,"
        f"{base64.b64encode((folder / name).read_bytes()).decode()}'>"
        for name, title in drawn.items()
    ]
    body = "\n".join([*(f"<p>{html.escape(fact)}</p>" for fact in facts), *pictures, *(t.page() for t in tables)])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Learning with a person, {era.name}</title><style>{STYLE}</style>"
        f"<h1>Learning with a person, beside its baselines</h1>\n{body}\n</html>\n"
    )
