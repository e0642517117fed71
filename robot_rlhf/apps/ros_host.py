"""How the ROS nodes are started: arguments, parameter files, and the bus they stand on."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from robot_rlhf.errors import ConfigError
from robot_rlhf_hardware.ros.bus import Bus, BusError
from robot_rlhf_hardware.ros.rcl_yaml import Section, Value, for_node, merged, sections_of, value_of

DOMAIN = "ROS_DOMAIN_ID"
TWIN_LOOK = 2.0
"""Seconds within which a node of the same name is discovered."""
TWIN_PATIENCE = 30.0
STRANGERS = (
    "whoever is in the network and in domain {domain} may publish what {node} obeys, joy, success and poses too; "
    "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST (or --loopback), a domain of its own or SROS2 close it: docs/ros2.md"
)


@dataclass(frozen=True)
class HostOptions:
    """What every node is told at its start, in the words of ROS's own command line."""

    name: str
    """The node's name."""
    namespace: str = ""
    params: tuple[Path, ...] = ()
    """Parameter files in ROS form; later ones win."""
    given: dict[str, str] = field(default_factory=dict[str, str])
    """Single parameters as they were written, over those of the files; a name may be NODE:NAME."""
    remaps: dict[str, str] = field(default_factory=dict[str, str])
    backend: str = ""
    """dds, rclpy, or empty for rclpy where it is installed."""
    domain: int = 0
    loopback: bool = False
    """dds: stay on this machine, without multicast."""
    ros: tuple[str, ...] = ()
    """ROS's own options that are for rcl alone, as they were written."""
    log_level: int = logging.INFO
    """Of the node's log without ROS."""


USAGE = """options of every node:
  --params FILE          parameters in ROS form; also --params-file
  -p NAME:=VALUE         one parameter
  -r FROM:=TO            remap a topic or service; __node:=NAME and __ns:=NAMESPACE name the node
  --backend dds|rclpy    the wire without ROS, or rclpy (default: rclpy where it is installed)
  --domain N             domain id of the dds backend; default ROS_DOMAIN_ID or 0
  --loopback             dds: stay on this machine, without multicast
  --log-level LEVEL      and ROS's other options (--log-config-file, --enclave, ...), which are handed to it
"""
_VALUED = {"--params": "params", "--params-file": "params", "-p": "given", "--param": "given", "-r": "remaps"}
_VALUED |= {"--remap": "remaps", "--backend": "backend", "--domain": "domain"}
_ROS_VALUED = frozenset({"--log-level", "--log-config-file", "--log-file-name", "--enclave", "-e"})
_ROS_FLAGS = frozenset(f"--{way}-{what}" for way in ("enable", "disable") for what in ("rosout-logs", "stdout-logs"))
_ROS_FLAGS |= {"--enable-external-lib-logs", "--disable-external-lib-logs"}
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_LEVELS |= {"fatal": logging.CRITICAL}


def read_options(name: str, argv: Sequence[str]) -> HostOptions:
    """Options from a command line; `--ros-args` and `--` are passed over.

    Raises:
        ConfigError: an option that does not exist, or a value that is not allowed.
    """
    options = HostOptions(name, domain=_domain(os.environ.get(DOMAIN, "0")))
    words = [word for word in argv if word not in ("--ros-args", "--")]
    while words:
        word = words.pop(0)
        if word == "--loopback":
            options = replace(options, loopback=True)
            continue
        if word in _ROS_FLAGS:
            options = replace(options, ros=(*options.ros, word))
            continue
        if word not in _VALUED and word not in _ROS_VALUED:
            raise ConfigError(f"ros {name} has no option {word}\n{USAGE}")
        if not words:
            raise ConfigError(f"ros {name}: {word} needs a value")
        if word in _ROS_VALUED:
            options = _with_ros(options, word, words.pop(0))
        else:
            options = _with(options, _VALUED[word], words.pop(0))
    return options


def _with_ros(options: HostOptions, word: str, value: str) -> HostOptions:
    options = replace(options, ros=(*options.ros, word, value))
    if word != "--log-level":
        return options
    level = value.rpartition(":=")[2].lower()
    if level not in _LEVELS:
        raise ConfigError(f"--log-level: got {value}, allowed: {', '.join(_LEVELS)}, also NAME:=LEVEL")
    return options if ":=" in value else replace(options, log_level=_LEVELS[level])


def _with(options: HostOptions, what: str, value: str) -> HostOptions:
    if what == "params":
        return replace(options, params=(*options.params, Path(value)))
    if what == "backend":
        if value not in ("dds", "rclpy"):
            raise ConfigError(f"--backend: got {value}, allowed: dds or rclpy")
        return replace(options, backend=value)
    if what == "domain":
        return replace(options, domain=_domain(value))
    before, mark, after = value.partition(":=")
    if not mark:
        raise ConfigError(f"got {value!r}, allowed: NAME:=VALUE")
    if what == "given":
        return replace(options, given={**options.given, before: after})
    if before == "__node":
        return replace(options, name=after)
    if before == "__ns":
        return replace(options, namespace=after)
    return replace(options, remaps={**options.remaps, before: after})


def _domain(value: str) -> int:
    if not value.isdecimal() or not 0 <= int(value) <= 101:
        raise ConfigError(f"domain id: got {value!r}, allowed: 0 to 101")
    return int(value)


