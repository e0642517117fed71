"""A session in a real browser, taught by sentences alone: what a simulated speaker says is typed, or spoken.

    python -m benchmarks.typed                                  pick_cube, 2 demonstrations, 2,000 steps, 60 sentences
    python -m benchmarks.typed --task push --steps 6000
    python -m benchmarks.typed --interpreter deaf               the same, nothing of it understood
    python -m benchmarks.typed --voice en-us                    the same by voice: espeak-ng into the page's microphone

The speaker looks at the recorded state, as somebody at the robot would; what they say goes through the page's text
field, the console, the loop, the journal and the learner's process. Nobody drives after the demonstrations. Success is
that of the session's own final evaluation, unaided. By voice the key to talk is held while the sound plays into what
the page takes for a microphone; whisper understands it on this machine, and what it is not sure of is lost. Results are
appended to benchmarks/results/console.jsonl.
"""

from __future__ import annotations

import argparse
import base64
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.browser import LiveSession, browser, open_console
from benchmarks.console import report
from robot_rlhf.datatypes import EpisodeEnd, EpisodeKind, Feedback, FeedbackKind, Step
from robot_rlhf.journal.decoder import EpisodeStarted
from robot_rlhf.journal.reader import JournalTail, read_journal
from robot_rlhf.people.speaker import SPEAKERS, SimulatedSpeaker
from robot_rlhf.run.build import open_place
from robot_rlhf.run.settings import defaults_for
from robot_rlhf.timing import FakeClock
from tests.speech import spoken

LOOK_EVERY = 0.05


MICROPHONE = """() => {
    const context = new AudioContext({sampleRate: 16000});
    const out = context.createMediaStreamDestination();
    navigator.mediaDevices.getUserMedia = async () => out.stream;
    window.say_aloud = async (encoded) => {
        const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
        const pcm = Float32Array.from(new Int16Array(bytes.buffer), (v) => v / 32768);
        const buffer = context.createBuffer(1, pcm.length, 16000);
        buffer.copyToChannel(pcm, 0);
        const source = context.createBufferSource();
        source.buffer = buffer;
        source.connect(out);
        await context.resume();
        window.console_microphone.talk(true);
        await new Promise((done) => setTimeout(done, 250));
        await new Promise((done) => { source.onended = done; source.start(); });
        await new Promise((done) => setTimeout(done, 150));
        window.console_microphone.talk(false);
    };
}"""
"""What the page takes for a microphone."""


class Typist:
    """Tells the speaker what is recorded, and types what they say."""

    def __init__(self, page: Any, journal: Path, speaker: SimulatedSpeaker, voice: str) -> None:
        self._page = page
        self._voice = voice
        self._tail = JournalTail(journal, pictures=False)
        self._speaker = speaker
        self._practises = False
        self.typed: list[str] = []

    def tick(self) -> None:
        """Look at what is new, and type what is to be said."""
        for record in self._tail.poll():
            if isinstance(record, EpisodeStarted):
                self._practises = record.meta.kind is EpisodeKind.PRACTICE
                if self._practises:
                    self._speaker.on_episode_start(record.meta, record.observation)
            elif isinstance(record, Step) and self._practises:
                self._speaker.on_step(record)
            elif isinstance(record, EpisodeEnd) and self._practises:
                self._speaker.on_episode_end(record)
                continue
            if self._practises and isinstance(record, EpisodeStarted | Step):
                human = self._speaker.read()
                for sentence in human.sentences if human else ():
                    self._type(sentence.text)

    def _type(self, text: str) -> None:
        self.typed.append(text)
        if not self._voice:
            self._page.fill("#d-text", text)
            self._page.press("#d-text", "Enter")
            return
        sound = base64.b64encode(spoken(text, voice=self._voice).tobytes()).decode()
        self._page.evaluate("(sound) => { window.say_aloud(sound); }", sound)  # nobody waits for the end of it


def read_events(journal: Path) -> list[Feedback]:
    """All that was said and judged in a session, in order."""
    return [record for record in read_journal(journal, pictures=False) if isinstance(record, Feedback)]


def taught(options: argparse.Namespace, out: Path) -> dict[str, Any]:
    """One session; returns what it came to."""
    place = open_place(replace(defaults_for(options.task), seed=options.seed), FakeClock(), cameras=False)
    said = replace(SPEAKERS[options.speaker], budget=options.sentences)
    speaker = place.speaker(replace(said, per_word=0.0) if options.voice else said)  # the sound takes its own time
    settings = (
        *("--task", options.task, "--seed", str(options.seed), "--steps", str(options.steps)),
        *("--demonstrations", "2", "--demonstrator", "clumsy", "--operator", "Ada", "--video-episodes", "0"),
        *("--evaluation.final-episodes", str(options.episodes), "--language.interpreter", options.interpreter),
        *("--console.port", "0", "--console.speech.recogniser", "whisper" if options.voice else "none"),
    )
    with LiveSession(out, settings) as session, browser() as chromium:
        page = open_console(chromium, session.address)
        if options.voice:
            page.evaluate(MICROPHONE)
        typist = Typist(page, session.journal, speaker, options.voice)
        while session.process.poll() is None and not (session.folder / "summary.json").exists():
            typist.tick()
            time.sleep(LOOK_EVERY)
        session.process.wait(timeout=600.0)
        summary = session.summary()
        heard = [e.text for e in read_events(session.journal) if e.kind is FeedbackKind.CORRECTION]
    names = ("eval_successes", "eval_episodes", "sentences", "speaking_seconds", "spoken_steps", "hands_on_seconds")
    more = ("human_steps", "env_steps", "episodes", "updates", "period_p50_ms", "period_p99_ms", "wall_s")
    return {
        "what": "typed sentences in a browser",
        "task": options.task,
        "seed": options.seed,
        "interpreter": options.interpreter,
        "speaker": options.speaker,
        "voice": options.voice,
        "said": typist.typed,
        "heard": heard,
        **{name: summary[name] for name in (*names, *more)},
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="pick_cube")
    parser.add_argument("--speaker", default="clear", choices=tuple(SPEAKERS))
    parser.add_argument("--seed", type=int, default=200)
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--sentences", type=int, default=60)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--interpreter", default="grammar")
    parser.add_argument("--voice", default="", help="of espeak-ng, as en-us; nothing types")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        report(taught(options, Path(folder)))


if __name__ == "__main__":
    main()
