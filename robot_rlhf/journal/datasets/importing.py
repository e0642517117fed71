"""A data set of LeRobot, robomimic or hil-serl becomes a journal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rlhf import __version__
from robot_rlhf.datatypes import (
    Action,
    Driver,
    EpisodeEnd,
    EpisodeKind,
    EpisodeMeta,
    Observation,
    Outcome,
    RobotSpec,
    Step,
)
from robot_rlhf.errors import ConfigError, JournalError, RobotRlhfError
from robot_rlhf.journal.bags.plan import ImportPlan
from robot_rlhf.journal.datasets.hil_serl import HilSerlData
from robot_rlhf.journal.datasets.layout import PickleLayout
from robot_rlhf.journal.datasets.lerobot import INFO, LeRobotData
from robot_rlhf.journal.datasets.robomimic import RobomimicData
from robot_rlhf.journal.datasets.told import Rows, ToldEpisode, checked_spec
from robot_rlhf.journal.placing import placed
from robot_rlhf.journal.recorded import Pictures
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.ports import Subscriber

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
PICKLES = (".pkl", ".pickle")
"""How names of hil-serl's files end."""
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)
"""What reading files that are cut, damaged or described wrongly may raise in pyarrow, PyAV, h5py and json."""


@dataclass(frozen=True)
class DatasetSettings:
    """What a data set may leave open."""

    task: str = ""
    """Name of the skill, for example pick_cube; where an episode does not say."""
    kind: str = ""
    """demonstration, practice or evaluation; where an episode does not say."""
    outcome: str = ""
    """success, failure, time_limit or stopped; where an episode does not say."""
    operator: str = "person"
    """Who drove; where an episode does not say."""
    without_actions: bool = False
    """Take what was observed alone, also of data that has no actions, and leave open what the robot was told: rewards
    of states are trained on it, nothing imitates it."""

    def __post_init__(self) -> None:
        for name, allowed in (("kind", EpisodeKind), ("outcome", Outcome)):
            values = [member.value for member in allowed]
            if getattr(self, name) not in ("", *values):
                raise ConfigError(f"{name}: got {getattr(self, name)!r}, allowed: {', '.join(values)}")


@dataclass(frozen=True)
class DatasetReport:
    """What an import made."""

    target: Path
    form: str
    """lerobot, robomimic or hil-serl."""
    episodes: Mapping[str, int]
    """Number of episodes by kind and outcome."""
    steps: int


def dataset_form(path: Path) -> str:
    """lerobot, robomimic, hil-serl, or empty for what is none of them."""
    if (path / INFO).is_file():
        return "lerobot"
    if path.suffix.lower() in PICKLES and not path.is_dir():  # also one that is not there: its reader says so
        return "hil-serl"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return "robomimic" if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC else ""


def import_dataset(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    settings: DatasetSettings,
    *,
    robot: RobotSpec | None = None,
    layout: PickleLayout | None = None,
    show: Callable[[ImportPlan], None] | None = None,
) -> DatasetReport:
    """Write a data set's episodes into a new journal, which appears under its name only when it is whole.

    Args:
        path: a folder of a LeRobotDataset v3.0, a robomimic HDF5 file, or a pickle of hil-serl's.
        target: folder of the journal to make; must not exist, or be empty.
        settings: what the data set may leave open.
        robot: whose data it is; None: the data set says it, as our exports do.
        layout: what the numbers of a pickle mean, which tells nothing of itself.
        show: told what is made of what in a pickle, before anything is written.

    Raises:
        JournalError: none of the three, it cannot be read, or lacks what a journal needs; names what. Or the target
            cannot be written.
        ConfigError: what a pickle's numbers mean is not said, or does not fit; names the option.
    """
    source = Path(path)
    form = dataset_form(source)
    if not form:
        raise JournalError(
            f"{source}: no data set; allowed: a LeRobotDataset's folder, a robomimic HDF5 file, or hil-serl's .pkl"
        )
    with placed(target, "importing", folder=True, empty=True) as place, _readable(source, form), ExitStack() as stack:
        acts = not settings.without_actions
        if form == "lerobot":
            lerobot = LeRobotData(source, actions=acts)
            spec = checked_spec(source, lerobot.told, robot, actions=acts)
            told = lerobot.episodes(spec)
        elif form == "robomimic":
            file = stack.enter_context(RobomimicData(source, actions=acts))
            spec = checked_spec(source, file.told if robot is None else file.columns_for(robot), robot, actions=acts)
            told = file.episodes(spec)
        else:
            data = HilSerlData(source, layout or PickleLayout(), robot)
            spec = checked_spec(source, data.told, robot)
            plan = _plan(data, spec, settings)
            if show is not None:
                show(plan)
            _check_motion(source, plan, layout or PickleLayout())
            told = data.episodes(spec)
        counts, steps = _write(place, spec, told, settings, source)
    return DatasetReport(Path(target), form, dict(counts), steps)


def plan_pickle(
    path: str | os.PathLike[str], settings: DatasetSettings, layout: PickleLayout, robot: RobotSpec | None
) -> ImportPlan:
    """What an import of a pickle would make of what; arguments and errors as import_dataset."""
    source = Path(path)
    with _readable(source, dataset_form(source)):
        data = HilSerlData(source, layout, robot)
        return _plan(data, checked_spec(source, data.told, robot), settings)


