"""What `import robot_rlhf as rr` gives: places, people, learners and runs, for scripts and notebooks.

It stands on the programs of the command line: what `rr.train` begins, `robot-rlhf eval`, `review` and `train --resume`
go on with, and the other way round.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from robot_rlhf.apps.evaluate import EvaluateOptions, evaluate_run
from robot_rlhf.apps.learner_choice import learner_named
from robot_rlhf.datatypes import Driver, Outcome, RobotSpec
from robot_rlhf.errors import CheckpointError, ConfigError
from robot_rlhf.journal.reader import episodes as recorded_episodes
from robot_rlhf.journal.reader import replay_into
from robot_rlhf.journal.tail import journal_spec
from robot_rlhf.learner.recipe import LearnerConfig
from robot_rlhf.naming import OfKind, name_of
from robot_rlhf.people.person import PersonConfig
from robot_rlhf.place import OwnConfig, Place, PlaceConfig
from robot_rlhf.policy.learned import LearnedPolicy
from robot_rlhf.ports import Policy, Task
from robot_rlhf.run.build import build_station, load_policy, open_twin
from robot_rlhf.run.build import open_place as open_for_run
from robot_rlhf.run.folder.run_folder import RunFolder, read_json_lines
from robot_rlhf.run.offline import learn_from_recordings
from robot_rlhf.run.offline_settings import OfflineOptions
from robot_rlhf.run.results.judge import describe
from robot_rlhf.run.results.report import draw_curves, headline
from robot_rlhf.run.results.summary import summarise
from robot_rlhf.run.setting_values import changed, plain
from robot_rlhf.run.settings import PEOPLE, TrainConfig, defaults_for, known, pixel_defaults_for, read_yaml
from robot_rlhf.run.train import new_folder, train_in
from robot_rlhf.run.train import train as resume_run
from robot_rlhf.runtime.evaluation import Evaluation, evaluate, wilson_interval
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock, MonotonicClock
from robot_rlhf_sim.graphics import prepare_graphics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

prepare_graphics()  # before anything imports MuJoCo: where it cannot draw, it still simulates

T = TypeVar("T")
Mode = Literal["synchronous", "asynchronous", "parallel"]
AnyTask = str | Callable[..., Any]
"""A task by name, module:class or file.py:class, or the class itself."""


# -- what a run is made of ---------------------------------------------------------------------------------------------


class OpenPlace:
    """A place that is open, with its task: to look at, to try policies in, and to train in. A context manager."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        """Of a run in it, before anything else is settled."""
        self.place: Place = open_for_run(config, FakeClock() if config.place.simulated else MonotonicClock())
        """Robot behind its guard, task and clock."""

    @property
    def task(self) -> Task:
        return self.place.task

    @property
    def spec(self) -> RobotSpec:
        """Of the robot."""
        return self.place.spec

    def picture(self, camera: str = "front", height: int = 480, width: int = 640) -> NDArray[np.uint8]:
        """What a camera sees now, whatever the policy looks at. RGB, shape (height, width, 3).

        Raises:
            ConfigError: nobody films this place.
            RenderError: this machine cannot draw.
        """
        if self.place.view is None:
            raise ConfigError(f"place {self.config.place.kind}: has no view to take a picture of")
        return self.place.view(camera, height, width)

    def evaluate(self, policy: Policy | None = None, *, episodes: int = 20, seed: int = 0) -> Measured:
        """Measure any policy without help, in a twin of the place; None: the task's own script.

        Raises:
            ConfigError: the place has no twin in simulated time, or the task no script.
        """
        twin = open_twin(self.config)
        if twin is None:
            raise ConfigError(f"place {self.config.place.kind}: has no twin in simulated time to measure a policy in")
        with closing(twin):
            with_ = twin.expert() if policy is None else policy
            if with_ is None:
                raise ConfigError(f"task {twin.task.name}: no script does it; allowed: a policy")
            found = evaluate(build_station(self.config, twin, with_), episodes=episodes, seed=seed)
        return Measured.of(found, self.spec)

    def close(self) -> None:
        """Let go of the robot, which holds still."""
        self.place.close()

    def __enter__(self) -> OpenPlace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_place(
    task: AnyTask,
    *,
    place: str | PlaceConfig | Callable[..., Place] = "sim",
    cameras: Iterable[str] = (),
    image_size: int = 128,
    **options: Any,
) -> OpenPlace:
    """Open a place with one task.

    Args:
        task: reach, pick_cube, peg_insert, push, drawer_store, blocks, or one of your own.
        place: whose robot: sim, module:name or file.py:name of your own, settings of a place, or a function that opens
            one.
        cameras: whose pictures are recorded.
        image_size: height and width of these.
        options: of the place, for example `randomise=0.5` or `arm="arm.xml"`, and of the task, for example
            `clearance=0.0005`.

    Raises:
        UnknownNameError: no such task, place or camera.
        ConfigError: an option that neither has.
        RobotError: the robot cannot be reached.
    """
    where = _place_settings(place, options)
    base = defaults_for(_task_name(task), where)
    return OpenPlace(_changed(base, {"cameras": tuple(cameras), "image_size": image_size}, "open_place"))


def person(name: str = "attentive", **traits: Any) -> PersonConfig:
    """A simulated person: one of the cast, or one of your own by other traits, for example `speed=0.3`.

    Raises:
        UnknownNameError: no such person or trait.
        ConfigError, InvalidValueError: a trait that no person can have.
    """
    return _changed(known(name, PEOPLE, "person"), traits, f"person {name}")


def recipe(name: str = "sac", **options: Any) -> LearnerConfig:
    """The recipe of a learner, with the usual settings: sac, cloning, dagger, iql, or one of your own.

    Raises:
        UnknownNameError: no such learner or option.
        ConfigError: an option that it cannot have.
    """
    return _changed(learner_named(name, defaults_for("pick_cube").learner), options, f"learner {name}")


# -- runs --------------------------------------------------------------------------------------------------------------


def train(
    place: OpenPlace | AnyTask,
    *,
    person: str | PersonConfig | None = None,
    demonstrator: str | PersonConfig | None = None,
    learner: str | LearnerConfig | None = None,
    demonstrations: int | None = None,
    steps: int | None = None,
    prior: Runs = (),
    mode: Mode | None = None,
    pixels: bool = False,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    quiet: bool = False,
) -> Run:
    """Train, as `robot-rlhf train` does: demonstrations, practice with corrections, evaluation without help, report.

    What is left out is as the task wants it.

    Args:
        place: where, and what; a task alone is done on the simulated arm.
        person: who watches practice, and corrects.
        demonstrator: who shows it before.
        learner: by name, or a recipe.
        demonstrations: successful ones before practice.
        steps: of practice, the person's included.
        prior: runs or journals of the same robot to begin with, which count as no practice of this run.
        mode: synchronous is reproducible; asynchronous has the learner in a process of its own; parallel many arms.
        pixels: start from the settings for learning from two cameras, without poses of things.
        settings: any others by name in full, for example {"trainer.updates_per_step": 2.0, "start": run}; classes of
            your own may stand for their names.
        out: folder in which the run's own folder is made.
        name: of that folder; None makes one.
        quiet: show neither progress nor result.

    Raises:
        UnknownNameError: a name or setting that does not exist.
        ConfigError: settings that cannot be, or do not go together.
    """
    base = _base(place, pixels=pixels)
    given = {"demonstrations": demonstrations, "steps": steps, "mode": mode, "name": name}
    changes = {key: value for key, value in given.items() if value is not None}
    changes |= {"seed": seed, "out": Path(out), "prior": _paths(prior), **_supervised_by(person)}
    if demonstrator is not None:
        changes["demonstrator"] = _preset(demonstrator, "demonstrator")
    if learner is not None:
        changes["learner"] = learner_named(learner, base.learner) if isinstance(learner, str) else _findable(learner)
    config = _changed(base, changes | dict(settings or {}), "train")
    if config.mode != "synchronous" and config.task.startswith("__main__:"):
        raise ConfigError(
            f"task {config.task.partition(':')[2]}: is defined in a notebook, into which the processes of mode "
            f"{config.mode} cannot look; allowed: a task in a file, or mode synchronous"
        )
    if isinstance(place, OpenPlace) and not config.place.simulated:
        place.close()  # there is one robot, and the run opens it itself
    folder = new_folder(config)
    train_in(folder, config, quiet=quiet)
    return Run(folder.path)


def learn_offline(
    runs: Runs,
    *,
    learner: str | LearnerConfig = "iql",
    reward: str | Path = "sparse",
    task: AnyTask | None = None,
    updates: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    quiet: bool = False,
) -> Run:
    """Learn from recorded runs or journals alone, as `robot-rlhf offline` does, then measure without help.

    Args:
        runs: one or several.
        learner: by name, or a recipe.
        reward: sparse, gold, clip, or the file of a learned reward.
        task: of recordings that have no run's settings, where it is one of your own.
        updates: steps of learning.
        settings: any others by name in full, for example {"batch_size": 64}.
        out, name, quiet: as of train.

    Raises:
        UnknownNameError, ConfigError: as train; no recordings, or of several tasks or robots.
        JournalError: a journal that cannot be read.
    """
    chosen = LearnerConfig.of_kind(learner)() if isinstance(learner, str) else _findable(learner)
    changes: dict[str, Any] = {"reward": str(reward), "seed": seed, "out": Path(out), "name": name, "quiet": quiet}
    changes |= {} if updates is None else {"updates": updates}
    changes |= {} if task is None else {"task": _task_name(task)}
    base = OfflineOptions(_paths(runs), chosen=chosen.kind, learner=chosen)
    folder, _ = learn_from_recordings(_changed(base, changes | dict(settings or {}), "learn_offline"))
    return Run(folder.path)


def load(run: str | Path) -> Run:
    """A run that is there already; raises ConfigError where there is none."""
    return Run(run)


class Run:
    """A run's folder, and what came out."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.folder = RunFolder.existing(self.path)
        self.config = read_yaml(self.folder.config)
        """All its settings."""

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {headline(self._told())})"

    @property
    def summary(self) -> dict[str, Any]:
        """What summary.json says; raises ConfigError while the run has not ended."""
        if not self.folder.summary.is_file():
            raise ConfigError(f"{self.path}: has no summary.json; the run has not ended yet")
        return json.loads(self.folder.summary.read_text(encoding="utf-8"))

    @property
    def evaluations(self) -> Rows:
        """One row per measurement during practice, by step."""
        return Rows(read_json_lines(self.folder.evaluations))

    @property
    def metrics(self) -> Rows:
        """What learner and practice logged, by step and group."""
        return Rows(read_json_lines(self.folder.metrics))

    @property
    def episodes(self) -> Rows:
        """One row per recorded episode, demonstrations and practice: how it ended, who drove, its rewards.

        Raises:
            JournalError: a journal that cannot be read.
        """
        rows = Rows()
        for episode in recorded_episodes(self.folder.journal, pictures=False) if self.folder.journal.exists() else ():
            outcome = None if episode.end is None else episode.end.outcome
            row: dict[str, Any] = {"id": episode.meta.id, "kind": episode.meta.kind.value, "task": episode.meta.task}
            row |= {"outcome": None if outcome is None else outcome.value, "success": outcome is Outcome.SUCCESS}
            row |= {"steps": len(episode), "human_steps": int((episode.driver == Driver.HUMAN).sum())}
            row |= {"reward": float(episode.reward.sum()), "gold_reward": float(episode.gold_reward.sum())}
            rows.append(row | {"policy_version": int(episode.policy_version[-1])})
        return rows

    def evaluate(
        self, episodes: int | None = None, *, seed: int | None = None, which: Literal["best", "latest"] = "best"
    ) -> Measured:
        """Measure without help, as `robot-rlhf eval` does, which writes eval-<seed>.json.

        Args:
            episodes: None: as many as the run's final evaluation had.
            seed: of the starts; None: those of the final evaluation.

        Raises:
            CheckpointError: the run has not learned a policy yet.
        """
        facts = evaluate_run(EvaluateOptions(self.path, episodes, seed, which))
        return Measured(facts["successes"], facts["episodes"], facts["cycle_seconds"], facts)

    def policy(self, which: Literal["best", "latest"] = "best") -> LearnedPolicy:
        """What was learned, to be tried in a place, or to be looked into.

        Raises:
            CheckpointError: the run has not learned a policy yet, or its file is corrupt.
        """
        path = self.folder.chosen if which == "best" else self.folder.policy
        if path is None or not path.exists():
            raise CheckpointError(f"{self.folder.policy}: no such policy; the run has not learned one yet")
        return load_policy(self.config, self._spec(), path)[0]

    def _spec(self) -> RobotSpec:
        """Of the robot, as it was recorded; a run that learned from other recordings asks its place."""
        if self.folder.journal.exists():
            return journal_spec(self.folder.journal)
        with OpenPlace(self.config) as opened:
            return opened.spec

    def plot(self) -> Figure:
        """The curves of curves.png as a matplotlib figure, also of a run that has not ended."""
        return draw_curves(self._told(), self._tally(), self.evaluations, self.metrics)

    def go_on(self, steps: int | None = None, *, quiet: bool = False) -> Run:
        """Go on with it, as `robot-rlhf train --resume` does; to more steps than it has, where they are given."""
        resume_run(self.config, resume=self.path, changes={} if steps is None else {"steps": steps}, quiet=quiet)
        return Run(self.path)

    def _told(self) -> dict[str, Any]:
        if self.folder.summary.is_file():
            return self.summary
        return summarise(self.config, self._tally(), self.evaluations, None, None, {})

    def _tally(self) -> Tally:
        if not self.folder.journal.exists():
            return Tally(1.0)
        tally = Tally(journal_spec(self.folder.journal).control_period)
        replay_into(self.folder.journal, tally, pictures=False)
        return tally


