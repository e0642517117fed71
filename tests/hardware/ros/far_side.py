"""The other process of the tests over DDS: a robot's side in one process, told what to do by its arguments."""

from __future__ import annotations

import argparse
import sys
import threading
from typing import Any

import numpy as np

from robot_rlhf_hardware.ros.bus_dds import DdsBus, stay_on_this_machine
from robot_rlhf_hardware.ros.topics import NEWEST, POLICY_TOPICS, TRIGGER, Topic, named
from tests.hardware.ros.graphs import HOME, FakeArm, mirrored


def main() -> None:
    """Say 'ready' on stdout, then be a robot until stdin is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--domain", type=int, required=True)
    parser.add_argument("--best-effort-joy", action="store_true")
    parser.add_argument("--rival", action="store_true", help="publish commands too")
    parser.add_argument("--gripper", default="", help="serve the gripper's action of this type")
    arguments = parser.parse_args()
    stay_on_this_machine()
    with DdsBus("robot", domain=arguments.domain) as bus:
        arm = FakeArm(bus, cameras=("front",))
        arm.picture[:] = np.arange(24 * 32 * 3, dtype=np.int64).reshape(24, 32, 3) % 251

        def reset(_: Any) -> dict[str, Any]:
            arm.pose = (0.6, *HOME[1:])
            return {"success": True, "message": f"after {len(arm.targets)} targets"}

        bus.service(Topic("reset", TRIGGER, "service", ""), reset)
        if arguments.gripper:
            arm.take_goals(arguments.gripper)
        if arguments.best_effort_joy:
            bus.publisher(mirrored("joy", "publisher", qos=NEWEST))
        if arguments.rival:
            bus.publisher(named(POLICY_TOPICS, "target_pose"))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        ended = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
        ended.wait(timeout=120.0)


if __name__ == "__main__":
    main()
