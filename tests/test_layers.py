"""Who may import whom: the table of the design, and nothing beside it; and no cycles."""

from __future__ import annotations

import ast
import graphlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("robot_rlhf", "sim/robot_rlhf_sim", "hardware/robot_rlhf_hardware")
PREFIX = "robot_rlhf_"
"""What the import names of the folders sim and hardware begin with: no user's own folder is called so."""

NOUNS = frozenset({"context", "datatypes", "episode", "errors", "facts", "meaning", "parts", "ranges", "sight"})
GROUND = NOUNS | {"background", "disk", "naming", "ports", "timing"}
ROOMS = frozenset({"safety", "policy", "feedback", "people", "rewards", "replay", "journal"})
BELOW_LOOP = GROUND | ROOMS | {"device", "learner", "place"}
LAYERS: dict[str, frozenset[str]] = {
    **dict.fromkeys(NOUNS, NOUNS),
    **dict.fromkeys(("background", "disk", "naming", "ports", "timing"), NOUNS),
    **dict.fromkeys(ROOMS, GROUND),
    "people": GROUND | {"safety"},
    "device": GROUND,
    "place": GROUND | {"safety", "people"},
    "rewards": GROUND | {"policy", "models"},
    "learner": GROUND | ROOMS,
    "language": GROUND | {"policy", "rewards", "models"},
    "models": GROUND,
    "skills": GROUND | {"safety"},
    "console": GROUND | {"feedback", "journal", "language"},
    "runtime": BELOW_LOOP | {"language", "skills"},
    "bridges": BELOW_LOOP,
    "run": BELOW_LOOP | {"runtime", "console", "bridges", "language", "skills", "models"},
    "audit": BELOW_LOOP | {"runtime", "run"},
    "apps": BELOW_LOOP
    | {"runtime", "console", "bridges", "run", "audit", "sim", "hardware", "language", "skills", "models"},
    "conformance": GROUND | {"safety", "policy", "people", "place"},
    "api": BELOW_LOOP | {"runtime", "run", "apps", "sim"},
    "sim": GROUND | {"safety", "people", "place"},
    "hardware": GROUND | {"safety", "people", "device", "place"},
}
"""Layer to the layers it may import, beside itself."""

ONLY_IN = {"mujoco": {"sim"}, "rclpy": {"hardware"}, "cyclonedds": {"hardware"}}
"""Packages that one layer alone knows."""


def sources() -> list[Path]:
    return sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "robot_rlhf" else parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str | None:
    """'safety' for robot_rlhf.safety.guard, 'sim' for robot_rlhf_sim.arm; None for what is not ours."""
    package, _, rest = module.partition(".")
    if package.startswith(PREFIX):
        return package.removeprefix(PREFIX)
    return rest.partition(".")[0] if package == "robot_rlhf" and rest else None


