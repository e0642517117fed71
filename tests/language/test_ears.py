"""Recognisers of speech: their settings, what they are given, and that no sound makes one fail or invent words."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.language import ear_process, ears
from robot_rlhf.language.ears import (
    RATE,
    Ear,
    Heard,
    SpeechConfig,
    as_sound,
    check_speech,
    is_silent,
    open_ear,
    words_of,
)
from robot_rlhf.language.phrases import EXPECTED
from tests.draws import draws
from tests.speech import has_speech, spoken

LOCAL = ("whisper", "pocketsphinx")
SOUNDS: dict[str, Callable[[], NDArray[np.int16]]] = {
    "nothing": lambda: np.zeros(0, np.int16),
    "one sample": lambda: np.full(1, 32767, np.int16),
    "silence": lambda: np.zeros(2 * RATE, np.int16),
    "loud noise": lambda: np.random.default_rng(0).integers(-32768, 32767, 3 * RATE).astype(np.int16),
    "soft noise": lambda: np.random.default_rng(0).normal(0, 300, 3 * RATE).astype(np.int16),
    "a tone": lambda: (9000 * np.sin(np.arange(2 * RATE) * 2 * np.pi * 440 / RATE)).astype(np.int16),
}


@pytest.fixture(scope="module", params=LOCAL)
def ear(request: pytest.FixtureRequest) -> Ear:
    try:
        check_speech(SpeechConfig(request.param))
    except ConfigError as missing:
        pytest.skip(str(missing))
    return open_ear(SpeechConfig(request.param))


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"language": "english language"}, "speech.language"),
        ({"recogniser": "whisper", "language": "de"}, "English"),
        ({"recogniser": "pocketsphinx", "model": Path("m")}, "speech.model"),
        ({"sure": 1.5}, "speech.sure"),
    ],
)
def test_settings_that_cannot_hold_say_so(settings: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        SpeechConfig(**settings)


@pytest.mark.parametrize("recogniser", LOCAL)
def test_a_missing_extra_says_how_to_install_it(recogniser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "robot_rlhf\[speech\]"'):
        open_ear(SpeechConfig(recogniser))
    check_speech(SpeechConfig("none"))
    check_speech(SpeechConfig("browser"))


def test_a_model_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.bin"):
        check_speech(SpeechConfig("whisper", language="de", model=tmp_path))


def test_only_recognisers_of_this_machine_can_be_opened() -> None:
    for recogniser in ("none", "browser"):
        with pytest.raises(ConfigError, match="whisper, pocketsphinx"):
            open_ear(SpeechConfig(recogniser))


@pytest.mark.parametrize("settings", [SpeechConfig(), SpeechConfig("whisper", "de", Path("a b/ü"), 0.2)])
def test_settings_come_back_from_json(settings: SpeechConfig) -> None:
    assert ear_process.from_json(json.loads(json.dumps(ear_process.to_json(settings)))) == settings


@draws(30)
@given(rate=st.integers(8_000, 48_000), pitch=st.integers(100, 1_500))
def test_a_sound_keeps_its_length_and_pitch_at_any_rate(rate: int, pitch: int) -> None:
    tone = (20_000 * np.sin(2 * np.pi * pitch * np.arange(rate) / rate)).astype(np.int16)
    sound = as_sound(tone, rate)
    assert sound.dtype == np.float32
    assert abs(len(sound) - RATE) <= 40
    spectrum = np.abs(np.fft.rfft(sound, RATE))
    assert abs(int(np.argmax(spectrum)) - pitch) <= 2
    assert np.abs(sound).max() <= 1.0


@pytest.mark.parametrize(
    ("pcm", "rate"),
    [
        (np.zeros(10, np.float32), RATE),
        (np.zeros((10, 2), np.int16), RATE),
        (np.zeros(10, np.int16), 7_999),
        (np.zeros(10, np.int16), 96_000),
        (np.zeros(15 * RATE + 1, np.int16), RATE),
    ],
)
def test_what_is_no_sound_is_refused(pcm: Any, rate: int) -> None:
    with pytest.raises(InvalidValueError):
        as_sound(pcm, rate)


def test_silence_is_quiet_or_short() -> None:
    assert is_silent(np.zeros(RATE, np.float32))
    assert is_silent(np.ones(100, np.float32))
    assert not is_silent(np.full(RATE, 0.01, np.float32))


@draws(100)
@given(st.text())
def test_words_are_printable_and_in_one_line(text: str) -> None:
    words = words_of(text)
    assert words == words_of(words)
    assert words.isprintable()
    assert words == words.strip()


def test_words_lose_the_marks_at_their_end_alone() -> None:
    assert words_of(" Move left, please.\n") == "Move left, please"
    assert words_of("stop!") == "stop!"


# -- real recognisers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sound", SOUNDS)
def test_no_sound_without_a_voice_becomes_a_sentence(ear: Ear, sound: str) -> None:
    heard = ear.hear(SOUNDS[sound](), RATE)
    if isinstance(ear, ears.WhisperEar):
        assert heard == Heard()
    else:  # it has no detector of voices: its few words are all that it can invent
        assert set(heard.text.split()) <= {word for each in EXPECTED for word in each.lower().split()}


@pytest.mark.skipif(not has_speech(), reason="espeak-ng is not installed")
def test_a_sentence_is_heard_at_any_rate() -> None:
    for package in ears.PACKAGES["whisper"]:
        pytest.importorskip(package)
    ear = open_ear(SpeechConfig("whisper"))
    pcm = spoken("put it in the bowl")
    heard = ear.hear(pcm, RATE)
    assert heard.text.lower() == "put it in the bowl"
    assert 0.4 < heard.confidence <= 1.0
    assert ear.hear(np.repeat(pcm, 3), 3 * RATE).text.lower() == "put it in the bowl"


# -- the process -----------------------------------------------------------------------------------------------------


class Counting:
    """Says how many samples it was given."""

    def hear(self, pcm: NDArray[np.int16], rate: int) -> Heard:
        as_sound(pcm, rate)
        return Heard(f"{len(pcm)} samples", 0.5)


def answers(requests: bytes, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setattr(ear_process, "open_ear", lambda config: Counting())
    told = io.BytesIO()
    ear_process.run(
        io.BytesIO(json.dumps(ear_process.to_json(SpeechConfig("whisper"))).encode() + b"\n" + requests), told
    )
    return [json.loads(line) for line in told.getvalue().splitlines()]


def asked(pcm: bytes, rate: int = RATE) -> bytes:
    return json.dumps({"rate": rate, "bytes": len(pcm)}).encode() + b"\n" + pcm


def test_each_sound_has_one_answer_also_a_bad_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = b"\n\x00" * 100
    told = answers(asked(pcm) + asked(pcm, 5) + asked(pcm[:-1]) + asked(b""), monkeypatch)
    assert told[0] == {"ready": True}
    assert told[1]["text"] == "100 samples"
    assert "rate" in told[2]["error"]
    assert [each["text"] for each in told[3:]] == ["99 samples", "0 samples"]


@pytest.mark.parametrize("rest", [b"nonsense\n", b"{}\n", b'{"rate": 16000, "bytes": 99999999}\n', b"\xff\n"])
def test_what_cannot_be_understood_ends_it(rest: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answers(rest + asked(b""), monkeypatch) == [{"ready": True}]


def test_a_sound_that_is_cut_off_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answers(asked(b"1234")[:-1], monkeypatch) == [{"ready": True}]


def test_settings_without_a_recogniser_are_told() -> None:
    told = io.BytesIO()
    ear_process.run(io.BytesIO(b'{"recogniser": "none"}\n'), told)
    assert "allowed for this machine" in json.loads(told.getvalue())["error"]
