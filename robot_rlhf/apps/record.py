"""`robot-rlhf record`: demonstrations, and nothing else, into a journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from robot_rlhf.apps.build import build_person, build_station, build_world, software_versions
from robot_rlhf.apps.command import parse
from robot_rlhf.apps.config import PEOPLE, TrainConfig, known
from robot_rlhf.apps.screen import screen
from robot_rlhf.errors import ConfigError
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.station import StopRequestedError
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig


@dataclass(frozen=True)
class RecordOptions:
    """Record demonstrations into a journal."""

    out: Path
    """Folder of the journal to make."""
    task: str = "pick_cube"
    """Which skill: reach, pick_cube, peg_insert, push or drawer_store."""
    task_options: dict[str, float] = field(default_factory=dict[str, float])
    """Options of the task, for example clearance 0.0005."""
    disturbance: DisturbanceConfig = field(default_factory=DisturbanceConfig)
    """How late and how inexact the robot is."""
    randomise: float = 0.0
    """0 to 1: how far world and robot differ in each episode from the nominal ones."""
    demonstrator: str = "clumsy"
    """Who demonstrates: clumsy, or for example attentive, slow, keys or novice."""
    demonstrations: int = 10
    """Successful demonstrations to record; failed tries are recorded as well."""
    cameras: tuple[str, ...] = ()
    """Cameras to record: front, side, wrist."""
    image_size: int = 128
    """Height and width of the pictures."""
    seed: int = 0


def run(argv: Sequence[str]) -> int:
    """Record; returns the exit code."""
    options = parse(RecordOptions, "record", argv)
    tally = record(options)
    screen().print(
        f"{tally.demonstrations} demonstrations of {options.task}, {tally.demonstration_steps} steps, "
        f"{tally.hands_on_seconds / 60:.2f} minutes hands on, {tally.at_machine_seconds / 60:.2f} at the machine\n"
        f"look at {options.out}: robot-rlhf journal info {options.out}",
        soft_wrap=True,
        highlight=False,
    )
    return 0


def record(options: RecordOptions) -> Tally:
    """Record; returns what it cost.

    Raises:
        ConfigError: the folder holds something already.
        RobotRlhfError: the demonstrator fails again and again.
    """
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise ConfigError(f"--out {options.out}: exists already; allowed is a new or empty folder")
    config = TrainConfig(
        task=options.task,
        task_options=options.task_options,
        disturbance=options.disturbance,
        randomise=options.randomise,
        demonstrator=options.demonstrator,
        demonstrations=options.demonstrations,
        cameras=options.cameras,
        image_size=options.image_size,
        seed=options.seed,
    )
    world = build_world(config, FakeClock())
    person = build_person(world, known(options.demonstrator, PEOPLE, "demonstrator"))
    for camera in options.cameras:  # a machine that cannot draw is found out before anything is written
        world.task.arm.render(camera, options.image_size, options.image_size)
    tally = Tally(world.spec.control_period)
    versions = software_versions()
    try:
        with JournalWriter(options.out, world.spec, metadata=versions) as journal:
            station = replace(build_station(config, world), subscribers=(journal, tally, person))
            session = Session(station, tally, options.seed, versions)
            session.demonstrate(options.demonstrations, person, options.demonstrator)
    except StopRequestedError:
        return tally
    finally:
        world.guard.stop()
    return tally