def imports(tree: ast.AST, module: str, *, is_package: bool, for_types: bool) -> Iterator[str]:
    """Names of imported modules; `from a import b` gives a.b, which may be a module or a name in a."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                above = module.split(".")[: None if is_package and node.level == 1 else is_package - node.level]
                start = ".".join([*above, *([start] if start else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node, module, is_package=is_package, for_types=for_types)


def imports_of(path: Path, *, for_types: bool) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return set(imports(tree, module_of(path), is_package=path.name == "__init__.py", for_types=for_types))


def strangers(module: str, imported: set[str]) -> list[str]:
    """What a module imports although its layer may not."""
    own = layer_of(module)
    found: list[str] = []
    for name in sorted(imported):
        layer = layer_of(name)
        if layer not in (None, own) and layer in LAYERS and layer not in LAYERS.get(own or "", frozenset()):
            found.append(name)
        if own not in ONLY_IN.get(name.partition(".")[0], {own}):
            found.append(name)
    return found


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_only_what_its_layer_may(path: Path) -> None:
    module = module_of(path)
    if module != "robot_rlhf":
        assert layer_of(module) in LAYERS, f"{module} belongs to no layer of the design"
    assert not strangers(module, imports_of(path, for_types=True))


@pytest.mark.parametrize("for_types", [False, True], ids=["at run time", "by names of types"])
def test_no_module_imports_itself_over_others(for_types: bool) -> None:
    modules = {module_of(path): path for path in sources()}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        near: set[str] = set()
        for name in imports_of(path, for_types=for_types):
            near.add(name if name in modules else name.rpartition(".")[0])
        graph[module] = {name for name in near if name in modules and name != module}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(error.args[1])}")


def test_the_table_itself_has_no_cycle() -> None:
    between = {layer: allowed - NOUNS - {layer} for layer, allowed in LAYERS.items()}
    graphlib.TopologicalSorter(between).prepare()


def test_nouns_need_no_torch() -> None:
    for name in (*NOUNS, "ports", "timing"):
        imported = imports_of(ROOT / "robot_rlhf" / f"{name}.py", for_types=False)
        assert not [module for module in imported if module.partition(".")[0] == "torch"], name


def test_every_port_is_asked_for_by_somebody() -> None:
    tree = ast.parse((ROOT / "robot_rlhf" / "ports.py").read_text(encoding="utf-8"))
    ports = {f"robot_rlhf.ports.{node.name}" for node in tree.body if isinstance(node, ast.ClassDef)}
    asking = (path for path in sources() if layer_of(module_of(path)) not in ("conformance", "ports"))
    used = set[str]().union(*(imports_of(path, for_types=True) for path in asking))
    assert ports
    assert not ports - used


def test_above_the_bus_nobody_knows_a_middleware() -> None:
    allowed = {
        "bus_dds": {"cyclonedds"},
        "dds_client": {"cyclonedds"},
        "dds_graph": {"cyclonedds"},
        "dds_types": {"cyclonedds"},
        "bus_rclpy": {"rclpy", "rcl_interfaces"},
        "rclpy_graph": {"rclpy"},
        "rclpy_host": {"rclpy"},
        "rclpy_messages": {"rosidl_runtime_py"},
        "rclpy_spin": {"rclpy"},
    }
    for path in sorted((ROOT / "hardware" / "robot_rlhf_hardware" / "ros").glob("*.py")):
        packages = {name.partition(".")[0] for name in imports_of(path, for_types=True)}
        known = packages & {"cyclonedds", "rclpy", "rosidl_runtime_py", "rcl_interfaces"}
        assert known <= allowed.get(path.stem, set()), path.name


def test_folders_that_would_shadow_others_are_no_packages() -> None:
    assert not (ROOT / "launch" / "__init__.py").exists()
    assert not (ROOT / "datasets" / "__init__.py").exists()
    assert not [path for path in sources() if path.name == "types.py"]
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == list(FOLDERS)


def test_what_catches_everything_is_rare_and_says_why() -> None:
    broad = [
        line.strip()
        for path in sources()
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(("except:", "except Exception", "except BaseException"))
    ]
    assert len(broad) <= 4, broad
    assert all("  # " in line for line in broad), broad


def test_names_are_nouns_of_the_domain() -> None:
    parts = {part for path in sources() for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not parts & {"common", "utils", "util", "helpers", "misc", "base"}


@pytest.mark.parametrize(
    ("module", "code", "refused"),
    [
        ("robot_rlhf.safety.guard", "from robot_rlhf.policy.actor import Actor", "robot_rlhf.policy.actor.Actor"),
        ("robot_rlhf.runtime.loop", "import robot_rlhf_sim.arm", "robot_rlhf_sim.arm"),
        ("robot_rlhf.runtime.loop", "def f():\n    from robot_rlhf_hardware import fake", "robot_rlhf_hardware.fake"),
        ("robot_rlhf.datatypes", "from robot_rlhf import ports", "robot_rlhf.ports"),
        ("robot_rlhf.safety.guard", "from ..policy import actor", "robot_rlhf.policy.actor"),
        ("robot_rlhf.learner.sac", "import mujoco", "mujoco"),
        ("robot_rlhf_sim.arm", "from robot_rlhf.learner import sac", "robot_rlhf.learner.sac"),
        ("robot_rlhf_sim.arm", "if TYPE_CHECKING:\n    import robot_rlhf_hardware.fake", "robot_rlhf_hardware.fake"),
    ],
)
def test_the_check_finds_a_stranger(module: str, code: str, refused: str) -> None:
    imported = set(imports(ast.parse(code), module, is_package=False, for_types=True))
    assert strangers(module, imported) == [refused]


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("robot_rlhf.safety.guard", "from . import limits\nfrom robot_rlhf.ports import Robot\nimport torch"),
        ("robot_rlhf.apps.session", "import robot_rlhf_sim.arm\nfrom robot_rlhf.runtime import loop"),
        ("robot_rlhf_sim.arm", "import mujoco\nfrom robot_rlhf.safety.rotation import exp"),
    ],
)
def test_the_check_lets_pass_what_is_allowed(module: str, code: str) -> None:
    assert not strangers(module, set(imports(ast.parse(code), module, is_package=False, for_types=True)))