def _plan(data: HilSerlData, spec: RobotSpec, settings: DatasetSettings) -> ImportPlan:
    """Raises JournalError for what neither an episode nor the settings tell."""
    ids: Counter[str] = Counter()
    told = [_meta(episode, settings, number, ids) for number, episode in enumerate(data.episodes(spec))]
    return ImportPlan(
        rows=data.rows(),
        left_out=data.left_out(),
        action_from=f"as --actions and --frame say; {data.driven()}",
        judged=data.judged(),
        episodes=Counter(outcome.value for _, outcome in told),
        steps=sum(episode.span.stop - episode.span.start for episode in data.read),
        check=data.check(),
    )


def _check_motion(source: Path, plan: ImportPlan, layout: PickleLayout) -> None:
    if plan.check.contradictions and layout.motion_check == "error":
        raise JournalError(
            f"{source}: actions and measured motion contradict one another: {'; '.join(plan.check.contradictions)}; "
            "allowed: another --actions, --action-scale, --state or --frame; or --motion-check say, if it is right as "
            "it is"
        )


@contextmanager
def _readable(source: Path, form: str) -> Generator[None]:
    """Raises JournalError for whatever is wrong with the files; the journal itself says what is with the target."""
    try:
        yield
    except RobotRlhfError:
        raise
    except _UNREADABLE as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise JournalError(f"{source}: cannot be read as a {form} data set ({what})") from error


def _write(
    place: Path, spec: RobotSpec, told: Iterator[ToldEpisode], settings: DatasetSettings, source: Path
) -> tuple[Counter[str], int]:
    counts: Counter[str] = Counter()
    ids: Counter[str] = Counter()
    steps, stamp = 0, 0.0
    with JournalWriter(place, spec, metadata={"imported_from": source.name, "robot_rlhf": __version__}) as journal:
        for number, episode in enumerate(told):
            meta, outcome = _meta(episode, settings, number, ids)
            try:
                _tell(journal, spec, meta, outcome, episode, stamp, actions=not settings.without_actions)
            except RobotRlhfError as error:
                raise JournalError(f"{episode.where}: {error}") from error
            counts[f"{meta.kind.value} {outcome.value}"] += 1
            steps += len(episode.reward)
            stamp += (len(episode.reward) + 1) * spec.control_period
    if not counts:
        raise JournalError(f"{source}: it holds no episode")
    return counts, steps


def _meta(
    episode: ToldEpisode, settings: DatasetSettings, number: int, ids: Counter[str]
) -> tuple[EpisodeMeta, Outcome]:
    """Raises JournalError for what neither the episode nor the settings tell."""
    found = {name: getattr(episode, name) or getattr(settings, name) for name in ("task", "kind", "outcome")}
    allowed = {
        "task": "a name for the skill",
        "kind": ", ".join(kind.value for kind in EpisodeKind),
        "outcome": ", ".join(outcome.value for outcome in Outcome),
    }
    for name, value in found.items():
        if not value:
            raise JournalError(f"{episode.where} does not tell its {name}: --{name}; allowed: {allowed[name]}")
    name = episode.id or f"{found['kind']}-{number:06d}"
    ids[name] += 1
    unique = name if ids[name] == 1 else f"{name}-{ids[name]}"  # merged data sets may name two alike
    meta = EpisodeMeta(
        id=unique,
        task=found["task"],
        kind=EpisodeKind(found["kind"]),
        seed=number,
        operator=episode.operator or settings.operator,
        reward_source=episode.reward_source or "imported@1",
        versions={"robot-rlhf": __version__},
    )
    return meta, Outcome(found["outcome"])


def _tell(
    journal: Subscriber,
    spec: RobotSpec,
    meta: EpisodeMeta,
    outcome: Outcome,
    episode: ToldEpisode,
    start: float,
    *,
    actions: bool,
) -> None:
    before = _observation(episode, 0, next(episode.pictures), start)
    journal.on_episode_start(meta, before)
    count, executed = len(episode.reward), episode.executed if actions else None
    for t in range(count):
        after = _observation(episode, t + 1, next(episode.pictures), start + (t + 1) * spec.control_period)
        last = t == count - 1
        asked = executed is not None and bool(np.isfinite(episode.proposed[t]).all())
        step = Step(
            index=t,
            observation=before,
            proposed=Action(episode.proposed[t]) if asked else None,
            executed=None if executed is None else Action(executed[t]),
            driver=Driver(int(episode.driver[t])),
            reward=float(episode.reward[t]),
            terminated=last and episode.terminated,
            truncated=last and not episode.terminated,
            policy_version=-1,
            instruction=episode.instructions[t],
            next_observation=after,
            context={name: rows[t] for name, rows in episode.context.items() if not np.isnan(rows[t]).all()},
            authority=None if executed is None else _row(episode.authority, t),
            spoken=episode.spoken[t] if episode.spoken else "",
        )
        journal.on_step(step)
        before = after
    journal.on_episode_end(EpisodeEnd(meta.id, outcome, count, "imported"))


def _row(rows: Rows | None, t: int) -> Rows | None:
    """None where there is none, or all of it is NaN."""
    return None if rows is None or np.isnan(rows[t]).all() else rows[t]


def _observation(episode: ToldEpisode, t: int, pictures: Pictures, stamp: float) -> Observation:
    rows = {name: column[t] for name, column in episode.columns.items()}
    scene = {name.removeprefix("scene/"): row for name, row in rows.items() if name.startswith("scene/")}
    return Observation(
        stamp=stamp,
        joint_position=rows["joint_position"],
        joint_velocity=rows["joint_velocity"],
        tool_pose_in_base=rows["tool_pose_in_base"],
        tool_target_in_base=rows["tool_target_in_base"],
        tool_velocity=rows["tool_velocity"],
        tool_wrench=rows["tool_wrench"],
        gripper=float(rows["gripper"][0]),
        gripper_target=float(rows["gripper_target"][0]),
        images=pictures,
        scene=scene,
    )
