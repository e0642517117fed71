"""What a person sees while a run goes on: one live line in a terminal, plain lines elsewhere, a table at the end."""

from __future__ import annotations

import shlex
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, EpisodeMeta, Event, Observation, Step
from robot_rlhf.run.results.summary import is_measured
from robot_rlhf.run.screen import screen
from robot_rlhf.run.settings import TrainConfig
from robot_rlhf.runtime.tally import Tally

REFRESH_PER_SECOND = 4
PLAIN_EVERY = 15.0
"""Seconds between plain lines where there is no terminal."""
MARK_EVERY = 1.0
"""Seconds between two looks at how far the updates are, where nobody practises."""
WINDOW = 30.0
"""Seconds over which speeds are averaged."""


def time_left(seconds: float) -> str:
    """A time to wait, in words: minutes and seconds, from an hour on hours, from two days on days."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    if minutes < 60:
        return f"{minutes:d}:{rest:02d}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} days"


class Progress:
    """A Subscriber and context manager. A step costs it nothing: it reads the tally when an episode ends.

    The live line is drawn by a thread of its own from numbers that are replaced, never changed in place.
    """

    def __init__(self, config: TrainConfig, tally: Tally, quiet: bool = False) -> None:
        self._config = config
        self._tally = tally
        self._quiet = quiet
        self._console = screen(stderr=True, quiet=quiet)
        self._live: Live | None = None
        self._active = False
        self._kind = EpisodeKind.PRACTICE
        self._state = ""
        self._updates = 0
        self._unaided: float | None = None
        self._alarmed = False
        self._started = time.monotonic()
        self._printed = self._started
        self._marks: deque[tuple[float, int, int]] = deque()
        self._helped = 0.0
        self._human = 0.0
        self._steps_per_s = 0.0
        self._updates_per_s = 0.0
        self._updates_wanted = 0

    def __enter__(self) -> Progress:
        self._active = True
        self._started = self._printed = time.monotonic()
        self._mark()
        if self._console.is_terminal and not self._quiet:
            self._live = Live(
                get_renderable=self._line,
                console=self._console,
                refresh_per_second=REFRESH_PER_SECOND,
                transient=False,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._active = False
        if self._live is not None:
            self._live.stop()
            self._live = None

    # -- what happens --------------------------------------------------------------------------------------------

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        self._kind = meta.kind

    def on_step(self, step: Step) -> None:
        """The tally counts; the live line looks there."""

    def on_event(self, event: Event) -> None:
        """Nothing to show."""

    def on_episode_end(self, end: EpisodeEnd) -> None:
        if not self._active:  # a journal is being replayed
            return
        self._helped, self._human = self._tally.recent_success, self._tally.recent_human_share
        self._mark()
        if self._live is None and time.monotonic() - self._printed > PLAIN_EVERY:
            self._print_plain()

    # -- what the app tells --------------------------------------------------------------------------------------

    def note(self, text: str | Text) -> None:
        """Print one line of its own."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def count_updates(self, wanted: int) -> None:
        """Show how many of so many updates are made, in the place of steps: nobody practises."""
        self._updates_wanted = wanted

    def learner_says(self, state: str, updates: int) -> None:
        """`state` says in words why nothing is learned right now; empty while learning."""
        self._state, self._updates = state, updates
        if self._updates_wanted and self._active and time.monotonic() - self._marks[-1][0] > MARK_EVERY:
            self._mark()
            if self._live is None and time.monotonic() - self._printed > PLAIN_EVERY:
                self._print_plain()

    def alarm(self, flag: bool, gap: float) -> None:
        """Warn when the critic begins to promise clearly more than episodes return."""
        if flag and not self._alarmed:
            why = f" values are over-estimated by {gap:.2f} (mean Q above the real return); "
            self.note(Text.assemble(("warning:", "yellow"), why, "see 'Q vs return' in curves.png"))
        self._alarmed = flag

    def evaluated(self, rate: float) -> None:
        """The newest unaided success rate."""
        self._unaided = rate
        if self._live is None:
            self._print_plain()

    def done(self, folder: Path, summary: Mapping[str, Any]) -> None:
        """Print what the run achieved, what it cost the person, and where to look."""
        if not self._quiet:
            screen().print(result_table(folder, summary))

    # -- numbers -------------------------------------------------------------------------------------------------

    def _mark(self) -> None:
        now = time.monotonic()
        steps = self._tally.steps + self._tally.demonstration_steps
        self._marks.append((now, steps, self._updates))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW:
            self._marks.popleft()
        begun, first_steps, first_updates = self._marks[0]
        elapsed = now - begun
        if elapsed > 0.0:
            self._steps_per_s = (steps - first_steps) / elapsed
            self._updates_per_s = max(0, self._updates - first_updates) / elapsed

    def _eta(self) -> str:
        if self._updates_wanted:
            rate = self._updates_per_s
            return time_left((self._updates_wanted - self._updates) / rate) if rate > 0.0 else "--:--"
        left = self._config.steps - self._tally.steps
        if self._kind is EpisodeKind.DEMONSTRATION or self._steps_per_s <= 0.0:
            return "--:--"
        return time_left(left / self._steps_per_s)

    def _figures(self) -> list[tuple[str, str]]:
        """(value, what it is), most important first."""
        unaided = "-" if self._unaided is None else f"{self._unaided:.0%}"
        if self._updates_wanted:
            return [
                (f"{self._updates}/{self._updates_wanted}", "updates"),
                (unaided, "unaided"),
                (f"{self._updates_per_s:.0f}", "updates/s"),
                (self._eta(), "left"),
            ]
        return [
            (f"{min(self._tally.steps, self._config.steps)}/{self._config.steps}", "steps"),
            (unaided, "unaided"),
            (f"{self._helped:.0%}", "with help"),
            (f"{self._human:.0%}", "human"),
            (f"{self._tally.hands_on_seconds:.0f} s", "hands on"),
            (f"{self._steps_per_s:.0f}", "steps/s"),
            (f"{self._updates_per_s:.0f}", "updates/s"),
            (self._eta(), "left"),
        ]

    @property
    def _learning(self) -> bool:
        """Also when all updates that are due were done a moment ago."""
        return self._state in ("", "learning") or self._state.startswith("up to date")

    def _word(self) -> str:
        if self._kind is EpisodeKind.DEMONSTRATION:
            return f"demonstration {self._tally.demonstrations + 1} of {self._config.demonstrations}"
        return "learning" if self._learning else self._state

    # -- drawing -------------------------------------------------------------------------------------------------

    def _line(self) -> Table:
        total, done = self._config.steps, self._tally.steps
        if self._updates_wanted:
            total, done = self._updates_wanted, self._updates
        bar = ProgressBar(total=max(1, total), completed=done, width=16)
        text = Text()
        for value, name in self._figures():
            text.append(value, "bold").append(f" {name}  ", "dim")
        text.append(self._word(), "green" if self._learning else "yellow")
        line = Table.grid(padding=(0, 1))
        line.add_column(no_wrap=True, min_width=len(self._config.task))
        line.add_column(no_wrap=True, width=16)
        line.add_column()
        line.add_row(Text(self._config.task, "bold cyan"), bar, text)
        return line

    def _print_plain(self) -> None:
        self._printed = time.monotonic()
        figures = "  ".join(f"{value} {name}" for value, name in self._figures())
        self.note(f"{self._config.task}: {figures}  {self._word()}")
        sys.stderr.flush()


