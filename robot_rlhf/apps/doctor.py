"""`robot-rlhf doctor`: what works on this machine, and how to mend what does not."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
from rich.table import Table
from rich.text import Text

from robot_rlhf.apps.command import parse
from robot_rlhf.apps.ros_host import HostOptions, read_options
from robot_rlhf.errors import ConfigError, RenderError, RobotRlhfError
from robot_rlhf.run.priority import REAL_TIME_PRIORITY, urgent
from robot_rlhf.run.screen import screen
from robot_rlhf.timing import MonotonicClock
from robot_rlhf_sim.graphics import prepare_graphics

PACKAGES = ("av", "gymnasium", "h5py", "matplotlib", "mcap", "mujoco", "numpy", "opencv-python", "pyarrow", "rich")
PACKAGES += ("rosbags", "safetensors", "stable-baselines3", "tensorboard", "torch", "tyro")
PERIOD = 0.05
"""The control period whose timing is measured, s."""
CONSOLE_REMEDY = "pip install 'robot-rlhf[console]'; everything else works without"
GL_REMEDY = "install libegl1 libgl1-mesa-dri libgles2 (Debian), or go without cameras and video"


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    remedy: str = ""
    """What to do about it; empty when all is well."""


@dataclass(frozen=True)
class DoctorOptions:
    """Check what works on this machine."""

    out: Path = Path("runs")
    """Folder in which runs will be made: its disk is measured."""
    seconds: float = 2.0
    """How long the timing of a 20 Hz loop is watched; with --ros, how long the robot's topics are."""
    ros: bool = False
    """Walk through a robot's checklist on the live ROS graph instead: topics, rates, clocks, commands, e-stop. Nothing
    is sent."""
    delay: Path | None = None
    """Say instead how late a robot is, from wish to effect seen, and what to train with: by a run or journal that was
    recorded of it, simulated or real. Nothing is sent."""
    params: tuple[Path, ...] = ()
    """With --ros: parameter files of the policy node, for example launch/robot.yaml."""
    namespace: str = ""
    """With --ros: namespace of the policy node."""
    remap: dict[str, str] = field(default_factory=dict[str, str])
    """With --ros: topics that have other names, for example joint_states /arm/joint_states."""
    backend: Literal["", "dds", "rclpy"] = ""
    """With --ros: rclpy, the wire without ROS (dds), or whichever is installed."""
    domain: int | None = None
    """With --ros: domain of the dds backend; ROS_DOMAIN_ID when left out."""
    loopback: bool = False
    """With --ros: dds stays on this machine."""


