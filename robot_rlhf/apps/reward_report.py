"""`robot-rlhf reward report`: one page on how far a learned reward can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from robot_rlhf.apps.command import parse
from robot_rlhf.audit.page import Section
from robot_rlhf.audit.report import RewardReportOptions, name_of, report
from robot_rlhf.run.screen import screen


def run(argv: Sequence[str]) -> int:
    """Report; returns the exit code."""
    options = parse(RewardReportOptions, "reward report", argv)
    page, sections, warnings = report(options)
    console = screen()
    console.print(_table(options, sections))
    for warning in warnings:
        console.print(Text.assemble(("warning:", "yellow"), f" {warning}"), highlight=False, soft_wrap=True)
    console.print(f"look at {page}", highlight=False, soft_wrap=True)
    return 0


def _table(options: RewardReportOptions, sections: Sequence[Section]) -> Table:
    table = Table(title=name_of(options), title_justify="left", title_style="bold", show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for section in sections:
        style = "bold red" if section.alarming else "bold"
        missing = "" if section.missing is None else f"not computed: {section.missing}"
        table.add_row(Text(section.title, style), missing)
        for name, words in section.lines:
            table.add_row(f"  {name}", words)
    return table
