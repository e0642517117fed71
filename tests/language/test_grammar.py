"""The grammar of sentences: polarity, order, and what it does not understand."""

from __future__ import annotations

import pytest

from robot_rlhf.language.choice import grammar_of
from robot_rlhf.language.things import usual_facts

FACTS = usual_facts()
SENTENCES = """
left: left
left: go left
left: a bit to the left
left: move a little to the left please
right: too far left
right: not so far left
right: don't go left
right: stop going left
right: less left
right: you're drifting left
right: you're drifting left too much
left: more to the left
up: too low
down: too high
slower: too fast
forward: too close to me
right: not left, right
right: left, no, right
back: back up
back: back off
up: go back up
retry: go back to the start
turn_left: turn left
turn_left: rotate the gripper a bit to the left
turn_left: turn left 30 degrees
turn_right: twist clockwise
goal: too close to the glass
goal: open the drawer
goal: close the drawer
stop: stop
stop: stop!
stop: whoa
stop: no no no stop
stop: STOP going left, stop!
unknown: don't stop
left,down: left and down
goal: the red one
goal: red block
goal: above the cube
goal: move over the cube
down: down on it
down: lower onto the cube
up: lift it
up: pick it up
close: pick up the cube
close: grab the cube
close: pick the cube up
open: let go
open: release
open: drop it
close: grip
close: squeeze
close: close the gripper
goal: go to the ring
goal: towards the cube
goal: away from the glass
rule: keep away from the lamp
rule: stay clear of the glass
rule: never touch the glass
rule: avoid the lamp
goal: put it in the left bowl
goal: push the puck to the ring
goal: get behind the puck
stop: wait
rule: slower near the glass
rule: always slower
rule: when you are near the glass, slow down
rule: always come from above
unknown: no
unknown: more
unknown: there
unknown: the other way
unknown: what are you doing?
right: no, right
left: don't not go left
left: not right
right: no more left
bad: that's not right
good: that's right
good: that is good
bad: not good
good: not bad
retry: try again
undo: undo that
undo: scratch that
right: you went too far to the left
right: you're 2 cm left of the cube
left: it's more to the left
left: you should go left
right: you overshot to the left
right: left too much
slower: not so fast
slower: don't go so fast
slower: slow down
faster: too slow
faster: you're so slow
faster: hurry up
close: don't let go
open: don't squeeze so hard
open: not so tight
open: too tight
close: hold it tighter
close: tighter
up: up 5 cm
down: go down two centimeters
down: lower the arm
down: lower
up: raise the gripper
down: not low enough, I mean go down
left: not far enough left
up: a bit low
down: a bit too high
down: you are a bit high
up,left: up and to the left
left: can you go left?
left: could you please move slightly to the left
unknown: left right
unknown: go left and right
right: stop drifting left
right: stop moving to the left
stop: stop moving
stop: stop right now
left: a litle to the lfet
right: rigth
left: left left left
open: open the gripper
open: open your hand
goal: put the red block in the right bowl
goal: drop it into the bowl
goal: pull the handle
goal: push the drawer shut
back: towards me
back: come closer to me
forward: away from me
slower: carefully
slower: gently
slower: reduce the speed
faster: increase your speed
goal: the blue one, not the red one
goal: I meant the green block
unknown: the weather is nice today, isn't it, my dear old friend from school
unknown: I left my keys at home
unknown: blah blah
unknown: the robot fell over yesterday in the kitchen
left: left!!!
up: get up a bit higher
right: I said right
left: no, not right, left
left: left instead of right
left: go left rather than right
up: more height
left: keep going left
left: just a hair left
left: left a hair
forward: go forward
forward: forwards a touch
back: move back
rule: don't go near the lamp
rule: be careful near the glass
rule: from now on move slower
left: your left
slower: take it easy
goal: insert the peg in the hole
goal: put the peg into the hole
goal: line up with the hole
goal: hover above the hole
good: well done
good: perfect
good: yes, like that
bad: wrong
bad: bad
retry: start over
retry: once more
retry: again
undo: forget that
stop: freeze
stop: halt
stop: hold on
unknown: too close
unknown: you're close
left: 1 inch left
left: move left one inch
goal: close to the glass
down: not low enough
down,open: put it down
"""
PAIRS = [tuple(line.split(": ", 1)) for line in SENTENCES.strip().splitlines()]


@pytest.mark.parametrize(("wanted", "sentence"), PAIRS, ids=[sentence for _, sentence in PAIRS])
def test_reads(wanted: str, sentence: str) -> None:
    heard = grammar_of("en").read(sentence, FACTS)
    assert ",".join(heard.readings) == wanted, heard.why
