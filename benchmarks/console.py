"""The operator's console under load: latency of input and pictures, dead man, learning by keyboard, a long soak.

    python -m benchmarks.console latency     1,000 key events while the learner learns at full load
    python -m benchmarks.console dead-man    20 tabs closed while they drive
    python -m benchmarks.console learn       whole sessions taught by keyboard events alone, one per seed
    python -m benchmarks.console soak        a long session with its page open

Everything is real: `robot-rlhf session`, Debian's Chromium, keys that the browser believes. Results are printed and
appended to benchmarks/results/console.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.browser import LiveSession, browser, open_console
from benchmarks.keyboard import KeyboardOperator, prepare
from robot_rlhf.datatypes import Driver, EpisodeEnd, Outcome, Step
from robot_rlhf.journal.reader import JournalTail
from robot_rlhf.run.settings import defaults_for

RESULTS = Path(__file__).parent / "results" / "console.jsonl"
PERIOD = 0.05
TASK = "pick_cube"
COMMON = ("--task", TASK, "--operator", "kim", "--console.port", "0", "--video-episodes", "0")
SHORT = (*COMMON, "--evaluation.final-episodes", "1")


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("latency", "dead-man", "learn", "soak"))
    parser.add_argument("--events", type=int, default=1_000, help="key events of 'latency'")
    parser.add_argument("--kills", type=int, default=20, help="tabs of 'dead-man'")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="sessions of 'learn'")
    parser.add_argument("--steps", type=int, default=4_500, help="practice steps of each session of 'learn'")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of 'soak'")
    parser.add_argument("--out", type=Path, default=None, help="folder of the sessions; a temporary one by default")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        out = arguments.out or Path(scratch)
        if arguments.what == "latency":
            report(latency(out, arguments.events))
        elif arguments.what == "dead-man":
            report(dead_man(out, arguments.kills))
        elif arguments.what == "learn":
            for seed in arguments.seeds:
                report(learn(out, seed, arguments.steps))
        else:
            report(soak(out, arguments.minutes))


def report(row: dict[str, Any]) -> None:
    """Print a result, and keep it."""
    row = {"date": time.strftime("%Y-%m-%d"), "cpu": os.cpu_count(), "python": platform.python_version(), **row}
    sys.stdout.write(json.dumps(row, indent=2) + "\n")
    sys.stdout.flush()
    with RESULTS.open("a") as file:
        file.write(json.dumps(row) + "\n")


# -- latency -----------------------------------------------------------------------------------------------------------


def latency(out: Path, events: int) -> dict[str, Any]:
    """Keys go down and up at random times, so that no phase of the control period is preferred."""
    rng = random.Random(0)
    with (
        LiveSession(out, (*SHORT, "--demonstrations", "0", "--seed", "0"), "latency") as session,
        browser() as chromium,
    ):
        page = open_console(chromium, session.address)
        page.wait_for_timeout(25_000)  # until the learner is at it
        page.evaluate("() => { const s = window.console_rlhf.stats; window.before = {...s}; }")
        began, load = time.monotonic(), os.times()
        for i in range(events):
            key = "KeyE" if i % 4 < 2 else "KeyQ"
            (page.keyboard.down if i % 2 == 0 else page.keyboard.up)(key)
            time.sleep(rng.uniform(0.06, 0.16))
        seconds = time.monotonic() - began
        painted = page.evaluate("() => window.console_rlhf.stats.situations - window.before.situations")
        busy = machine_load(load)
        news = json.loads((session.folder / "exchange" / "learner.json").read_text())
        finish(page, session)
        return {
            "what": "latency",
            "key_events": events,
            "seconds": round(seconds, 1),
            "situations_painted_per_s": round(painted / seconds, 2),
            "updates": news["updates"],
            "machine_load": busy,
            **session.summary()["console"],
            **frames(session),
        }


def finish(page: Any, session: LiveSession) -> None:
    """End the session as an operator does."""
    page.click("[data-press=end]")
    page.click("[data-press=end-yes]")
    session.process.wait(timeout=120.0)


def frames(session: LiveSession) -> dict[str, Any]:
    """What the console's process wrote about its pictures when it ended."""
    log = (session.folder / "console.log").read_text(errors="replace")
    found = re.findall(r"video: (\{.*\})", log)
    return {"video": json.loads(found[-1])} if found else {}


def machine_load(_: Any) -> float:
    """The machine's one-minute load average."""
    return round(os.getloadavg()[0], 2)


# -- dead man ----------------------------------------------------------------------------------------------------------


