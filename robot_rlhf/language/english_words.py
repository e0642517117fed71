"""English words that say what to do, what was done, what not, and how much."""

from __future__ import annotations

from robot_rlhf.language.table import Words

WORDS: dict[str, Words] = {
    "move": {
        "left": "left, leftward, leftwards, lefthand, left hand side, left side, leftmost, port side, lft",
        "right": """
            right, rightward, rightwards, righthand, right hand side, right side, rightmost, starboard, rght,
            rigt, to the right now, the right now
        """,
        "forward": """
            deeper, forward, forwards, forth, ahead, straight ahead, onward, onwards, frontward, frontwards, advance,
            to the front, toward the front, towards the front, further away from me, farther away from me, push
            forward, fwd, fwds, inwards
        """,
        "back": """
            back, backward, backwards, backing, backup, reverse, retreat, rearward, rearwards, pull back, go back
            to me, back away, back off, back up, backing up, withdraw, rewind a bit, to the rear, to the back,
            toward the back, towards the back, back it up, retract, bck, bwd, outwards, draw back, come back,
            backed up, backed, backed off, came back
        """,
        "up": """
            up, upward, upwards, higher, raise, raising, raised, rise, rising, ascend, ascending, climb, climbing,
            elevate, elevating, elevated, more height, gain height, gain some height, raise up, lift up a bit, off
            the table, up in the air, go back up, move back up, come back up, get back up, back upwards, bring it
            back up, get off the table, off of the table
        """,
        "down": """
            down, downward, downwards, lower, lowering, lowered, descend, descending, sink, sinking, dip,
            drop down, drop lower, less height, lose height, lose some height, lower down, to the floor, to the
            table, down to the table, down to the floor, toward the table, towards the table, to the ground, dwn,
            closer to the table, closer to the floor, nearer to the table, nearer the table
        """,
    },
    "turn": {
        "turn_left": "counterclockwise, counter clockwise, anticlockwise, anti clockwise, ccw, left turn",
        "turn_right": "clockwise, cw, clock wise, right turn",
    },
    "grip": {
        "open": """
            wider apart, further apart, apart, open, opening, release, releasing, let go, let go of, let it go, let
            loose, ungrip, unclench, unclamp, open up, loosen, loosen up, looser, loosening, wider, widen, spread,
            ungrasp, open wide, letting go, relax, spread your fingers, give it up, letting go of, set it free, free
            it, let the cube go, let the block go, let the puck go, let the peg go, let the object go, let that go,
            let it fall, unhand it, unhand, fingers apart, less pressure, ease your grip, let it slip, less force
        """,
        "close": """
            close, closing, grip, gripping, squeeze, squeezing, clamp, clamping, clench, clenching, tighten,
            tighten up, tighter, close up, pinch, pinching, grip it, hold tight, hold tighter, hold it tight, hold
            it tighter, hold on tight, hold on to it, hold onto it, hold it firmly, firmer, more firmly, shut,
            shutting, shut the gripper, narrower, clamp down, clamp down on it, clamp it, more grip, grip more,
            hold more firmly, take hold, more pressure, keep it closed, keep closed, stay closed, more force
        """,
    },
    "pace": {
        "slower": """
            slower, slow down, slow it down, slowdown, slowly, more slowly, slowing, slowing down, easy, take it easy,
            take it slow, take your time, easy does it, gentler, careful, more careful, more carefully, be careful, be
            gentle, calm down, calmly, settle down, ease up, ease off, decelerate, brake, braking, no rush, no hurry,
            less speed, reduce speed, lower speed, not in a hurry, cool it, cautious, cautiously, more cautiously,
            slow and steady, tone it down, half speed, half as fast, do not rush, don't rush, stop rushing, steady,
            dial it down, softer, do not hurry, slow up, slacken, be more careful, low speed, lower gear, slow your
            roll, crawl, not so hasty, less hasty, slow motion, less haste, take more time, go easy, stop speeding,
            stop racing, twice as slow, slow your movements, slow your motion, slow your motions, slower than that,
            slow it, don't speed, watch your speed, mind your speed
        """,
        "faster": """
            faster, speed up, speed it up, quicker, quickly, more quickly, hurry, hurry up, hurrying up, rush,
            accelerate, pick up the pace, pick up speed, step on it, more speed, get a move on, full speed, double
            speed, twice as fast, swiftly, swifter, rapidly, catch up, quick, speedier, come on faster, make haste,
            briskly, increase speed, raise speed, higher speed, speeding up, accelerating, hurrying, rushing, step it
            up, pick up the speed, gain speed, pick it up a notch, don't dawdle, do not dawdle, chop chop, stop
            dawdling, move it along, hurry it up, speed things up, go go go, let's go faster, stop crawling
        """,
    },
    "state": {
        "left": "far left, far to the left",
        "right": "far right, far to the right",
        "forward": "far forward, far ahead, deep, deep in",
        "back": "far back, far backward, far backwards",
        "up": "high, far up, high up, tall, steep",
        "down": """
            low, far down, low down, close to the table, near the table, close to the floor, close to the
            ground, near the floor, near to the table, close to the surface, hitting the table, touching the
            table, scraping the table, scratching the table, hit the table, touched the table, pressing on the
            table, into the table
        """,
        "open": "loose, loosely, wide, wide open",
        "close": "tight, tightly, narrow, hard, firmly, firm",
        "slower": "slow, sluggish, timid, hesitant",
        "faster": "fast, rough, hasty, abrupt, jerky, speedy, roughly, hastily, aggressive, aggressively",
    },
    "verdict": {
        "good": """
            good, great, nice, just the ticket, that is more like it, more like it, no complaints, nothing to complain
            about, perfect, excellent, well done, good job, great job, nice job, nice work, good work, good one, nice
            one, exactly, that's it, that is it, that is right, that is correct, correct, brilliant, awesome,
            fantastic, wonderful, amazing, bravo, much better, better, good boy, good robot, well played, love it, i
            love it, i like it, i like that, i like this, i liked that, like that, just like that, yes like that,
            that's the way, that is the way, way to go, keep it up, keep up the good work, spot on, super, lovely,
            nailed it, you nailed it, you got it, you did it, that is the spirit, on the right track, good move,
            beautiful, beautifully, very good, very nice, really good, so good, looks good, looking good, impressive,
            splendid, superb, thumbs up, that worked, it worked, that works, works for me, bingo, hooray,
            congratulations, congrats, terrific, proud of you, good going, you are right, you are doing well, doing
            great, good choice, couldn't be better, could not be better, not bad, not too bad, neat, yes exactly,
            exactly right, exactly like that, right on, precisely, outstanding, as i wanted, what i wanted, just
            right, quite right, do that again, more of that, well, keep doing that, keep doing this, keep doing it,
            that is better, this is better, it is better, that was better, nicely done, that is the right way, this is
            the right way, that is the right direction, this is the right direction, you got it right, i am happy with
            that, happy with that, that is good, nothing wrong, nothing wrong with that
        """,
        "bad": """
            bad, wrong, disaster, a disaster, catastrophe, shambles, hopeless, terrible, awful, horrible, poor,
            poorly, worse, incorrect, mistake, a mistake, no good, not good, not right like that, that is not right,
            this is not right, that is not it, not it, not like that, not like this, you failed, failed, failure,
            fail, useless, stupid, dumb, rubbish, garbage, bad job, bad robot, bad move, messed up, screwed up, you
            messed up, messed it up, i do not like that, i do not like it, i do not like this, do not do that, do not
            do this, do not do that again, never do that again, do not do it again, stop doing that, stop doing this,
            quit doing that, not what i wanted, not what i meant, not what i want, not what i asked, not what i asked
            for, wrong way, wrong direction, the wrong way, the wrong direction, thumbs down, not nice, not okay, not
            ok, not great, not correct, not cool, not acceptable, unacceptable, disappointing, pathetic, lousy,
            nonsense, boo, shame on you, you missed, you missed it, missed it, missed, oh dear, ouch, you dropped it,
            you lost it, ugh, that is it not, not quite right, is not right, was not right, not well done, could be
            better, not helpful, sloppy, clumsy, i hate that, i hate it, dreadful, did not work, does not work, it did
            not work, that did not work, not working, that does not work, you broke it, you knocked it over, what a
            mess, that is the wrong one, this is the wrong one, you got it wrong, could have been better, that could
            have been better, would not say that was good
        """,
    },
    "order": {
        "stop": """
            stop, halt, freeze, whoa, woah, whoah, emergency, emergency stop, e stop, estop, abort, stop it, stop
            that, stop now, stop moving, stop right there, stop right now, full stop, stop everything, do not move
            a muscle, hold it right there, quit it, knock it off, kill it, shut down, shut it down, power down,
            power off, turn off, switch off, turn it off, switch it off, cut it out, cut the power, no no no no,
            danger, stopp, halt stop, that is enough, that's far enough, that is far enough, not one step further,
            not another step, stand still, hold your horses, red light, panic, stay where you are, stay right
            there, stay put
        """,
        "alone": "enough, cut, whoops stop, hold, stay, far enough, ho, no no no",
        "quit": "quit, no longer, cease, dont move, don't move, do not move, no more",
        "wait": """
            wait, hold on, hold still, hold it, pause, wait a second, wait a moment, wait a sec, one moment, hang
            on, just a moment, wait a minute, stay there, stay here, hold position, hold that position, stay
            still, keep still, do nothing, rest, wait there, wait here, hold there, hold here, one second, give me
            a second, give me a moment, just wait, wait up, hold that, take a break, remain there, hold your
            position, just a sec
        """,
        "retry": """
            retry, try again, try it again, try that again, try once more, try one more time, do it again, redo,
            redo it, do it over, start over, start again, start from scratch, start afresh, restart, begin again,
            reset, reset yourself, from the beginning, from the start, from scratch, from the top again, go back
            to the start, back to the start, back to start, return to the start, back to the beginning, go back to
            the beginning, go home, return home, back home, go back home, home position, go to the start, return
            to start, go back to start, another try, one more try, another attempt, another go, give it another
            try, give it another go, give it another shot, have another go, take it from the top, take two, once
            again from the start, let us try again, do over, begin anew, repeat the attempt, start anew, go to the
            beginning, go to start, back to square one, to the starting position, to the start position, back to
            the starting position, back to where you started, back to the start position, new attempt, new try,
            from the very beginning, another shot, all over again, try this again, from the top, take it from the
            start
        """,
        "again": """
            again, once more, once again, one more time, repeat, repeat that, repeat it, over again, do the same
            again
        """,
        "undo": """
            undo, scrap that, scrap it, undo that, undo it, undo this, scratch that, forget that, forget it, forget
            what i said, forget this, take that back, take it back, i take that back, i take it back, never mind,
            nevermind, cancel, cancel that, cancel it, ignore that, ignore it, ignore what i said, disregard that,
            disregard, strike that, revert, revert that, revert it, i did not mean that, didn't mean that, i did not
            say that, not what i said, unsay that, ignore me, forget i said that, forget about it, forget about that,
            delete that, erase that, remove that, discard that, forget the last one, undo the last one, undo the last
            thing, take back what i said, ignore the last one, ignore my last sentence, forget my last sentence,
            unlearn that, ctrl z, undo last, cancel the last one, ignore that last one, forget that last one, ignore
            the last command, undo the last command, never mind that, cancel the last command, disregard the last
            command, disregard what i said, belay that, drop that idea, forget what i just said, ignore what i just
            said, forget everything i said, forget my last word, forget the last command, i was wrong, my mistake
            forget it, that was a slip
        """,
    },
    "negate": {
        "not": "not, nor, neither, minus, hardly, opposite of, the opposite of, anything but",
        "dont": """
            do not, dont, never ever, without, not any more, no need to, no need for, cannot, can not, must not,
            should not, shouldnt, mustnt, refrain from, resist, let us not, rather not, not anymore, not any, no
            further, no farther, forget going, forget about going, i do not want you to, i did not want you to, i
            did not tell you to, i did not say, i never said, i do not want, i told you not to, i said not
        """,
        "no": "no, nope, nah, noo, no no, no no no no no, uh uh",
        "too": """
            too, too far, too much, too far to the, way too, way too far, way too much, much too, far too, a bit
            too, excessively, overly, overdone, overshot, overshoot, overshooting, you overshot, you overshoot,
            went past, too far over, beyond, too strongly, too many
        """,
        "drift": """
            drifting, drifted, drifts, veering, veered, veers, leaning, sliding, slipping, straying, strayed,
            wandering, creeping, deviating, deviated, off to, off to the, off a bit to, tending, biased, swerving,
            swerved, skewed, off by, slid, wandered, leaned, slipped, off course to, shifted too, out to, missed
            it to, missed to, you missed it to, missed it by, you missed to, missed by, you keep, you keep going,
            you keep moving, you always go, you keep on going, you are always going, you always drift, you always
            move, you tend to go, you tend to
        """,
        "less": """
            less, not so, not as, not that, not so far, not so much, not as far, not as much, not that far, not
            that much, not quite so, not quite so far, lesser, reduce, reducing, decrease, cut the, lessen,
            diminish, not this, not this far, a bit less, a little less, not quite as, not so very, not all that,
            not nearly so, much less, not so far to the, less far, less to
        """,
        "enough": "enough, sufficiently, far enough",
        "short": """
            too little, not enough, not far enough, not nearly enough, not nearly far enough, undershot,
            undershooting, fell short, not much, insufficiently, too short
        """,
    },
    "amount": {
        "small": """
            a bit, bit, a little, little, a little bit, little bit, slightly, slight, a hair, hair, a touch, touch
            more, a tad, tad, a smidge, smidge, a smidgen, smidgen, a fraction, a nudge, somewhat, a tiny bit,
            tiny bit, tiny, just a bit, just a little, just a touch, just a tad, a teensy bit, marginally, a
            whisker, a wee bit, wee, a notch, a little more, a bit more, a touch more, a tad more, a hair more, a
            small amount, a small step, small, tiny step, a step, ever so slightly, a trifle, an inch or so,
            minimally, a smidge more, barely, a shade, just slightly, a couple millimeters, a tiny amount, kinda,
            kind of, sort of, sorta, by a bit, by a little, by a hair, a dash, a pinch more, a baby step, a hair's
            breadth, hair's breadth, a fraction more
        """,
        "large": """
            a lot, lots, much, way, far, a lot more, much more, way more, much further, far more, a great deal,
            considerably, significantly, plenty, all the way, as far as you can, as far as possible, a good bit,
            quite a bit, quite a lot, a ton, tons, a big step, big, a large amount, loads, a whole lot, a long
            way, substantially, heaps, a fair bit, massively, hugely, by a lot, by far, strongly, greatly, a good
            deal, to the max, miles
        """,
        "very": "very, so, really, pretty, quite, rather, awfully, terribly, extremely, super, damn, bloody",
    },
}
