"""What each mode has: every cell of the table in docs/concepts/ring.md is tried, as a user would."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.apps.record import RecordOptions, record
from robot_rlhf.console.link import ConsoleLink
from robot_rlhf.console.wire import Spoken
from robot_rlhf.datatypes import EpisodeKind, Feedback, FeedbackKind, Outcome
from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.journal.reader import episodes, read_journal
from robot_rlhf.learner.checkpoint import write_snapshot
from robot_rlhf.learner.rewarding import RewardModelConfig
from robot_rlhf.run.build import open_place
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.results.summary import KEYS
from robot_rlhf.run.settings import ConsoleConfig, TrainConfig, read_yaml, write_yaml
from robot_rlhf.run.train import train
from robot_rlhf.runtime.exchange import LearnerNews, publish, write_news
from robot_rlhf.runtime.preference_learning import TeacherConfig
from robot_rlhf.timing import FakeClock
from robot_rlhf_hardware.ros.bus_fake import FakeBus
from tests.apps.test_ros_policy import World
from tests.hardware.ros.graphs import mirrored
from tests.run.weights import always_succeeds, random_weights
from tests.runtime.runs import tiny

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "ring.md"
MODES = ("synchronous", "asynchronous", "parallel", "ROS", "offline", "record")
TRAINED = MODES[:3]
OWN = '''
import json
from pathlib import Path

import numpy as np
from robot_rlhf.datatypes import Action, Assignment
from robot_rlhf.learner.checkpoint import read_snapshot

HERE = Path(__file__).parent


def tell(name, told):
    (HERE / name).write_text(json.dumps(told))


class Says:
    context_sizes = {}

    def __init__(self, place):
        tell("director", True)

    def reset(self, rng):
        pass

    def asked(self, observation):
        return Assignment("touch it")


class Slow:
    def __init__(self, place):
        tell("shield", True)

    def reset(self):
        pass

    def filter(self, observation, action, driver):
        return Action(np.clip(action.values, -0.25, 0.25))


class Looks:
    """A tutor that tells what the learner begins with."""

    def __init__(self, room):
        start = read_snapshot(HERE / "start.safetensors")[0].arrays
        mine = room.learner.snapshot().arrays
        self.room = room
        self.started = all(np.array_equal(mine[name], start[name]) for name in start)
        self.told = False

    def on_episode_start(self, meta, observation):
        if not self.told:
            self.told = True
            told = {"rows": len(self.room.buffer), "started": self.started}
            tell(f"tutor-{self.room.seed}", told)

    def on_step(self, step):
        pass

    def on_event(self, event):
        pass

    def on_episode_end(self, end):
        pass

    def work(self, heartbeat):
        return None


class Hands:
    def __enter__(self):
        tell("device", True)
        return self

    def __exit__(self, *exc):
        pass

    def read(self):
        return None

    def show(self, situation):
        pass


def device(config, layout, forward):
    return Hands()
'''


def read_table() -> dict[tuple[str, str], str]:
    """The page's words by feature and mode."""
    part = PAGE.read_text().split("## What each mode has")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    head, _, *body = rows
    assert tuple(head[1:]) == MODES
    return {(row[0], mode): word for row in body for mode, word in zip(MODES, row[1:], strict=True)}


TABLE = read_table()


@dataclass(frozen=True)
class Parts:
    """What runs are made with."""

    folder: Path
    config: TrainConfig

    def own(self, name: str) -> str:
        return f"{self.folder / 'own.py'}:{name}"

    def told(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())


