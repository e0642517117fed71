"""Who listens at a robot, by a run's settings."""

from __future__ import annotations

from robot_rlhf.facts import FactBook, book_of
from robot_rlhf.language.choice import StopWords, grammar_of, make_interpreter
from robot_rlhf.language.endpoint import ModelInterpreter
from robot_rlhf.language.interpreter import Deaf, FirstToUnderstand
from robot_rlhf.language.lexicon import Lexicon
from robot_rlhf.language.likeness import likeness_of
from robot_rlhf.language.settings import LanguageConfig
from robot_rlhf.language.wanted import Wanted
from robot_rlhf.models.endpoint import ChatEndpoint
from robot_rlhf.naming import make_part
from robot_rlhf.place import Place
from robot_rlhf.ports import Interpreter
from robot_rlhf.runtime.listening import Listening
from robot_rlhf.runtime.standing import StandingSentences


def open_interpreter(config: LanguageConfig, lexicon: Lexicon, facts: FactBook) -> Interpreter:
    """Who understands sentences.

    Args:
        lexicon: words that the operator explained, which come first, but for words to stop.
        facts: of the place, whose names are looked at before anything is said.

    Raises:
        ConfigError: one of one's own that cannot be made; a package or file that is not there.
    """
    if config.interpreter == "deaf":
        return Deaf()
    if config.interpreter == "grammar":
        likeness = likeness_of(config.names) if config.names else None
        if likeness is not None:
            likeness.prepare(facts.things.values())
        return make_interpreter(config.languages, lexicon, likeness=likeness)
    own = make_part(config.interpreter, "language.interpreter", Interpreter)
    return FirstToUnderstand([StopWords([grammar_of(name) for name in config.languages]), lexicon, own])


def open_listening(config: LanguageConfig, place: Place) -> Listening:
    """What does what people say to the robot of a place.

    Raises: as open_interpreter.
    """
    facts, standing = book_of(place.task, place.spec), StandingSentences(place.spec)
    interpreter = open_interpreter(config, standing.lexicon, facts)
    second = ModelInterpreter(ChatEndpoint(config.endpoint), place.clock) if config.endpoint.model else None
    wanted = Wanted(config.languages, facts) if config.interpreter == "grammar" else None
    return Listening(interpreter, facts, place.spec, standing, second, wanted)
