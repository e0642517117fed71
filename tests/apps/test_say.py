"""`robot-rlhf say`: one answer for each sentence, whatever the sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from robot_rlhf.apps.cli import main
from robot_rlhf.apps.say import LONGEST_LINE
from robot_rlhf.meaning import READINGS

COMMAND = [sys.executable, "-m", "robot_rlhf.apps.cli", "say"]


def say(*words: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["say", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_one_json_line_for_each_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = map(json.loads, say("a bit to the left", "--json", "no idea", capsys=capsys))
    assert first == {"readings": ["left"], "meanings": [{"reading": "left", "amount": 0.02}], "by": "grammar"}
    assert second["readings"] == ["unknown"]
    assert {"nearest", "why", "by", "meanings"} <= set(second)


def test_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert say("left and down", "hm", "- go up", capsys=capsys) == [
        "left, down: left, then down (by grammar)",
        "unknown: no word of it says what to do; nearest: grasp cube, above cube, pull drawer",
        "up: up (by grammar)",
    ]


def test_languages_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert say("nach links", "--language", "de", capsys=capsys) == ["left: left (by grammar)"]
    assert say("--language", "en,es", "a la izquierda", capsys=capsys) == ["left: left (by grammar)"]
    assert main(["say", "x", "--language", "klingon"]) == 2
    assert "unknown language 'klingon'. Known: de, en, es" in capsys.readouterr().err


def test_things_of_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(say("to the ring", "--json", "--task", "push", capsys=capsys)[0])
    assert told["meanings"] == [{"reading": "goal", "skill": "to", "thing": "goal"}]


def test_every_line_of_standard_input_gets_one_at_once() -> None:
    lines = [
        b"left",
        b"",
        b"\xff\xfe\x00\x01",
        b"<b>go up</b>",
        b"x" * 100_000,
        b"\x1b[31mdown\x07",
        "höher ←".encode(),
        b"{}",
    ]
    with subprocess.Popen(
        [*COMMAND, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = []
        for line in lines:  # the answer is there before the next sentence
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            told.append(json.loads(process.stdout.readline()))
        process.stdin.write(b"right")  # without an end of line
        process.stdin.close()
        told.append(json.loads(process.stdout.readline()))
        assert process.stdout.readline() == b""
    assert process.returncode == 0
    assert [each["readings"][0] for each in told] == [
        *("left", "unknown", "unknown", "up", "unknown", "down", "unknown", "unknown", "right")
    ]
    assert all(set(each["readings"]) <= set(READINGS) for each in told)


def test_a_line_without_an_end_is_answered_at_once_and_not_kept() -> None:
    with subprocess.Popen(
        [*COMMAND, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x" * (LONGEST_LINE + 10))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["readings"] == ["unknown"]
        process.stdin.write(b"y" * 2 * LONGEST_LINE + b"\nleft\n")
        process.stdin.close()
        assert [json.loads(line)["readings"] for line in process.stdout] == [["left"]]


def test_saying_needs_neither_torch_nor_a_simulation() -> None:
    code = "import sys; from robot_rlhf.apps.cli import main; main(['say', 'left']); "
    code += "print({'torch', 'mujoco'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=os.environ, encoding="utf-8"
    )
    assert done.stdout.splitlines() == ["left: left (by grammar)", "set()"]
