"""The loop's side of sentences: what was understood is done with the next action, told, and taken back on a word.

Only what moves now is begun here at once. What stands is taken from events (runtime/standing.py).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robot_rlhf.datatypes import (
    Action,
    Button,
    EpisodeKind,
    EpisodeMeta,
    Feedback,
    FeedbackKind,
    HumanInput,
    Observation,
    RobotSpec,
    Segment,
    Sentence,
    whole_episode,
)
from robot_rlhf.facts import FactBook
from robot_rlhf.feedback.arbiter import Choice, Spoken
from robot_rlhf.language.all_along import meant_all_along
from robot_rlhf.language.endpoint import ModelInterpreter
from robot_rlhf.language.rules import cannot_hold
from robot_rlhf.language.wanted import Wanted
from robot_rlhf.meaning import (
    GRIPS,
    LEAVES_NO_TRACE,
    MOVES,
    OPPOSITE,
    SPEEDS,
    TURNS,
    UNKNOWN,
    Heard,
    Meaning,
    meanings_of,
    not_understood,
)
from robot_rlhf.ports import Director, Interpreter
from robot_rlhf.runtime.named_goals import NamedGoals
from robot_rlhf.runtime.overrides import Overrides
from robot_rlhf.runtime.standing import REMEMBERED, StandingSentences, Told, name_of

log = logging.getLogger(__name__)

STOOD_STILL = "the robot stood still"
"""Why a sentence moves nothing now, and is about what was."""
MEASURED, NEVER_BEGAN = "the policy is being measured", "the episode that it was meant for never began"
"""Why a sentence moves nothing, and is about nothing that was recorded: of it only rules and taking back count."""
CONTRADICTS_WITHIN = 2.0
"""Seconds within which the opposite of a motion means that the first was said, or heard, wrongly."""
BUTTONS: Mapping[str, Button] = {"stop": Button.STOP, "retry": Button.RESET}
"""Readings that press a button."""
JUDGEMENTS: Mapping[str, str] = {"good": "praise", "bad": "blame"}
"""Readings that judge what was just done, and what is done about them."""


@dataclass(frozen=True, eq=False)
class Moment:
    """In which a sentence reaches a running episode."""

    episode: str
    observation: Observation
    driven: bool
    """A person's hands are at it."""


@dataclass
class _Said:
    """A sentence, and what is done about it."""

    id: str
    heard: Heard
    doing: str
    why: str = ""
    undoes: str = ""
    by: str = ""
    vain: str = ""
    """Why it is about nothing that was recorded; empty where it may be."""
    goal: tuple[str, str] | None = None
    """Thing and place that are wanted since, where it named others than before."""
    goal_before: tuple[str, str] | None = None
    """What was wanted before it."""
    all_along: bool | None = None
    """They had been meant before, too; None where nothing can be said of what was before."""


