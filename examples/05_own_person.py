"""A person of your own: how do corrections by somebody slow, who looks away half the time, teach?"""

from typing import Any

import robot_rlhf as rr


def main(task: str = "pick_cube", **others: Any) -> dict[str, rr.Run]:
    """Train once with each of two people; returns the runs by name."""
    people = {
        "attentive": rr.person("attentive"),
        "dreamer": rr.person("novice", presence=0.5, reaction_delay=0.8, speed=0.4, mirror_rate=0.0),
    }
    runs: dict[str, rr.Run] = {}
    for name, person in people.items():
        runs[name] = rr.train(task, person=person, name=f"{task}-{name}", **others)
        corrected = [row for row in runs[name].episodes if row["kind"] == "practice" and row["human_steps"]]
        print(f"{name}: corrected {len(corrected)} episodes; {runs[name]}")
    return runs


if __name__ == "__main__":
    main()
