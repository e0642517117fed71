"""What is printed for people is printed as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from robot_rlhf.apps import doctor
from robot_rlhf.apps.cli import main
from robot_rlhf.apps.doctor import CONSOLE_REMEDY, Check
from robot_rlhf.run.screen import screen

APPS = Path(__file__).parents[2] / "robot_rlhf" / "apps"


def test_brackets_and_colons_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    screen().print("pip install 'robot-rlhf[console]' [bold]and[/] :warning:", highlight=False, soft_wrap=True)
    assert capsys.readouterr().out == "pip install 'robot-rlhf[console]' [bold]and[/] :warning:\n"


def test_the_doctor_prints_its_remedies_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(doctor, "checks", lambda _: iter([Check("console", "warn", "missing: [x]", CONSOLE_REMEDY)]))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "pip install 'robot-rlhf[console]'; everything else works without" in text
    assert "missing: [x]" in text


def test_a_journal_in_a_folder_with_brackets_is_named_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    sample = APPS.parents[1] / "datasets" / "sample_session"
    folder = tmp_path / "[bold]arm"
    folder.symlink_to(sample)
    assert main(["journal", "info", str(folder)]) == 0
    text = capsys.readouterr().out
    assert str(folder) in text
    assert re.search(r"hands on[ │]+\d+\.\d\d minutes", text)
    assert re.search(r"at the machine[ │]+\d+\.\d\d minutes", text)


def test_there_is_no_other_console_and_no_markup() -> None:
    for file in APPS.rglob("*.py"):
        text = file.read_text()
        assert file.name == "screen.py" or not re.search(r"(?<![A-Za-z])Console\(", text), file
        assert not re.search(r"\[/\w*\]|\[(bold|dim|red|green|yellow|cyan)", text), file
        assert "rich.markup" not in text, file  # what is not read as markup must not be escaped either


@pytest.mark.parametrize("folder", ["robot_rlhf", "sim/robot_rlhf_sim", "hardware/robot_rlhf_hardware"])
def test_types_are_shipped(folder: str) -> None:
    assert (APPS.parents[1] / folder / "py.typed").is_file()