@dataclass(frozen=True)
class Ran:
    """A run of one mode, and its summaries: as it ended first, and when it had gone on."""

    path: Path
    first: Mapping[str, Any]
    second: Mapping[str, Any]
    parts: Parts

    @property
    def config(self) -> TrainConfig:
        return read_yaml(self.path / "config.yaml")

    @property
    def tutor(self) -> Any:
        return self.parts.told(f"tutor-{self.config.seed}")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """A prior, a policy, a learned success, and parts of one's own, all in the settings of a run."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "own.py").write_text(OWN)
    record(RecordOptions(folder / "prior", task="reach", demonstrations=1, seed=7))
    config = tiny(tmp_path_factory.mktemp("runs"), steps=6, demonstrations=1)
    spec = open_place(config, FakeClock()).spec
    write_snapshot(folder / "start.safetensors", random_weights(config, spec, 3))
    parts = Parts(folder, config)
    config = replace(
        config,
        trainer=replace(config.trainer, start_after=2, updates_per_step=1.0, warm_start_updates=5),
        evaluation=replace(config.evaluation, every=0, final_episodes=0),
        success_model=always_succeeds(config, spec, folder / "success.safetensors"),
        reward=replace(config.reward, judge="model"),
        prior=(folder / "prior",),
        start=folder / "start.safetensors",
        director=parts.own("Says"),
        shield=parts.own("Slow"),
        tutors=(parts.own("Looks"),),
    )
    return Parts(folder, config)


@pytest.fixture(scope="module")
def ran(parts: Parts) -> Callable[[str], Ran]:
    """A run of a mode with everything, made when it is first asked for."""
    made: dict[str, Ran] = {}

    def run(mode: str) -> Ran:
        if mode not in made:
            made[mode] = {"ROS": over_ros, "offline": lambda p: from_recordings(p, run("synchronous").path)}.get(
                mode, lambda p: trained(p, mode)
            )(parts)
        return made[mode]

    return run


def trained(parts: Parts, mode: str) -> Ran:
    """Without evaluations, then with them, for more steps."""
    extra: dict[str, Any] = {"seed": 1 + TRAINED.index(mode), "mode": mode, "name": mode}
    if mode == "parallel":
        extra |= {"arms": 2, "demonstrations": 2}
    if mode == "asynchronous" and importlib.util.find_spec("nicegui") is not None:
        console = ConsoleConfig(port=0, open_browser=False)
        extra["console"] = replace(console, device=replace(console.device, kind=parts.own("device")))
    config = replace(parts.config, **extra)
    first, path = train(config, quiet=True), config.out / mode
    measured = replace(config.evaluation, every=3, episodes=1, final_episodes=2)
    changes = {"steps": first["env_steps"] + 6, "evaluation": measured, "video_episodes": 1, "console": None}
    return Ran(path, first, train(config, resume=path, changes=changes, quiet=True), parts)


def from_recordings(parts: Parts, recorded: Path) -> Ran:
    for name in ("director", "shield"):
        (parts.folder / name).unlink()
    out, start = parts.folder / "offline", str(parts.folder / "start.safetensors")
    options = ["--quiet", "--updates", "4", "--batch-size", "8", "--start", start, "--out", str(out)]
    assert main(["offline", str(recorded), *options, "--name", "first", "--episodes", "0"]) == 0
    more = ["--every", "2", "--episodes", "2", "--video-episodes", "1"]
    assert main(["offline", str(recorded), *options, "--name", "second", *more]) == 0
    first, second = (json.loads((out / name / "summary.json").read_text()) for name in ("first", "second"))
    return Ran(out / "second", first, second, parts)


class LearnerNode(threading.Thread):
    """In the place of a learner that somebody else starts: it says that it has learned, and gives weights."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self.exchange = RunFolder(world.folder / "ros").exchange
        self.done = threading.Event()
        weights = random_weights(world.core.config, world.core.guard.spec, 5)
        publish(self.exchange, weights, weights, {"task": "reach"})

    def run(self) -> None:
        stamp = 0.0
        while not self.done.wait(0.01):
            stamp += 1.0
            write_news(
                self.exchange,
                LearnerNews(0, stamp, 0, 5, 5, "learning", 0.0, 0.0, 0.0, alarm=False, recorded=10**6, learned=True),
            )


def over_ros(parts: Parts) -> Ran:
    folder = parts.folder / "ros"
    folder.mkdir()
    spec = World(folder / "spec").core.guard.spec  # its workspace is another one
    judge = always_succeeds(parts.config, spec, folder / "success.safetensors")
    write_yaml(replace(parts.config, success_model=judge), folder / "settings.yaml")
    given = {"config": str(folder / "settings.yaml"), "success": "model", "demonstrations": 1}
    first = World(folder, **given).run()
    with_page = {"console": True, "console_port": 0} if importlib.util.find_spec("nicegui") is not None else {}
    given |= {"learner": "node", "steps": 100, "evaluate": 2, "without_learner": "continue", "time_limit": 40}
    world = World(folder, **given, **with_page, operator_required=False)
    learner = LearnerNode(world)
    learner.start()
    try:
        second = world.run()
    finally:
        learner.done.set()
        learner.join()
    return Ran(folder / "ros", first, second, parts)


