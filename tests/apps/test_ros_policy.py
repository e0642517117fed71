"""The policy node and the stand-in robot on the bus in memory: whole sessions, on a clock that is told."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.apps.ros_policy import PolicyCore
from robot_rlhf.apps.ros_robot_sim import StandIn
from robot_rlhf.apps.ros_stand_in import stand_in_yaml
from robot_rlhf.apps.ros_transport import Transport
from robot_rlhf.console.wire import Drive, Message, Operator, Press
from robot_rlhf.datatypes import Action, Button, Driver, EpisodeKind, HumanInput, Outcome, WeightSnapshot
from robot_rlhf.errors import ConfigError, FaultLatchedError, NoWeightsError, UnknownNameError
from robot_rlhf.journal.reader import episodes
from robot_rlhf.learner.checkpoint import write_snapshot
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.results.summary import KEYS, is_measured
from robot_rlhf.run.settings import ConsoleConfig, TrainConfig, read_yaml, write_yaml
from robot_rlhf_hardware.ros.bus_fake import FakeBus, FakeGraph
from robot_rlhf_hardware.ros.messages import pose_of, pose_stamped_fields
from robot_rlhf_hardware.ros.nodes import NODES
from robot_rlhf_hardware.ros.outputs import GripperOutput
from robot_rlhf_hardware.ros.rcl_yaml import parameters_of
from tests.console.certificates import make_certificate
from tests.hardware.ros.graphs import settings
from tests.run.weights import always_succeeds, random_weights


class World:
    """Stand-in robot, its person, and the policy node on one graph."""

    def __init__(self, folder: Path, sim: dict[str, Any] | None = None, **policy: Any) -> None:
        given: dict[str, dict[str, Any]]
        given = {n: dict(parameters_of(stand_in_yaml("reach"), f"/{n}", "stand-in")) for n in ("robot_sim", "policy")}
        given["policy"] |= {"out": str(folder), "learner": "none", "steps": 0, "demonstrations": 2, **policy}
        self.graph = FakeGraph()
        self.graph.clock.advance(5.0)
        self.robot_bus = FakeBus(self.graph, "robot_sim", {**given["robot_sim"], **(sim or {})})
        self.robot = StandIn(self.robot_bus, self.robot_bus.parameters(NODES["robot_sim"].parameters))
        if self.robot.person is not None:
            self.robot.person.watch(lambda: self.robot.seen)
        self.bus = FakeBus(self.graph, "policy", given["policy"])
        self.core = PolicyCore(self.bus)
        self.core.configure()
        self.folder = folder
        self.told: list[dict[str, Any]] = []
        self.steps: list[dict[str, Any]] = []
        ear = FakeBus(self.graph, "ear")
        for name, heard in (("~/episode", self.told), ("~/step", self.steps)):
            topic = next(t for t in NODES["policy"].topics if t.name == name)
            ear.subscription(topic, _into(heard), f"/policy/{name[2:]}")

    def when(self, what: Callable[[], bool], deed: Callable[[], object]) -> None:
        """Do something once, as soon as something is true."""

        def look() -> None:
            if what():
                timer.cancel()
                deed()

        timer = self.bus.timer(0.005, look)

    def faults(self) -> Callable[..., None]:
        """Makes topics of the robot silent or frozen."""
        topic = next(t for t in NODES["robot_sim"].topics if t.name == "~/faults")
        publisher = FakeBus(self.graph, "tester").publisher(topic, "/robot_sim/faults")
        return lambda **told: publisher.publish({"data": json.dumps(told)})

    def at(self, seconds: float, deed: Callable[[], object]) -> None:
        """Do something that many seconds from now."""
        self.bus.once(seconds, lambda: (deed(), None)[1])

    def targets(self) -> list[np.ndarray]:
        publisher = next(p for p in self.graph.publishers if p.name == "/target_pose")
        return [pose_of(message.pose) for message in publisher.sent]

    def run(self) -> dict[str, Any]:
        self.core.activate()
        return self.core.run()

    def recorded(self) -> list[Any]:
        return list(episodes(self.folder / "ros" / "journal"))


def _into(heard: list[dict[str, Any]]) -> Callable[[Any], None]:
    return lambda message: heard.append(json.loads(message.data))


def test_demonstrations_over_topics(tmp_path: Path) -> None:
    """The person at the gamepad demonstrates; what is recorded is what was told."""
    world = World(tmp_path)
    summary = world.run()
    assert set(summary) == set(KEYS)
    assert summary["demonstrations"] == 2
    assert not summary["interrupted"]
    recorded = world.recorded()
    good = [episode for episode in recorded if episode.end is not None and episode.end.outcome is Outcome.SUCCESS]
    assert len(good) == 2
    assert sum(len(episode.executed) for episode in recorded) == len(world.steps)
    assert (np.array(good[0].driver)[1:] == Driver.HUMAN).all(), "but for the step before the first input"
    assert [event["event"] for event in world.told[:2]] == ["start", "end"]
    assert world.told[0]["kind"] == "demonstration"


def test_two_sessions_with_a_seed_are_equal(tmp_path: Path) -> None:
    """On one clock nothing depends on the machine: the same episodes, to the bit."""
    first, second = World(tmp_path / "a"), World(tmp_path / "b")
    first.run()
    second.run()
    for one, other in zip(first.recorded(), second.recorded(), strict=True):
        np.testing.assert_array_equal(one.executed, other.executed)


def test_what_the_robot_executed_is_what_the_guard_says(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.run()
    episode = world.recorded()[0]
    scale = world.core.guard.spec.action.scale
    moved = np.diff(episode.observations["tool_target_in_base"][:, :3], axis=0)
    np.testing.assert_allclose(moved[1:] / scale[:3], episode.executed[1:], atol=1e-3)


def test_inactive_nothing_is_sent_and_a_deactivated_node_stays_inactive(tmp_path: Path) -> None:
    world = World(tmp_path, demonstrations=100)
    world.graph.advance(1.0)
    assert world.targets() == []
    counts: list[int] = []

    def deactivate() -> None:
        world.core.deactivate()
        counts.append(len(world.targets()))
        world.at(5.0, world.core.end)

    world.when(lambda: len(world.steps) >= 10, deactivate)
    world.run()
    at = world.targets()
    assert len(at) == counts[0], "after the hold nothing is sent, and nothing activates the node again"
    np.testing.assert_allclose(at[-1][:3], world.robot.seen.tool_pose_in_base[:3], atol=5e-3)


def test_an_activated_node_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, demonstrations=3)

    def deactivate() -> None:
        world.core.deactivate()
        world.at(2.0, world.core.activate)

    world.when(lambda: len(world.steps) >= 10, deactivate)
    assert world.run()["demonstrations"] == 3


def test_activation_releases_what_a_deactivation_latched_and_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path)
    core = world.core
    core.activate()
    core.robot.wait_until_ready(1.0)
    core.guard.hold()
    core.deactivate()
    with pytest.raises(FaultLatchedError, match="inactive"):
        core.guard.hold()
    core.activate()
    core.guard.hold()
    core.guard.fault("tool_force", "90 N, allowed 60 N")
    core.deactivate()
    core.activate()
    assert [fault.rule for fault in core.guard.faults] == ["tool_force"]
    assert any("still held, until it is released: tool_force, 90 N" in text for text in world.bus.warnings())


def test_a_pressed_stop_holds_until_it_is_released_explicitly(tmp_path: Path) -> None:
    world = World(tmp_path, demonstrations=2)
    marks: list[int] = []

    def stop() -> None:
        world.core.estop.latch("test")
        world.at(0.1, lambda: marks.append(len(world.steps)))
        world.at(4.0, lambda: marks.append(len(world.steps)))
        world.at(4.1, world.core.estop.release)

    world.when(lambda: len(world.steps) >= 5, stop)
    summary = world.run()
    assert marks[0] == marks[1] <= 6, "the person by the robot releases faults, but never a STOP"
    assert summary["demonstrations"] == 2
    ended = [episode for episode in world.told if episode["event"] == "end"]
    assert any("stop" in episode["detail"] for episode in ended)


def test_a_fault_on_the_way_is_recorded_and_the_session_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, demonstrations=2)
    fault = world.faults()

    def silence() -> None:
        fault(silent=["joint_states"])
        world.at(1.0, fault)

    world.when(lambda: len(world.steps) >= 5, silence)
    assert world.run()["demonstrations"] == 2
    ended = [event for event in world.told if event["event"] == "end"]
    assert any("/joint_states: stale" in event["detail"] for event in ended)
    assert sum(len(episode.executed) for episode in world.recorded()) == len(world.steps)


def test_while_the_operator_is_gone_the_robot_holds_still(tmp_path: Path) -> None:
    world = World(tmp_path, demonstrations=2)
    fault = world.faults()
    marks: list[tuple[int, int]] = []

    def silence() -> None:
        fault(silent=["joy"])
        for seconds in (0.35 + 0.02 + 0.05, 3.0):  # the timeout, the gamepad's own period, and a control period
            world.at(seconds, lambda: marks.append((len(world.steps), len(world.targets()))))
        world.at(3.1, fault)

    world.when(lambda: len(world.steps) >= 5, silence)
    assert world.run()["demonstrations"] == 2
    (steps, first), (later, last) = marks
    assert later <= steps + 1
    targets = np.array(world.targets()[first:last])
    assert np.ptp(targets, axis=0).max() < 1e-6


NO_PARAMETER = {"open_browser", "rewind", "device", "speech"}
"""Of the console's settings: a node opens no browser, a robot goes back by moving, and hands and what is heard are ROS
topics."""


def test_every_setting_of_the_console_is_a_parameter_or_refused_by_name(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        **{"host": "0.0.0.0", "port": 9500, "names": ["robot.lab"], "certificate": "cert.pem", "key": "key.pem"},
        **{"patience": 3.0, "give_back_after": 0.25},
    }
    assert {field.name for field in dataclasses.fields(ConsoleConfig)} == {*values, *NO_PARAMETER}
    given = {name if name == "give_back_after" else f"console_{name}": value for name, value in values.items()}
    console = World(tmp_path, console=True, **given).core.config.console
    told = {**values, "names": ("robot.lab",), "certificate": Path("cert.pem"), "key": Path("key.pem")}
    assert console == dataclasses.replace(ConsoleConfig(open_browser=False, rewind="motion"), **told)
    assert World(tmp_path, console=True).core.config.console == ConsoleConfig(
        open_browser=False, rewind="motion", give_back_after=0.1
    )
    for name in NO_PARAMETER:
        with pytest.raises(UnknownNameError, match=f"'console_{name}'"):
            World(tmp_path, None, **{f"console_{name}": "x"})


def test_the_page_of_a_policy_node_is_encrypted(tmp_path: Path) -> None:
    """With a certificate its address is https; one without its key is an error before the first step."""
    pytest.importorskip("nicegui", reason="the console is not installed")
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    certificate, key = map(str, make_certificate(tmp_path, "own"))
    page = {"console": True, "console_port": 0, "demonstrations": 1}
    world = World(tmp_path / "without", console_certificate=certificate, **page)
    with pytest.raises(ConfigError, match=r"console\.key: missing, but there is a console\.certificate"):
        world.run()
    assert not world.steps
    world = World(tmp_path / "with", console_certificate=certificate, console_key=key, **page)
    assert world.run()["demonstrations"] == 1
    (told,) = [text for _, text in world.bus.logged if "/?token=" in text]
    assert "https://127.0.0.1:" in told


@pytest.mark.parametrize(
    ("action", "command"), [("GripperCommand", "action"), ("ParallelGripperCommand", "parallel_action")]
)
def test_the_stand_ins_gripper_takes_goals_of_an_action(action: str, command: str) -> None:
    graph = FakeGraph()
    bus = FakeBus(graph, "robot_sim", {"task": "pick_cube", "gripper_action": action})
    robot = StandIn(bus, bus.parameters(NODES["robot_sim"].parameters))
    gripper = GripperOutput(FakeBus(graph, "policy"), settings(gripper_command=command))
    assert robot._opening == 1.0
    gripper.send(0.0)
    assert robot._opening == 0.0
    assert gripper.status().message == "follows"


def test_the_operators_page_drives_judges_stops_and_releases(tmp_path: Path) -> None:
    """Without a gamepad: while nobody has the page's seat, the robot waits; STOP on the page latches the e-stop."""
    pytest.importorskip("nicegui", reason="the console is not installed")
    world = World(
        tmp_path,
        sim={"person": "none"},
        console=True,
        console_port=0,
        teleop="none",
        success="button",
        demonstrations=1,
    )
    marks: list[int] = []
    latched: list[bool] = []
    topic = next(t for t in NODES["policy"].topics if t.name == "~/estop")
    FakeBus(world.graph, "late").subscription(topic, lambda m: latched.append(m.data), "/policy/estop")

    def page(message: Message) -> None:
        assert world.core.console is not None
        world.core.console.link._take(message)

    def sit_down() -> None:
        marks.append(len(world.steps))
        page(Operator("ada"))
        world.bus.timer(0.02, lambda: page(Drive((0.2, 0.0, 0.0))))

    def stop() -> None:
        page(Press(Button.STOP))
        world.at(0.1, lambda: marks.append(len(world.steps)))
        world.at(3.0, lambda: marks.append(len(world.steps)))
        world.at(3.1, lambda: page(Press(Button.RELEASE)))
        world.at(4.0, lambda: page(Press(Button.SUCCESS)))

    world.when(lambda: world.core.console is not None, lambda: world.at(2.0, sit_down))
    world.when(lambda: len(world.steps) >= 5, stop)
    assert world.run()["demonstrations"] == 1
    waiting, stopped, later = marks
    assert waiting == 0
    assert stopped == later <= 7
    assert latched == [False, True, False]
    stopped_at, good = world.recorded()
    assert [episode.end.outcome for episode in (stopped_at, good) if episode.end] == [Outcome.STOPPED, Outcome.SUCCESS]
    assert good.meta.operator == "ada"
    assert (np.array(good.driver) == Driver.HUMAN).all()