def dead_man(out: Path, kills: int) -> dict[str, Any]:
    """Close the tab while a key is down, without asking the page; see when the last driven step was."""
    times: list[float] = []
    with (
        LiveSession(out, (*SHORT, "--demonstrations", "0", "--seed", "0"), "dead_man") as session,
        browser() as chromium,
    ):
        page = open_console(chromium, session.address)
        context = page.context
        tail = JournalTail(session.journal, pictures=False)
        for _ in range(kills):
            driven = wait_for_human(page, tail)
            killed = time.monotonic()
            page.close(run_before_unload=False)
            quiet = killed + 1.5
            last = driven
            while time.monotonic() < quiet:
                last = max([last, *human_stamps(tail)])
                time.sleep(0.02)
            times.append(max(0.0, last - killed))
            page = context.new_page()
            page.goto(session.address.split("?")[0])
            page.wait_for_function("() => window.console_rlhf && window.console_rlhf.ready")
            page.wait_for_timeout(500)
            page.keyboard.press("KeyN")
            sys.stderr.write(f"{len(times)}: {times[-1]:.3f} s\n")
        finish(page, session)
    times.sort()
    return {
        "what": "dead_man",
        "kills": kills,
        "median_s": round(statistics.median(times), 3),
        "max_s": round(times[-1], 3),
        "all_s": [round(t, 3) for t in times],
    }


def human_stamps(tail: JournalTail) -> list[float]:
    """When the new steps that a person drove ended."""
    return [r.next_observation.stamp for r in tail.poll() if isinstance(r, Step) and r.driver is Driver.HUMAN]


def wait_for_human(page: Any, tail: JournalTail) -> float:
    """Hold a key until a driven step is on record; returns its stamp."""
    deadline = time.monotonic() + 60.0
    tail.poll()
    page.keyboard.down("KeyE")
    while time.monotonic() < deadline:
        stamps = human_stamps(tail)
        if len(stamps) >= 1:
            page.wait_for_timeout(200)
            return stamps[-1]
        page.wait_for_timeout(20)
    raise RuntimeError("the key did not drive")


# -- learning ----------------------------------------------------------------------------------------------------------


def learn(out: Path, seed: int, steps: int) -> dict[str, Any]:
    """A session in which all supervision is keyboard events; the policy is then measured without help."""
    config = defaults_for(TASK)
    options = (*COMMON, "--demonstrations", "5", "--seed", str(seed), "--steps", str(steps), "--image-size", "128")
    with LiveSession(out, options, f"learn-{seed}") as session, browser() as chromium:
        page = open_console(chromium, session.address)
        prepare(page)
        operator = KeyboardOperator(page, session.journal, config)
        began = time.monotonic()
        while session.process.poll() is None and not page.evaluate("() => window.console_rlhf.link === 'ended'"):
            for _ in range(40):
                operator.tick()
                page.wait_for_timeout(12)
        practised = time.monotonic() - began
        operator.release()
        session.process.wait(timeout=180.0)
    summary = session.summary()
    kept = ("success_rate", "eval_successes", "eval_episodes", "wilson_low", "wilson_high", "env_steps", "updates")
    kept += (
        "hands_on_seconds",
        "at_machine_seconds",
        "human_steps",
        "human_step_share_last_20",
        "demonstrations",
        "demonstration_steps",
    )
    return {
        "what": "learn",
        "seed": seed,
        "session_s": round(practised, 1),
        "key_presses": operator.presses,
        "resumed": operator.resumed,
        **{name: summary[name] for name in kept if name in summary},
        **{"console": summary["console"]},
    }


# -- soak --------------------------------------------------------------------------------------------------------------


def soak(out: Path, minutes: float) -> dict[str, Any]:
    """A simulated operator, the page open, for a long time: memory, pictures, deadlines."""
    options = [*SHORT, "--seed", "0", "--steps", "100000000", "--demonstrations", "3"]
    options[options.index("kim")] = "simulated"
    memory: dict[str, list[float]] = {"robot": [], "learner": [], "console": [], "page": []}
    with LiveSession(out, options, "soak") as session, browser() as chromium:
        page = open_console(chromium, session.address)
        tail = JournalTail(session.journal, pictures=False)
        ends = 0
        deadline = time.monotonic() + 60.0 * minutes
        while time.monotonic() < deadline:
            page.wait_for_timeout(15_000)
            ends += sum(isinstance(r, EpisodeEnd) and r.outcome is not Outcome.PAUSED for r in tail.poll())
            for name, pid in children(session.process.pid).items():
                memory[name].append(resident(pid))
            memory["page"].append(page.evaluate("() => performance.memory.usedJSHeapSize / 2**20"))
        painted = page.evaluate("() => ({...window.console_rlhf.stats})")
        finish(page, session)
    return {
        "what": "soak",
        "minutes": minutes,
        "episodes": ends,
        "memory_mb": {name: growth(values) for name, values in memory.items()},
        "page": painted,
        **session.summary()["console"],
        **frames(session),
    }


def children(parent: int) -> dict[str, int]:
    """Process ids of a session's processes by what they are."""
    found = {"robot": parent}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(fields[1]) == parent:
            for name in ("learner", "console"):
                if name in line:
                    found[name] = int(entry.name)
    return found


def resident(pid: int) -> float:
    """Resident memory, MB; 0 when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    match = re.search(r"VmRSS:\s+(\d+)", text)
    return int(match[1]) / 1024 if match else 0.0


def growth(values: list[float]) -> dict[str, float]:
    """After the first tenth (start-up), in the middle, and at the end."""
    if not values:
        return {}
    places = {"early": len(values) // 10, "middle": len(values) // 2, "end": len(values) - 1}
    return {name: round(values[place], 1) for name, place in places.items()}


if __name__ == "__main__":
    main()