# -- what is there -----------------------------------------------------------------------------------------------------


def practised(ran: Ran) -> Iterator[Any]:
    found = [e for e in episodes(ran.path / "journal") if e.meta.kind is EpisodeKind.PRACTICE]
    assert found
    yield from found


def evaluated(ran: Ran) -> None:
    rows = [json.loads(line) for line in (ran.path / "evaluations.jsonl").read_text().splitlines()]
    assert rows
    assert {row["episodes"] for row in rows} <= {1, 2}


def best_kept(ran: Ran) -> None:
    assert (ran.path / "checkpoints" / "best_policy.safetensors").stat().st_size
    if ran.second["mode"] != "offline":
        assert (ran.second if ran.second["place"]["kind"] == "ros" else ran.first)["practice"] is not None


def reported(ran: Ran) -> None:
    for summary in (ran.first, ran.second):
        assert set(summary) == set(KEYS)
        assert summary["interrupted"] is False
    assert set(json.loads((ran.path / "summary.json").read_text())) == set(KEYS)
    assert (ran.path / "curves.png").stat().st_size


def filmed(ran: Ran) -> None:
    assert (ran.path / "rollouts.mp4").stat().st_size


def not_measured(ran: Ran) -> None:
    assert ran.first["success_rate"] is None
    assert ran.first["not_measured"]
    assert (ran.second["eval_episodes"], ran.second["not_measured"]) == (2, None)


def attended(ran: Ran) -> None:
    pytest.importorskip("nicegui", reason="the console is not installed")
    attended = ran.second if ran.second["place"]["kind"] == "ros" else ran.first
    assert attended["console"]["periods"]


def held(ran: Ran) -> None:
    pytest.importorskip("nicegui", reason="the console is not installed")
    assert ran.parts.told("device")


def judged(ran: Ran) -> None:
    if ran.first["mode"] == "asynchronous":  # over ROS too: nobody else says so; beside the loop it may be late
        assert ran.first["demonstrations"] == 1
    else:
        assert {(len(e), e.end.outcome) for e in practised(ran) if e.end is not None} == {(3, Outcome.SUCCESS)}


def resumed(ran: Ran) -> None:
    assert ran.second["recovered_steps"] > 0


def prolonged(ran: Ran) -> None:
    assert ran.second["env_steps"] >= ran.first["env_steps"] + 6


def with_prior(ran: Ran) -> None:
    if ran.second["place"]["kind"] == "ros":  # its learner, a process, reads this
        assert ran.config.prior == ran.parts.config.prior
    else:
        assert ran.tutor["rows"] > 5


def started(ran: Ran) -> None:
    assert ran.config.start == ran.parts.config.start
    if ran.second["mode"] != "offline" and ran.second["place"]["kind"] == "sim":
        assert ran.tutor["started"] is True


def directed(ran: Ran) -> None:
    assert ran.parts.told("director")
    if ran.second["mode"] != "offline":
        assert {sentence for e in practised(ran) for sentence in e.instructions} == {"touch it"}


def shielded(ran: Ran) -> None:
    assert ran.parts.told("shield")
    if ran.second["mode"] != "offline":
        assert max(np.abs(e.executed).max() for e in practised(ran)) <= 0.25 + 1e-5


def tutored(ran: Ran) -> None:
    assert ran.config.tutors == ran.parts.config.tutors
    if ran.second["place"]["kind"] == "sim":
        assert ran.tutor


