"""`import robot_rlhf as rr`: quick, and the same programs as the command line; what cannot be is one line."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robot_rlhf as rr
from robot_rlhf.apps.cli import main
from robot_rlhf.datatypes import Action
from robot_rlhf.errors import ConfigError, RobotRlhfError
from robot_rlhf.learner.cloning import DaggerConfig
from robot_rlhf.learner.sac import SacConfig
from robot_rlhf.people.person import PEOPLE, PersonConfig
from robot_rlhf.place import PictureSizes, Place
from robot_rlhf.rewards.metrics import wilson_interval
from robot_rlhf.run.settings import defaults_for, read_yaml
from robot_rlhf.run.train import train
from robot_rlhf.timing import Clock
from robot_rlhf_sim.place import SimConfig
from robot_rlhf_sim.tasks import Reach
from tests.runtime.runs import tiny

untyped: Any = rr
"""For what a type checker refuses already."""


def settings_of(config: Any) -> dict[str, Any]:
    """What `tiny` changes, by name in full."""
    names = {"trainer": ("batch_size", "start_after", "updates_per_step", "warm_start_updates", "warm_critic_updates")}
    names |= {"evaluation": ("every", "episodes", "final_episodes"), "asynchronous": ("publish_every",)}
    found = {f"{part}.{name}": getattr(getattr(config, part), name) for part in names for name in names[part]}
    return found | {"network.hidden": (32, 32), "video_episodes": 0, "checkpoint_every": 40}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rr.Run:
    out = tmp_path_factory.mktemp("runs")
    return rr.train("reach", steps=130, demonstrations=1, out=out, quiet=True, settings=settings_of(tiny(out)))


def test_importing_it_takes_neither_torch_nor_mujoco() -> None:
    code = (
        "import sys, robot_rlhf as rr; dir(rr); print(*{'torch', 'mujoco', 'numpy', 'robot_rlhf.api'} & {*sys.modules})"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_what_it_offers_is_there_and_typed() -> None:
    stub = Path(rr.__file__).with_suffix(".pyi").read_text()
    for name in rr.PUBLIC:
        assert callable(getattr(rr, name))
        assert name in dir(rr)
        assert f"import {name} as {name}\n" in stub
    with pytest.raises(AttributeError, match="no attribute 'trian'; it has OpenPlace"):
        _ = rr.trian  # pyright: ignore[reportAttributeAccessIssue]


def test_a_run_is_that_of_the_command_line(run: rr.Run, tmp_path: Path) -> None:
    told = train(tiny(tmp_path), quiet=True)
    assert run.summary["policy_checksum"] == told["policy_checksum"]
    assert run.config == read_yaml(run.path / "config.yaml")
    assert [row["step"] for row in run.evaluations] == sorted(row["step"] for row in run.evaluations)


def test_it_is_measured_with_an_interval(run: rr.Run, capsys: pytest.CaptureFixture[str]) -> None:
    found = run.evaluate(episodes=4, seed=3)
    assert found.episodes == 4
    assert found.interval == wilson_interval(found.successes, 4)
    assert f"{found.success_rate:.0%} of 4 episodes" in str(found)
    assert main(["eval", str(run.path), "--episodes", "4", "--seed", "3"]) == 0
    assert f"{found.successes} of 4 episodes, seed 3" in capsys.readouterr().out


def test_episodes_are_those_that_were_counted(run: rr.Run) -> None:
    practice = [row for row in run.episodes if row["kind"] == "practice"]
    summary = run.summary
    assert sum(row["steps"] for row in practice) == summary["env_steps"]
    assert sum(row["human_steps"] for row in practice) == summary["human_steps"]
    assert len(practice) == summary["episodes"]
    assert len(run.episodes) - len(practice) == 1


def test_rows_become_a_frame_where_pandas_is(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rr.Rows([{"step": 1}])

    class Pandas:
        DataFrame = staticmethod(tuple)

    monkeypatch.setitem(sys.modules, "pandas", Pandas)
    assert rows.to_frame() == ({"step": 1},)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="needs pandas, which is not installed; allowed: pip install pandas"):
        rows.to_frame()


def test_curves_are_a_figure(run: rr.Run, tmp_path: Path) -> None:
    figure = run.plot()
    assert len(figure.axes) == 4
    figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"


def test_it_goes_on(run: rr.Run) -> None:
    again = rr.load(str(run.path))
    assert repr(again) == repr(run)
    before = run.summary["env_steps"]
    assert again.go_on(before + 20, quiet=True).summary["env_steps"] >= before + 20


def test_another_begins_with_what_it_recorded(run: rr.Run, tmp_path: Path) -> None:
    settings = {**settings_of(tiny(tmp_path)), "start": run}
    again = rr.train("reach", steps=20, demonstrations=0, prior=run, out=tmp_path, quiet=True, settings=settings)
    assert (again.config.prior, again.config.start) == ((run.path,), run.path)
    other = rr.learn_offline([run.path / "journal"], updates=5, out=tmp_path, quiet=True, settings={"episodes": 1})
    assert other.episodes == []
    place = rr.open_place("reach")
    for learned in (again, other):
        assert learned.policy().version >= 0
        assert place.evaluate(learned.policy(), episodes=1).episodes == 1


def test_a_task_of_a_notebook_is_for_its_own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = types.ModuleType("__main__")
    mine = type("Mine", (Reach,), {"__module__": "__main__"})
    monkeypatch.setattr(notebook, "Mine", mine, raising=False)
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    assert rr.open_place(mine).evaluate(episodes=1).success_rate == 1.0
    with pytest.raises(ConfigError, match=r"task Mine: is defined in a notebook, .* mode parallel cannot look"):
        rr.train(mine, mode="parallel", out=tmp_path)


def test_a_place_is_looked_at_and_tried() -> None:
    with rr.open_place("peg_insert", clearance=0.001, randomise=0.5) as place:
        assert place.config.place == SimConfig({"clearance": 0.001}, randomise=0.5)
        assert place.task.name == "peg_insert"
    with rr.open_place("reach") as place:
        assert place.evaluate(episodes=3).success_rate == 1.0
        assert place.evaluate(StandsStill(), episodes=2).success_rate == 0.0


def tilted(*, task: str, clock: Clock, cameras: PictureSizes, seed: int, tilt: float = 0.0) -> Place:
    place = SimConfig().open("reach", clock=clock, cameras=cameras, seed=seed)
    place.waiting_for = f"a tilt of {tilt}"
    return place


@dataclass(frozen=True)
class Slower(SacConfig):
    learning_rate: float = 1e-5


def test_places_and_learners_of_ones_own_are_handed_in(tmp_path: Path) -> None:
    few = {**settings_of(tiny(tmp_path)), "evaluation.every": 0}
    with rr.open_place("bench", place=tilted, tilt=0.25) as place:
        assert place.place.waiting_for == "a tilt of 0.25"
        run = rr.train(place, learner=Slower(), steps=20, demonstrations=1, out=tmp_path, quiet=True, settings=few)
    assert run.config.place.kind == f"{__name__}:tilted"
    assert run.config.learner == Slower()
    assert run.episodes[0]["task"] == "reach"
    assert rr.learn_offline(run, updates=3, out=tmp_path, quiet=True, settings={"episodes": 1}).config.task == "bench"


class StandsStill:
    version = -1

    def reset(self) -> None: ...

    def act(self, observation: Any, asked: Any, rng: Any) -> Any:
        return Action(np.zeros(3, np.float32))


def test_people_and_recipes() -> None:
    assert rr.person("novice") == PEOPLE["novice"]
    assert rr.person("attentive", speed=0.5, burst=None) == PersonConfig(speed=0.5, burst=None)
    assert rr.recipe("dagger") == DaggerConfig()
    assert rr.recipe() == defaults_for("pick_cube").learner
    recipe = rr.recipe("sac", imitators=2)
    assert isinstance(recipe, SacConfig)
    assert (recipe.imitators, recipe.caution) == (2, 2.0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: rr.open_place("rech"), "unknown task 'rech'. Did you mean 'reach'?"),
        (lambda: rr.open_place("reach", place="smi"), "unknown place 'smi'. Did you mean 'sim'?"),
        (lambda: rr.open_place("reach", cameras=["top"]), "top"),
        (lambda: rr.open_place("reach", clearance=1), "reach does not take them"),
        (lambda: rr.open_place("peg_insert", clearance="wide"), "clearance: got 'wide', allowed: float"),
        (lambda: rr.open_place("reach", randomise=2.0), "randomise: got 2.0"),
        (lambda: rr.open_place("reach", arm="leg.xml"), "arm leg.xml: no such file"),
        (lambda: rr.person("lazyy"), "unknown person 'lazyy'. Did you mean 'lazy'?"),
        (lambda: rr.person(sped=0.5), "unknown setting in person attentive 'sped'. Did you mean 'speed'?"),
        (lambda: rr.person(speed="slow"), "person attentive: speed: got 'slow', allowed: float"),
        (lambda: rr.recipe("sacc"), "unknown learner 'sacc'. Did you mean 'sac'?"),
        (lambda: rr.recipe("sac", imitatrs=1), "Did you mean 'imitators'?"),
        (lambda: rr.recipe("sac", KINDS={}), "unknown setting in learner sac 'KINDS'"),
        (lambda: rr.train("reach", person="lazyy"), "unknown operator 'lazyy'"),
        (lambda: rr.train("reach", demonstrator=rr.person(speed=0.33)), "demonstrator: got a person of your own"),
        (lambda: untyped.train("reach", steps="many"), "train: steps: got 'many', allowed: int"),
        (lambda: rr.train("reach", settings={"trainer.updates": 2}), "Did you mean 'updates_per_step'?"),
        (lambda: rr.train("reach", settings={"trainr.updates": 2}), "Did you mean 'trainer"),
        (lambda: rr.train("reach", settings={"seed.x": 2}), "unknown setting in train 'seed.x'"),
        (lambda: untyped.train("reach", mode="fast"), "unknown train: mode 'fast'"),
        (lambda: untyped.train(7), "task 7: is a int, allowed: a name, or a class or function"),
        (lambda: rr.train(lambda: None), "is defined within a function"),
        (
            lambda: rr.train("reach", settings={"tutors": [lambda: None]}),
            "is defined within a function, allowed: at the top",
        ),
        (lambda: rr.load("nowhere"), "nowhere: no run's folder"),
        (lambda: rr.learn_offline([]), "offline: no RUN"),
        (lambda: rr.learn_offline("nowhere"), "nowhere"),
        (lambda: rr.learn_offline("nowhere", learner="dagger"), "learns while a robot practises"),
    ],
)
def test_what_cannot_be_is_named(
    wrong: Callable[[], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RobotRlhfError) as caught:
        wrong()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