def parameters_given(options: HostOptions) -> dict[str, Value]:
    """Parameters of the files and the command line, by name, not yet checked.

    Raises:
        ConfigError: a file that cannot be read, or is not in ROS form.
    """
    node = f"/{options.namespace.strip('/')}/{options.name}".replace("//", "/")
    sections: list[Section] = []
    for path in options.params:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ConfigError(f"{path}: cannot be read ({why})") from error
        sections += sections_of(text, str(path))
    for name, written in options.given.items():
        whose, _, bare = name.rpartition(":")
        sections.append(Section(whose or "/**", {bare: value_of(written, f"-p {name}:={written}")}))
    return for_node(merged(sections), node)


def backend_of(options: HostOptions) -> str:
    """The backend that is asked for; rclpy where it is installed."""
    return options.backend or ("rclpy" if _installed("rclpy", "node") else "dds")


def open_bus(options: HostOptions) -> Bus:
    """The bus of the wanted backend, not yet open.

    Raises:
        ConfigError: its package is not installed.
    """
    if backend_of(options) == "rclpy":
        if not _installed("rclpy", "node"):
            raise ConfigError("--backend rclpy: ROS 2 is not sourced here (no rclpy); --backend dds needs no ROS")
        module = importlib.import_module("robot_rlhf_hardware.ros.bus_rclpy")
        return module.RclpyBus(options.name, ros_arguments(options), parameters_given(options))
    if not _installed("cyclonedds", "core"):
        raise ConfigError("--backend dds needs Cyclone DDS: pip install 'robot-rlhf[ros-wire]' (Linux on x86-64)")
    given = parameters_given(options)
    if given.get("use_sim_time"):
        raise ConfigError(
            "parameter use_sim_time: the dds backend goes by the machine's clock; --backend rclpy follows /clock"
        )
    if any(word in options.ros for word in ("--enclave", "-e")):
        raise ConfigError("--enclave: the dds backend knows no SROS2; --backend rclpy does")
    dds = importlib.import_module("robot_rlhf_hardware.ros.bus_dds")
    if options.loopback:
        dds.stay_on_this_machine()
    return dds.DdsBus(
        options.name,
        domain=options.domain,
        namespace=options.namespace,
        given=given,
        remaps=options.remaps,
    )


@contextmanager
def joined(options: HostOptions) -> Iterator[Bus]:
    """The bus of a node, open: alone under its name, and with a word about who else may publish.

    Raises:
        ConfigError: as `open_bus`.
        BusError: another node of the same name stays.
    """
    with open_bus(options) as bus:
        alone(bus)
        warn_of_strangers(bus, options)
        yield bus


def alone(bus: Bus, *, patience: float = TWIN_PATIENCE) -> None:
    """Wait until no other node has this one's name; two policies of one name would drive one arm.

    Raises:
        BusError: it is still there after `patience` seconds; one that was killed leaves within 20.
    """
    began = bus.clock.now()
    said = False
    while (now := bus.clock.now()) < began + (patience if bus.twins() else TWIN_LOOK):
        if bus.twins() and not said:
            said = True
            bus.log(logging.WARNING, f"another {bus.node} is on the graph: waiting {patience:g} s for it to leave")
        bus.clock.sleep_until(now + 0.05)
    if bus.twins():
        raise BusError(f"another node {bus.node} is on the graph: end it, or name this one with -r __node:=NAME")


def warn_of_strangers(bus: Bus, options: HostOptions) -> None:
    """Say who may publish what this node obeys, where that is more than this machine."""
    if open_to_the_network(options):
        bus.log(logging.WARNING, STRANGERS.format(domain=os.environ.get(DOMAIN, "0") or "0", node=bus.node))


def open_to_the_network(options: HostOptions) -> bool:
    """Whether machines of the network are met, as far as the environment tells."""
    environment = os.environ
    if environment.get("ROS_SECURITY_ENABLE") == "true" and environment.get("ROS_SECURITY_STRATEGY") == "Enforce":
        return False
    if backend_of(options) == "dds":
        text = environment.get("CYCLONEDDS_URI", "")
        return not (options.loopback or 'name="lo"' in text)
    if environment.get("ROS_LOCALHOST_ONLY") == "1":
        return False
    return environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET").upper() not in ("LOCALHOST", "OFF")


def until_ended(bus: Bus, every: float, deed: Callable[[], None] = lambda: None) -> None:
    """Wait for SIGINT or SIGTERM, and do something every so many seconds meanwhile.

    Raises:
        BusError: the bus has failed.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(every):
        if bus.failure.reason:
            raise BusError(bus.failure.reason)
        deed()


def ros_arguments(options: HostOptions) -> list[str]:
    """The same options in the words of rclpy."""
    words = ["--ros-args", "-r", f"__node:={options.name}"]
    if options.namespace:
        words += ["-r", f"__ns:=/{options.namespace.strip('/')}"]
    for path in options.params:
        words += ["--params-file", str(path)]
    for name, written in options.given.items():
        words += ["-p", f"{name}:={written}"]
    for before, after in options.remaps.items():
        words += ["-r", f"{before}:={after}"]
    return [*words, *options.ros]


def _installed(package: str, member: str) -> bool:
    """Whether a package is there; a member is asked for, as a folder of the same name may lie around."""
    try:
        return importlib.util.find_spec(f"{package}.{member}") is not None
    except ModuleNotFoundError:
        return False


def log_to_stderr(level: int = logging.INFO) -> None:
    """Have the node's log on stderr, with time and level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("[%(levelname)s] [%(created).6f] [%(name)s]: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