def taught(ran: Ran) -> None:
    """Needs longer episodes than those that a learned success ends at once."""
    teacher = {
        "teacher": TeacherConfig(labeler="oracle", every=20, pairs=3),
        "reward_model": RewardModelConfig(learns=True),
    }
    config = replace(tiny(ran.parts.folder / "teacher", demonstrations=1, steps=100), **teacher)
    train(replace(config, evaluation=replace(config.evaluation, every=0, final_episodes=0)), quiet=True)
    told = [record for record in read_journal(config.out / "run" / "journal") if isinstance(record, Feedback)]
    assert FeedbackKind.PREFERENCE in {feedback.kind for feedback in told}


class Voice(threading.Thread):
    """Says the same now and then, as a page does that it was typed or spoken into."""

    def __init__(self, links: list[ConsoleLink]) -> None:
        super().__init__(daemon=True)
        self.links = links
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.1):
            for link in self.links:
                if not link._sentences:  # pyright: ignore[reportPrivateUsage]  the last one was heard
                    link._take(Spoken("left 2 cm"))  # pyright: ignore[reportPrivateUsage]  as the console's process does


def listened(ran: Ran) -> None:
    """With a run of its own, in which somebody says what to do."""
    mode = ran.second["mode"] if ran.second["place"]["kind"] != "ros" else "ROS"
    folder = ran.parts.folder / f"sentences-{mode}"
    if mode == "offline":
        recorded = spoken_to(ran.parts, "synchronous")
        options = ["--quiet", "--learner", "cloning", "--updates", "240", "--batch-size", "8", "--episodes", "0"]
        options += ["--name", "run"]
        assert main(["offline", str(recorded), *options, "--out", str(folder)]) == 0
        assert "advice_rows" in (folder / "run" / "metrics.jsonl").read_text()
        return
    if mode == "ROS":
        world = World(folder, demonstrations=1)
        somebody = FakeBus(world.graph, "somebody").publisher(mirrored("say", "publisher"))
        world.when(lambda: len(world.steps) >= 3, lambda: somebody.publish({"data": "left 2 cm"}))
        world.run()
        assert [each.payload["meanings"] for each in said_in(folder / "ros" / "journal")]
        return
    pytest.importorskip("nicegui", reason="the console is not installed")
    config = tiny(folder, mode=mode, demonstrations=0, steps=60, console=ConsoleConfig(port=0, open_browser=False))
    config = replace(config, evaluation=replace(config.evaluation, every=0, final_episodes=0))
    links, made = list[ConsoleLink](), ConsoleLink.__init__

    def make(link: ConsoleLink, *args: Any, **options: Any) -> None:
        made(link, *args, **options)
        links.append(link)

    voice = Voice(links)
    voice.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ConsoleLink, "__init__", make)
            train(config, quiet=True)
    finally:
        voice.done.set()
        voice.join()
    assert "nudge" in {each.payload["doing"] for each in said_in(folder / "run" / "journal")}


def told_by_a_speaker(ran: Ran) -> None:
    assert {each.payload["doing"] for each in said_in(spoken_to(ran.parts, ran.second["mode"]) / "journal")}


def spoken_to(parts: Parts, mode: str) -> Path:
    """A run in which a simulated person speaks; made when it is first asked for."""
    folder = parts.folder / f"speaker-{mode}"
    if not folder.exists():
        arms = 2 if mode == "parallel" else 1
        config = tiny(folder, mode=mode, arms=arms, demonstrations=arms, steps=150, operator="absent", speaker="clear")
        train(replace(config, evaluation=replace(config.evaluation, every=0, final_episodes=0)), quiet=True)
    return folder / "run"


def said_in(journal: Path) -> list[Feedback]:
    told = [record for record in read_journal(journal) if isinstance(record, Feedback)]
    return [feedback for feedback in told if feedback.kind is FeedbackKind.MEANING]


WORKS: Mapping[str, Callable[[Ran], None]] = {
    "evaluation on the way": evaluated,
    "best policy kept": best_kept,
    "summary and curves": reported,
    "film": filmed,
    "no final episodes": not_measured,
    "simulated teacher": taught,
    "console": attended,
    "devices": held,
    "learned success": judged,
    "resume": resumed,
    "more steps": prolonged,
    "prior": with_prior,
    "start": started,
    "director": directed,
    "shield": shielded,
    "tutors": tutored,
    "sentences": listened,
    "simulated speaker": told_by_a_speaker,
}


