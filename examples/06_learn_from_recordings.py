"""Learn from recordings: what was recorded once, whoever drove, is learned from again, without moving a robot."""

from typing import Any

import robot_rlhf as rr


def main(
    task: str = "pick_cube",
    demonstrations: int = 30,
    updates: int = 20_000,
    record: dict[str, Any] | None = None,
    learn: dict[str, Any] | None = None,
    **others: Any,
) -> dict[str, rr.Run]:
    """Record demonstrations, then compare two learners on them; returns the runs by learner."""
    recorded = rr.train(
        task, learner="cloning", demonstrations=demonstrations, steps=0, settings={**(record or {})}, **others
    )
    print(f"{len(recorded.episodes)} recorded episodes in {recorded.path}")
    runs: dict[str, rr.Run] = {}
    for learner in ("cloning", "iql"):
        runs[learner] = rr.learn_offline([recorded], learner=learner, updates=updates, settings=learn, **others)
        print(runs[learner])
    return runs


if __name__ == "__main__":
    main()