def test_a_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    first = World(tmp_path, demonstrations=1)
    first.run()
    again = World(tmp_path, demonstrations=2)
    assert again.run()["demonstrations"] == 2
    ids = [episode.meta.id for episode in again.recorded()]
    assert len(set(ids)) == len(ids)


def test_a_reset_that_fails_latches_a_fault_and_is_tried_again_after_its_release(tmp_path: Path) -> None:
    world = World(tmp_path, demonstrations=1)
    service = world.graph.services.pop("/reset")
    world.at(30.0, lambda: world.graph.services.update({"/reset": service}))
    assert world.run()["demonstrations"] == 1
    assert any("fault reset: service /reset: no server" in text for text in world.bus.warnings())


def learned(world: World, version: int, name: str) -> WeightSnapshot:
    """Weights of the robot's shapes, in the run's folder."""
    snapshot = random_weights(world.core.config, world.core.guard.spec, version)
    write_snapshot(world.folder / "ros" / "checkpoints" / f"{name}.safetensors", snapshot)
    return snapshot


@pytest.mark.parametrize("asked", [{"steps": 30}, {"evaluate": 3}])
def test_without_a_learner_and_without_weights_nothing_is_driven(tmp_path: Path, asked: dict[str, Any]) -> None:
    World(tmp_path).run()
    world = World(tmp_path, **asked)
    with pytest.raises(NoWeightsError, match=r"learner: none, but .*checkpoints holds no policy"):
        world.run()
    assert world.steps == []
    assert world.targets() == []


