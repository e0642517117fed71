"""`robot-rlhf doctor --ros`: the checklist of a robot on the live graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from robot_rlhf.apps.ros_host import HostOptions, open_bus, parameters_given
from robot_rlhf.errors import ConfigError
from robot_rlhf_hardware.ros.bus import Bus
from robot_rlhf_hardware.ros.checkup import Checkup, Duties, Finding
from robot_rlhf_hardware.ros.nodes import POLICY
from robot_rlhf_hardware.ros.parameters import read_parameters
from robot_rlhf_hardware.ros.settings import RobotSettings, limits_of, settings_of

LOOK_EVERY = 0.1
"""Seconds of waiting at once, so that Ctrl-C is heard."""


def checks_of_robot(options: HostOptions, seconds: float) -> Iterator[Finding]:
    """Listen for some seconds, and say what was heard.

    Args:
        options: name and middleware of the listening node; parameter files that describe the robot.
        seconds: how long to listen.

    Raises:
        ConfigError: no parameter file, or one that lacks something; no middleware.
    """
    if not options.params:
        raise ConfigError("doctor --ros: no --params; allowed: parameter files of the policy node (launch/robot.yaml)")
    if not seconds > 0:
        raise ConfigError(f"--seconds: got {seconds}, allowed above 0")
    given = parameters_given(replace(options, name=POLICY.executable))
    values = read_parameters(POLICY.parameters, given, " ".join(map(str, options.params)))
    with open_bus(replace(options, params=())) as bus:
        checkup = checkup_of(bus, values)
        end = bus.clock.now() + seconds
        while bus.clock.now() < end:
            bus.clock.sleep_until(min(end, bus.clock.now() + LOOK_EVERY))
        yield from checkup.findings()


def checkup_of(bus: Bus, values: Mapping[str, Any]) -> Checkup:
    """Args: values: parameters of the policy node, by name."""
    duties = Duties(
        joy=values["teleop"] in ("joy", "both"),
        spacenav=values["teleop"] in ("spacenav", "both"),
        success=values["success"] in ("topic", "both"),
        operator_timeout=values["operator_timeout"],
        button_enable=values["button_enable"],
    )
    return Checkup(bus, settings_of(RobotSettings, values), limits_of(values), duties)
