"""The run of a policy node: its settings from parameters, its folder, and the policy that it deploys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.errors import ConfigError, NoWeightsError
from robot_rlhf.run.build import load_policy
from robot_rlhf.run.folder.run_folder import RunFolder, check_name
from robot_rlhf.run.links.fixed import FixedLink
from robot_rlhf.run.settings import ConsoleConfig, TrainConfig, defaults_for, read_yaml, write_yaml
from robot_rlhf_hardware.ros.place import RosConfig

JUDGES: Mapping[str, Literal["task", "person", "either", "model"]] = {
    "button": "person",
    "topic": "task",
    "both": "either",
    "model": "model",
}
"""The reward's judge by the parameter `success`."""


def run_settings(values: dict[str, Any]) -> TrainConfig:
    """The learner's settings: those of the file `config`, with what the parameters say on top.

    Without such a file a run that goes on keeps its own.

    Raises:
        ConfigError: the file cannot be read, or settings do not go together.
    """
    base = _file_settings(values)
    cameras = tuple(values["cameras"])
    features = replace(
        base.features,
        scene=values["features_scene"],
        cameras=cameras if values["features_cameras"] else (),
    )
    console = ConsoleConfig(
        host=values["console_host"],
        port=values["console_port"],
        names=tuple(values["console_names"]),
        certificate=_file(values["console_certificate"]),
        key=_file(values["console_key"]),
        patience=values["console_patience"],
        give_back_after=values["give_back_after"],
        open_browser=False,
        rewind="motion",
    )
    judge = JUDGES[values["success"]]
    if (judge == "model") != (base.success_model is not None):
        told = "has none" if base.success_model is None else f"has {base.success_model}"
        raise ConfigError(
            f"parameter success: got {values['success']}, and the file config {told}: success model and a "
            "success_model are allowed only together"
        )
    return replace(
        base,
        place=RosConfig(),  # what disturbed a simulation stays there
        mode="asynchronous",
        task=values["task"],
        seed=values["seed"],
        operator=values["operator"],
        demonstrator=values["operator"],
        demonstrations=values["demonstrations"],
        steps=values["steps"],
        cameras=cameras,
        image_size=values["image_height"],
        features=features,
        console=console if values["console"] else None,
        reward=replace(base.reward, judge=judge),
        evaluation=replace(base.evaluation, every=0, final_episodes=values["evaluate"]),
        video_episodes=0,  # as no twin is there to film, nor to evaluate in
        asynchronous=replace(base.asynchronous, without_learner=values["without_learner"]),
    )


def _file_settings(values: dict[str, Any]) -> TrainConfig:
    """Those of the file `config`, else of the run that goes on, else the usual ones."""
    own = Path(values["out"]) / values["run"] / "config.yaml"
    if values["config"]:
        return read_yaml(Path(values["config"]))
    return read_yaml(own) if own.is_file() else defaults_for("pick_cube")


def _file(name: str) -> Path | None:
    return Path(name) if name else None


def deployed_policy(values: dict[str, Any], config: TrainConfig, spec: RobotSpec) -> FixedLink | None:
    """The policy of a run in which nobody learns: its best one, else its newest; None for demonstrations alone.

    Raises:
        NoWeightsError: it has none, and one is to drive.
        CheckpointError: its weights cannot be read, or are those of another architecture.
    """
    folder = RunFolder(Path(values["out"]) / values["run"])
    if folder.chosen is None:
        if not config.steps and not values["evaluate"]:
            return None
        raise NoWeightsError(
            f"parameter learner: none, but {folder.checkpoints} holds no policy for steps {config.steps} and evaluate "
            f"{values['evaluate']}; allowed: a run that has learned one, steps:=0 and evaluate:=0 for demonstrations "
            "alone, or learner:=spawn"
        )
    return FixedLink(*load_policy(config, spec, folder.chosen))


def run_folder(values: dict[str, Any], config: TrainConfig) -> tuple[RunFolder, bool]:
    """The run's folder, and whether it was there before; then it keeps its journal and goes on.

    Raises:
        ConfigError: the folder cannot be made, or would not lie in `out`.
    """
    check_name(values["run"])
    path = Path(values["out"]) / values["run"]
    if (path / "config.yaml").is_file():
        return RunFolder.existing(path), True
    folder = RunFolder.create(path.parent, path.name)
    if folder.path != path:
        raise ConfigError(f"parameter run: {path} is there, and is no run's folder")
    write_yaml(config, folder.config)
    return folder, False
