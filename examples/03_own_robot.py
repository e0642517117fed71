"""A robot of your own: an arm from a file in MuJoCo's format does the task; also as `robot-rlhf train --arm FILE`."""

from pathlib import Path
from typing import Any

import robot_rlhf as rr

ARM = Path(__file__).with_name("03_arm.xml")


def main(task: str = "pick_cube", arm: Path = ARM, **others: Any) -> rr.Run:
    """Look at the arm, let its script do the task, then train it; returns the run."""
    with rr.open_place(task, arm=arm) as place:
        print(f"{len(place.spec.joint_names)} joints: {', '.join(place.spec.joint_names)}")
        print(f"the script with this arm: {place.evaluate(episodes=5)}")
        return rr.train(place, person="attentive", **others)


if __name__ == "__main__":
    main()
