"""Tables and plots of results/rewards.jsonl."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table

from benchmarks.rewards.rows import Row, rate, read_rows

COLOURS = {"single": "tab:red", "cautious": "tab:blue", "bounded": "tab:green", "compared": "black"}
LABELS = {
    "single": "single",
    "cautious": "mean - variance (UWO)",
    "bounded": "squashed (PAR)",
    "compared": "compared during practice",
}


def report(path: Path) -> None:
    """Print a table of each show that has rows, and draw what is a curve beside the rows."""
    console = Console(width=120)
    tables: dict[str, Callable[[list[Row]], Table]] = {
        "preferences": _success,
        "choice": _choice,
        "progress": _progress,
        "success": _detected,
        "success_policy": _success,
        "sentence_order": _order,
        "sentence_policy": _success,
        "optimise": _optimised,
        "offline": _success,
        "frames": _frames,
        "period": _periods,
    }
    for show, table in tables.items():
        rows = read_rows(path, show)
        if rows:
            console.print(table(rows))
    curves = read_rows(path, "optimise")
    if curves:
        console.print(f"drawn: {draw_optimised(curves, path.parent / 'rewards_optimised.png')}", highlight=False)


def _groups(rows: Sequence[Row], *names: str) -> dict[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: r["seed"]):
        found[tuple(str(row[name]) for name in names if name in row)].append(row)
    return found


def _success(rows: list[Row]) -> Table:
    table = Table("what", "seeds", "success per seed", "together (Wilson 95 %)", title=rows[0]["show"])
    for name, found in _groups(rows, "task", "variant", "sentence").items():
        each = ", ".join(str(r["successes"]) for r in found)
        table.add_row(" ".join(name), _seeds(found), each, rate(found))
    return table


def _choice(rows: list[Row]) -> Table:
    table = Table("comparisons", "labels", "overall", "within 3 cm", "least", title="rank correlation with nearness")
    for name in rows[0]["choices"]:
        found = [row["choices"][name] for row in rows]
        near = [f["near"] for f in found]
        numbers = [f"{mean(f['labels'] for f in found):.0f}", f"{mean(f['overall'] for f in found):.3f}"]
        table.add_row(name, *numbers, f"{mean(near):.3f}", f"{min(near):.3f}")
    return table


def _progress(rows: list[Row]) -> Table:
    table = Table("sees", "task", "seeds", "VOC", "AUC", "other sentence lower", title="progress, held out")
    for name, found in _groups(rows, "sees", "task").items():
        hits, total = (sum(r["other_text_lower"][k] for r in found) for k in (0, 1))
        lower = f"{hits} of {total}" if total else "-"
        table.add_row(*name, _seeds(found), _numbers(found, "voc"), _numbers(found, "auc"), lower)
    return table


def _detected(rows: list[Row]) -> Table:
    table = Table("sees", "task", "seeds", "moments: false", "moments: found", "episodes: false", "episodes: found")
    table.title = "success, held out"
    for name, found in _groups(rows, "sees", "task").items():
        cells = [
            rate([{"hits": r[key][0], "total": r[key][1]} for r in found], "hits", "total")
            for key in ("false_positives", "found", "episodes_false", "episodes_found")
        ]
        table.add_row(*name, _seeds(found), *cells)
    return table


def _order(rows: list[Row]) -> Table:
    table = Table("sentence", "alpha", "seeds", "Spearman with the truth", title="sentences, states held out")
    for name, found in _groups(rows, "sentence", "alpha").items():
        table.add_row(*name, _seeds(found), _numbers(found, "spearman"))
    return table


def _optimised(rows: list[Row]) -> Table:
    table = Table("reward", "seeds", "proxy at the end", "success: best", "success: end", title="over-optimisation")
    for name, found in _groups(rows, "task", "variant").items():
        ends = ", ".join(f"{r['curve'][-1]['proxy']:.2f}" for r in found)
        best = ", ".join(f"{max(u[1] for u in r['unaided']):.2f}" for r in found)
        last = ", ".join(f"{mean(u[1] for u in r['unaided'][-2:]):.2f}" for r in found)
        table.add_row(" ".join(name), _seeds(found), ends, best, last)
    return table


def _frames(rows: list[Row]) -> Table:
    table = Table("scored", "device", "per second: median of each seed", title="scored per second")
    for name, found in _groups(rows, "scored", "device").items():
        table.add_row(*name, ", ".join(f"{r['per_second']:,}" for r in found))
    return table


def _periods(rows: list[Row]) -> Table:
    table = Table("scoring", "periods", "p50 / p99 / max, ms, per seed", "late by a tenth", title="control period")
    for name, found in _groups(rows, "scoring").items():
        quantiles = "; ".join(" / ".join(f"{x:.1f}" for x in r["p50_p99_max_ms"]) for r in found)
        late = sum(r["late"] for r in found)
        table.add_row(*name, str(sum(r["periods"] for r in found)), quantiles, str(late))
    return table


def draw_optimised(rows: Sequence[Row], path: Path) -> Path:
    """Proxy above, true success below, over practice steps: seeds thin, their mean thick."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(6.4, 5.6), sharex=True)
    for (variant,), found in _groups(rows, "variant").items():
        colour = COLOURS[variant]
        for row in found:
            steps = [point["step"] for point in row["curve"]]
            above.plot(steps, [point["proxy"] for point in row["curve"]], color=colour, alpha=0.35, linewidth=1)
            below.plot([u[0] for u in row["unaided"]], [100 * u[1] for u in row["unaided"]], color=colour, alpha=0.35)
        count = min(len(row["curve"]) for row in found)
        middle = [mean(row["curve"][i]["proxy"] for row in found) for i in range(count)]
        label = f"{LABELS[variant]}, {len(found)} seeds"
        above.plot([p["step"] for p in found[0]["curve"][:count]], middle, color=colour, linewidth=2.2, label=label)
        count = min(len(row["unaided"]) for row in found)
        middle = [100 * mean(row["unaided"][i][1] for row in found) for i in range(count)]
        below.plot([u[0] for u in found[0]["unaided"][:count]], middle, color=colour, linewidth=2.2)
    above.set_ylabel("optimised reward, standard\ndeviations above the start")
    above.legend(fontsize=8)
    below.set(ylabel="true success, unaided, %", xlabel="practice steps", ylim=(-3, 103))
    for panel in (above, below):
        panel.grid(alpha=0.25)
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return path


def _seeds(rows: Sequence[Row]) -> str:
    return " ".join(str(row["seed"]) for row in rows)


def _numbers(rows: Sequence[Row], name: str) -> str:
    return ", ".join("-" if row[name] is None else f"{row[name]:.3f}" for row in rows)
