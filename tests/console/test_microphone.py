"""The microphone: what a page may send, in which order, and that sound becomes a sentence by the real console."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("nicegui", reason="the console needs the extra 'console'")

from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from benchmarks.browser import CHROMIUM
from benchmarks.browser import browser as chromium
from robot_rlhf.console import listener as listener_module
from robot_rlhf.console.desk import Visitor
from robot_rlhf.console.listener import DeafError, Listener
from robot_rlhf.console.microphone import MAX_SOUND, WAITING, Microphone, parse
from robot_rlhf.datatypes import Sentence
from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.language.ears import RATE, Heard, SpeechConfig, check_speech
from tests.console.fake_session import FakeSession
from tests.console.test_server import Page, come_in, open_socket
from tests.draws import draws
from tests.speech import has_speech, spoken
from tests.waits import CEILING, until

BEGIN = json.dumps({"say": "begin", "rate": RATE, "ago": 0.25})
END, CANCEL = '{"say": "end"}', '{"say": "cancel"}'

# -- what a page says ------------------------------------------------------------------------------------------------

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["say", "rate", "ago", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@draws(200)
@given(st.text() | json_like.map(json.dumps) | st.just('{"say": "begin", "rate": 1e999}'))
def test_whatever_text_comes_is_read_or_refused(text: str) -> None:
    try:
        said = parse(text)
    except InvalidValueError:
        return
    assert said["say"] in ("begin", "end", "cancel")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"say": "begin"}',
        '{"say": "begin", "rate": 96000}',
        '{"say": "begin", "rate": true}',
        '{"say": "begin", "rate": 16000, "ago": NaN}',
        '{"say": "begin", "rate": 16000, "ago": -1}',
        "[" * 900,
        " " * 2000,
    ],
)
def test_a_wrong_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse(text)


# -- one page's microphone, without sockets --------------------------------------------------------------------------


@dataclass
class Room:
    """Stands for socket, desk and recogniser of one page, and the clock."""

    coming: list[str | bytes]
    heard: Heard = field(default_factory=lambda: Heard("go left", 0.9))
    sits: bool = True
    deaf: str = ""
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    sounds: list[bytes] = field(default_factory=list[bytes])
    said: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    now: float = 100.0

    async def receive(self) -> dict[str, Any]:
        if not self.coming:
            for _ in range(20):
                await asyncio.sleep(0)
            return {"type": "websocket.disconnect"}
        message = self.coming.pop(0)
        self.now += 0.1
        return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))

    async def hear(self, pcm: bytes, rate: int) -> Heard:
        self.sounds.append(pcm)
        await asyncio.sleep(0)
        if self.deaf:
            raise DeafError(self.deaf)
        return self.heard

    def speak(self, visitor: Visitor, text: str, seconds_ago: float) -> None:
        self.said.append((text, seconds_ago))

    def live(self) -> list[str]:
        """Until the page is gone; the states that it was told."""
        desk = type("Desk", (), {"sits": lambda _, visitor: self.sits, "speak": lambda _, *a: self.speak(*a)})()
        page = Microphone(
            cast("Any", self), Visitor("1", "me"), cast("Any", desk), cast("Any", self), 0.5, lambda: self.now
        )
        asyncio.run(page.serve())
        return [each["state"] for each in self.told]

    @property
    def why(self) -> str:
        return next(each["why"] for each in self.told if "why" in each)


def test_what_is_heard_is_told_first_and_is_a_sentence_since_the_key_went_down() -> None:
    room = Room([BEGIN, b"ab" * 100, b"cd" * 100, END])
    assert room.live() == ["listening", "understanding", "heard"]
    assert room.sounds == [b"ab" * 100 + b"cd" * 100]
    assert room.said == [("go left", pytest.approx(0.25 + 0.3))]


def test_what_is_heard_unsurely_is_shown_and_not_said() -> None:
    room = Room([BEGIN, b"ab", END], heard=Heard("go lift", 0.3))
    assert room.live() == ["listening", "understanding", "unsure"]
    assert room.told[-1]["text"] == "go lift"
    assert room.said == []


def test_no_words_and_no_recogniser_are_said_in_words() -> None:
    room = Room([BEGIN, b"ab", END], heard=Heard())
    assert room.live() == ["listening", "understanding", "nothing"]
    assert "no words" in room.why
    room = Room([BEGIN, b"ab", END, BEGIN], deaf="it died")
    assert sorted(room.live()) == sorted(["listening", "understanding", "refused", "listening"])
    assert room.why == "it died"


def test_who_only_watches_is_not_listened_to() -> None:
    room = Room([BEGIN, b"ab", b"ab", END], sits=False)
    assert room.live() == ["refused"]
    assert "seat" in room.why
    assert room.sounds == []


@pytest.mark.parametrize(
    ("coming", "part"),
    [
        ([b"ab"], "begin"),
        ([END], "begin"),
        ([BEGIN, CANCEL, END], "begin"),
        ([BEGIN, b"abc", b"ab", END], "16 bits"),
        ([BEGIN, b"a" * (MAX_SOUND + 2), END], "16 bits"),
        ([BEGIN, *[b"ab" * 16_000] * 16, END], "15 s"),
        ([BEGIN, "nonsense", END], "JSON"),
    ],
)
def test_what_is_out_of_order_or_too_much_is_refused_once_and_not_heard(coming: list[str | bytes], part: str) -> None:
    room = Room([*coming, BEGIN, b"ok", END])
    states = room.live()
    assert states.count("refused") == 1
    assert part in room.why
    assert room.sounds == [b"ok"], "the next sentence is heard"


def test_a_flood_is_told_of_once_and_the_memory_stays_small() -> None:
    room = Room([BEGIN, *[b"ab"] * 3_000])
    room.now, clock = 0.0, [0.0]

    async def frozen() -> dict[str, Any]:
        message = await Room.receive(room)
        room.now = clock[0]
        return message

    room.receive = frozen  # type: ignore[method-assign]
    assert room.live() == ["listening", "refused"]


def test_sentences_wait_for_each_other_and_more_are_refused() -> None:
    class Slow(Room):
        async def hear(self, pcm: bytes, rate: int) -> Heard:
            self.sounds.append(pcm)
            await asyncio.Event().wait()
            return Heard()

    room = Slow([BEGIN, b"ab", END] * (WAITING + 1))
    assert room.live().count("refused") == 1
    assert "wait" in room.why


# -- the recogniser's process ----------------------------------------------------------------------------------------


def test_a_recogniser_that_cannot_be_loaded_says_why() -> None:
    async def ask() -> None:
        listener = Listener(SpeechConfig("none"))
        await listener.load()
        with pytest.raises(DeafError, match="allowed for this machine"):
            await listener.hear(b"", RATE)
        await listener.close()

    asyncio.run(ask())


@pytest.fixture(scope="module")
def whisper() -> SpeechConfig:
    """Skips without the extra, or without a voice."""
    if not has_speech():
        pytest.skip("espeak-ng is not installed")
    config = SpeechConfig("whisper", sure=0.3)
    try:
        check_speech(config)
    except ConfigError as missing:
        pytest.skip(str(missing))
    return config


def test_a_recogniser_that_died_is_started_again(whisper: SpeechConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    for patience in ("LOADS", "ANSWERS"):
        monkeypatch.setattr(listener_module, patience, CEILING)

    async def ask() -> None:
        listener = Listener(whisper)
        pcm = spoken("stop").tobytes()
        assert (await listener.hear(pcm, RATE)).text.lower().startswith("stop")
        assert listener._process is not None
        listener._process.kill()
        try:
            heard = await listener.hear(pcm, RATE)
        except DeafError:
            heard = await listener.hear(pcm, RATE)
        assert heard.text.lower().startswith("stop")
        assert listener.starts == 2
        await listener.close()

    asyncio.run(ask())


# -- the real console ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(whisper: SpeechConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSession]:
    folder = tmp_path_factory.mktemp("microphone") / "journal"
    with FakeSession(folder, size=64, time_limit=100_000, speech=whisper) as session:
        yield session


@pytest.fixture(scope="module")
def operator(session: FakeSession) -> Iterator[str]:
    """Cookie of the first visitor, who has the seat as long as the page is open."""
    cookie = come_in(session)
    page = Page(session, cookie)
    yield cookie
    page.close()


def last(socket: ClientConnection) -> dict[str, Any]:
    """What became of a sentence."""
    while True:
        told = json.loads(socket.recv(timeout=CEILING))
        if told["state"] not in ("listening", "understanding"):
            return told


def say(
    session: FakeSession, socket: ClientConnection, sound: bytes, piece: int = 3_200
) -> tuple[float, dict[str, Any]]:
    """When it began, and what became of it."""
    began = session.clock.now()
    socket.send(json.dumps({"say": "begin", "rate": RATE, "ago": 0.0}))
    for at in range(0, len(sound), piece):
        socket.send(sound[at : at + piece])
    socket.send(END)
    return began, last(socket)


def sentences(session: FakeSession) -> list[Sentence]:
    return [each for _, human in list(session.inputs) if human is not None for each in human.sentences]


def test_the_microphone_is_behind_the_gate(session: FakeSession, operator: str) -> None:
    for cookie, headers in (("", {}), (operator + "0", {}), (operator, {"origin": "http://evil.example"})):
        with pytest.raises(InvalidStatus) as refused:
            open_socket(session, "speech", cookie, **headers)
        assert refused.value.response.status_code == 403


def test_a_sound_becomes_a_sentence(session: FakeSession, operator: str) -> None:
    pcm = spoken("put it in the bowl").tobytes()
    with open_socket(session, "speech", operator) as socket:
        pressed, told = say(session, socket, pcm)
        assert told["text"].lower() == "put it in the bowl"
        until(lambda: sentences(session))
    (sentence,) = sentences(session)
    assert sentence.text.lower() == "put it in the bowl"
    assert abs(sentence.began - pressed) < 0.5, "it began when the key went down, not when it was understood"


def test_noise_silence_and_nonsense_are_answered_in_words(session: FakeSession, operator: str) -> None:
    before = len(sentences(session))
    noise = np.random.default_rng(0).integers(-32768, 32767, 50_000).astype(np.int16).tobytes()
    with open_socket(session, "speech", operator) as socket:
        for sound in (noise, bytes(100_000), b""):
            assert say(session, socket, sound, MAX_SOUND)[1]["state"] == "nothing"
    with open_socket(session, "speech", come_in(session)) as socket:
        socket.send(BEGIN)
        assert "seat" in last(socket)["why"]
    assert len(sentences(session)) == before


# -- in the browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def talker(session: FakeSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page in a browser whose microphone says the same again and again."""
    pytest.importorskip("playwright.sync_api", reason="pages are looked at with playwright")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM} (apt install chromium)")
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(spoken("open the drawer").tobytes())
    arguments = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with chromium(*arguments, f"--use-file-for-fake-audio-capture={path}") as browser:
        page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
        page.set_default_timeout(1e3 * CEILING)
        page.wrong = []
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.goto(session.open_address)
        page.wait_for_selector("#drive:not([data-look=lost])")
        page.wait_for_function("window.console_rlhf.ready")
        if page.get_attribute("#drive", "data-seat") != "1":
            page.click("[data-press=take-seat]")
        page.wait_for_selector("#drive[data-seat='1']")
        yield page


