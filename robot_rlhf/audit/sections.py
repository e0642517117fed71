"""The sections of a report on a reward: each a few figures, a plot, and what they were computed on, or why not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.audit.material import Audited, Read
from robot_rlhf.audit.page import Section, number, proportion_facts, share
from robot_rlhf.learner.reward_lessons import SuccessConfig, success_rows
from robot_rlhf.learner.reward_training import first_held
from robot_rlhf.rewards.epic import Transitions, epic_distance
from robot_rlhf.rewards.metrics import (
    Detection,
    Floats,
    Proportion,
    Reliability,
    detection,
    disagreement,
    kendall_tau_a,
    pearson,
    ranks,
    reliability,
    roc_auc,
    spearman,
    task_confusion,
    voc,
)
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.results.report import BLUE, GREEN, GREY, ORANGE, RED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COVERAGE, SAMPLE = 1000, 64
"""Transitions on which EPIC compares, and those that stand for the distributions in it."""
POINTS = 4000
"""Most points of a scatter plot."""


# -- success ---------------------------------------------------------------------------------------------------------


def success_section(audited: Audited) -> Section:
    """Precision, recall and false positives of the success head, by moment and by episode."""
    title = "Telling success"
    if "success" not in audited.said:
        end = np.array([audited.values()[audited.led_to(t)[-1]] for t in audited.judged])
        auc = roc_auc(end, [bool(t.success) for t in audited.judged])
        return Section(
            title,
            audited.episodes(audited.judged),
            (("success above failure at the end (AUC)", number(auc)),),
            missing="precision, recall and false positives: the reward has no trained success head, and no threshold",
            facts={"final_value_auc": auc},
        )
    calibration = audited.model.calibration
    config = SuccessConfig(frames=calibration.hold)
    positive, negative = success_rows(audited.moments, audited.judged, config)
    if not len(positive) or not len(negative):
        return Section(title, audited.episodes(audited.judged), missing="moments of one class only were recorded")
    chances = audited.probability()
    scores = chances[np.concatenate([positive, negative])]
    label = np.arange(len(scores)) < len(positive)
    frames = detection(scores, label, calibration.threshold)
    called = [first_held(chances[audited.moments.rows(t)], calibration) for t in audited.judged]
    ends = detection([c is not None for c in called], [bool(t.success) for t in audited.judged], 0.5)
    auc = roc_auc(scores, label)
    lines = (
        ("threshold", f"{calibration.threshold:.3f}, held for {calibration.hold} moment(s)"),
        *((f"moments: {name}", share(p)) for name, p in _rates(frames)),
        ("moments: success above others (AUC)", number(auc, 4)),
        *((f"episodes: {name}", share(p)) for name, p in _rates(ends)),
    )

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        _thresholds(left, scores, label, calibration.threshold)
        bins = np.linspace(0.0, 1.0, 41)
        right.hist(scores[~label], bins=bins.tolist(), color=GREY, alpha=0.6, label="other moments", log=True)
        right.hist(scores[label], bins=bins.tolist(), color=GREEN, alpha=0.7, label="moments of success", log=True)
        right.axvline(calibration.threshold, color=RED, linestyle="--", linewidth=1, label="threshold")
        right.set_title("Probability of success")
        right.set_ylabel("moments")
        right.legend(frameon=False, fontsize=8)

    return Section(
        title,
        f"{len(positive)} moments of success and {len(negative)} others of {audited.episodes(audited.judged)}",
        lines,
        (
            f"The last {config.frames} moment(s) of a success are its success; the {config.gap} before are left out, "
            "and so are episodes of which nobody knows how they ended.",
            "The moments of an episode depend on each other: the true intervals are wider than those by moment.",
            "Precision depends on how many episodes of these sessions succeeded; recall and false positives do not.",
        ),
        facts={
            "threshold": calibration.threshold,
            "auc_moments": auc,
            "moments": {name: proportion_facts(p) for name, p in _rates(frames)},
            "episodes": {name: proportion_facts(p) for name, p in _rates(ends)},
        },
        draw=draw,
    )


def _rates(found: Detection) -> tuple[tuple[str, Proportion], ...]:
    return (
        ("precision", found.precision),
        ("recall", found.recall),
        ("false positive rate", found.false_positive_rate),
    )


def _thresholds(panel: Axes, scores: Floats, label: NDArray[np.bool_], threshold: float) -> None:
    grid = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, 200)))
    at = [detection(scores, label, float(t)) for t in grid]
    panel.plot(grid, [d.precision.rate for d in at], color=BLUE, label="precision")
    panel.plot(grid, [d.recall.rate for d in at], color=GREEN, label="recall")
    panel.plot(grid, [d.false_positive_rate.rate for d in at], color=RED, label="false positive rate")
    panel.axvline(threshold, color=GREY, linestyle="--", linewidth=1)
    panel.set_title("By threshold")
    panel.set_xlabel("threshold on the probability")
    panel.set_ylim(-0.03, 1.03)
    panel.legend(frameon=False, fontsize=8)


def calibration_section(audited: Audited) -> Section:
    """Whether a probability of success means what it says."""
    title = "Calibration"
    if "success" not in audited.said:
        return Section(title, "nothing", missing="the reward has no trained success head: it gives no probability")
    config = SuccessConfig(frames=audited.model.calibration.hold)
    positive, negative = success_rows(audited.moments, audited.judged, config)
    if not len(positive) or not len(negative):
        return Section(title, audited.episodes(audited.judged), missing="moments of one class only were recorded")
    chances = audited.probability()[np.concatenate([positive, negative])]
    curve = reliability(chances, np.arange(len(chances)) < len(positive))
    error = curve.expected_calibration_error
    middle = int(((chances > 0.1) & (chances < 0.9)).sum())
    return Section(
        title,
        f"{len(chances)} moments, {len(positive)} of them of success, as often as they occur in the sessions",
        (("expected calibration error", number(error, 4)), ("moments between 10 % and 90 %", str(middle))),
        ("Bins with few moments say little; most moments lie at the ends, and so does most of the error's weight.",),
        facts={
            "expected_calibration_error": error,
            "bins": [
                {"promised": p, "happened": h, "moments": int(n)}
                for p, h, n in zip(curve.promised.tolist(), curve.happened.tolist(), curve.counts, strict=True)
            ],
        },
        draw=lambda figure: _reliability_plot(figure.subplots(), curve),
    )


def _reliability_plot(panel: Axes, curve: Reliability) -> None:
    held = curve.counts > 0
    hits = np.round(curve.happened[held] * curve.counts[held]).astype(int)
    bounds = [Proportion(int(h), int(n)).interval for h, n in zip(hits, curve.counts[held], strict=True)]
    x, y = curve.promised[held], curve.happened[held]
    spread = np.abs(np.array(bounds).T - y)
    panel.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="as promised")
    panel.errorbar(x, y, yerr=spread, fmt="o-", color=BLUE, capsize=3, label="happened (Wilson 95 %)")
    for at, height, count in zip(x, y, curve.counts[held], strict=True):
        panel.annotate(f"{count}", (at, height), textcoords="offset points", xytext=(6, -10), fontsize=7, color=GREY)
    panel.set_xlabel("promised probability of success")
    panel.set_ylabel("share that were successes")
    panel.set_title("Reliability (numbers: moments per bin)")
    panel.legend(frameon=False, fontsize=8)


# -- gold ------------------------------------------------------------------------------------------------------------


def gold_section(audited: Audited) -> Section:
    """Order and distance to the simulator's true reward."""
    title = "Agreement with gold"
    rows, gold = audited.with_gold()
    if not len(rows):
        return Section(title, "nothing", missing="no true reward is recorded in these sessions, as on a real robot")
    lines: list[tuple[str, str]] = []
    facts: dict[str, Any] = {}
    some = [t for t in audited.trajectories if t.id in audited.gold]
    episode_gold = [float(audited.gold[t.id].mean()) for t in some]
    for head in sorted(audited.said, key=lambda h: h != audited.head):
        values = audited.values(head)
        within = [spearman(values[audited.led_to(t)], audited.gold[t.id]) for t in some]
        known = [x for x in within if math.isfinite(x)]
        found = {
            "spearman": spearman(values[rows], gold),
            "pearson": pearson(values[rows], gold),
            "spearman_within_episodes": float(np.mean(known)) if known else math.nan,
            "kendall_tau_a_episodes": kendall_tau_a([values[audited.led_to(t)].mean() for t in some], episode_gold),
            "epic": _epic(audited, head),
        }
        facts[head] = found
        name = f"{head}{' (scored by)' if head == audited.head else ''}"
        lines += [
            (f"{name}: Spearman over all steps", number(found["spearman"])),
            (f"{name}: Spearman within an episode, mean", number(found["spearman_within_episodes"])),
            (f"{name}: Kendall tau-a of episodes, by their mean", number(found["kendall_tau_a_episodes"])),
            (f"{name}: EPIC distance", number(found["epic"])),
        ]
    values = audited.values()
    pick = np.random.default_rng(0).permutation(len(rows))[:POINTS]
    good = np.concatenate([np.full(len(t), t.success is True) for t in some])

    def draw(figure: Figure) -> None:
        panel = figure.subplots()
        for mask, colour, name in ((~good, GREY, "other episodes"), (good, GREEN, "successful episodes")):
            some_points = pick[mask[pick]]
            panel.plot(
                gold[some_points], values[rows[some_points]], ".", color=colour, alpha=0.35, markersize=4, label=name
            )
        panel.set_xlabel("true reward of the step")
        panel.set_ylabel(f"{audited.head}")
        panel.set_title("Each point one step")
        panel.legend(frameon=False, fontsize=8)

    discount = audited.recordings[0].config.replay.discount
    return Section(
        title,
        f"{audited.episodes(some)} with a true reward",
        tuple(lines),
        (
            "The true reward is the simulator's, and used here for audit only.",
            f"EPIC (Gleave et al. 2021): 0 the same up to shaping and scale, 0.71 unrelated, 1 opposite; discount "
            f"{discount:g}, on at most {COVERAGE} recorded steps, expectations over {SAMPLE} of them. "
            "Both rewards are about the observation that a step leads to (and the action that led there, as recorded), "
            "where canonical shaping takes away a mean only: what is left is the distance by Pearson's correlation.",
        ),
        facts=facts,
        draw=draw,
    )


