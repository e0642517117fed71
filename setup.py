"""For `colcon build` in a ROS 2 workspace; `pip install` goes by pyproject.toml and does not read this."""

import re
from collections.abc import Sequence
from pathlib import Path

from setuptools import Distribution, find_packages, setup

PACKAGE = "robot_rlhf"
HERE = Path(__file__).parent
FOLDERS = (".", "sim", "hardware")
"""Where import packages lie; those of `sim` and `hardware` have names that no user's folders have."""
NODES = ("robot_sim", "policy", "learner", "operator", "recorder")


class RosDistribution(Distribution):
    """Reads setup.cfg alone: setuptools would let pyproject.toml, which is pip's, win over what stands here."""

    def parse_config_files(self, filenames: Sequence[str] | None = None, ignore_option_errors: bool = False) -> None:
        super().parse_config_files(filenames or ["setup.cfg"], ignore_option_errors)


def version() -> str:
    found = re.search(r'__version__ = "(.+)"', (HERE / PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert found is not None
    return found[1]


def names(folder: str, *patterns: str) -> list[str]:
    return sorted(str(path.relative_to(HERE)) for pattern in patterns for path in (HERE / folder).glob(pattern))


setup(
    distclass=RosDistribution,
    name=PACKAGE,
    version=version(),
    description="Teach a robot a skill, live: it practises, you take over and judge, and it learns while it runs.",
    license="Apache-2.0",
    packages=[package for folder in FOLDERS for package in find_packages(folder, include=["robot_rlhf*"])],
    package_dir={f"{PACKAGE}_{folder}": f"{folder}/{PACKAGE}_{folder}" for folder in ("sim", "hardware")},
    package_data={"robot_rlhf.console": ["static/*"], "robot_rlhf_sim": ["scenes/*.xml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", names("launch", "*.launch.py")),
        (f"share/{PACKAGE}/config", names("launch", "*.yaml")),
    ],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "robot-rlhf = robot_rlhf.apps.cli:main",
            *(f"{node} = robot_rlhf.apps.ros:{node}" for node in NODES),
        ]
    },
)
