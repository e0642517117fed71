"""`robot-rlhf ros NODE`: the nodes on the command line; launch files start the same functions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from robot_rlhf.apps.ros_host import USAGE
from robot_rlhf.errors import UnknownNameError
from robot_rlhf_hardware.ros.nodes import NODES

MODULES = {
    "robot_sim": "robot_rlhf.apps.ros_robot_sim",
    "policy": "robot_rlhf.apps.ros_lifecycle",
    "learner": "robot_rlhf.apps.ros_learner",
    "operator": "robot_rlhf.apps.ros_operator",
    "recorder": "robot_rlhf.apps.ros_recorder",
}
"""Imported only when asked for."""


def run(argv: Sequence[str]) -> int:
    """Run a node; returns the exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0
    name, *rest = argv
    name = name.replace("-", "_")
    if name == "params":
        return _print_params(rest)
    if name not in MODULES:
        raise UnknownNameError("node", name, (*MODULES, "params"))
    if any(word in ("-h", "--help") for word in rest):
        sys.stdout.write(node_usage(name))
        return 0
    return int(importlib.import_module(MODULES[name]).run(rest))


def _print_params(words: Sequence[str]) -> int:
    """Parameters for the stand-in robot and the policy that drives it."""
    stand_in = importlib.import_module("robot_rlhf.apps.ros_stand_in")
    sys.stdout.write(stand_in.stand_in_yaml(words[0] if words else "pick_cube"))
    return 0


def usage() -> str:
    """The overview of all nodes."""
    lines = "\n".join(f"  {name:<10}{node.what}" for name, node in NODES.items())
    params = "  params    print parameters for the stand-in robot with a task, as pick_cube"
    return f"usage: robot-rlhf ros NODE [options]\n\n{lines}\n{params}\n\n{USAGE}"


def node_usage(name: str) -> str:
    """A node's parameters and topics."""
    node = NODES[name]
    lines = [f"usage: robot-rlhf ros {name} [options]", "", node.what, "", "parameters:"]
    for parameter in node.parameters:
        default = "required" if parameter.required else f"default {parameter.default!r}"
        lines.append(f"  {parameter.name}: {parameter.what} ({parameter.allowed}; {default})")
    lines += ["", "topics and services:"]
    lines += [f"  {topic.role:<13}{topic.name}  {topic.type}  {topic.what}" for topic in node.topics]
    return "\n".join([*lines, "", USAGE])


def robot_sim() -> int:
    """Entry point in a ROS workspace."""
    return _entry("robot_sim")


def policy() -> int:
    """Entry point in a ROS workspace."""
    return _entry("policy")


def learner() -> int:
    """Entry point in a ROS workspace."""
    return _entry("learner")


def operator() -> int:
    """Entry point in a ROS workspace."""
    return _entry("operator")


def recorder() -> int:
    """Entry point in a ROS workspace."""
    return _entry("recorder")


def _entry(name: str) -> int:
    from robot_rlhf.apps.cli import main

    return main(["ros", name, *sys.argv[1:]])
