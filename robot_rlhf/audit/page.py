"""A report as one HTML file that needs nothing else: its plots are inside."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_rlhf.disk import replace_text
from robot_rlhf.rewards.metrics import Proportion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light; --ink: #111827; --dim: #6b7280; --line: #e5e7eb; --paper: #ffffff; --back: #f3f4f6; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 24px; margin: 8px 0 2px; } h2 { font-size: 18px; margin: 0 0 4px; }
.dim { color: var(--dim); } .basis { color: var(--dim); margin: 0 0 12px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
section { padding: 18px 20px; margin: 16px 0; }
section.alarm { border: 2px solid #dc2626; } section.alarm h2::after { content: " - alarm"; color: #dc2626; }
table { border-collapse: collapse; width: 100%; } td { padding: 4px 8px 4px 0; vertical-align: top; }
tr + tr td { border-top: 1px solid var(--line); } td:first-child { color: var(--dim); width: 46%; }
td:last-child { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
img { max-width: 100%; display: block; margin: 14px auto 4px; }
.missing { background: #fef3c7; border-radius: 6px; padding: 8px 12px; margin: 8px 0; }
.warning { background: #fee2e2; border-radius: 6px; padding: 8px 12px; margin: 8px 0; }
ul { color: var(--dim); font-size: 13px; padding-left: 18px; margin: 10px 0 0; }
"""


@dataclass(frozen=True, eq=False)
class Section:
    """One part of the page."""

    title: str
    basis: str
    """What it was computed on; after 'Computed on '."""
    lines: tuple[tuple[str, str], ...] = ()
    """Name and figure, in words."""
    notes: tuple[str, ...] = ()
    """How to read it, and what it does not say."""
    missing: str | None = None
    """Why it could not be computed."""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    """The figures as JSON; NaN where one could not be computed."""
    draw: Callable[[Figure], None] | None = None
    alarming: bool = False
    """To be shown as a warning."""


def number(value: float, digits: int = 3) -> str:
    """A figure in words."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "cannot be computed"


def share(proportion: Proportion) -> str:
    """A proportion in words, with its interval."""
    if not proportion.total:
        return "cannot be computed: none"
    low, high = proportion.interval
    return f"{proportion.rate:.1%} ({proportion.hits} of {proportion.total}; 95 % interval {low:.1%} to {high:.1%})"


def proportion_facts(proportion: Proportion) -> dict[str, Any]:
    """As JSON."""
    low, high = proportion.interval
    return {"rate": proportion.rate, "hits": proportion.hits, "total": proportion.total, "wilson": [low, high]}


def write_page(
    path: Path,
    title: str,
    subtitle: str,
    warnings: Sequence[str],
    about: Sequence[tuple[str, str]],
    parts: Sequence[Section],
) -> None:
    """Write the page; a reader sees the old file or the whole new one.

    Args:
        warnings: what makes the figures less than they seem.
        about: what was measured, on what; name and words.
    """
    body = [f"<h1>{_safe(title)}</h1>", f'<p class="dim">{_safe(subtitle)}</p>']
    body += [f'<p class="warning">{_safe(warning)}</p>' for warning in warnings]
    body += [f"<section><h2>What this is about</h2>{_table(about)}</section>", *map(_section, parts)]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_safe(title)}</title><style>{STYLE}</style></head><body><main>\n"
        + "\n".join(body)
        + "\n</main></body></html>\n"
    )
    replace_text(path, page)


def _section(section: Section) -> str:
    parts = [f"<h2>{_safe(section.title)}</h2>", f'<p class="basis">Computed on {_safe(section.basis)}.</p>']
    if section.missing is not None:
        parts.append(f'<p class="missing">Not computed: {_safe(section.missing)}.</p>')
    parts.append(_table(section.lines))
    if section.draw is not None:
        parts.append(f'<img alt="{_safe(section.title)}" src="data:image/png;base64,{_picture(section.draw)}">')
    if section.notes:
        parts.append("<ul>" + "".join(f"<li>{_safe(note)}</li>" for note in section.notes) + "</ul>")
    return f'<section class="{"alarm" if section.alarming else "plain"}">' + "".join(parts) + "</section>"


def _table(lines: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{_safe(name)}</td><td>{_safe(words)}</td></tr>" for name, words in lines)
    return f"<table>{rows}</table>" if rows else ""


def _picture(draw: Callable[[Figure], None]) -> str:
    """A plot as base64 of a PNG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "font.size": 10,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(9.2, 3.9), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=130)
    return base64.b64encode(data.getvalue()).decode()


def _safe(text: str) -> str:
    return html.escape(text)
