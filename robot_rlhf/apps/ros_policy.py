"""`robot-rlhf ros policy`: the control loop over ROS topics, with operator, guard, journal and learner."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

from robot_rlhf.apps.ros_run import deployed_policy, run_folder, run_settings
from robot_rlhf.datatypes import Button, HumanInput
from robot_rlhf.feedback.first_of import FirstOf
from robot_rlhf.place import Place
from robot_rlhf.run.bookkeeping import Bookkeeping
from robot_rlhf.run.build import build_policy
from robot_rlhf.run.folder.provenance import note_invocation
from robot_rlhf.run.links.elsewhere import RobotLink
from robot_rlhf.run.links.fixed import FixedLink
from robot_rlhf.run.links.link import Link
from robot_rlhf.run.live.live_console import LiveConsole
from robot_rlhf.run.numerics import computing
from robot_rlhf.run.practice.robot import RobotPractice
from robot_rlhf.run.priority import stay_urgent
from robot_rlhf.run.ring import Ring
from robot_rlhf.run.settings import read_yaml, write_yaml
from robot_rlhf.runtime.fan_out import Monitors
from robot_rlhf.safety.guard import STOP_RULE, GuardedRobot
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.diagnostics import Diagnostics
from robot_rlhf_hardware.ros.estop import EStop
from robot_rlhf_hardware.ros.narrator import Narrator
from robot_rlhf_hardware.ros.nodes import POLICY
from robot_rlhf_hardware.ros.place import RosPlace
from robot_rlhf_hardware.ros.robot import WATCH_EVERY, RosRobot
from robot_rlhf_hardware.ros.settings import RobotSettings, limits_of, settings_of
from robot_rlhf_hardware.ros.task import RosTask, TaskSettings
from robot_rlhf_hardware.ros.teleop import RosTeleop, TeleopSettings
from robot_rlhf_hardware.ros.words import RosWords
from robot_rlhf_sim.model_kinematics import ModelKinematics

log = logging.getLogger(__name__)

READY_TIMEOUT = 60.0
"""Seconds to wait for the robot's topics when the node is configured."""
INACTIVE = "the policy node is inactive"
FAULT_LEVELS = {True: logging.ERROR, False: logging.INFO}


