"""What is only told of, warned of, or depends on something is asked about; lists and choices are what they say."""

from __future__ import annotations

import pytest

from robot_rlhf.language.choice import make_interpreter
from robot_rlhf.language.things import usual_facts

FACTS = usual_facts()
ASKED = {
    "en": """
    you didn't go left | you haven't gone left | it didn't go left | you never went left | going left instead of right
    you're about to drop it | you are going to drop it | you will drop it | you're dropping it | it's going to fall
    the cube went left | the puck slid to the right | the banana moved left | the server is up | the network is down
    the volume is too low | the left gripper is broken | the left finger is bent | the left camera is out of focus
    the back wall is white | only 3 demonstrations left | Anna just left | let me go left | let me move it left
    I'll go left | thanks for not going left | Bob says go left | don't go left until I say so
    don't close until you're there | wait until I say so, then go left | before you go left, wait
    before going left go down | go left after you go down | left but first down | only go left when the light is on
    go left once the cube is there | otherwise go left | in case it slips, close | not now, left later
    left but not yet | do you know left from right? | do you know what left means?
    see the cube on the left? | go right down | leave it there
    left or right I don't care | don't go left or right | go left or up | no left or right | not too far left or right
    don't open or close | don't turn left or right | the red one or the blue one | drop it or lift it
    don't open the drawer | never open the drawer | grab a coffee | not so close | -2 cm left | left -2cm
    keep away from the glass and the unicorn | left, scratch that | grab the cube, never mind
    slower near the glass, undo that | could you not go left a bit? | write that down | note it down
    """,
    "de": """
    der linke Greifer ist kaputt | das Fenster ist offen | der Würfel ist nach links gerutscht
    du bist nicht nach links gefahren | mach die Schublade nicht auf | hör nicht auf | auf geht's
    geh nicht nach links bis ich es sage | bevor du nach links gehst, warte | lass mich nach links gehen
    danke fürs nach links gehen | geh nicht nach links oder rechts | links oder hoch
    """,
    "es": """
    la pinza izquierda está rota | el dedo izquierdo está doblado | el cubo se fue a la izquierda
    no fuiste a la izquierda | no vayas a la izquierda hasta que te diga | antes de ir a la izquierda, espera
    déjame ir a la izquierda | gracias por ir a la izquierda | no gires a la izquierda ni a la derecha
    izquierda o arriba
    """,
}
MEANT = """
right,up: don't go left and down | don't go left or down
left,down: never right or up
left,up: don't go right and down
left: it went right instead of left | you went right instead of left
left: didn't I say left? | go left, it didn't go far enough left
right: forget left | it was a mistake to go left | you are going left instead of right
good: good thing you didn't go left | good that you went left | never seen better
bad: too bad you went left | couldn't be worse | well done is something else | a good job is something else
slower: could you not go so fast?
up: move the left finger up
left: 2-3 cm left | - left | le\u00adft
stop: s\u200btop
goal: put it in the left bowl
undo,left: scratch that, left
bad,undo: that was bad, undo that
"""


@pytest.mark.parametrize(
    ("language", "sentence"),
    [(name, each.strip()) for name, text in ASKED.items() for line in text.split("\n") for each in line.split("|")],
)
def test_nothing_is_done_on_what_orders_nothing(language: str, sentence: str) -> None:
    assert make_interpreter((language,)).read(sentence, FACTS).readings == ["unknown"]


@pytest.mark.parametrize(
    ("readings", "sentence"),
    [
        (readings, each.strip())
        for readings, _, each_of in (line.partition(":") for line in MEANT.strip().split("\n"))
        for each in each_of.split("|")
    ],
)
def test_what_is_meant_by_what_sounds_alike(readings: str, sentence: str) -> None:
    assert make_interpreter(("en",)).read(sentence, FACTS).readings == readings.split(",")


@pytest.mark.parametrize(
    ("sentence", "rule", "things"),
    [
        ("keep away from the glass and the lamp", "keep_away", ["glass", "lamp"]),
        ("never touch the glass or the lamp", "keep_away", ["glass", "lamp"]),
        ("keep away from the glass, the lamp and the cube", "keep_away", ["glass", "lamp", "cube"]),
        ("slower near the glass and near the lamp", "slower", ["glass", "lamp"]),
    ],
)
def test_a_rule_about_several_things_is_about_each(sentence: str, rule: str, things: list[str]) -> None:
    meanings = make_interpreter(("en",)).read(sentence, FACTS).meanings
    assert [(each.rule, each.thing) for each in meanings] == [(rule, thing) for thing in things]


def test_what_to_go_away_from_may_be_several_things() -> None:
    meanings = make_interpreter(("en",)).read("away from the glass and the lamp", FACTS).meanings
    assert [(each.skill, each.thing) for each in meanings] == [("away_from", "glass"), ("away_from", "lamp")]
