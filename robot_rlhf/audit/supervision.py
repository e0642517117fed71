"""Sections of a report on a reward that are about its labels, and about training by it."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_rlhf.audit.material import Audited
from robot_rlhf.audit.page import Section, number, proportion_facts, share
from robot_rlhf.datatypes import EpisodeKind, Feedback, Segment
from robot_rlhf.feedback.comparisons import cycles
from robot_rlhf.learner.reward_data import Pairs, preference_probabilities
from robot_rlhf.rewards.alarm import Alarm, AlarmRule, proxy_alarm
from robot_rlhf.rewards.metrics import Floats, Proportion, label_accuracy, reliability
from robot_rlhf.rewards.trajectory import Trajectory
from robot_rlhf.run.results.report import BLUE, GREEN, GREY, ORANGE, RED, rolling_sum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# -- labels ----------------------------------------------------------------------------------------------------------


def label_section(audited: Audited) -> Section:
    """Whether preference labels agree with gold, and the reward with both."""
    title = "Preference labels"
    labels = [f for f in audited.preferences if f.value is not None and f.other is not None]
    if not labels:
        return Section(title, "nothing", missing="nobody has compared pairs of clips in these sessions")
    lines: list[tuple[str, str]] = []
    facts: dict[str, Any] = {"labels": len(labels)}
    differences = [_gold_difference(audited, f) for f in labels]
    for author in sorted({f.author for f in labels}):
        pairs = [(f, d) for f, d in zip(labels, differences, strict=True) if f.author == author]
        known = [(f.value, d) for f, d in pairs if f.value is not None and d is not None]
        lines.append((f"labels by {author}", _answers([f for f, _ in pairs])))
        if known:
            accuracy = label_accuracy([v for v, _ in known], [d for _, d in known])
            lines.append((f"of {author}, agreeing with gold", share(accuracy.strict)))
            facts[f"gold agreement of {author}"] = proportion_facts(accuracy.strict)
        else:
            lines.append((f"of {author}, agreeing with gold", "cannot be computed: no true reward is recorded"))
    rounds = cycles(labels)
    lines.append(("rounds of labels that contradict each other", str(len(rounds))))
    facts["contradictions"] = len(rounds)
    chances, targets = _chances(audited, labels)
    curve = None
    if "preference" in audited.said:
        own = [_return_of(audited, f.span) - _return_of(audited, f.other) for f in labels if f.other is not None]
        known = [(float(o > 0.0), d) for o, d in zip(own, differences, strict=True) if d is not None]
        if known:
            right = label_accuracy([v for v, _ in known], [d for _, d in known]).strict
            lines.append(("pairs ordered by the reward as by gold", share(right)))
            facts["ordered_as_gold"] = proportion_facts(right)
    if len(chances):
        strict = targets != 0.5
        right = Proportion(int(((chances > 0.5) == (targets > 0.5))[strict].sum()), int(strict.sum()))
        curve = reliability(chances[strict], targets[strict] > 0.5)
        error = curve.expected_calibration_error
        lines += [("ordered by the reward as labelled", share(right))]
        lines += [("expected calibration error of its preferences", number(error))]
        facts |= {"ordered_as_labelled": proportion_facts(right), "preference_calibration_error": error}
    else:
        lines.append(("ordered by the reward as labelled", "cannot be computed: no trained preference head"))
    return Section(
        title,
        f"{len(labels)} labelled pairs, {sum(d is not None for d in differences)} of them with a true reward",
        tuple(lines),
        (
            "Pairs that are equal in gold, and labels 'equal', are left out of the agreement.",
            "Labels that the reward learned from are among these, where these are its training sessions.",
        ),
        facts=facts,
        draw=None if curve is None else lambda figure: _chance_plot(figure.subplots(), chances, targets),
    )


def _gold_difference(audited: Audited, label: Feedback) -> float | None:
    """True return of the first segment minus that of the second; None where it is not known."""
    assert label.other is not None
    found = [_gold_return(audited, segment) for segment in (label.span, label.other)]
    return None if found[0] is None or found[1] is None else found[0] - found[1]


def _gold_return(audited: Audited, segment: Segment) -> float | None:
    gold = audited.gold.get(segment.episode_id)
    if gold is None or segment.start + segment.length > len(gold):
        return None
    return float(gold[segment.start : segment.start + segment.length].sum(dtype=np.float64))


def _return_of(audited: Audited, segment: Segment) -> float:
    """Sum of the reward's preference over a segment; NaN where its episode is not here."""
    rows = audited.moments.segment(segment)
    return math.nan if rows is None else float(audited.values("preference")[rows].sum())


def _answers(labels: list[Feedback]) -> str:
    names = {1.0: "first", 0.0: "second", 0.5: "equal"}
    counts = Counter(names.get(f.value if f.value is not None else -1.0, "other") for f in labels)
    return f"{len(labels)}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _chances(audited: Audited, labels: list[Feedback]) -> tuple[Floats, Floats]:
    """Probability by the reward that the first is preferred, and what was labelled. Shapes (P,)."""
    if "preference" not in audited.said:
        return np.zeros(0), np.zeros(0)
    pairs = Pairs.of(labels, audited.moments)
    if not len(pairs):
        return np.zeros(0), np.zeros(0)
    chances = preference_probabilities(audited.learned, audited.moments, pairs).mean(axis=0).astype(np.float64)
    return chances, pairs.target.astype(np.float64)


