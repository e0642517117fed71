"""Settings of who understands sentences."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_rlhf.errors import ConfigError, UnknownNameError
from robot_rlhf.language.choice import LANGUAGES
from robot_rlhf.models.endpoint import EndpointConfig
from robot_rlhf.naming import OWN, is_own

BESIDE_THE_LOOP = EndpointConfig(tries=1, request_seconds=10.0, total_seconds=86_400.0)
"""An answer that comes late is worth little, and a session may last a day."""
INTERPRETERS = ("grammar", "deaf")


@dataclass(frozen=True)
class LanguageConfig:
    """Who understands what people say to the robot, and in which languages."""

    interpreter: str = "grammar"
    """grammar: tables of words, with what the operator explained before them; deaf: sentences are recorded, and do
    nothing; module:class or file.py:class of your own (ports.Interpreter), made without arguments."""
    languages: tuple[str, ...] = ("en",)
    """Of the grammar, tried in this order: en, de, es."""
    names: str = ""
    """Who finds out which thing a name means that no table has: nobody while empty; minilm or minilm:FOLDER, with the
    extra [language]; or a CLIP, as a file of `robot-rlhf reward clip`."""
    endpoint: EndpointConfig = field(default_factory=lambda: BESIDE_THE_LOOP)
    """A chat model that is asked about what was not understood, beside the loop; nobody while `model` is empty."""

    def __post_init__(self) -> None:
        if self.interpreter not in INTERPRETERS and not is_own(self.interpreter):
            raise UnknownNameError("language.interpreter", self.interpreter, (*INTERPRETERS, OWN))
        if not self.languages:
            raise ConfigError(f"language.languages: got none, allowed: one or more of {', '.join(LANGUAGES)}")
        for language in self.languages:
            if language not in LANGUAGES:
                raise UnknownNameError("language.languages", language, LANGUAGES)
