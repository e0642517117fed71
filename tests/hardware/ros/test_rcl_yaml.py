"""What rcl's parser reads and refuses: every value below was read by rcl 9.2 (Jazzy) itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rlhf.apps.ros_host import HostOptions, parameters_given, read_options, ros_arguments
from robot_rlhf.apps.ros_stand_in import stand_in_yaml
from robot_rlhf.errors import ConfigError
from robot_rlhf_hardware.ros.nodes import NODES
from robot_rlhf_hardware.ros.parameters import TYPES, read_parameters
from robot_rlhf_hardware.ros.rcl_yaml import (
    Section,
    dumped,
    for_node,
    merged,
    parameters_of,
    scalar_of,
    sections_of,
    value_of,
)

LAUNCH = Path(__file__).parents[3] / "launch"
FILES: dict[str, str] = {path.name: path.read_text() for path in sorted(LAUNCH.glob("*.yaml"))}
FILES |= {f"ros params {task}": stand_in_yaml(task) for task in ("pick_cube", "reach", "peg_insert")}
"""Every parameter file that is shipped or printed."""

READ: tuple[tuple[str, Any], ...] = (
    *((word, True) for word in ("y", "Y", "yes", "YES", "on", "On", "true", "TRUE")),
    *((word, False) for word in ("n", "N", "no", "off", "OFF", "False")),
    *(("1", 1), ("-3", -3), ("+5", 5), ("0x10", 16), ("010", 8), ("0", 0), ("-0", 0)),
    *(("1.0", 1.0), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("inf", float("inf")), (".inf", float("inf"))),
    *(("-.Inf", -float("inf")), ("08", 8.0), ("9223372036854775808", 9223372036854775808.0)),
    *(("x", "x"), ("rz", "rz"), ('"y"', "y"), ("'on'", "on"), ("!!str y", "y"), ("!!str 1", "1"), ('"1"', "1")),
    *(
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("~", "~"),
        ("null", "null"),
        ("tRuE", "tRuE"),
    ),
    *(("1e999", "1e999"), ("1.5.2", "1.5.2"), ("0b11", "0b11"), ("a b", "a b")),
    *(("[1, 2]", [1, 2]), ("[1.0, 2.5]", [1.0, 2.5]), ("[y, n]", [True, False]), ('["y", z]', ["y", "z"])),
)


@pytest.mark.parametrize(("written", "value"), READ)
def test_a_word_is_what_rcl_takes_it_for(written: str, value: Any) -> None:
    read = value_of(written, "-p")
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("[x, y, z, rz, gripper]", r"sequence of one type only: 'x' is string, 'y' is bool; put strings in quotes"),
        ("[0.4, 0, 0.2]", r"'0.4' is double, '0' is integer; write every number with its point"),
        ("[1, 0.5]", "one type only"),
        ("[[1]]", "got a sequence in a sequence"),
        ("{a: 1}", "got a mapping"),
        ("", "no value"),
        ("[1, ]]", "not YAML"),
    ],
)
def test_what_rcl_refuses_is_refused(written: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        value_of(written, "-p a")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("a: &here 1, b: *here", "line 1: ROS reads no aliases"),
        ("a: ", "line 1: a: no value"),
        ("a: [x, y]", "line 1: a: a sequence of one type"),
    ],
)
def test_a_file_is_refused_with_its_line(body: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        sections_of(f"policy: {{ros__parameters: {{{body}}}}}", "robot.yaml")


def test_an_empty_sequence_says_nothing() -> None:
    """rcl reads it as a parameter that is not set; the default counts."""
    assert parameters_of("policy: {ros__parameters: {a: [], b: 1}}", "/policy", "file") == {"b": 1}


@pytest.mark.parametrize(
    ("name", "node", "holds"),
    [
        ("/**", "/policy", True),
        ("/**", "/arm/left/policy", True),
        ("/*", "/policy", True),
        ("/*", "/arm/policy", False),
        ("/**/policy", "/policy", True),
        ("/**/policy", "/arm/left/policy", True),
        ("/*/policy", "/policy", False),
        ("/*/policy", "/arm/policy", True),
        ("policy", "/policy", True),
        ("policy", "/arm/policy", False),
        ("arm/policy", "/arm/policy", True),
        ("/policies", "/policy", False),
    ],
)
def test_sections_are_for_the_nodes_that_their_names_match(name: str, node: str, holds: bool) -> None:
    assert Section(name).holds_for(node) is holds


def test_sections_may_be_nested_and_count_in_their_order() -> None:
    text = "arm: {policy: {ros__parameters: {a: 1, b: {c: 2}}}}\n/**: {ros__parameters: {a: 3}}"
    assert parameters_of(text, "/arm/policy", "file") == {"a": 3, "b.c": 2}
    assert parameters_of("\n".join(reversed(text.splitlines())), "/arm/policy", "file") == {"a": 1, "b.c": 2}


def test_a_parameter_of_two_types_is_an_error() -> None:
    """rcl would keep both, and hand out that of the first type, not the last one given."""
    with pytest.raises(ConfigError, match=r"a of /\*\*: given twice, with two types: 1 and 0\.5"):
        merged([Section("/**", {"a": 1}), Section("/**", {"a": 0.5})])


# -- every file, and what is handed on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_and_printed_file_keeps_its_types(name: str) -> None:
    for node in NODES.values():
        given = parameters_of(FILES[name], f"/{node.executable}", name)
        declared = {parameter.name: parameter for parameter in node.parameters}
        for key, value in given.items():
            kind, is_array = TYPES[declared[key].type]
            assert isinstance(value, list) == is_array, key
            for item in value if isinstance(value, list) else [value]:
                assert type(item) is kind, f"{name}: {key}: {item!r}"
    read_parameters(NODES["policy"].parameters, parameters_of(FILES[name], "/policy", name), "/policy")


@pytest.mark.parametrize("written", [*(written for written, _ in READ), "['x', 'y', 'z']", '["on", "off"]', "0.10"])
def test_a_single_parameter_is_handed_on_as_it_was_written(written: str) -> None:
    options = read_options("policy", ["-p", f"action_names:={written}"])
    words = ros_arguments(options)
    assert words[words.index("-p") + 1] == f"action_names:={written}"
    assert parameters_given(options) == {"action_names": value_of(written, "-p")}


def test_a_single_parameter_counts_where_rcl_lets_it_count(tmp_path: Path) -> None:
    """It belongs to the section /**, which counts at the place where it first stands."""
    file = tmp_path / "params.yaml"

    def given(text: str, name: str = "a") -> Any:
        file.write_text(text)
        return parameters_given(HostOptions("policy", params=(file,), given={name: "9"}))["a"]

    assert given("policy: {ros__parameters: {a: 1}}") == 9
    assert given("/**: {ros__parameters: {b: 1}}\npolicy: {ros__parameters: {a: 1}}") == 1
    assert given("/**: {ros__parameters: {b: 1}}\npolicy: {ros__parameters: {a: 1}}", "policy:a") == 9


_VALUES = st.one_of(
    *(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text("yYnNoOfFtrue01. -:#'\"x")),
    *(st.lists(st.text("yn01.ofe", min_size=1), min_size=1), st.lists(st.floats(allow_nan=False), min_size=1)),
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), _VALUES))
def test_what_is_dumped_is_read_again(values: dict[str, Any]) -> None:
    again = for_node(sections_of(dumped({"/**": {"ros__parameters": values}}), "file"), "/policy") if values else {}
    assert again == values
    for name, value in values.items():
        assert type(again[name]) is type(value)


@given(st.text())
def test_any_word_is_something(text: str) -> None:
    assert isinstance(scalar_of(text), (bool, int, float, str))