def test_a_new_run_without_a_learner_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NoWeightsError):
        World(tmp_path, steps=30).run()
    assert not (tmp_path / "ros").exists()


def test_without_a_learner_the_best_policy_drives_and_is_measured(tmp_path: Path) -> None:
    """Every step of it names the weights that proposed it; the newest ones stand in where there are no best ones."""
    World(tmp_path).run()
    world = World(tmp_path, steps=30, evaluate=2, sim={"person": "none"}, operator_required=False)
    learned(world, 7, "policy")
    best = learned(world, 5, "best_policy")
    summary = world.run()
    driven = [episode for episode in world.recorded() if episode.meta.kind is EpisodeKind.PRACTICE]
    versions = np.concatenate([episode.policy_version for episode in driven])
    assert len(versions) >= 30
    assert set(versions) == {5}
    assert summary["eval_episodes"] == 2
    assert (summary["policy_version"], summary["policy_checksum"]) == (5, best.checksum)
    (tmp_path / "ros" / "checkpoints" / "best_policy.safetensors").unlink()
    again = World(tmp_path, steps=len(versions), evaluate=1, sim={"person": "none"}, operator_required=False)
    assert again.run()["policy_version"] == 7


def test_two_policies_do_not_write_one_run(tmp_path: Path) -> None:
    World(tmp_path, demonstrations=1).run()
    world = World(tmp_path, demonstrations=2)
    with RunFolder(tmp_path / "ros").locked(), pytest.raises(ConfigError, match=r"ros: in use by process \d+"):
        world.run()
    assert world.targets() == []


