"""`robot-rlhf record`: demonstrations, and nothing else, into a journal."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from robot_rlhf.apps.command import parse, place_of
from robot_rlhf.errors import ConfigError
from robot_rlhf.place import PlaceConfig
from robot_rlhf.run.build import open_place
from robot_rlhf.run.practice.actor import Actor
from robot_rlhf.run.screen import screen
from robot_rlhf.run.settings import TrainConfig, defaults_for, sim_place
from robot_rlhf.runtime.station import StopRequestedError
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock


@dataclass(frozen=True)
class RecordOptions:
    """Record demonstrations into a journal."""

    out: Path
    """Folder of the journal to make."""
    task: str = "pick_cube"
    """Which skill: reach, pick_cube, peg_insert, push, drawer_store, blocks, or your own: module:class or
    file.py:class."""
    place: Annotated[PlaceConfig, tyro.conf.arg(name="")] = field(default_factory=sim_place)
    """Where: whose robot, and what stands around it."""
    where: Annotated[str, tyro.conf.arg(name="place")] = "sim"
    """Whose robot: sim, or a place of your own, module:name or file.py:name."""
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
    options = parse(RecordOptions, "record", argv, RecordOptions(tyro.MISSING, place=place_of(argv)))
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
        operator="absent",
        place=options.place,
        demonstrator=options.demonstrator,
        demonstrations=options.demonstrations,
        cameras=options.cameras,
        image_size=options.image_size,
        seed=options.seed,
        director=defaults_for(options.task, options.place).director,  # what a policy of the task will look at
    )
    with ExitStack() as stack:
        place = open_place(config, FakeClock())
        stack.callback(place.close)
        place.guard.observe()  # a machine that cannot draw is found out before anything is written
        actor = Actor(config, place, Tally(place.spec.control_period))
        session = actor.session(actor.open(stack, options.out, [*actor.listeners, actor.tally]))
        with suppress(StopRequestedError):
            actor.demonstrate(session, options.demonstrations)
    return actor.tally
