"""`robot-rlhf ros policy`: the control loop over ROS topics, with operator, guard, journal and learner."""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_rlhf.apps.build import build_policy, software_versions
from robot_rlhf.apps.devices import Monitors
from robot_rlhf.apps.keeper import Keeper, described
from robot_rlhf.apps.learner_link import RobotLink
from robot_rlhf.apps.live import LiveConsole
from robot_rlhf.apps.numerics import tiny_is_zero
from robot_rlhf.apps.priority import stay_urgent, urgent
from robot_rlhf.apps.provenance import note_invocation
from robot_rlhf.apps.report import write_json
from robot_rlhf.apps.ros_run import deployed_policy, run_folder, run_settings
from robot_rlhf.apps.run_folder import MetricsLog, RunFolder
from robot_rlhf.datatypes import Button, EpisodeKind, EpisodeMeta, HumanInput, Outcome
from robot_rlhf.errors import CheckpointError
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.feedback.first_of import FirstOf
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.place import Place
from robot_rlhf.ports import Teleop
from robot_rlhf.rewards.metrics import wilson_interval
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.loop import run_episode
from robot_rlhf.runtime.practice_weights import Weights
from robot_rlhf.runtime.seeds import episode_seed, generators
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.standstill import STOP_RULE
from robot_rlhf.runtime.station import EndRequestedError, Station, StopRequestedError
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import Rate
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.diagnostics import Diagnostics
from robot_rlhf_hardware.ros.estop import EStop
from robot_rlhf_hardware.ros.narrator import Narrator
from robot_rlhf_hardware.ros.nodes import POLICY
from robot_rlhf_hardware.ros.robot import WATCH_EVERY, RosRobot
from robot_rlhf_hardware.ros.settings import RobotSettings, limits_of, settings_of
from robot_rlhf_hardware.ros.task import RosTask, TaskSettings
from robot_rlhf_hardware.ros.teleop import RosTeleop, TeleopSettings
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
        self.console: LiveConsole | None = None

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
        self.task = RosTask(bus, task, self.robot, self.guard, may_move=self._may_be_driven)
        self.narrator = Narrator(bus, lambda: self.robot.stamps)
        self.diagnostics = Diagnostics(bus)
        self.diagnostics.add(self.robot.statuses)
        self.diagnostics.add(lambda: [self.estop.status(), self.teleop.status()])
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
        self.deployed = deployed_policy(values, config, self.guard.spec) if values["learner"] == "none" else None
        folder, resumed = run_folder(values, config)
        with folder.kept_once_begun(), folder.locked():
            folder.begun = resumed
            return self._run(folder, resumed)

    def _run(self, folder: RunFolder, resumed: bool) -> dict[str, Any]:
        values, config = self.values, self.config
        if resumed and values["learner"] != "none":
            folder.check_resumable()
        if resumed:
            folder.check_task(config.task)
        note_invocation(folder, resumed=resumed)
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        with ExitStack() as stack, tiny_is_zero():
            stack.callback(self.guard.stop)
            self.metrics = MetricsLog(folder)
            stack.callback(self.metrics.close)
            session = self._open(stack, folder, resumed)
            folder.begun = True
            began = time.monotonic()
            interrupted = False
            try:
                self._demonstrate(session)
                session.practise(config.steps, self._after_episode, before_episode=lambda: self._make_ready(session))
                self._let_learner_finish()
            except EndRequestedError:
                interrupted = self._ended.is_set()
                self._bus.log(logging.INFO, "told to end" if interrupted else "the operator ended the session")
            except (KeyboardInterrupt, StopRequestedError) as reason:
                interrupted = True
                self._bus.log(logging.WARNING, f"ending ({type(reason).__name__}): everything is saved")
            self.minutes = (time.monotonic() - began) / 60.0
            evaluated: dict[str, Any] = {}
            with suppress(EndRequestedError):
                evaluated = {} if interrupted else self._evaluate(session, folder, values["evaluate"])
        summary = self._summary(folder, evaluated, interrupted=interrupted)
        write_json(folder.summary, summary)
        return summary

    def _open(self, stack: ExitStack, folder: RunFolder, resumed: bool) -> Session:
        values, config, spec, clock = self.values, self.config, self.guard.spec, self._bus.clock
        self.tally = Tally(spec.control_period)
        self.keeper = Keeper(folder, config, self.metrics, lambda text: self._bus.log(logging.WARNING, text))
        if resumed and journal_files(folder.journal):  # what was learned offline has none yet
            counts = replay_into(folder.journal, FanOut([self.tally, self.keeper.monitor]), pictures=False)
            self.keeper.recovered()
            self._bus.log(logging.INFO, f"{folder.path}: goes on after {counts.steps} steps")
        versions = software_versions()
        offset = time.time_ns() - time.monotonic_ns()
        journal = JournalWriter(folder.journal, spec, metadata=versions, epoch_offset_ns=offset)
        stack.enter_context(journal)
        if config.console is not None:  # first: a port in use is found out before anything is started
            estop = self.estop
            console = LiveConsole(
                folder,
                config,
                self.tally,
                spec,
                clock,
                place=Place(self.guard, self.task, clock),
                on_stop=estop.latch,
                on_release=estop.release,
            )
            self.console = stack.enter_context(console)
        policy = self.deployed
        self.learner: RobotLink | None = None
        if values["learner"] != "none":
            policy = build_policy(config, spec, practises=True)
            self.learner = stack.enter_context(
                RobotLink(
                    folder,
                    config,
                    clock,
                    policy,
                    attended=values["attended"],
                    elsewhere=values["learner"] == "node",
                )
            )
        self.pace = Rate(clock, spec.control_period)
        station = Station(
            guard=self.guard,
            task=self.task,
            policy=policy if self.learner is None else self.learner.policy,
            arbiter=Arbiter(spec.action, give_back_after=values["give_back_after"]),
            reward=config.reward,
            clock=clock,
            teleop=FirstOf([self.teleop, self.estop, self]),
            operator=values["operator"],
            subscribers=(journal, self.narrator, self.tally, self.keeper.monitor),
            monitor=Monitors(self.narrator, self.teleop),
            pace=self.pace,
            release_faults=values["release_faults"],
            may_move=self._may_move,
            waiting_for="the learner, the operator, or to be activated",
            attended=values["attended"],
        )
        if self.console is not None:
            station = self.console.share(station)
            stack.enter_context(self.console.feed(self.learner, self.pace, self.keeper))
            self._bus.log(logging.INFO, self.console.invitation)
        stack.enter_context(urgent())
        return Session(station, self.tally, config.seed, versions)

    def _may_move(self) -> bool:
        return self._may_be_driven() and (self.learner is None or self.learner.may_move())

    def _may_be_driven(self) -> bool:
        """Whether the node is active, and the operator there."""
        present = self.teleop.present or (self.console is not None and self.console.link.present)
        allowed = self._active.is_set() and not self.estop.reason
        return allowed and (present or not self.values["operator_required"])

    def _demonstrate(self, session: Session) -> None:
        station = session.station
        wanted = self.config.demonstrations
        tried = 0
        while self.tally.demonstrations < wanted:
            tried += 1
            demonstrated = replace(station, policy=None, may_move=self._may_be_driven, waits_for_hands=self._real)
            session.episode(EpisodeKind.DEMONSTRATION, demonstrated)
            self._bus.log(logging.INFO, f"demonstrations: {self.tally.demonstrations} of {wanted}, tried {tried}")

    def _make_ready(self, session: Session) -> None:
        """For the next practice episode."""
        self._demonstrate(session)
        if self.learner is not None:
            self.keeper.begin(self.learner.learned, self.learner.weights)
            which = self.keeper.choose(session.next_number(EpisodeKind.PRACTICE))
            if which is not None:
                session.weights = which.value
                self.learner.practise_with(which)

    @property
    def _real(self) -> bool:
        """A person of flesh and blood begins when they want to."""
        return not self.values["release_faults"]

    def _after_episode(self) -> bool:
        tally = self.tally
        if self.learner is not None:
            self.keeper.after_episode(tally.steps, self.learner.weights)
        news = self.learner.news if self.learner is not None else None
        facts = {"success_with_help": tally.recent_success, "human_share": tally.recent_human_share}
        self.metrics(tally.steps, facts, group="practice")
        if tally.episodes % 10 == 0:
            said = "" if news is None else f", {news.updates} updates, {news.state}"
            self._bus.log(
                logging.INFO,
                f"{tally.steps} steps, success with help {tally.recent_success:.0%}, "
                f"person {tally.recent_human_share:.0%}{said}",
            )
        return False

    def _let_learner_finish(self) -> None:
        """Raises EndRequestedError when told to end meanwhile."""
        if self.learner is None:
            return
        self.guard.stop()
        late = self.learner.let_finish(self.tally, self._check_end)
        if late:
            self._bus.log(logging.WARNING, late)

    def _check_end(self) -> None:
        if self._ended.is_set():
            raise EndRequestedError("told to end")

    def _evaluate(self, session: Session, folder: RunFolder, episodes: int) -> dict[str, Any]:
        """Unaided episodes over the topics, with the weights to deploy; the operator's STOP still counts."""
        if not episodes:
            return {}
        policy = self.deployed
        if self.learner is not None:
            policy = build_policy(self.config, self.guard.spec, practises=False)
            try:
                policy.load(self.learner.weights(Weights.KEPT if folder.best.exists() else Weights.AVERAGED))
            except CheckpointError as error:
                refused = f"evaluate {episodes}: not measured, the learner has given no weights ({error})"
                self._bus.log(logging.ERROR, refused)
                return {"evaluation_refused": refused}
        assert policy is not None, "nobody learns: checked before the run was opened"
        station = replace(
            session.station,
            policy=policy,
            teleop=OnlyButtons(session.station.teleop),
            operator="none",
            reward=replace(self.config.reward, judge="task"),
            may_move=self._may_be_driven,
            subscribers=(self.narrator,),
        )
        ends = []
        for number in range(episodes):
            seed = episode_seed(self.config.seed, EpisodeKind.EVALUATION, number)
            name = f"evaluation-{number:06d}"
            meta = EpisodeMeta(name, self.task.name, EpisodeKind.EVALUATION, seed, "none", station.reward.source)
            ends.append(run_episode(station, meta, *generators(seed)))
        good = [end.steps for end in ends if end.outcome is Outcome.SUCCESS]
        low, high = wilson_interval(len(good), len(ends))
        return {
            "eval_episodes": len(ends),
            "eval_successes": len(good),
            "success_rate": len(good) / len(ends),
            "wilson_low": round(low, 4),
            "wilson_high": round(high, 4),
            "cycle_steps": float(np.mean(good)) if good else None,
            "policy_version": policy.version,
            "policy_checksum": policy.checksum,
            "outcomes": {o.value: sum(end.outcome is o for end in ends) for o in {end.outcome for end in ends}},
        }

    def _summary(self, folder: RunFolder, evaluated: dict[str, Any], *, interrupted: bool) -> dict[str, Any]:
        periods = sorted(self.pace.recent)
        news = self.learner.news if self.learner is not None else None
        return {
            "run": str(folder.path),
            "task": self.task.name,
            "interrupted": interrupted,
            "demonstrations": self.tally.demonstrations,
            "env_steps": self.tally.steps,
            "practice_episodes": self.tally.episodes,
            "hands_on_minutes": round(self.tally.hands_on_seconds / 60.0, 3),
            "at_machine_minutes": round(self.tally.at_machine_seconds / 60.0, 3),
            "minutes": round(self.minutes, 2),
            "updates": news.updates if news else 0,
            "period_p50_ms": _ms(periods, 0.5),
            "period_p99_ms": _ms(periods, 0.99),
            "period_overruns": self.pace.overruns,
            **({"practice": described(self.keeper.monitor.report)} if self.learner is not None else {}),
            **evaluated,
        }

    def _hear_guard(self, event: Any) -> None:
        if event.latched:
            self._bus.log(FAULT_LEVELS[event.latched], f"fault {event.rule}: {event.detail}")


class OnlyButtons:
    """A Teleop of which only the buttons count: nobody helps."""

    def __init__(self, teleop: Teleop | None) -> None:
        self._teleop = teleop

    def read(self) -> HumanInput | None:
        human = self._teleop.read() if self._teleop is not None else None
        return None if human is None else replace(human, action=None)


def _ms(seconds: list[float], share: float) -> float | None:
    return round(1e3 * seconds[int(share * (len(seconds) - 1))], 2) if seconds else None


def summary_line(summary: dict[str, Any]) -> str:
    """What the log says at the end."""
    return json.dumps({name: value for name, value in summary.items() if name != "outcomes"})