def test_a_run_goes_on_with_its_own_task_alone(tmp_path: Path) -> None:
    World(tmp_path, demonstrations=1, task="stack_bins").run()
    world = World(tmp_path, demonstrations=2, task="sort_bins")
    with pytest.raises(ConfigError, match="task: got 'sort_bins', but the run is of 'stack_bins'"):
        world.run()
    assert world.targets() == []


def test_a_runs_name_stays_in_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="allowed: the name of one folder"):
        World(tmp_path / "deep", run="../escaped").run()
    assert list(tmp_path.iterdir()) == []


def test_a_policy_is_learned_from_what_a_robot_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a task that nobody simulates here: learned offline, then driven and measured on the robot."""
    World(tmp_path, demonstrations=2, task="stack_bins").run()
    options = ["--learner", "cloning", "--updates", "5", "--out", str(tmp_path), "--name", "cloned"]
    assert main(["offline", str(tmp_path / "ros"), *options]) == 0
    assert "stack_bins is not simulated here" in " ".join(capsys.readouterr().out.split())
    summary = json.loads((tmp_path / "cloned" / "summary.json").read_text())
    assert not is_measured(summary)
    assert main(["offline", str(tmp_path / "ros" / "journal"), *options]) == 0, "its recordings alone are enough"
    world = World(tmp_path, demonstrations=0, run="cloned", steps=0, evaluate=1, task="stack_bins")
    assert world.run()["policy_checksum"] == summary["policy_checksum"]
    assert main(["train", "--resume", str(tmp_path / "cloned")]) == 2
    assert "robot-rlhf ros policy" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["twist", "pose"])
def test_the_stand_in_follows_and_halts_by_itself(tmp_path: Path, command: str) -> None:
    """When commands end without a word, as after kill -9 of the policy, the robot's own timeout holds it."""
    world = World(tmp_path, sim={"person": "none"}, command=command, operator_required=False)
    held: list[bool] = []
    ear = FakeBus(world.graph, "late")
    topic = next(t for t in NODES["robot_sim"].topics if t.name == "~/holding")
    ear.subscription(topic, lambda m: held.append(m.data), "/robot_sim/holding")
    guard = world.core.guard
    world.core.activate()
    world.graph.advance(0.1)
    start = guard.observe().tool_pose_in_base[0]
    for _ in range(8):
        guard.act(Action(np.array([0.3, 0, 0], np.float32)))
        world.graph.advance(0.05)
        guard.observe()
    world.bus.close()
    world.graph.advance(0.4)
    at = world.robot.seen.tool_pose_in_base[0]
    assert at > start + 0.02
    assert held[-1] is True
    world.graph.advance(1.0)
    assert world.robot.seen.tool_pose_in_base[0] == pytest.approx(at, abs=2e-3)


