"""A key is found in every form in which somebody may echo it, and nothing else is touched."""

from __future__ import annotations

import base64
import json
import string
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from robot_rlhf.models.secret import MASK, Secret
from tests.draws import draws

PRINTABLE = string.ascii_letters + string.digits + string.punctuation
KEYS = st.text(PRINTABLE, min_size=8, max_size=40)
AROUND = st.text(string.ascii_letters + " :,", max_size=9)


def escaped(key: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in key)


FORMS: dict[str, Callable[[str], str]] = {
    "itself": str,
    "in a URL": lambda key: urllib.parse.quote(key, safe=""),
    "in the path of a URL": urllib.parse.quote,
    "in a form": urllib.parse.quote_plus,
    "wholly percent": lambda key: "".join(f"%{byte:02x}" for byte in key.encode()),
    "in JSON": lambda key: json.dumps(key)[1:-1],
    "in escapes": escaped,
    "in HTML": lambda key: "".join(f"&#{ord(character)};" for character in key),
    "in hexadecimal": lambda key: key.encode().hex(),
    "in capital hexadecimal": lambda key: key.encode().hex().upper(),
    "over lines": lambda key: "\n  ".join((key[:3], key[3:6], key[6:])),
    "over lines in JSON": lambda key: json.dumps("\n".join((key[:5], key[5:])))[1:-1],
}


@draws(30)
@given(key=KEYS, before=AROUND, after=AROUND)
def test_a_key_is_masked_in_every_form(key: str, before: str, after: str) -> None:
    assume(key not in before + after)
    secret = Secret(key)
    for name, form in FORMS.items():
        text = secret.masked(f"{before}<{form(key)}>{after}")
        assert text == f"{before}<{MASK}>{after}", name


@draws(30)
@given(key=KEYS, before=AROUND, after=AROUND, safe=st.booleans())
def test_base64_of_it_and_of_what_holds_it_gives_less_than_two_characters_away(
    key: str, before: str, after: str, safe: bool
) -> None:
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    told = encode((before + key + after).encode()).decode()
    masked = Secret(key).masked(told)
    assert MASK in masked
    head, _, tail = masked.partition(MASK)
    assert 6 * len(head) // 8 <= len(before) + 1
    assert 6 * len(tail.rstrip("=")) // 8 <= len(after) + 2


@draws(30)
@given(key=KEYS, text=st.text(max_size=200))
def test_other_words_stay(key: str, text: str) -> None:
    if key not in text:
        assert Secret(key).masked(text) == text


def test_no_key_masks_nothing_and_a_short_one_itself() -> None:
    assert Secret("").masked("anything") == "anything"
    assert not Secret("")
    assert Secret("EMPTY").masked("is it EMPTY? RU1QVFk=") == f"is it {MASK}? RU1QVFk="


@pytest.mark.parametrize("value", ["sk-very-secret", ""])
def test_it_is_not_told_by_its_repr(value: str) -> None:
    assert "very" not in repr(Secret(value))
