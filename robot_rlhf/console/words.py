"""Plain English for operators: what the guard did, who drives, what the loop does, how an episode ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from robot_rlhf.datatypes import Driver, EpisodeKind, GuardEvent, Outcome, Phase


@dataclass(frozen=True)
class RuleWords:
    """A rule of the guard, for somebody who has never read it."""

    means: str
    """One sentence: what happened."""
    todo: str
    """One sentence: what to do about it; empty when there is nothing to do."""


RULES: Mapping[str, RuleWords] = {
    # What bends a wish, and lets the robot go on.
    "workspace": RuleWords("The tool is at the edge of its workspace.", "Move it back inside."),
    "tool_speed": RuleWords("The wish was faster than the tool may move.", ""),
    "tool_acceleration": RuleWords("The tool changes its speed gently.", ""),
    "turn_rate": RuleWords("The wish was faster than the tool may turn.", ""),
    "turn_acceleration": RuleWords("The tool changes its turning gently.", ""),
    "leash": RuleWords(
        "The tool lags behind where it is told to be.", "Something may be in its way: wait, or move it back."
    ),
    "leash_angle": RuleWords(
        "The tool turns less than it is told to.", "Something may be in its way: wait, or turn it back."
    ),
    "tilt": RuleWords("The tool is tilted as far as it may be.", "Turn it back towards straight down."),
    "force_soft": RuleWords("The tool presses on something.", "Ease off: it will not push harder."),
    "rate": RuleWords("The command changed faster than it may.", ""),
    "robot_limit": RuleWords("The robot did less than it was told: a limit of its own.", "Move it back a little."),
    "stale_command": RuleWords(
        "No command came in time, so the robot stopped by itself.",
        "If this comes again, the machine or the connection is too slow.",
    ),
    # Faults: the robot is held until they are released.
    "stop": RuleWords("Stop was pressed.", "Release when everything is clear."),
    "policy": RuleWords("The policy wished for something that is no action.", "Release, and watch whether it returns."),
    "sentence": RuleWords(
        "What a sentence asked for came out as no action.", "Release; say it otherwise, or take it back."
    ),
    "director": RuleWords(
        "What was asked for is no task for the policy.", "Release, and watch whether it returns; mend what asks."
    ),
    "shield": RuleWords(
        "What stands before the guard gave no action.", "Release, and watch whether it returns; mend the shield."
    ),
    "robot": RuleWords("The robot does not answer.", "Check its power, cable and emergency stop, then release."),
    "nan": RuleWords(
        "A number that is no number came from the robot or the policy.",
        "Check the sensors, then release; restart the robot if it returns.",
    ),
    "stale_observation": RuleWords(
        "What the robot senses comes too late.", "Check the connection and the load of the machine, then release."
    ),
    "joint_position": RuleWords(
        "A joint is outside its limits.", "Bring the arm back by its own controls, then release."
    ),
    "joint_speed": RuleWords("A joint moved too fast.", "See that nothing is loose or in the way, then release."),
    "force_hard": RuleWords(
        "The tool met too much force.", "Free the tool and what it holds, then release; it counts as a failure."
    ),
    "torque_hard": RuleWords(
        "The tool was twisted too hard.", "Free the tool and what it holds, then release; it counts as a failure."
    ),
    "jump": RuleWords(
        "The measured tool jumped, which no robot can do.", "Check the sensors and the calibration, then release."
    ),
}
"""Rule name to its words."""


def guard_words(event: GuardEvent) -> str:
    """What a guard event means and what to do, in one or two sentences; measured numbers are in its detail.

    A rule without words gets its name and detail.
    """
    words = RULES.get(event.rule)
    if words is None:
        todo = "Release when everything is clear." if event.latched else ""
        said = f"{event.rule.replace('_', ' ')}: {event.detail}" if event.detail else event.rule.replace("_", " ")
        words = RuleWords(f"The guard reports {said.rstrip('.')}.", todo)
    return f"{words.means} {words.todo}".strip()


OUTCOMES: Mapping[Outcome, str] = {
    Outcome.SUCCESS: "Success",
    Outcome.FAILURE: "Failure",
    Outcome.TIME_LIMIT: "Time ran out",
    Outcome.DISCARDED: "Discarded",
    Outcome.FAULT: "Ended by a fault",
    Outcome.STOPPED: "Stopped",
    Outcome.PAUSED: "Interrupted, goes on later",
}
PHASES: Mapping[Phase, str] = {
    Phase.RUNNING: "Running",
    Phase.RESETTING: "Going to the start",
    Phase.PAUSED: "Paused",
    Phase.REWINDING: "Going back along its path",
    Phase.STOPPED: "Stopped: release to go on",
    Phase.WAITING: "Waiting",
}
KINDS: Mapping[EpisodeKind, str] = {
    EpisodeKind.DEMONSTRATION: "Demonstration",
    EpisodeKind.PRACTICE: "Practice",
    EpisodeKind.EVALUATION: "Evaluation",
}


def outcome_words(outcome: Outcome | None, detail: str = "") -> str:
    """How an episode ended; None for one that has not, or whose recording broke off."""
    words = "Not ended" if outcome is None else OUTCOMES[outcome]
    return f"{words}: {detail}" if detail else words


def phase_words(phase: Phase, detail: str = "") -> str:
    """What the control loop does, and why where it says so."""
    words = PHASES[phase]
    if not detail:
        return words
    return f"{words}: {detail}" if phase is Phase.WAITING else f"{words} ({detail})"


def driver_words(driver: Driver | None, *, name: str = "", yours: bool = True) -> str:
    """Who drives, for a banner.

    Args:
        driver: who decided the last step; None while nobody drives.
        name: the operator's name, as they gave it; not escaped.
        yours: whether the reader is the operator.
    """
    if driver is None:
        return "Nobody"
    if driver is Driver.POLICY:
        return "Policy"
    if driver is Driver.REFLEX:
        return "Reflex: holding still"
    return "You drive" if yours else f"{name or 'Another person'} drives"
