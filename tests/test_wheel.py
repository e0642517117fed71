"""The wheel: what is in it, and that it works where nothing of the repository is."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.test_layers import FOLDERS, ROOT

PACKAGES = [Path(folder).name for folder in FOLDERS]
SHORT = ("--steps", "20", "--demonstrations", "1", "--evaluation.every", "0", "--evaluation.final-episodes", "1")
SHORT += ("--video-episodes", "0", "--trainer.warm-start-updates", "5")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


def _pip(*words: str) -> None:
    quietly = {**os.environ, "PIP_NO_INDEX": "1", "PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, env=quietly)


def test_it_has_types_scenes_and_pages_and_nothing_else_at_the_top(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    files = [
        path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in (".xml", ".js", ".css")
    ]
    assert files
    assert {path.name for path in files} <= {name.rpartition("/")[2] for name in names}


def test_it_trains_beside_folders_of_the_same_names(wheel: Path, tmp_path: Path) -> None:
    python = _environment(tmp_path / "environment", wheel)
    project = tmp_path / "project"
    for name in ("sim", "hardware"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("raise SystemExit('the user meant something else')\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    where = "import robot_rlhf, robot_rlhf_sim, robot_rlhf_hardware as h; print(robot_rlhf.__file__, h.__file__)"
    told = subprocess.run(
        [python, "-c", where],
        cwd=project,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert str(ROOT / "robot_rlhf") not in told.stdout
    command = [python, "-m", "robot_rlhf.apps.cli", "train", "--task", "reach", *SHORT, "--quiet"]
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=240
    )
    assert done.returncode == 0, done.stderr
    (run,) = (project / "runs").iterdir()
    assert json.loads((run / "summary.json").read_text(encoding="utf-8"))["env_steps"] >= 20
    script = python.with_name("robot-rlhf")
    version = subprocess.run(
        [script, "--version"],
        cwd=project,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert version.stdout.startswith("robot-rlhf ")


def _environment(folder: Path, wheel: Path) -> Path:
    """A virtual environment with the wheel in it, and what the tests' own has installed but for this repository."""
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    _pip("--python", str(python), "install", "--no-deps", str(wheel))
    (own,) = folder.glob("lib/python*/site-packages")
    # A folder that a .pth file names is searched, but .pth files in it are not followed: not that of this repository.
    (own / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n", encoding="utf-8")
    return python