IN_SIGHT = """(id) => {
  const e = document.getElementById(id), r = e.getBoundingClientRect();
  const top = (x, y) => document.elementFromPoint(r.left + x * r.width, r.top + y * r.height);
  return [[.1, .2], [.5, .5], [.9, .8]].every(([x, y]) => e.contains(top(x, y)));
}"""


def dictate(talker: Any) -> str:
    """Hold the key for 3 s; what became of it."""
    talker.keyboard.down("y")
    talker.wait_for_selector("#d-hears[data-state=listening]:visible")
    assert talker.evaluate(IN_SIGHT, "d-hears"), "what is told of the microphone can be seen"
    talker.wait_for_timeout(3_000)
    talker.keyboard.up("y")
    ends = "['heard', 'unsure', 'nothing', 'refused']"
    told = talker.wait_for_function(
        f"() => {ends}.includes(document.getElementById('d-hears').dataset.state)"
        " && document.getElementById('d-hears').dataset.state"
    )
    return told.json_value()


def test_the_key_held_says_what_the_microphone_hears(session: FakeSession, talker: Any) -> None:
    before = len(sentences(session))
    talker.wait_for_selector("#d-dictate:not([disabled])")
    state = dictate(talker)
    for _ in range(4):
        if state == "nothing":  # a busy machine lost sound
            state = dictate(talker)
    assert "drawer" in talker.text_content("#d-hears-words").lower()
    if state == "unsure":
        assert "drawer" in talker.input_value("#d-text").lower()
    else:
        until(lambda: len(sentences(session)) > before)
        assert "drawer" in sentences(session)[-1].text.lower()
        talker.wait_for_function("document.querySelector('#d-said').textContent.toLowerCase().includes('drawer')")
    assert talker.wrong == []


def test_a_key_that_is_only_tapped_says_nothing(session: FakeSession, talker: Any) -> None:
    before = len(sentences(session))
    talker.keyboard.press("y")
    talker.wait_for_selector("#d-hears[data-state=nothing]:visible")
    assert "hold the key" in talker.inner_text("#d-hears-words")
    assert len(sentences(session)) == before


def test_over_plain_http_the_button_says_what_the_browser_keeps_back(session: FakeSession, talker: Any) -> None:
    context = talker.context.browser.new_context()
    context.set_default_timeout(1e3 * CEILING)
    context.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false});")
    page = context.new_page()
    page.goto(session.open_address)
    page.wait_for_selector("#d-dictate[disabled]")
    assert "https" in page.get_attribute("#d-dictate", "title")
    context.close()


def test_y_in_the_field_is_a_letter(talker: Any) -> None:
    talker.fill("#d-text", "")
    talker.focus("#d-text")
    talker.keyboard.type("yes")
    assert talker.input_value("#d-text") == "yes"
    talker.fill("#d-text", "")
    talker.keyboard.press("Escape")