def result_table(folder: Path, summary: Mapping[str, Any]) -> Table:
    """The last thing a run prints; its headline is the person's time."""
    table = Table(
        title=f"{summary['task']}: {summary['hands_on_minutes']:.2f} minutes hands on, "
        f"{summary['at_machine_minutes']:.1f} at the machine",
        title_style="bold green",
        title_justify="left",
        show_header=False,
        min_width=60,
    )
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    if is_measured(summary):
        table.add_row(
            "success, unaided",
            Text.assemble(
                (f"{summary['success_rate']:.0%}", "bold"),
                f"  ({summary['eval_successes']} of {summary['eval_episodes']}; ",
                f"95 % interval {summary['wilson_low']:.0%} to {summary['wilson_high']:.0%})",
            ),
        )
    elif summary.get("not_measured"):
        table.add_row("success, unaided", f"not measured: {summary['not_measured']}")
    share = summary.get("human_step_share_last_20", 0.0)
    table.add_row(
        "the person",
        f"{summary['hands_on_seconds']:.0f} s hands on: {summary.get('demonstrations', 0)} demonstrations, "
        f"{summary['human_steps']} corrected steps (last 20 episodes: {share:.1%})",
    )
    if said := summary.get("sentences"):
        table.add_row(
            "in words",
            f"{said} sentence{'s' * (said != 1)}, {summary['speaking_seconds']:.0f} s to say: they decided "
            f"{summary['spoken_steps']} steps",
        )
    table.add_row("practice", f"{summary['env_steps']} steps, {summary['updates']} updates")
    table.add_row("time", f"{summary['wall_s'] / 60:.1f} minutes in all, {summary.get('train_s', 0.0):.0f} s training")
    if summary.get("policy_version") is not None:
        table.add_row("policy", f"version {summary['policy_version']}, {str(summary['policy_checksum'])[:12]}")
    present = [
        n for n in ("summary.json", "curves.png", "rollouts.mp4", "journal", "tensorboard") if (folder / n).exists()
    ]
    for warning in summary.get("warnings", ()):
        table.add_row(Text("warning", "yellow"), Text(warning))
    table.add_row("look at", Text.assemble((str(folder), "bold"), f": {', '.join(present)}"))
    unfinished = (summary.get("interrupted") or summary.get("not_measured")) and not summary.get("offline")
    again = "train --resume" if unfinished else "eval"
    if summary.get("place", {}).get("kind") != "ros":  # another one is driven and measured where it stands
        table.add_row("next", Text(f"robot-rlhf {again} {shlex.quote(str(folder))}"))
    return table
