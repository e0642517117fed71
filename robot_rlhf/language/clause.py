"""What one clause means: its signs, read with their polarity, amount and frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from robot_rlhf.language.vocabulary import Sign
from robot_rlhf.meaning import LONGEST, MOVES, OPPOSITE, PACES, SPEEDS, TURNS, WIDEST, Frame, Meaning

SMALL, USUAL, LARGE = 0.02, 0.04, 0.08
"""Of a motion, m: 'a bit', without an amount, 'a lot'."""
SMALL_TURN, LARGE_TURN = math.radians(5.0), math.radians(30.0)
SMALL_PACE, LARGE_PACE = 0.75, 0.35
"""Factors for slower; faster has their inverse."""
_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "": 0.01}
_MODIFIES = frozenset({"amount", "it", "who", "word"})
"""Roles that may stand between a verb and what it is about."""
CONTENT = ("move", "turn", "grip", "pace", "state")
"""Roles that say of themselves what to do."""
DRAWERS = frozenset({"drawer", "handle", "cabinet"})


@dataclass(frozen=True)
class Found:
    """A meaning, and where in the clause it was said."""

    at: int
    meaning: Meaning
    denied: bool = False
    """Whether it is the opposite of what was said not to be done."""


@dataclass(frozen=True)
class Carried:
    """What the clauses before leave for one that is joined to them."""

    flip: bool = False
    """What was said before was complained of or denied, and goes on."""
    denied: bool = False
    """It was denied."""
    unclear: bool = False
    """Nothing before could be told for sure."""
    turning: bool = False
    """The wrist was to turn."""
    near: Sign | None = None
    """The thing near which what follows holds."""
    always: bool = False


NOTHING = Carried()


class Clause:
    """The signs of one clause, of which some have been used."""

    def __init__(self, signs: Sequence[Sign], carried: Carried = NOTHING) -> None:
        self.signs = list(signs)
        self.used = [False] * len(self.signs)
        self.found: list[Found] = []
        self.vague: list[Meaning] = []
        """What it may have meant."""
        self.near = carried.near
        self.always = carried.always or self.has("rule", "always", "never")
        self._nots = sum(sign.role == "negate" and sign.value in ("not", "dont") for sign in self.signs)
        self._nots += self.has("rule", "never")
        self._nots += self.has("verb", "avoid") and not (self.has("named") or self.has("it"))
        self._forbids = self.has("negate", "dont") or self.has("rule", "never")
        self.told = self._statement()
        self._carried_flip = carried.flip and self._is_bare()
        self._carried_unclear = carried.unclear and self._is_bare()
        self.turning = carried.turning and not any(s.role in ("verb", "amount", "is", "who") for s in self.signs)
        """Whether left and right are turns, as those that were said before."""
        self._carried_denial = carried.denied and self._carried_flip

    # -- looking ---------------------------------------------------------------------------------------------------

    def has(self, role: str, *values: str) -> bool:
        return any(sign.role == role and (not values or sign.value in values) for sign in self.signs)

    def free(self, role: str, *values: str) -> Iterator[int]:
        """Places of signs that nobody has used."""
        for at, sign in enumerate(self.signs):
            if not self.used[at] and sign.role == role and (not values or sign.value in values):
                yield at

    def first(self, role: str, *values: str) -> int | None:
        return next(self.free(role, *values), None)

    def thing_after(self, at: int, over: frozenset[str] = _MODIFIES) -> int | None:
        """The next thing, or 'it', behind a place, with nothing of substance between them."""
        for there in range(at + 1, len(self.signs)):
            role = self.signs[there].role
            if not self.used[there] and role in ("named", "it"):
                named = self._named_right_after(there) if role == "it" else None
                return there if named is None else named
            if role not in over:
                return None
        return None

    def _named_right_after(self, at: int) -> int | None:
        """'it, the cube': the thing that is said again."""
        there = at + 1
        return there if there < len(self.signs) and self.signs[there].role == "named" else None

    def use(self, *places: int | None) -> None:
        for at in places:
            if at is not None:
                self.used[at] = True

    def add(self, at: int, meaning: Meaning, *, denied: bool = False) -> None:
        self.found.append(Found(at, meaning, denied))

    @property
    def unknown(self) -> int:
        return sum(sign.role == "unknown" for sign in self.signs)

    # -- polarity --------------------------------------------------------------------------------------------------

    def _statement(self) -> str:
        """Of what it says how it is: 'you' for the robot, 'it', 'named', 'unknown'; empty where it says what to do."""
        first = next((at for at, sign in enumerate(self.signs) if sign.role in CONTENT), len(self.signs))
        if any((sign.role, sign.value) == ("is", "need") for sign in self.signs[:first]):
            return ""
        for before, sign, after in zip(self.signs, self.signs[1:], [*self.signs[2:], None], strict=False):
            if before.role in CONTENT:
                break
            if sign.role == "is":
                if before.role == "who" and before.value in ("you", "robot"):
                    return "you"
                if before.role == "unknown":  # "the server is up": whatever that is
                    return "unknown"
                if before.role in ("it", "named"):  # "it keeps going left": the robot does
                    return "you" if before.role == "it" and after is not None and after.role == "verb" else before.role
        return ""

    def _is_bare(self) -> bool:
        """Whether it goes on with what was said before: no verb, amount or negation of its own."""
        return not any(sign.role in ("verb", "negate", "amount", "is", "who") for sign in self.signs)

    @property
    def is_denied(self) -> bool:
        """Whether it says what is not to be done."""
        return self._nots % 2 == 1

    @property
    def is_called_wrong(self) -> bool:
        """Whether a direction is: 'left is wrong'."""
        roles = [(sign.role, sign.value) if sign.role in ("is", "verdict") else (sign.role, "") for sign in self.signs]
        wrong = ("verdict", "bad")
        return ("move", "") in roles and wrong in roles and roles.index(("move", "")) < roles.index(wrong)

    @property
    def leaves(self) -> Carried:
        """For a bare clause joined to it by 'and' or 'or'."""
        unclear = self._carried_unclear or (bool(self.vague) and not self.found)
        turning = any(each.meaning.reading in TURNS for each in self.found)
        return Carried(self.leaves_flip, self.leaves_denial, unclear=unclear, turning=turning)

    @property
    def leaves_denial(self) -> bool:
        """Whether that polarity is one of denial."""
        return self._carried_denial or (self.is_denied and self.leaves_flip)

    @property
    def leaves_flip(self) -> bool:
        """Whether a bare clause joined by 'and' shares its polarity."""
        return self._carried_flip or self.flips("move") is True

    def flips(self, role: str) -> bool | None:
        """Whether the opposite is meant of what is said; None where that cannot be told."""
        if self._carried_unclear:
            return None
        too, drift = self.has("negate", "too"), self.has("negate", "drift")
        enough = self.has("negate", "enough")
        if self.has("negate", "short") or (self._nots and enough):
            return False
        if enough:
            return None
        if self._nots == 1 and too:  # "not too fast" is advice; "not too far left" may be praise
            return True if self._forbids or role in ("state", "pace", "grip") else None
        told = self.told == "you" and role in ("move", "state", "pace", "turn")
        times = self._nots + self.has("negate", "less") + (too or told or (drift and not self._nots))
        times += self.is_called_wrong and role in ("move", "turn", "state")
        return bool((times + self._carried_flip) % 2)

    # -- amounts and frames ----------------------------------------------------------------------------------------

    def amount(self, reading: str) -> float | None:
        """How far, for the first amount of the clause that says so."""
        for sign in self.signs:
            if sign.role == "amount" and (measured := _amount(sign, reading)) is not None:
                return measured
        return None

    def frame(self, at: int) -> Frame:
        before = self.signs[at - 1] if at else None
        if before is not None and before.role == "frame" and before.value == "base":
            return "base"
        for sign in self.signs:
            if sign.role == "frame" and (sign is before or " " in sign.text):
                return "base" if sign.value == "base" else "tool" if sign.value == "tool" else "view"
        return "view"

    def plain(self, at: int, reading: str, role: str) -> None:
        """A reading that is as said, or the opposite."""
        self.use(at)
        flip = self.flips(role)
        if flip is None:
            self.vague += [Meaning(reading), Meaning(OPPOSITE[reading])]
            return
        reading = OPPOSITE[reading] if flip else reading
        frame: Frame = self.frame(at) if reading in MOVES else "view"
        amount = self.amount(reading) if reading in (*MOVES, *TURNS, *SPEEDS) else None
        meaning = Meaning(reading, amount, frame)
        denied = flip and (self.is_denied or self._carried_denial) and role in ("move", "turn", "grip")
        self.add(at, meaning, denied=denied)


def gripping(meaning: Meaning) -> Meaning:
    """With the skill that goes with it."""
    return replace(meaning, skill=meaning.reading)


def _amount(sign: Sign, reading: str) -> float | None:
    if reading in MOVES:
        if sign.value in ("small", "large"):
            return SMALL if sign.value == "small" else LARGE
        return min(sign.number * _METRES[sign.value], LONGEST) if sign.value in _METRES else None
    if reading in TURNS:
        if sign.value in ("small", "large"):
            return SMALL_TURN if sign.value == "small" else LARGE_TURN
        return min(math.radians(sign.number), WIDEST) if sign.value in ("degree", "") else None
    if sign.value in ("small", "large"):
        factor = SMALL_PACE if sign.value == "small" else LARGE_PACE
        return factor if reading == "slower" else 1.0 / factor
    if sign.value == "percent":
        factor = 1.0 + sign.number / 100.0 * (1.0 if reading == "faster" else -1.0)
        return min(max(factor, PACES[0]), PACES[1])
    return None
