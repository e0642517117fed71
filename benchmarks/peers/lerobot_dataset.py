"""What LeRobot itself makes of an export of ours: reads it, takes windows, merges it with a copy, appends to it.

python benchmarks/peers/lerobot_dataset.py EXPORT SCRATCH

Needs an environment with lerobot 0.4.4. Each line says how many frames came; the first thing that fails ends it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.datasets.dataset_tools import merge_datasets
from lerobot.datasets.lerobot_dataset import LeRobotDataset

GIVEN = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""Columns that LeRobot fills in by itself."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("export", type=Path)
    parser.add_argument("scratch", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shutil.rmtree(arguments.scratch, ignore_errors=True)
    ours = LeRobotDataset("us/ours", root=arguments.export)
    frames = walked("read", ours)
    period = 1.0 / ours.fps
    windows = {"action": [0.0, period], **{key: [-period, 0.0] for key in ours.meta.camera_keys}}
    walked("windows", LeRobotDataset("us/ours", root=arguments.export, delta_timestamps=windows))
    loader: Any = torch.utils.data.DataLoader(ours, batch_size=4, shuffle=True)
    print("batch", {key: tuple(value.shape) for key, value in next(iter(loader)).items() if torch.is_tensor(value)})
    copy = copied(arguments.export, arguments.scratch / "copy")
    merged = arguments.scratch / "merged"
    merge_datasets([ours, LeRobotDataset("us/copy", root=copy)], output_repo_id="us/merged", output_dir=merged)
    assert walked("merged", LeRobotDataset("us/merged", root=merged)) == 2 * frames
    longer = copied(arguments.export, arguments.scratch / "longer")
    append(LeRobotDataset("us/longer", root=longer), ours)
    assert walked("appended", LeRobotDataset("us/longer", root=longer)) == frames + 3


def walked(what: str, dataset: Any) -> int:
    """Number of frames, each of which was read and found finite."""
    for item in (dataset[i] for i in range(len(dataset))):
        for key, value in item.items():
            if torch.is_tensor(value) and value.is_floating_point():
                assert torch.isfinite(value).all(), key
    print(f"{what}: {len(dataset)} frames, {dataset.num_episodes} episodes, {dataset.fps:g} per second")
    return len(dataset)


def copied(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def append(dataset: Any, source: Any) -> None:
    """An episode of three of the source's frames."""
    for item in (source[t] for t in range(3)):
        frame: dict[str, Any] = {"task": item["task"]}
        for key, feature in dataset.features.items():
            if feature["dtype"] == "video":
                frame[key] = (item[key].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
            elif key not in GIVEN:
                frame[key] = np.asarray(item[key].numpy(), feature["dtype"]).reshape(feature["shape"])
        dataset.add_frame(frame)
    dataset.save_episode()
    dataset.finalize()


if __name__ == "__main__":
    main()