# -- what is not -------------------------------------------------------------------------------------------------------

OPTIONS = {
    "evaluation on the way": "--evaluation.every",
    "best policy kept": "--evaluation.every",
    "summary and curves": "--name",
    "film": "--video-episodes",
    "no final episodes": "--evaluation.final-episodes",
    "simulated teacher": "--teacher.labeler",
    "console": "--console.port",
    "devices": "--console.device.kind",
    "learned success": "--success-model",
    "resume": "--resume",
    "more steps": "--steps",
    "prior": "--prior",
    "start": "--start",
    "director": "--director",
    "shield": "--shield",
    "tutors": "--tutors",
    "sentences": "--console.port",
    "simulated speaker": "--speaker",
}
UNKNOWN_OVER_ROS = {
    "evaluation on the way": "evaluation_every",
    "film": "video_episodes",
    "devices": "console_device",
}
"""Parameters that a policy node does not have."""
WHY = {
    "simulated teacher": r"teacher\.labeler: needs --reward-model\.learns, and mode synchronous",
    "console": r"mode: with a console a run is asynchronous",
    "devices": r"mode: with a console a run is asynchronous",
    "sentences": r"mode: with a console a run is asynchronous",
    "simulated speaker": r"speaker: with place ros people speak who are there, allowed: nobody",
}


def refused(feature: str, mode: str, parts: Parts, folder: Path, said: Callable[[], str]) -> None:
    """The cell is one line that names what is not there, and nothing is left behind."""
    told: dict[str, Any]
    if mode in ("offline", "record"):
        needed = [str(parts.folder / "prior")] if mode == "offline" else ["--task", "reach"]
        assert main([mode, *needed, OPTIONS[feature], "1", "--out", str(folder / "out")]) == 2
        (line,) = said().splitlines()
        assert f"{mode} has no option {OPTIONS[feature]}" in line
        assert not (folder / "out").exists()
    elif mode == "ROS" and feature in UNKNOWN_OVER_ROS:
        with pytest.raises(UnknownNameError, match=UNKNOWN_OVER_ROS[feature]):
            World(folder, None, **{UNKNOWN_OVER_ROS[feature]: 1})
    elif mode == "ROS":
        told = {"teacher": TeacherConfig(labeler="oracle"), "reward_model": RewardModelConfig(learns=True)}
        told = {"speaker": "clear"} if feature == "simulated speaker" else told
        write_yaml(replace(parts.config, **told), folder / "settings.yaml")
        with pytest.raises(ConfigError, match=WHY[feature]):
            World(folder, config=str(folder / "settings.yaml"), success="model")
    else:
        told = {"console": ConsoleConfig()}
        if feature == "simulated teacher":
            told = {"teacher": TeacherConfig(labeler="oracle"), "reward_model": RewardModelConfig(learns=True)}
        with pytest.raises(ConfigError, match=WHY[feature]):
            replace(parts.config, mode=mode, **told)


@pytest.mark.curves
@pytest.mark.parametrize(("feature", "mode"), TABLE)
def test_the_page_says_what_each_mode_has(
    feature: str,
    mode: str,
    parts: Parts,
    ran: Callable[[str], Ran],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    word = TABLE[feature, mode]
    assert word in ("yes", "no", "recorded")
    if word == "no":
        refused(feature, mode, parts, tmp_path, lambda: capsys.readouterr().err.strip())
    else:
        WORKS[feature](ran(mode))
    if word == "recorded":
        refused(feature, mode, parts, tmp_path, lambda: capsys.readouterr().err.strip())


def test_every_feature_has_a_row() -> None:
    assert [*dict.fromkeys(feature for feature, _ in TABLE)] == [*WORKS] == [*OPTIONS]


def test_what_was_learned_offline_is_not_gone_on_with(
    ran: Callable[[str], Ran], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--resume", str(ran("offline").path)]) == 2
    assert re.search("is not resumed but learned again, with more --updates", capsys.readouterr().err)


def test_record_keeps_to_a_folder_of_its_own(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--task", "reach", "--out", str(parts.folder / "prior")]) == 2
    assert "exists already; allowed is a new or empty folder" in capsys.readouterr().err