def _epic(audited: Audited, head: Read) -> float:
    """EPIC distance of a head to gold; a transition's state, action and next state are given as its moment."""
    rows, gold = audited.with_gold()
    table = np.full(len(audited.moments), math.nan)
    table[rows] = gold
    rng = np.random.default_rng(0)
    drawn = rng.permutation(rows)
    batch, sample = (Transitions(r - 1, r, r) for r in (drawn[:COVERAGE], drawn[-SAMPLE:]))
    values = audited.values(head)
    return epic_distance(
        lambda s, a, n: values[n], lambda s, a, n: table[n], batch, sample, audited.recordings[0].config.replay.discount
    )


# -- time, tasks, members --------------------------------------------------------------------------------------------


def order_section(audited: Audited) -> Section:
    """Value-order correlation, and how values go over an episode."""
    values = audited.values()
    by = {True: "successes", False: "failures"}
    groups = {name: [t for t in audited.judged if t.success is ok] for ok, name in by.items()}
    found = {name: [voc(values[audited.led_to(t)]) for t in some] for name, some in groups.items()}
    means = {name: float(np.mean(np.nan_to_num(x))) if x else math.nan for name, x in found.items()}
    ends = [values[audited.led_to(t)[-1]] for t in audited.judged]
    auc = roc_auc(ends, [bool(t.success) for t in audited.judged])
    lines = [(f"VOC of {name}, mean of {len(some)}", number(means[name])) for name, some in groups.items()]
    lines.append(("success above failure at the end (AUC)", number(auc)))

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        bins = np.linspace(-1.0, 1.0, 21).tolist()
        for name, colour in (("failures", GREY), ("successes", GREEN)):
            left.hist(np.nan_to_num(found[name]), bins=bins, color=colour, alpha=0.65, label=name)
            _over_time(right, values, [audited.led_to(t) for t in groups[name]], colour, name)
        left.set_title("VOC per episode")
        left.set_ylabel("episodes")
        left.legend(frameon=False, fontsize=8)
        right.set_title(f"{audited.head} over an episode")
        right.set_xlabel("share of the episode's steps")
        right.legend(frameon=False, fontsize=8)

    return Section(
        "Order in time",
        audited.episodes(audited.judged),
        tuple(lines),
        ("VOC: Spearman's correlation of value and time; an episode whose value never changes counts as 0.",),
        facts={"voc": means, "auc_final": auc, "episodes": {name: len(some) for name, some in groups.items()}},
        draw=draw,
    )


