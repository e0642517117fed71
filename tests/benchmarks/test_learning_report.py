"""Figures, tables and pages of the learning benchmark, by hand-made rows; and the rows of its first era."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.learning.cases import Case
from benchmarks.learning.figures import (
    Paired,
    below_cloning,
    difference,
    each,
    grouped,
    held,
    paired,
    rate,
    worst_unaided,
)
from benchmarks.learning.measure import help_curve
from benchmarks.learning.report import BEGIN, END, FRONT, RESULTS_PAGE, facts_of, markdown, pictures, report, reported
from benchmarks.learning.rows import Era, Row
from benchmarks.learning.tables import (
    all_tables,
    comparison,
    decision,
    falls,
    headline,
    long_runs,
    short_sessions,
    variants,
)
from robot_rlhf.errors import ConfigError


def measured(outcomes: str, *, starts: str = "s", steps: int = 20) -> dict[str, Any]:
    successes = outcomes.count("1")
    return {
        "episodes": len(outcomes),
        "successes": successes,
        "success_rate": successes / len(outcomes),
        "cycle_steps": float(steps) if successes else None,
        "outcomes": outcomes,
        "lengths": [steps] * len(outcomes),
        "starts": starts,
    }


def row_of(case: Case, outcomes: str, *, steps: int = 20, seconds: float = 30.0, **more: object) -> Row:
    names = {name: getattr(case, name) for name in ("task", "method", "person", "seed", "variant")}
    made = {"commit": "a" * 40, "versions": {"python": "3"}, "ended": "2026-11-29T01:00:00", "control_period": 0.05}
    spent = {"env_steps": 1000, "hands_on_seconds": seconds, "at_machine_seconds": 50.0, "wall_s": 60.0}
    final = measured(outcomes, starts=f"{case.task} {case.seed}", steps=steps)
    curve = [{"step": 500, "success_rate": 0.4}, {"step": 1000, "success_rate": 0.8}]
    return {
        **names, **made, **spent, "settings": list(case.settings), "final": final, "curve": curve, "worst_helped": 0.7,
        **more,
    }  # fmt: skip


def case_of(method: str, person: str = "novice", seed: int = 200, variant: str = "") -> Case:
    return Case("pick_cube", method, person, seed, variant, ("steps=1",) if variant else ())


def test_paired_by_hand() -> None:
    """110 against 101 on the starts of one seed: one start for each alone, one for both, of 30 and of 50 steps."""
    first = [row_of(case_of("ours"), "1100", steps=30)]
    second = [row_of(case_of("hg_dagger"), "1010", steps=50)]
    both = paired(first, second)
    assert both is not None
    assert both == Paired(4, 1, 1, -20.0)
    assert both.points == 0.0
    # Agresti and Min: b = c = 1.5 of n = 6
    assert both.half_width == pytest.approx(100 * 1.96 * math.sqrt(3.0) / 6)


def test_other_starts_and_other_seeds_are_not_paired() -> None:
    ours = [row_of(case_of("ours", seed=200), "11")]
    assert paired(ours, [row_of(case_of("hg_dagger", seed=201), "11")]) is None
    elsewhere = row_of(case_of("hg_dagger", seed=200), "11")
    elsewhere["final"]["starts"] = "elsewhere"
    assert paired(ours, [elsewhere]) is None
    assert difference(ours, [elsewhere], lambda row: row["hands_on_seconds"]) == 0.0


def test_cells() -> None:
    assert rate([measured("1110"), measured("1111")]) == "87.5 [52.9, 97.8]"
    assert rate([]) == "–"
    rows = [{"x": 1.0}, {"x": 3.0}, {"x": None}]
    assert each(rows, lambda row: row["x"]) == "2.0 (1.0–3.0)"
    assert each(rows[:1], lambda row: row["x"]) == "1.0"
    assert each(rows[2:], lambda row: row["x"]) == "–"


def test_worst_moments() -> None:
    row = row_of(case_of("ours"), "1", curve=[{"step": 500, "success_rate": 0.6}, {"step": 1000, "success_rate": 0.3}])
    clone = row_of(case_of("cloning"), "1", curve=[{"step": 1000, "success_rate": 0.5}])
    assert worst_unaided(row) == 30.0
    assert below_cloning(row, clone) == pytest.approx(20.0)
    assert below_cloning(clone, clone) == 0.0
    assert below_cloning(row, None) is None
    assert worst_unaided(row_of(case_of("demonstrations"), "1", curve=[{"step": 0, "success_rate": 0.1}])) is None


def test_help_is_told_from_the_twentieth_practice_episode_on() -> None:
    metrics = [{"group": "practice", "step": 10 * k, "success_with_help": k / 100} for k in range(1, 31)]
    metrics.insert(3, {"group": "learner", "step": 1, "critic_loss": 0.0})
    curve = help_curve(metrics)
    assert curve[0] == (200, 0.2)
    assert len(curve) == 11
    assert help_curve(metrics[:15]) == []


@pytest.mark.parametrize(
    ("rates", "step", "least"),
    [
        ([0.97, 0.96, 0.98, 0.97, 0.92, 1.0], 4, 0.92),
        ([0.97, 0.97], 2, None),
        ([0.97, 0.5, 0.97], None, None),
        ([], None, None),
    ],
)
def test_late_falls(rates: list[float], step: int | None, least: float | None) -> None:
    curve = [{"step": k + 1, "success_rate": share} for k, share in enumerate(rates)]
    assert held(curve) == (step, least)


def test_the_decision_counts_people() -> None:
    rows = [
        row_of(case_of("ours", "novice"), "1111", steps=20, seconds=20.0),
        row_of(case_of("hg_dagger", "novice"), "1110", steps=40, seconds=30.0),
        row_of(case_of("ours", "slow"), "1100", steps=40, seconds=40.0),
        row_of(case_of("hg_dagger", "slow"), "1110", steps=20, seconds=30.0),
        row_of(case_of("ours", "late"), "1100"),
    ]
    table = decision(grouped(rows), "pick_cube")
    assert table is not None
    by_person = {row[0]: row for row in table.rows}
    assert list(by_person) == ["slow", "novice"]  # in the order of the cast; late has nobody beside
    assert by_person["novice"][2:] == (by_person["novice"][2], "-10.0", "-1.00", "yes", "yes", "yes")
    assert by_person["novice"][2].startswith("+25.0 ±")
    assert by_person["slow"][3:] == ("+10.0", "+1.00", "no", "no", "no")
    assert "1 of 2 people, no more seconds for 1 of 2, faster for 1 of 2" in table.note


def test_falls_are_counted_over_all_people_of_a_method() -> None:
    curves = ((0.98, 0.99, 0.9), (0.98, 0.99, 0.95), (0.5, 0.9, 0.96), (0.97, 0.97))
    rows = [
        row_of(case_of("ours", person), "11", curve=[{"step": k, "success_rate": x} for k, x in enumerate(curve, 1)])
        for person, curve in zip(("novice", "slow", "late", "keys"), curves, strict=True)
    ]
    table = falls(grouped([*rows, row_of(case_of("demonstrations"), "11", curve=[])]))
    assert table is not None
    assert table.rows == (("pick_cube", "ours (RL and corrections)", "4", "3", "1", "90"),)
    assert len(table.header) == len(table.rows[0])


def test_tables_of_long_runs_sessions_and_variants() -> None:
    fallen = [{"step": 500 * k, "success_rate": share} for k, share in enumerate((0.98, 0.99, 0.9), 1)]
    kept = [{"step": 500 * k, "success_rate": share} for k, share in enumerate((0.98, 0.99, 0.95), 1)]
    policies = {name: measured("11") for name in ("deployed", "newest", "averaged", "cloned")}
    rows = [
        row_of(case_of("ours", seed=200, variant="long"), "11", curve=fallen),
        row_of(case_of("ours", seed=201, variant="long"), "11", curve=kept),
        row_of(case_of("session", variant="500_steps"), "11", policies=policies),
        row_of(case_of("ours"), "11"),
        row_of(case_of("ours", variant="no_bounds"), "10"),
    ]
    groups = grouped(rows)
    long, short, off = long_runs(groups), short_sessions(groups), variants(groups, {"no_bounds": "free"}, "Off")
    assert long is not None
    assert short is not None
    assert off is not None
    assert [row[5] for row in long.rows] == ["fell", "held"]
    assert "novice: held on 1 of 2 seeds." in long.note
    assert short.rows[0][:4] == ("pick_cube", "novice", "500 steps", "1")
    assert [row[2] for row in off.rows] == ["as usual", "free"]
    assert off.rows[1][5].startswith("-50.0 ±")
    for table in (long, short, off):
        assert all(len(row) == len(table.header) for row in table.rows)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    path = tmp_path / "learning.md"
    path.write_text(f"# Results\n\nbefore\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    path.with_name("front.md").write_text(f"before {BEGIN}\nold\n{END}")
    return path


def test_the_report_is_written_between_the_markers_and_tells_what_it_mixes(tmp_path: Path, page: Path) -> None:
    era = Era("now", results=tmp_path / "rows", runs=tmp_path / "runs")
    for person in ("attentive", "novice"):
        for method in ("ours", "hg_dagger", "cloning", "demonstrations"):
            case = case_of(method, person)
            row = row_of(case, "1110")
            if method == "demonstrations":
                row["curve"] = [{"step": 0, "success_rate": 0.5}]
            era.write(case, row)
    mixed = case_of("ours", "novice", 201)
    era.write(mixed, row_of(mixed, "1111", commit="b" * 40 + "+changes"))
    tuned = case_of("ours", "novice", 101)
    era.write(tuned, row_of(tuned, "0000"))
    report(era, Console(quiet=True), page=page, front=page.with_name("front.md"), folder=tmp_path / "results")
    text = page.read_text()
    assert text.startswith("# Results\n\nbefore\n") and text.endswith(f"{END}\n\nafter\n")  # noqa: PT018  one page
    assert "old" not in text
    assert "Commits, mixed: aaaaaaaaaa (8), bbbbbbbbbb with changes (1)" in text
    assert "1 rows of the seeds on which settings are chosen are left out" in text
    assert "| novice | ours (RL and corrections) | 2 | 3, 4 |" in text
    first = text
    report(era, Console(quiet=True), page=page, front=page.with_name("front.md"), folder=tmp_path / "results")
    assert page.read_text() == first
    html = (tmp_path / "results" / "learning.html").read_text()
    assert "src='data:image/png;base64," in html
    assert "http" not in html.replace("http-equiv", "")  # it needs nothing from elsewhere
    for name in ("learning.png", "learning_pick_cube.png"):
        assert (tmp_path / "results" / name).read_bytes().startswith(b"\x89PNG")


def test_a_page_without_markers_and_an_era_without_rows_are_errors(tmp_path: Path, page: Path) -> None:
    era = Era("now", results=tmp_path / "rows", runs=tmp_path / "runs")
    with pytest.raises(ConfigError, match="no row"):
        report(era, Console(quiet=True), page=page, front=page.with_name("front.md"), folder=tmp_path / "results")
    era.write(case_of("ours"), row_of(case_of("ours"), "11"))
    page.write_text("nothing here")
    with pytest.raises(ConfigError, match="write between"):
        report(era, Console(quiet=True), page=page, front=page.with_name("front.md"), folder=tmp_path / "results")


def test_the_rows_of_the_first_era_are_read_as_they_were_measured() -> None:
    rows = list(Era("2026-11-21").all_rows())
    assert len(rows) == 51
    table = comparison(grouped(rows), "pick_cube")
    assert table is not None
    ours = next(row for row in table.rows if row[:2] == ("attentive", "ours (RL and corrections)"))
    assert ours[2:5] == ("5", "100, 97, 100, 99, 98", "98.8 [97.4, 99.4]")
    assert paired(rows[:1], rows[:1]) is None  # whether they began from the same starts is not told


def test_the_page_of_results_says_what_the_rows_say() -> None:
    era = Era()
    rows = list(era.all_rows())
    kept = reported(rows)
    groups = grouped(kept)
    there = RESULTS_PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    drawn = {
        f"../../benchmarks/results/{name}": title
        for name, (title, _) in pictures(groups).items()
        if f"/{name})" in there
    }
    assert there.strip() == markdown(facts_of(era, kept, len(rows) - len(kept)), all_tables(groups), drawn)
    short = headline(groups)
    assert short is not None
    assert FRONT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip() == short.markdown()