def moved_after(sim: dict[str, Any], seconds: float = 0.4) -> tuple[float, float]:
    """Seconds from a command until the arm moves, and until its motion is told; of one step of the target."""
    graph = FakeGraph()
    graph.clock.advance(5.0)
    bus = FakeBus(graph, "robot_sim", {"task": "reach", **sim})
    robot = StandIn(bus, bus.parameters(NODES["robot_sim"].parameters))
    told: list[tuple[float, float]] = []
    topics = {topic.name: topic for topic in NODES["robot_sim"].topics}
    ear = FakeBus(graph, "ear")
    ear.subscription(
        topics["current_pose"], lambda m: told.append((graph.clock.now(), pose_of(m.pose)[2])), "/current_pose"
    )
    hand = FakeBus(graph, "hand").publisher(topics["target_pose"], "/target_pose")
    graph.advance(0.5)
    start = robot.seen.tool_pose_in_base.astype(np.float64)
    began, moved = graph.clock.now(), float("nan")
    target = start + np.array([0, 0, 0.05, 0, 0, 0, 0])
    while graph.clock.now() < began + seconds:
        hand.publish(pose_stamped_fields(ear.now(), "base", target))
        graph.advance(0.01)
        if np.isnan(moved) and abs(robot.seen.tool_pose_in_base[2] - start[2]) > 2e-3:
            moved = graph.clock.now()
    heard = next(when for when, height in told if when > began and abs(height - start[2]) > 2e-3)
    return moved - began, heard - began


def test_the_stand_in_obeys_and_tells_late() -> None:
    moved, heard = moved_after({})
    assert heard - moved < 0.015
    slow_moved, slow_heard = moved_after({"command_delay": 0.1, "sensing_delay": 0.05})
    assert slow_moved - moved == pytest.approx(0.1, abs=0.011), "a state every 10 ms"
    assert slow_heard - slow_moved == pytest.approx(0.05, abs=0.011)