def _over_time(panel: Axes, values: Floats, rows: Sequence[NDArray[np.int64]], colour: str, name: str) -> None:
    if not rows:
        return
    grid = np.linspace(0.0, 1.0, 41)
    curves = np.stack([np.interp(grid, np.linspace(0.0, 1.0, len(r)), values[r]) for r in rows])
    low, middle, high = np.quantile(curves, [0.1, 0.5, 0.9], axis=0)
    panel.fill_between(grid, low, high, color=colour, alpha=0.2, linewidth=0)
    panel.plot(grid, middle, color=colour, linewidth=1.8, label=f"{name}: median, 10 % to 90 %")


def confusion_section(audited: Audited) -> Section:
    """Mean final value under every sentence, for every task."""
    title = "Confusion over tasks"
    some = [t for t in audited.trajectories if t.success is True]
    sentences = sorted({*audited.model.facts.get("instructions", ()), *(t.instruction for t in audited.trajectories)})
    if not audited.reads_text:
        return Section(title, "nothing", missing="the reward reads no sentences: it cannot tell tasks apart by them")
    if len(sentences) < 2 or not some:
        why = f"there are {len(sentences)} sentence(s) and {len(some)} successful episode(s); it takes two and one"
        return Section(title, audited.episodes(some), missing=why)
    rows = np.array([audited.led_to(t)[-1] for t in some])
    model = audited.learned

    def under(sentence: str) -> Floats:
        change = {t.instruction: sentence for t in some}
        said = audited.moments.ask(model, rows, lambda heads: getattr(heads, audited.head), change)
        return model.calibration.probability(said) if audited.head == "success" else said.mean(axis=0)

    tasks, means, counts = task_confusion([under(s).tolist() for s in sentences], sentences, [t.task for t in some])
    own = {t.task: t.instruction for t in some}
    best = [sentences[int(means[:, k].argmax())] == own[task] for k, task in enumerate(tasks)]

    def draw(figure: Figure) -> None:
        panel = figure.subplots()
        image = panel.imshow(means, cmap="viridis", aspect="auto")
        panel.set_xticks(range(len(tasks)), [f"{t} ({n})" for t, n in zip(tasks, counts, strict=True)])
        panel.set_yticks(range(len(sentences)), [s if len(s) < 42 else s[:40] + "..." for s in sentences], fontsize=8)
        for (i, k), value in np.ndenumerate(means):
            panel.text(k, i, f"{value:.2f}", ha="center", va="center", color="white", fontsize=8)
        panel.set_title(f"Mean final {audited.head}: sentence by task")
        figure.colorbar(image)

    return Section(
        title,
        audited.episodes(some),
        (("tasks whose own sentence is worth most", share(Proportion(sum(best), len(best)))),),
        facts={"tasks": tasks, "sentences": sentences, "mean_final": means.tolist(), "episodes": counts.tolist()},
        draw=draw,
    )