def _chance_plot(panel: Axes, chances: Floats, targets: Floats) -> None:
    bins = np.linspace(0.0, 1.0, 21).tolist()
    for value, colour, name in ((0.0, ORANGE, "second"), (0.5, GREY, "equal"), (1.0, BLUE, "first")):
        panel.hist(chances[targets == value], bins=bins, color=colour, alpha=0.6, label=f"labelled {name}")
    panel.set_xlabel("probability by the reward that the first is preferred")
    panel.set_ylabel("pairs")
    panel.legend(frameon=False, fontsize=8)


# -- training --------------------------------------------------------------------------------------------------------


def training_section(audited: Audited, name: str, prefix: str, rule: AlarmRule | None = None) -> Section:
    """One session's practice: the reward beside success, and the alarm.

    Args:
        name: of the run's folder.
        prefix: of its episodes' ids among several sessions.
    """
    rule = rule or AlarmRule()
    title = f"Reward and success during practice: {name}"
    some = [
        t
        for t in audited.trajectories
        if t.id.startswith(prefix) and audited.kinds.get(t.id) is EpisodeKind.PRACTICE and t.success is not None
    ]
    if len(some) < 2:
        return Section(title, audited.episodes(some), missing="fewer than two practice episodes with a known outcome")
    values = audited.values()
    proxy = np.array([values[audited.led_to(t)].mean() for t in some])
    success = np.array([t.success is True for t in some])
    alarm = proxy_alarm(proxy, success, rule)
    steps = np.cumsum([len(t) for t in some])
    said = "none" if alarm.first is None else f"from episode {alarm.first + 1}, step {steps[alarm.first]}"
    if len(some) < 2 * rule.window:
        said = f"cannot be computed: {len(some)} episodes, {2 * rule.window} it takes"
    half = len(some) // 2
    lines = (
        ("alarm", said),
        (f"mean {audited.head}, first and second half", f"{proxy[:half].mean():.3f}, {proxy[half:].mean():.3f}"),
        ("success, first and second half", f"{success[:half].mean():.0%}, {success[half:].mean():.0%}"),
        ("episodes with the alarm", f"{int(alarm.raised.sum())} of {len(some)}"),
    )
    evaluations = audited.evaluations.get(name, [])
    return Section(
        title,
        f"{audited.episodes(some)} of practice, a person's help included",
        lines,
        (
            f"The alarm sounds when the mean reward of the last {rule.window} episodes is above that of the "
            f"{rule.window} before by more than {rule.rise:g} standard errors, while successes are no more than before "
            f"and below {rule.satisfied:.0%}. It asks a person to look.",
            "The reward is this model's, also where the session was trained by another or an earlier one; an episode's "
            "success is as recorded and labelled, by the judge of that session."
            + ("" if evaluations else " No unaided evaluation was recorded."),
        ),
        facts={
            "alarm_from_episode": alarm.first,
            "alarmed_episodes": int(alarm.raised.sum()),
            "episodes": len(some),
            "proxy_halves": [float(proxy[:half].mean()), float(proxy[half:].mean())],
            "success_halves": [float(success[:half].mean()), float(success[half:].mean())],
            "proxy": [round(float(x), 5) for x in proxy],
            "success": success.tolist(),
        },
        draw=lambda figure: _training_plot(figure, audited, some, proxy, success, alarm, evaluations),
        alarming=alarm.first is not None,
    )


def _training_plot(
    figure: Figure,
    audited: Audited,
    some: list[Trajectory],
    proxy: Floats,
    success: Any,
    alarm: Alarm,
    evaluations: list[dict[str, Any]],
) -> None:
    above, below = figure.subplots(2, 1, sharex=True)
    steps = np.cumsum([len(t) for t in some])

    def smooth(values: Floats) -> Floats:
        return rolling_sum(values) / rolling_sum(np.ones(len(values)))

    above.plot(steps, proxy, ".", color=GREY, alpha=0.4, markersize=4, label="per episode")
    above.plot(steps, smooth(proxy), color=BLUE, linewidth=2, label="last 20 episodes")
    above.set_title(f"Mean {audited.head} of an episode")
    below.plot(steps, smooth(success.astype(np.float64)), color=GREEN, linewidth=2, label="success, last 20 episodes")
    gold = np.array([audited.gold[t.id].mean() if t.id in audited.gold else math.nan for t in some], np.float64)
    if np.isfinite(gold).all():
        below.plot(steps, smooth(gold), color=ORANGE, linewidth=1.5, label="mean true reward (audit only)")
    if evaluations:
        rates = [row["success_rate"] for row in evaluations]
        below.plot([row["step"] for row in evaluations], rates, "s--", color=GREY, markersize=4, label="unaided")
    below.set_ylim(-0.03, 1.05)
    below.set_title("Success")
    below.set_xlabel("practice steps")
    starts = np.concatenate([[0], steps[:-1]])
    for panel in (above, below):
        for at in np.flatnonzero(alarm.raised):
            panel.axvspan(starts[at], steps[at], color=RED, alpha=0.15, linewidth=0)
        panel.legend(frameon=False, fontsize=8, loc="best")