def run(argv: Sequence[str]) -> int:
    """Check and print; returns 1 when something fails."""
    options = parse(DoctorOptions, "doctor", argv)
    table = Table(title=f"robot-rlhf doctor on {platform.system()} {platform.machine()}", title_justify="left")
    found = checks(options)
    if options.delay is not None:
        if options.ros:
            raise ConfigError("doctor: --delay reads a recording, --ros listens to a robot; allowed: one of them")
        found = [_delay(options.delay)]
    elif options.ros:
        from robot_rlhf.apps.doctor_ros import checks_of_robot

        found = checks_of_robot(_ros_options(options), options.seconds)
    for heading in ("", "check", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    colours = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    worst = 0
    for check in found:
        table.add_row(Text(check.state, colours[check.state]), check.name, check.found, check.remedy)
        worst = max(worst, int(check.state == "fail"))
    screen().print(table)
    return worst


def _delay(recording: Path) -> Check:
    from robot_rlhf.apps.doctor_delay import dead_time_of

    found = dead_time_of(recording)
    return Check("control delay", "ok" if found.is_sure else "warn", found.words, found.advice)


def _ros_options(options: DoctorOptions) -> HostOptions:
    words = [word for file in options.params for word in ("--params", str(file))]
    words += ["--domain", str(options.domain)] if options.domain is not None else []
    words += ["--backend", options.backend] if options.backend else []
    words += ["--loopback"] if options.loopback else []
    words += ["-r", f"__ns:={options.namespace}"] if options.namespace else []
    words += [word for before, after in options.remap.items() for word in ("-r", f"{before}:={after}")]
    return read_options("doctor", words)


def checks(options: DoctorOptions) -> Iterator[Check]:
    """All checks, in order; one that breaks unexpectedly is a failed check, not the end of the report."""
    parts: list[tuple[str, Callable[[], Check]]] = [
        ("python", _python),
        ("packages", _packages),
        ("console", _console),
        ("processor", _processor),
        ("torch", _torch),
        ("simulation", _simulation),
        ("camera pictures", _pictures),
        ("video", _video),
        ("disk", lambda: _disk(options.out)),
        ("timing at 20 Hz", lambda: _timing(options.seconds)),
        ("real-time priority", _real_time),
        ("memory", _memory),
    ]
    for name, part in parts:
        try:
            yield part()
        except Exception as error:  # whatever it is, the other checks are still wanted
            yield Check(
                name, "fail", f"{type(error).__name__}: {error}", "make setup; then open an issue with this line"
            )


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    good = sys.version_info >= (3, 11)
    return Check("python", "ok" if good else "fail", found, "" if good else "Python 3.11 or newer")


def _packages() -> Check:
    found: list[str] = []
    missing: list[str] = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", "fail", f"missing: {', '.join(missing)}", "make setup")
    return Check("packages", "ok", ", ".join(found))


def _console() -> Check:
    try:
        found = version("nicegui")
    except PackageNotFoundError:
        return Check("console", "warn", "missing: nicegui", CONSOLE_REMEDY)
    if found.partition(".")[0] != "3":
        return Check("console", "warn", f"nicegui {found}, which is not a 3.x", CONSOLE_REMEDY)
    return Check("console", "ok", f"nicegui {found}")


def _processor() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    found = f"{cores} cores, load {busy:.1f}"
    if cores < 2:
        return Check("processor", "warn", found, "asynchronous mode wants two cores: robot and learner")
    if busy > cores:
        return Check("processor", "warn", found, "other programs keep the cores busy; runs will be slower")
    return Check("processor", "ok", found)


def _torch() -> Check:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as training from state does
    weights = torch.randn(256, 256)
    torch.mm(weights, weights)
    begun = time.perf_counter()
    for _ in range(200):
        torch.mm(weights, weights)
    per_product = 1e6 * (time.perf_counter() - begun) / 200
    torch.set_num_threads(threads)
    device = f"CUDA {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else "no CUDA device (none is needed)"
    found = f"{threads} threads; {per_product:.0f} µs per 256² product on one; {device}"
    return Check("torch", "ok", found)


def _simulation() -> Check:
    prepare_graphics()
    from robot_rlhf.datatypes import Action
    from robot_rlhf.timing import FakeClock
    from robot_rlhf_sim.place import SimConfig

    world = SimConfig().open("pick_cube", clock=FakeClock(), cameras={})
    world.task.reset(np.random.default_rng(0))
    world.guard.anchor()
    still = Action(np.zeros(world.spec.action.size, np.float32))
    begun, count = time.perf_counter(), 100
    for _ in range(count):
        world.guard.observe()
        world.guard.act(still)
    rate = count / (time.perf_counter() - begun)
    found = f"{rate:.0f} steps/s of pick_cube ({rate * world.spec.control_period:.0f}x real time)"
    slow = rate < 200
    return Check("simulation", "warn" if slow else "ok", found, "slow: close other programs" if slow else "")


def _pictures() -> Check:
    problem = prepare_graphics()
    from robot_rlhf.timing import FakeClock
    from robot_rlhf_sim.place import SimConfig

    backend = os.environ.get("MUJOCO_GL", "default")
    try:
        arm = SimConfig().open("pick_cube", clock=FakeClock(), cameras={}).arm
        arm.render("front", 128, 128)
        begun = time.perf_counter()
        for _ in range(10):
            arm.render("front", 128, 128)
        each = 1e3 * (time.perf_counter() - begun) / 10
        arm.close()
    except RenderError as error:
        return Check("camera pictures", "warn", problem or str(error), GL_REMEDY)
    return Check("camera pictures", "ok", f"MUJOCO_GL={backend}, {each:.1f} ms per 128x128 picture")


def _video() -> Check:
    from robot_rlhf.run.results.video import write_video

    frames = [np.full((64, 64, 3), 25 * i, np.uint8) for i in range(10)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            write_video(Path(folder) / "try.mp4", frames, 20)
    except RobotRlhfError as error:
        return Check("video", "warn", str(error), "pip install --force-reinstall av")
    return Check("video", "ok", "H.264 by PyAV")


def _disk(out: Path) -> Check:
    folder = out.absolute()
    while not folder.is_dir():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    try:
        rate, syncs = _disk_speed(folder)
    except OSError as error:
        return Check(
            "disk", "fail", f"{folder}: cannot be written ({error.strerror})", "choose another folder with --out"
        )
    sync = 1e3 * statistics.median(syncs)
    found = f"{folder}: {rate:.0f} MB/s, fsync {sync:.1f} ms, {free:.0f} GB free"
    if free < 2.0:
        return Check("disk", "warn", found, "free some space: an hour with two cameras takes about 5 GB")
    if sync > 100.0:
        return Check("disk", "warn", found, "slow to sync: put runs on a local disk")
    return Check("disk", "ok", found)


def _disk_speed(folder: Path) -> tuple[float, list[float]]:
    """MB/s written, and seconds per fsync of a small append."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        block = os.urandom(1 << 20)
        begun = time.perf_counter()
        for _ in range(32):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        rate = 32 * len(block) / 1e6 / (time.perf_counter() - begun)
        syncs: list[float] = []
        for _ in range(10):
            file.write(block[:4096])
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            syncs.append(time.perf_counter() - begun)
    return rate, syncs


def _timing(seconds: float) -> Check:
    clock = MonotonicClock()
    start = clock.now()
    late: list[float] = []
    for number in range(1, max(2, round(seconds / PERIOD)) + 1):
        deadline = start + number * PERIOD
        clock.sleep_until(deadline)
        late.append(clock.now() - deadline)
    p50, p99 = (1e3 * float(np.quantile(late, q)) for q in (0.5, 0.99))
    found = f"late by {p50:.2f} ms (p50), {p99:.2f} ms (p99)"
    if p99 > 10.0:
        return Check("timing at 20 Hz", "warn", found, "close other programs before driving a real robot")
    return Check("timing at 20 Hz", "ok", found)


def _real_time() -> Check:
    if not hasattr(os, "sched_setscheduler"):
        return Check("real-time priority", "ok", "not offered by this system")
    allowed: list[bool] = []

    def attempt() -> None:
        with urgent() as given:
            allowed.append(given)

    thread = threading.Thread(target=attempt, name="doctor-priority")  # its priority ends with it
    thread.start()
    thread.join()
    if allowed == [True]:
        return Check("real-time priority", "ok", f"{REAL_TIME_PRIORITY} is allowed to this user")
    remedy = (
        f"a line '<user> - rtprio {REAL_TIME_PRIORITY}' in /etc/security/limits.conf, then log in again "
        f"(`ulimit -r` says {REAL_TIME_PRIORITY}): the control loop keeps its time on a busy machine"
    )
    return Check("real-time priority", "warn", "not allowed to this user", remedy)


def _memory() -> Check:
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (ValueError, OSError):
        return Check("memory", "ok", "not told by this system")
    low = free < 1.0
    remedy = "a run from state takes about 1 GB, from pictures 4 GB" if low else ""
    return Check("memory", "warn" if low else "ok", f"{free:.1f} GB free", remedy)