def disagreement_section(audited: Audited) -> Section:
    """How far the members are apart, and whether that tells where they are wrong."""
    title = "Disagreement of the ensemble"
    members = audited.members()
    if len(members) < 2:
        return Section(title, "nothing", missing="the reward has one member")
    spread = disagreement(members)
    groups: dict[str, list[Trajectory]] = {
        "successes": [t for t in audited.judged if t.success],
        "failures": [t for t in audited.judged if not t.success],
    }
    means = {
        name: float(np.mean(np.concatenate([spread[audited.led_to(t)] for t in some]))) if some else math.nan
        for name, some in groups.items()
    }
    rows, gold = audited.with_gold()
    tells = math.nan
    if len(rows):
        wrong = np.abs(ranks(members.mean(axis=0)[rows]) - ranks(gold)) / len(rows)
        tells = spearman(spread[rows], wrong)

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        left.hist(spread, bins=40, color=ORANGE, alpha=0.8, log=True)
        left.set_title("Standard deviation of the members")
        left.set_ylabel("moments")
        for name, colour in (("failures", GREY), ("successes", GREEN)):
            _over_time(right, spread, [audited.led_to(t) for t in groups[name]], colour, name)
        right.set_title("over an episode")
        right.set_xlabel("share of the episode's steps")
        right.legend(frameon=False, fontsize=8)

    return Section(
        title,
        f"{len(spread)} moments of {audited.episodes()}, {len(members)} members",
        (
            ("mean standard deviation", number(float(spread.mean()), 4)),
            *((f"of {name}", number(value, 4)) for name, value in means.items()),
            ("Spearman with the error in rank against gold", number(tells)),
        ),
        ("If the last figure is positive, members are apart where the reward is wrong, and so warn of it.",),
        facts={
            "mean": float(spread.mean()),
            **{f"mean_{n}": v for n, v in means.items()},
            "spearman_with_error": tells,
        },
        draw=draw,
    )
