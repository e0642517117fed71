"""A domain for each test, and the backend under test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pytest

from robot_rlhf.apps.ros_host import HostOptions, ros_arguments
from robot_rlhf_hardware.ros.bus import Bus
from tests.hardware.ros.processes import DOMAINS, FarSide


class Join(Protocol):
    """Joins the graph as a node; one node at a time, as rclpy has it."""

    backend: str

    def __call__(
        self, name: str, namespace: str = "", remaps: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Bus]: ...


class JoinDds:
    """With Cyclone DDS, without ROS."""

    backend = "dds"

    def __init__(self, domain: int) -> None:
        self._domain = domain

    def __call__(
        self, name: str, namespace: str = "", remaps: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Bus]:
        from robot_rlhf_hardware.ros.bus_dds import DdsBus

        return DdsBus(name, domain=self._domain, namespace=namespace, remaps=remaps)


class JoinRclpy:
    """With ROS 2's own client library."""

    backend = "rclpy"

    def __call__(
        self, name: str, namespace: str = "", remaps: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Bus]:
        from robot_rlhf_hardware.ros.bus_rclpy import RclpyBus

        arguments = ros_arguments(HostOptions(name, namespace=namespace, remaps=dict(remaps or {})))
        bus: Any = RclpyBus(name, arguments)
        return bus


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    pytest.importorskip("cyclonedds.core", reason="cyclonedds has no wheel here")
    from robot_rlhf_hardware.ros.bus_dds import URI, loopback

    monkeypatch.setenv(URI, loopback(uuid.uuid4().hex))  # whoever tests beside us on this machine is not met
    return next(DOMAINS)


@pytest.fixture(params=["dds", "rclpy"])
def join(request: pytest.FixtureRequest, domain: int, monkeypatch: pytest.MonkeyPatch) -> Join:
    if request.param == "dds":
        return JoinDds(domain)
    pytest.importorskip("rclpy.node", reason="ROS 2 is not sourced here")
    from robot_rlhf_hardware.ros.bus_dds import URI, loopback

    monkeypatch.setenv(URI, loopback())
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    return JoinRclpy()


@pytest.fixture
def far_side(join: Join, domain: int) -> Iterator[FarSide]:
    assert join, "the environment of the backend is inherited"
    side = FarSide(domain)
    yield side
    side.close()
