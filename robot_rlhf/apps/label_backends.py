"""Who answers `robot-rlhf label`: a person at the terminal, the simulator's truth, ranked rules, or a model."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np

from robot_rlhf.apps.label_options import LabelOptions
from robot_rlhf.apps.terminal import HELP, TerminalPerson, open_window
from robot_rlhf.datatypes import Array, Segment
from robot_rlhf.errors import ConfigError
from robot_rlhf.models.chat import Chat, ReplayedChat, Transcript
from robot_rlhf.models.endpoint import ChatEndpoint
from robot_rlhf.ports import Labeler
from robot_rlhf.rewards.labelers.hindsight import Hindsight
from robot_rlhf.rewards.labelers.oracle import Oracle, gold_by_episode, usual_reward
from robot_rlhf.rewards.labelers.rules import RankedRules, deviations_of, factor
from robot_rlhf.rewards.labelers.vlm import VlmLabeler
from robot_rlhf.rewards.pairs import camera_of
from robot_rlhf.run.screen import screen
from robot_rlhf.runtime.clips import JournalClips


@dataclass(frozen=True)
class Backend:
    """Who answers."""

    labeler: Labeler
    author: str
    detail: Callable[[], str] = str
    """What there is to say of it afterwards."""
    by_hand: bool = False
    """A person types; nothing else may write to the terminal."""


@contextmanager
def open_backend(
    options: LabelOptions, clips: JournalClips, segments: Sequence[Segment], gold: Mapping[str, Array]
) -> Iterator[Backend]:
    """Whom the options name, for as long as it is needed."""
    if options.labeler in ("terminal", "vlm"):
        camera_of(clips, segments[-1].episode_id, options.camera)
    with ExitStack() as stack:
        if options.labeler == "terminal":
            person = TerminalPerson(
                clips, options.recording / "pair.png", read=input, camera=options.camera, window=open_window()
            )
            stack.callback(person.close)
            screen().print(HELP, highlight=False)
            backend = Backend(person, options.author or getpass.getuser(), by_hand=True)
        elif options.labeler == "oracle":
            oracle = _oracle(options, gold)
            backend = Backend(oracle, oracle.author)
        elif options.labeler == "rules":
            factors = [factor(text) for text in options.factors]
            rules = RankedRules(clips, factors, deviations_of(clips, factors, segments))
            backend = Backend(rules, rules.author)
        else:
            backend = _vlm(options, clips)
        if options.hindsight:
            later = Hindsight(backend.labeler, clips, options.hindsight)
            backend = replace(backend, labeler=later, author=f"{backend.author} hindsight={options.hindsight}")
        yield backend


def _oracle(options: LabelOptions, gold: Mapping[str, Array]) -> Oracle:
    if not gold:
        raise ConfigError(f"{options.recording}: records no true reward; the oracle is for simulated sessions")
    rng = np.random.default_rng([options.seed, 1])
    return Oracle(gold_by_episode(gold), rng, options.oracle, usual=usual_reward(list(gold.values())))


def _vlm(options: LabelOptions, clips: JournalClips) -> Backend:
    chat: Chat
    endpoint = None
    if options.replay is not None:
        chat = ReplayedChat(options.replay)
    else:
        endpoint = ChatEndpoint(options.vlm)
        chat = Transcript(endpoint, options.transcript or options.recording / "vlm_transcript.jsonl")
    labeler = VlmLabeler(chat, clips, camera=options.camera, goal=options.goal, moments=options.moments)

    def detail() -> str:
        cost = "replayed" if endpoint is None else f"{endpoint.requests} requests, {endpoint.tokens} tokens"
        return f"{cost}, {labeler.unclear} unclear answers"

    return Backend(labeler, labeler.author, detail)