def test_jitter_of_the_stand_in_keeps_order_and_bounds() -> None:
    transport = Transport(0.1, 0.05, np.random.default_rng(0))
    done: list[tuple[int, float]] = []
    for number in range(100):
        now = 0.01 * number
        transport.give(now, lambda late, number=number: done.append((number, late)))
        transport.deliver(now)
    transport.deliver(10.0)
    assert [number for number, _ in done] == list(range(100))
    lates = [late for _, late in done[:80]]
    assert min(lates) >= 0.1 - 1e-9
    assert max(lates) <= 0.15 + 0.01 + 1e-9, "a jitter's end, and until somebody delivers"
    assert len(set(np.round(lates, 3))) > 3


def test_a_reset_of_the_stand_in_forgets_what_was_under_way(tmp_path: Path) -> None:
    world = World(tmp_path, sim={"command_delay": 0.1, "sensing_delay": 0.1, "target_noise": 0.001})
    summary = world.run()
    assert summary["demonstrations"] == 2, "a late robot can be taught all the same"
    world.robot._reset({})
    here = world.robot.seen.tool_pose_in_base
    world.graph.advance(0.09)
    np.testing.assert_allclose(world.robot.seen.tool_pose_in_base, here, atol=2e-3)


def ready(folder: Path, **changes: Any) -> World:
    """A policy that drives without a learner, once more."""
    world = World(folder, **{"demonstrations": 0, "operator_required": False, "sim": {"person": "none"}, **changes})
    learned(world, 7, "best_policy")
    return world


@pytest.mark.parametrize(("success", "counts"), [("button", 2), ("topic", 0)])
def test_who_judges_practice_judges_the_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, success: str, counts: int
) -> None:
    """A press of success counts where a person judges; else the topic alone does."""
    World(tmp_path, demonstrations=0).run()
    world = ready(tmp_path, evaluate=2, success=success, time_limit=20)
    read = world.core.read

    def press() -> HumanInput | None:
        return read() or HumanInput(None, frozenset({Button.SUCCESS}))

    monkeypatch.setattr(world.core, "read", press)
    summary = world.run()
    assert summary["eval_episodes"] == 2
    assert summary["eval_successes"] == counts


def test_a_measurement_that_was_ended_says_so(tmp_path: Path) -> None:
    World(tmp_path, demonstrations=0).run()
    world = ready(tmp_path, evaluate=3)
    world.when(lambda: any(told.get("kind") == "evaluation" for told in world.told), world.core.end)
    summary = world.run()
    assert set(summary) == set(KEYS)
    assert summary["interrupted"] is True
    assert "the final evaluation was ended early" in summary["not_measured"]


def in_file(folder: Path, config: TrainConfig) -> str:
    path = folder / "settings.yaml"
    write_yaml(config, path)
    return str(path)


def test_a_learned_success_judges_over_topics(tmp_path: Path) -> None:
    plain = World(tmp_path / "plain").core
    model = always_succeeds(plain.config, plain.guard.spec, tmp_path / "success.safetensors")
    reward = dataclasses.replace(plain.config.reward, judge="model")
    file = in_file(tmp_path, dataclasses.replace(plain.config, reward=reward, success_model=model))
    world = World(tmp_path, config=file, success="model", demonstrations=2)
    assert world.run()["demonstrations"] == 2
    outcomes = [episode.end.outcome for episode in world.recorded() if episode.end is not None]
    assert outcomes.count(Outcome.SUCCESS) == 2, "by nobody else; the clock that is told may run ahead of the model"
    with pytest.raises(ConfigError, match=r"parameter success: got button, and the file config has .*safetensors"):
        World(tmp_path / "a", config=file, success="button")
    with pytest.raises(ConfigError, match="parameter success: got model, and the file config has none"):
        World(tmp_path / "b", success="model")


def test_a_run_that_goes_on_keeps_its_file_and_tells_its_learner_what_is_new(tmp_path: Path) -> None:
    """The learner's process waits for as many demonstrations as config.yaml of the run says."""
    first = World(tmp_path, demonstrations=1)
    file = in_file(tmp_path, dataclasses.replace(first.core.config, checkpoint_every=77))
    World(tmp_path, config=file, demonstrations=1).run()
    told = tmp_path / "ros" / "config.yaml"
    before = told.read_bytes()
    World(tmp_path, demonstrations=1).run()
    assert told.read_bytes() == before, "without a learner nobody reads it"
    world = World(tmp_path, demonstrations=2, learner="node")
    world.when(lambda: world.core.practice is not None, world.core.end)
    world.run()
    assert (read_yaml(told).checkpoint_every, read_yaml(told).demonstrations) == (77, 2)