class Listening:
    """Understands sentences, begins at once what they ask for, and says what it did."""

    def __init__(
        self,
        interpreter: Interpreter,
        facts: FactBook,
        spec: RobotSpec,
        standing: StandingSentences,
        second: ModelInterpreter | None = None,
        wanted: Wanted | None = None,
    ) -> None:
        """
        Args:
            facts: of the place.
            standing: to be told of everything that is told here, among the other subscribers.
            second: reads what was not understood, beside the loop; its answers come late.
            wanted: reads a sentence once more where somebody takes goals.
        """
        self.standing = standing
        self.second = second
        self._interpreter = interpreter
        self._wanted = wanted
        self._facts = facts
        self._spec = spec
        self._goals = NamedGoals()
        self._measured = False
        self._vain: dict[Sentence | str, str] = {}
        """Why sentences, and those of such a name, are about nothing that was recorded."""
        self._overrides = Overrides(spec, facts)
        self._read: dict[Sentence, Heard] = {}
        self._said: dict[Sentence, _Said] = {}
        self._newest: deque[tuple[float, str, Meaning]] = deque(maxlen=8)
        """Motions said last: when they were begun to be said, their sentence, and what they mean."""
        self._contradicted: deque[str] = deque(maxlen=8)
        self._answers: dict[int, _Said] = {}
        self._late: list[Feedback] = []
        self._pressing: deque[Feedback] = deque(maxlen=REMEMBERED)

    def steer(self, director: Director | None) -> None:
        """Goals are told to this director, where it takes any."""
        self._goals.steer(director)

    # -- hearing -------------------------------------------------------------------------------------------------

    def understand(self, human: HumanInput | None) -> HumanInput | None:
        """The same, with the buttons that its sentences and answers press: that comes before everything."""
        if human is None or not (human.sentences or human.feedback):
            return human
        fresh = [sentence for sentence in human.sentences if sentence not in self._read]
        meanings = [meaning for sentence in fresh for meaning in self._heard(sentence).meanings]
        pressed = {BUTTONS[meaning.reading] for meaning in meanings if _presses(meaning)}
        pressed |= {button for feedback in human.feedback for button in self._chosen(feedback)}
        return replace(human, buttons=human.buttons | pressed) if pressed else human

    def expect_nothing_of(self, sentence: Sentence | str, why: str) -> None:
        """A sentence, or one of this name, is about nothing that was recorded, and moves nothing; why, in words."""
        while len(self._vain) >= 2 * REMEMBERED:
            del self._vain[next(iter(self._vain))]
        self._vain[sentence] = why

    def attend(self, human: HumanInput, moment: Moment, about: Callable[[Sentence], Segment | None]) -> None:
        """Begin at once what sentences and answers ask for.

        Args:
            about: a sentence to the steps that it is about.
        """
        if moment.driven:
            self._overrides.clear()
        for sentence in human.sentences:
            span = about(sentence)
            over = span is not None and whole_episode(span.episode_id) != whole_episode(moment.episode)
            late = over and not self.orders(sentence)
            still = late or sentence in self._vain
            self._consider(sentence, None if still else moment, "about an episode that is over" if late else "")
        for feedback in human.feedback:
            if feedback.kind is FeedbackKind.MEANING:
                self._answer(feedback, moment)

    def attend_late(self, moment: Moment) -> None:
        """Take up what the model has answered since; only what it says at once may still move anything."""
        for answer in self.second.answers() if self.second else ():
            standing = self.standing.get(answer.sentence)
            if standing is None or standing.doing != "ask":
                continue  # taken back, or explained by the operator meanwhile
            vain = self._vain.get(answer.sentence, "")
            said = _Said(answer.sentence, answer.heard, "ask", answer.heard.why, by=answer.heard.by, vain=vain)
            if answer.heard.understood:
                may_move = answer.may_move and not moment.driven and _of(standing.feedback, moment)
                said.why = "" if may_move else "understood too late to move"
                self._decide(said, moment if may_move else None, standing.feedback.stamp)
            self._late.append(replace(_event(said, standing.feedback), stamp=moment.observation.stamp))

    def late(self) -> list[Feedback]:
        """What the model's answers have changed, to be told."""
        late, self._late = self._late, []
        return late

    def close(self) -> None:
        """Ask nobody any more."""
        if self.second is not None:
            self.second.close()

    @property
    def under_way(self) -> str:
        """The sentence that is being done; empty where none is."""
        return next(iter(self._overrides), "")

    def act(self, observation: Observation, proposed: Action | None) -> Spoken | None:
        """What sentences decide of the next action; None where nothing is under way."""
        return self._overrides.act(observation, proposed)

    def ruled(self, observation: Observation, action: Action, choice: Choice) -> Action:
        """What standing rules leave of an action that is about to be done; a person's hands are free."""
        return self.standing.rules.filter(observation, action, choice.driver, spoken=bool(choice.spoken))

    def begin(self, meta: EpisodeMeta) -> None:
        """An episode, or a part of one, begins: what was under way is over."""
        self.let_go()
        self._measured = meta.kind is EpisodeKind.EVALUATION
        if not meta.continues:  # the goal goes on with the next part
            self._goals.forget()

    def let_go(self) -> None:
        """Nothing that is under way goes on: nobody is there any more who could say to stop."""
        self._overrides.clear()

    # -- telling -------------------------------------------------------------------------------------------------

    def about(self, sentence: Sentence, correction: Feedback) -> list[Feedback]:
        """What was understood of a sentence, and what is done, as the events that are recorded with it."""
        said = self._said.pop(sentence, None) or self._consider(sentence, None, "")
        self._said.pop(sentence, None)
        said = self._named(said, correction.span.episode_id)
        if said.vain:
            self.expect_nothing_of(said.id, said.vain)
        if said.doing == "ask" and self.second is not None:
            refused = self.second.submit(said.id, sentence.text, self._facts)
            said.why = f"{said.why}; {refused or 'the model is asked'}" if said.why else refused
        events = [_event(said, correction)]
        undone = self.standing.get(said.undoes)
        if undone is not None:
            events.append(self._undone(said.undoes, undone, correction.author, correction.stamp))
        return events + self._withdrawn(correction)

    def answered(self, feedback: Feedback) -> list[Feedback]:
        """An operator's answer, or what they take back, as the event that stands; nothing where it is no answer."""
        said = self._answers.pop(id(feedback), None) or self._answer(feedback, None)
        self._answers.pop(id(feedback), None)
        if said is None:
            return []
        told = self.standing.get(said.id)
        about = feedback if told is None else replace(feedback, text=told.feedback.text)  # what was said stays so
        return [_event(said, about), *self._withdrawn(feedback)]

    def _withdrawn(self, of: Feedback) -> list[Feedback]:
        found: list[Feedback] = []
        for _ in range(len(self._contradicted)):
            sentence = self._contradicted.popleft()
            standing = self.standing.get(sentence)
            if standing is None:
                self._contradicted.append(sentence)  # said in this very period, and told before the next
            elif standing.doing not in LEAVES_NO_TRACE:
                said = _Said(
                    sentence,
                    Heard(standing.feedback.text, (UNKNOWN,), "grammar", standing.meanings, "the opposite was said"),
                    "ask",
                    "the opposite was said right after it",
                )
                found.append(replace(_event(said, standing.feedback), stamp=of.stamp))
        return found

    @staticmethod
    def _undone(sentence: str, of: Told, by: str, stamp: float) -> Feedback:
        payload: dict[str, Any] = {"sentence": sentence, "by": by, "meanings": [], "doing": "undone"}
        return replace(of.feedback, stamp=stamp, payload=payload)

    # -- deciding ------------------------------------------------------------------------------------------------

    def _heard(self, sentence: Sentence) -> Heard:
        if sentence not in self._read:
            while len(self._read) >= REMEMBERED:
                del self._read[next(iter(self._read))]
            heard = self._interpreter.read(sentence.text, self._facts)
            goal = self._wanted is not None and self._goals.goal is not None and heard.by != "lexicon"
            self._read[sentence] = self._wanted.read(heard) if self._wanted is not None and goal else heard
        return self._read[sentence]

    def orders(self, sentence: Sentence) -> bool:
        """Whether it was begun when the last episode was over, and says what to do with things, or what is wanted: that
        is meant for this one, however soon it comes, and no answer to what was seen."""
        heard = self._heard(sentence)
        asked = _asked(heard)  # "wrong one, the red one"
        asks = bool(asked) and heard.understood and all(m.skill or self._goals.takes(m) for m in asked)
        return asks and sentence.began >= self.standing.over_at and sentence not in self._vain

    def _consider(self, sentence: Sentence, moment: Moment | None, why: str) -> _Said:
        """Decide once what is done about a sentence, and begin it."""
        if sentence in self._said:
            return self._said[sentence]
        heard = self._heard(sentence)
        vain = self._vain.get(sentence, MEASURED if self._measured else "")
        said = _Said("", heard, "label", why, by=heard.by, vain=vain)
        if moment is not None:
            self._named(said, moment.episode)
        self._decide(said, moment, sentence.began)
        while len(self._said) >= REMEMBERED:
            del self._said[next(iter(self._said))]
        self._said[sentence] = said
        return said

    def _named(self, said: _Said, episode: str) -> _Said:
        said.id = said.id or self.standing.new_name(episode)
        return said

    def _decide(self, said: _Said, moment: Moment | None, began: float) -> None:
        heard = said.heard = self._about_something(said.heard)
        if not heard.understood:
            said.doing, said.why = "ask", heard.why
            return
        asked = _asked(heard)
        if not asked:  # "no, left": what is to be done counts before what was not good
            said.doing, said.why = (
                ("nothing", said.vain) if said.vain else (JUDGEMENTS[heard.meanings[0].reading], said.why)
            )
            return
        if any(_presses(meaning) for meaning in asked):
            said.doing = "button"
            return
        if any(meaning.reading == "undo" for meaning in asked):  # "scratch that, up": first this, then the rest
            said.undoes = self._last()
            self._take_back(said.undoes)
            asked = [meaning for meaning in asked if meaning.reading != "undo"]
        rules = [meaning for meaning in asked if meaning.reading == "rule"]
        now = [meaning for meaning in asked if meaning.reading != "rule"]
        if now:
            self._decide_now(said, now, moment, began)
        elif not rules:
            said.doing, said.why = ("undo", "") if said.undoes else ("nothing", "there is nothing to take back")
        if rules:
            stands = self._keep_rules(said, rules)
            if stands and (not now or said.doing == "nothing"):
                said.doing = "rule"  # it stands, whatever became of the rest
            elif not now:
                said.doing = "nothing"

    def _keep_rules(self, said: _Said, rules: Sequence[Meaning]) -> bool:
        """Of rules those that can hold; why others cannot is said. Returns whether there are any."""
        cannot = {rule: why for rule in rules if (why := self._unruly(rule))}
        left = tuple(meaning for meaning in said.heard.meanings if meaning not in cannot)
        if left:  # else it is all that was said
            said.heard = replace(said.heard, meanings=left)
        said.why = "; ".join(dict.fromkeys(why for why in (said.why, *cannot.values()) if why))
        return len(cannot) < len(set(rules))

    def _about_something(self, heard: Heard) -> Heard:
        """'Always from above' is about the one thing that can be grasped; of several one has to say which."""
        bare = [meaning for meaning in heard.meanings if meaning.rule == "from_above" and not meaning.thing]
        if not bare:
            return heard
        graspable = [name for name, thing in self._facts.things.items() if thing.graspable]
        if len(graspable) == 1:
            about = (replace(each, thing=graspable[0]) if each in bare else each for each in heard.meanings)
            return replace(heard, meanings=tuple(about))
        nearest = [replace(bare[0], thing=name) for name in graspable or self._facts.things]
        return not_understood(heard.text, cannot_hold(bare[0], self._spec.action), nearest)

    def _decide_now(self, said: _Said, asked: Sequence[Meaning], moment: Moment | None, began: float) -> None:
        """What is asked for at once, and no rule."""
        if said.vain:
            said.doing, said.why = "nothing", said.vain
            return
        goals = [meaning for meaning in asked if self._goals.takes(meaning)]
        if goals and moment is not None and self._name_goal(said, goals):
            whole = any(meaning.place for meaning in goals)  # "grab the red one and put it in the left bowl"
            rest = [each for each in asked if each not in goals or (each.skill == "grasp" and not whole)]
            if rest and said.doing == "goal" and not moment.driven:  # "the red one, and lift it"
                self._overrides.begin(said.id, rest, moment.observation)
        elif moment is None or moment.driven:
            said.doing = "label"
            said.why = said.why or ("" if moment is not None else STOOD_STILL)
        else:
            self._contradict(asked, began)
            said.doing, said.why = self._overrides.begin(said.id, asked, moment.observation)
            for meaning in asked:
                if meaning.reading in (*MOVES, *TURNS, *GRIPS, *SPEEDS):
                    self._newest.append((began, said.id, meaning))

    def _name_goal(self, said: _Said, goals: Sequence[Meaning]) -> bool:
        """Have something else be wanted; False where that is wanted already, and is asked to be done."""
        before = self._goals.goal
        said.why = self._goals.name(said.id, goals)
        said.doing = "nothing" if said.why else "goal"
        if said.why:
            return True
        if self._goals.goal == before and any(meaning.skill for meaning in goals):
            self._goals.take_back(said.id)
            return False
        if self._goals.goal != before:
            said.goal, said.goal_before = self._goals.goal, before
            all_along = meant_all_along(said.heard.text)
            if self._goals.retold:
                said.all_along = all_along
            elif all_along:
                said.why = "from now on: what this director would have said before is not known"
        return True

    def _unruly(self, rule: Meaning) -> str:
        """Why a rule cannot stand, in words; empty where it can."""
        return self._missing(rule) or cannot_hold(rule, self._spec.action)

    def _missing(self, meaning: Meaning) -> str:
        """Why a meaning has nothing to be about, in words; empty where it has."""
        wanted = [name for name in (meaning.thing, meaning.place) if name and name not in self._facts.things]
        return f"there is no {wanted[0].replace('_', ' ')} here" if wanted else ""

    def _take_back(self, sentence: str) -> None:
        """What a sentence set going ends."""
        self._overrides.cancel(sentence)
        self._goals.take_back(sentence)
        self._newest = deque((each for each in self._newest if each[1] != sentence), maxlen=self._newest.maxlen)

    def _contradict(self, meanings: Sequence[Meaning], began: float) -> None:
        """What is the opposite of what was just said takes that back: one of the two was a slip."""
        now = {meaning.reading for meaning in meanings}
        for at, sentence, meaning in self._newest:
            if began - at < CONTRADICTS_WITHIN and OPPOSITE.get(meaning.reading) in now:
                self._overrides.cancel(sentence)
                known = sentence in self.standing or any(said.id == sentence for said in self._said.values())
                if known and sentence not in self._contradicted:
                    self._contradicted.append(sentence)

    def _answer(self, feedback: Feedback, moment: Moment | None) -> _Said | None:
        """What an operator chose, or took back, on the page; None where it is neither."""
        if id(feedback) in self._answers:
            return self._answers[id(feedback)]
        payload = feedback.payload
        sentence, meanings = name_of(feedback), meanings_of(feedback)
        if not sentence or meanings is None:
            return None
        by = str(payload.get("by") or feedback.author)
        self._take_back(sentence)
        if payload.get("doing") == "undone" or not meanings:
            said = _Said(sentence, Heard(feedback.text, (), by), "undone", by=by)
        else:
            asked = self._answers_now(feedback)  # else somebody corrects what was, and nothing moves for that now
            told = self.standing.get(sentence)
            text = feedback.text if told is None else told.feedback.text
            vain = self._vain.get(sentence, "")
            said = _Said(sentence, Heard(text, meanings, by), "label", "" if asked else "corrected", by=by, vain=vain)
            self._decide(said, moment if asked else None, feedback.stamp)
        if moment is not None:
            self._answers[id(feedback)] = said
        return said

    def _chosen(self, feedback: Feedback) -> frozenset[Button]:
        """What an operator presses who answers what a sentence means; one that is read again, as it was kept, does not
        press again, but to stop."""
        if feedback.kind is not FeedbackKind.MEANING or feedback.payload.get("doing") != "ask":
            return frozenset()
        pressed = {BUTTONS[meaning.reading] for meaning in meanings_of(feedback) or () if _presses(meaning)}
        new = self._answers_now(feedback) and not any(each is feedback for each in self._pressing)
        self._pressing.append(feedback)
        return frozenset(pressed if new else pressed & {Button.STOP})

    def _answers_now(self, feedback: Feedback) -> bool:
        """Whether it answers a question that is still open."""
        if feedback.kind is not FeedbackKind.MEANING or feedback.payload.get("doing") != "ask":
            return False
        told = self.standing.get(name_of(feedback))
        return told is not None and told.doing == "ask"

    def _last(self) -> str:
        """The newest sentence that left a trace; empty where there is none."""
        taken_back = {said.undoes for said in self._said.values()}
        untold = (s.id for s in reversed(self._said.values()) if s.id and s.doing not in LEAVES_NO_TRACE)
        return next((name for name in (*untold, *self.standing.with_traces()) if name not in taken_back), "")


