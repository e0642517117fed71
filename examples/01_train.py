"""Train a robot from a script: a person shows a task, watches practice and corrects; then it is measured alone."""

from pathlib import Path
from typing import Any

import robot_rlhf as rr


def main(steps: int = 3_000, episodes: int = 100, out: str = "runs", **settings: Any) -> rr.Run:
    """Train, measure and plot; returns the run."""
    with rr.open_place("pick_cube") as place:
        print(f"the script that knows the task: {place.evaluate(episodes=min(episodes, 20))}")
        run = rr.train(
            place,
            person=rr.person("attentive"),
            learner=rr.recipe("sac", imitators=5),
            demonstrations=5,
            steps=steps,
            out=out,
            settings=settings,
        )
    print(f"without help: {run.evaluate(episodes=episodes)}")
    print(f"it cost {run.summary['hands_on_minutes']:.2f} minutes of hands")
    run.plot().savefig(Path(run.path) / "plot.png")
    return run


if __name__ == "__main__":
    main()