class PolicyCore:
    """The policy node on any bus: configure, activate, run, deactivate.

    Inactive it senses and sends nothing; `deactivate` holds the robot still at once, from any thread.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._active = threading.Event()
        self._ended = threading.Event()
        self._end_seen = False
        self.practice: RobotPractice | None = None

    # -- lifecycle -----------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Read parameters, subscribe, load what there is. Raises ConfigError for what cannot be."""
        bus = self._bus
        self.values: dict[str, Any] = dict(bus.parameters(POLICY.parameters))
        values = self.values
        limits = limits_of(values)
        settings = settings_of(RobotSettings, values)
        task = settings_of(TaskSettings, values)
        self.config = run_settings(values)
        solver = None
        if values["kinematics"]:
            solver = ModelKinematics(Path(values["kinematics"]), settings.joint_names, settings.tool_frame)
        self.robot = RosRobot(bus, settings, limits, solver)
        self.robot.forbid(INACTIVE)
        self.guard = GuardedRobot(self.robot, limits, bus.clock, on_event=self._hear_guard)
        self.estop = EStop(bus, lambda reason: self.guard.fault(STOP_RULE, reason))
        layout = self.guard.spec.action
        self.teleop = RosTeleop(
            bus,
            settings_of(TeleopSettings, values),
            layout,
            on_stop=self.estop.latch,
            on_release=self.estop.release,
        )
        self.task = RosTask(
            bus, task, self.robot, self.guard, may_move=lambda: self._may_be_driven(self._operator_at_console)
        )
        words = RosWords(bus)
        self.narrator = Narrator(bus, lambda: self.robot.stamps)
        self.diagnostics = Diagnostics(bus)
        self.diagnostics.add(self.robot.statuses)
        self.diagnostics.add(lambda: [self.estop.status(), self.teleop.status()])
        self.place = RosPlace(
            self.guard,
            self.task,
            bus.clock,
            hands=FirstOf([self.teleop, self.estop, words, self]),
            monitor=Monitors(self.narrator, self.teleop, words),
            subscribers=(self.narrator,),
            estop=self.estop,
            may_be_driven=self._may_be_driven,
            ended=self._ended.is_set,
        )
        self.place.releases_faults = values["release_faults"]
        self.place.attended = values["attended"]
        self.place.give_back_after = values["give_back_after"]
        bus.timer(WATCH_EVERY, self._watch_end)
        bus.once(0.0, stay_urgent)

    def activate(self) -> None:
        """Let the loop move the robot. What a deactivation latched is released, and nothing else."""
        self.robot.permit()
        self.guard.release(lambda fault: INACTIVE in fault.detail)
        left = "; ".join(f"{fault.rule}, {fault.detail}" for fault in self.guard.faults)
        if left:
            self._bus.log(logging.WARNING, f"still held, until it is released: {left}")
        self._active.set()
        self._bus.log(logging.INFO, "active")

    def deactivate(self) -> None:
        """Hold still now, and send nothing until activated."""
        self._active.clear()
        self.robot.forbid(INACTIVE)
        self._bus.log(logging.INFO, "inactive: holding still")

    def end(self) -> None:
        """Ask `run` to end: the robot is held still within WATCH_EVERY. Only sets flags, as a signal's handler must."""
        self._active.clear()
        self._ended.set()

    def _watch_end(self) -> None:
        """In the bus's thread: a handler may not take locks."""
        if self._ended.is_set() and not self._end_seen:
            self._end_seen = True
            self.deactivate()

    def read(self) -> HumanInput | None:
        """As a Teleop: END once `end` was called."""
        return HumanInput(None, frozenset({Button.END})) if self._ended.is_set() else None

    # -- the run -------------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Demonstrations, practice, evaluation; returns what summary.json holds.

        Raises:
            RobotError: the robot's topics do not come.
        """
        self.robot.wait_until_ready(READY_TIMEOUT)
        values, config = self.values, self.config
        deployed = deployed_policy(values, config, self.guard.spec) if values["learner"] == "none" else None
        folder, resumed = run_folder(values, config)
        with folder.kept_once_begun(), folder.locked():
            folder.begun = resumed
            if resumed and values["learner"] != "none":
                folder.check_resumable()
            if resumed:
                folder.check_task(config.task)
            if resumed and values["learner"] != "none" and read_yaml(folder.config) != config:
                write_yaml(config, folder.config)  # what the parameters say now is what the learner's process reads
            note_invocation(folder, resumed=resumed)

            def make_link(place: Place, book: Bookkeeping) -> Link:
                if values["learner"] == "none":
                    return deployed or FixedLink(None, None)
                policy = build_policy(config, place.spec, practises=True)
                attended, elsewhere = values["attended"], values["learner"] == "node"
                return RobotLink(folder, config, place.clock, policy, attended=attended, elsewhere=elsewhere)

            with computing(config.threads, config.seed):
                spec = self.place.spec
                book = Bookkeeping(folder, config, spec, resumed=resumed, quiet=True, say=self._say)
                self.practice = RobotPractice(folder, config, self.place, book, make_link, resumed=resumed)
                return Ring(folder, book, self.practice).run()

    @property
    def console(self) -> LiveConsole | None:
        """The operator's page, once the run has opened it."""
        return None if self.practice is None else self.practice.console

    def _say(self, text: str) -> None:
        self._bus.log(logging.WARNING if text.startswith(("warning", "practice")) else logging.INFO, text)

    @property
    def _operator_at_console(self) -> bool:
        return self.console is not None and self.console.link.present

    def _may_be_driven(self, at_console: bool) -> bool:
        """Whether the node is active, and the operator there."""
        present = self.teleop.present or at_console
        allowed = self._active.is_set() and not self.estop.reason
        return allowed and (present or not self.values["operator_required"])

    def _hear_guard(self, event: Any) -> None:
        if event.latched:
            self._bus.log(FAULT_LEVELS[event.latched], f"fault {event.rule}: {event.detail}")


def summary_line(summary: dict[str, Any]) -> str:
    """What the log says at the end."""
    return json.dumps({name: value for name, value in summary.items() if name != "outcomes"})