def _of(feedback: Feedback, moment: Moment) -> bool:
    """Whether it is about the episode that runs, or an earlier part of it."""
    return whole_episode(feedback.span.episode_id) == whole_episode(moment.episode)


def _asked(heard: Heard) -> list[Meaning]:
    """What is to be done of it, without what is only judged."""
    return [meaning for meaning in heard.meanings if meaning.reading not in JUDGEMENTS]


def _presses(meaning: Meaning) -> bool:
    """Whether it presses a button; to wait is a skill, and no stop that somebody has to release."""
    return meaning.reading in BUTTONS and not meaning.skill


def _event(said: _Said, about: Feedback) -> Feedback:
    """The event that tells what is done about a sentence. Args: about: the sentence, or an earlier such event."""
    payload: dict[str, Any] = {
        "sentence": said.id,
        "by": said.by or said.heard.by,
        "meanings": [meaning.to_json() for meaning in said.heard.meanings if meaning.reading != "unknown"],
        "doing": said.doing,
    }
    if said.why:
        payload["why"] = said.why
    if said.undoes:
        payload["undoes"] = said.undoes
    if said.goal is not None:
        payload["goal"] = list(said.goal)
    if said.goal_before is not None:
        payload["goal_before"] = list(said.goal_before)
    if said.all_along is not None:
        payload["all_along"] = said.all_along
    if said.doing == "ask":
        payload["nearest"] = [meaning.to_json() for meaning in said.heard.nearest]
    return Feedback(FeedbackKind.MEANING, about.author, about.stamp, about.span, text=about.text, payload=payload)