Runs = Run | str | Path | Iterable[Run | str | Path]
"""Runs, or folders of runs or journals."""


@dataclass(frozen=True)
class Measured:
    """How a policy did without help."""

    successes: int
    episodes: int
    cycle_seconds: float | None
    """Mean length of the successes; None where there was none."""
    facts: Mapping[str, Any]
    """All that was measured, by name."""

    @classmethod
    def of(cls, found: Evaluation, spec: RobotSpec) -> Measured:
        facts = describe(found)
        steps = facts["cycle_steps"]
        return cls(facts["successes"], found.episodes, None if steps is None else steps * spec.control_period, facts)

    @property
    def success_rate(self) -> float:
        return self.successes / self.episodes

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the success rate."""
        return wilson_interval(self.successes, self.episodes)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.success_rate:.0%} of {self.episodes} episodes, 95 % interval {low:.0%} to {high:.0%}"


class Rows(list[dict[str, Any]]):
    """Results, a dict each."""

    def to_frame(self) -> Any:
        """As a pandas.DataFrame; raises ConfigError where pandas is not installed."""
        try:
            import pandas  # pyright: ignore[reportMissingImports]  it is no dependency
        except ImportError as error:
            raise ConfigError("to_frame: needs pandas, which is not installed; allowed: pip install pandas") from error
        return pandas.DataFrame(list(self))


# -- settings ----------------------------------------------------------------------------------------------------------


def _base(place: OpenPlace | AnyTask, *, pixels: bool) -> TrainConfig:
    """The settings to start from."""
    if not isinstance(place, OpenPlace):
        return (pixel_defaults_for if pixels else defaults_for)(_task_name(place))
    opened = place.config
    return pixel_defaults_for(opened.task, opened.place) if pixels else opened


def _task_name(task: AnyTask) -> str:
    return task if isinstance(task, str) else name_of(task, "task")


def _paths(runs: Runs) -> tuple[Path, ...]:
    several = [runs] if isinstance(runs, Run | str | Path) else runs
    return tuple(one.path if isinstance(one, Run) else Path(one) for one in several)


def _place_settings(place: str | PlaceConfig | Callable[..., Place], options: Mapping[str, Any]) -> PlaceConfig:
    if isinstance(place, PlaceConfig):
        settings = _findable(place)
    else:
        settings = PlaceConfig.of_kind(place if isinstance(place, str) else name_of(place, "place"))()
    own = {entry.name for entry in fields(settings)}
    rest = next((name for name in ("task_options", "options") if name in own), None)
    changes: dict[str, Any] = {}
    for name, value in options.items():
        value = str(value) if isinstance(settings, OwnConfig) and name not in own else value
        changes[name if name in own or rest is None else f"{rest}.{name}"] = value
    return _changed(settings, changes, f"place {settings.kind}")


def _supervised_by(person: str | PersonConfig | None) -> dict[str, Any]:
    """A person of the cast by name, so that the run tells who it was; anybody else by their traits."""
    if person is None or isinstance(person, str):
        return {} if person is None else {"operator": person}
    name = next((name for name, traits in PEOPLE.items() if traits == person), None)
    return {"person": person} if name is None else {"operator": name}


def _preset(person: str | PersonConfig, what: str) -> str:
    if isinstance(person, str):
        return person
    name = next((name for name, traits in PEOPLE.items() if traits == person), None)
    if name is None:
        raise ConfigError(f"{what}: got a person of your own, allowed: one of {', '.join(PEOPLE)}")
    return name


Kind = TypeVar("Kind", bound=OfKind)


def _findable(settings: Kind) -> Kind:
    """Settings of a kind of one's own, by a name that other processes find, too."""
    if settings.kind not in settings.KINDS and not isinstance(settings, OwnConfig):
        type(settings).kind = name_of(type(settings), settings.WHAT)
    return settings


def _changed(settings: T, changes: Mapping[str, Any], where: str) -> T:
    """As `changed`, of whatever a script may give: runs, classes and functions, too."""
    return changed(settings, {name: _as_written(value, name) for name, value in changes.items()}, where)


def _as_written(value: Any, name: str) -> Any:
    """A value as a file of settings holds it: a run by its folder, a class or function by where it lies."""
    if isinstance(value, list | tuple):
        return [_as_written(entry, name) for entry in value]
    if isinstance(value, Run):
        return str(value.path)
    return name_of(value, name) if callable(value) else plain(value)
