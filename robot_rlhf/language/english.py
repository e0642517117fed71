"""English, as a table."""

from __future__ import annotations

from robot_rlhf.language.english_manners import MANNERS
from robot_rlhf.language.english_words import WORDS
from robot_rlhf.language.table import Language

ENGLISH = Language(
    name="en",
    called="English",
    signs={
        **WORDS,
        "verb": {
            "go": """
                go, going, move, moving, shift, shifting, head, heading, come, coming, travel, slide, scoot, step,
                proceed, drive, driving, steering, keep moving, keep going, continue, continue going, bring, shuffle,
                nudge, translate, displace, reposition, jog, adjust, swing, jump, ease, budge, edge, sidestep,
                relocate, walk, be, being, fly, float, bear, lean, veer off, stretch, reach out, extend, extending,
                pan, pass, send, carry on, keep on, keep on going, put yourself, place yourself, position yourself,
                hop, lurch, trend, goes, moves, pointing, aim, work your way, make your way, yank, scooch, slip,
                transport, favor, favour, using, better go, better to go, better move, take a step, correct to, have
                to correct, correct a bit, correct it to, correct yourself, correct your course
            """,
            "turn": """
                turn, turning, turns, rotate, rotating, rotates, rotation, twist, twisting, twists, spin, spinning,
                swivel, swiveling, swivelling, pivot, pivoting, roll, rolling, tilt, tilting, yaw, yawing, the wrist,
                wrist, revolve, turned, rotated, twisted, your wrist, screw, unscrew, crank
            """,
            "put": """
                put, place, placing, putting, set, lay, stash, store, stick, insert, inserting, deposit, dump, load,
                stow, pop, throw, toss, slot, dunk, drop off, stack, stacking, put back, slide into, slip into
            """,
            "push": "push, pushing, shove, shoving, slide it, poke, press, bump it, knock it, bulldoze, sweep",
            "pull": "pull, pulling, tug, tugging, drag, dragging, yank on, haul",
            "pick": "pick up, pick, picking up, picking, scoop up, scoop",
            "grab": """
                grab, grabbing, grasp, grasping, take, taking, catch, seize, take hold of, get hold of, get a hold of,
                grab hold of, fetch, snatch, collect, capture, get a grip on, clutch, take a hold of, pluck, close in
                on, close around, close on, grip on to
            """,
            "hold": "hold, holding, hold on to, hold onto, keep hold of, keep holding",
            "lift": "lift, lifting, lift up, hoist, lifts, heave, pull up, lifted",
            "drop": "drop, dropping, drops",
            "put_down": """
                put it down, set it down, lay it down, put that down, put this down, place it down, put down, set
                down, put the thing down, lay down, place down, set that down
            """,
            "keep": "keep, stay, steer, remain, staying, keeping, maintain",
            "avoid": """
                avoid, avoiding, watch out for, look out for, mind, beware of, watch, steer clear of, keep clear of,
                stay clear of, keep your distance from, keep your distance to, keep off, stay off, keep away from,
                stay away from, steer clear from, keep distance from, keep a distance from, keep some distance from,
                give a wide berth to, be careful of, careful of, look out, watch out, circumvent, dodge, bypass, leave
                alone, stay out of, keep out of, make a detour around, keep well away from, stay well away from, stay
                far from, keep far from, stay far away from, keep far away from, keep at a distance from, keep clear
                from, stay clear from, shun, hands off, leave room around, leave space around, never come close to, go
                around, detour around, evade, keep a safe distance from, stay at a distance from, keep your hands off,
                leave some room around, skirt
            """,
            "touch": """
                touch, touching, hit, hitting, bump, bump into, bumping into, collide with, colliding with, knock,
                knock over, knocking over, crash into, crashing into, run into, scrape, brush against, brush, contact,
                make contact with, disturb, disturbing, tip over, strike, striking, knock into, come into contact
                with, tap, graze, mess with, break, breaking, damage, topple, tip, smash
            """,
            "approach": """
                approach, approaching, come in, come at it, approach it, when approaching, when you approach, as you
                approach, when nearing, nearing, close in, coming in
            """,
            "get": """
                get, getting, find, seek, go for, go get, i want, choose, select, use, pick out, pick me, work on,
                focus on, look for, give me, hand me, bring me, get me, switch to
            """,
            "speed": """
                speed, the speed, your speed, pace, the pace, your pace, velocity, the velocity, tempo, the tempo
            """,
        },
        "at": {
            "above": """
                above, over, on top of, atop, hover, hover over, hover above, hovering over, directly above, directly
                over, right above, right over, line up over, line up above, line up with, align with, aligned with,
                centre over, center over, centered over, centred over, align over, align yourself with, line yourself
                up with, centre on, center on, center yourself over, straight above, just above, right on top of, up
                above, up over, aligned over, position yourself over, position yourself above, directly on top of,
                centered above, higher than, center above
            """,
            "onto": """
                onto, on to, upon, on, down on, down onto, down upon, land on, touch down on, right onto, right on,
                straight onto, down to touch
            """,
            "to": """
                to, towards, toward, up to, over to, at, near to, closer to, nearer to, nearer, reach, reach for,
                reaching for, head for, aim for, aim at, make for, beside, next to, right to the, right up to, right
                next to, right at, straight to, straight towards, straight toward, straight for, alongside, in the
                direction of, back to, right towards, right toward, reach out to, reach out for, right over to, right
                back to, face, closer towards, closer toward, further to, further towards, further toward, in front
                of, follow, directly to, directly towards, against, visit, returning to, return to, closer in to
            """,
            "away": """
                away from, away, off of, off, clear of, clear from, well away from, out of, leave, further from,
                farther from, further away from, farther away from, more distance from, distance from, back away from,
                back off from, well clear of, away of, more distance to, clear, back off of, get off, move off, step
                away from, pull away from, get away from
            """,
            "behind": """
                behind, around behind, round behind, in back of, the other side of, to the other side of, the far side
                of, to the far side of, around the back of, round the back of, to the back of, on the other side of,
                on the far side of, at the back of, the back of, right behind, around to the back of, around to the
                other side of, beyond the
            """,
            "near": """
                near, around, close to, close by, in the vicinity of, nearby, round, when near, when you are near,
                when you are close to, when close to, while near, as you near, when you get near, when you get close
                to, when you come near, when you come close to, when you get to, when you are at, when around, when
                you are around, when you reach, in the neighbourhood of, in the neighborhood of, once you are near,
                whenever you are near, if you are near, if you are close to, if you get close to, if you get near,
                when passing, passing, past, as you get close to, as you get near, anywhere near, close, with
            """,
            "in": "in, into, inside, inside of, down into, right into, within, straight into, in to, through",
            "of": "of, than",
            "from": "from, coming from",
            "far": "far from, far away from, distant from, far off from",
            "seen": "as seen from, seen from, opposite, opposite to, relative to, on the side opposite",
        },
        "rule": {
            "always": """
                always, whenever, from now on, in general, generally, every time, everywhere, all the time, in future,
                in the future, as a rule, at all times, each time, the whole time, from here on, from here on out,
                permanently, constantly, for the rest of the session, overall, in all cases, anywhere, throughout, for
                the rest of the day, by default, until further notice, at any time, for good, henceforth
            """,
            "never": "never, at no time, under no circumstances, not ever",
            "from_above": """
                from above, from on top, top down, from over it, from overhead, from directly above, from straight
                above, vertically from above, straight down from above, always from the top, come from the top,
                approach from the top, in from the top, down from the top, from the top side
            """,
        },
        "frame": {
            "view": """
                my, from my point of view, from my perspective, from my view, from my side, as i see it, from where i
                stand, from where i sit, in my view, in the picture, on the screen, on screen, in the camera, in the
                image, from the camera, from here, as seen from here, my own
            """,
            "base": """
                your, robot's, the robot's, robots, arm's, the arm's, its, its own, your own, from your point of view,
                from your perspective, from your view, from the robot's point of view, from the robot's perspective,
                from your side, in the base frame, in the robot's frame, machine's, the machine's
            """,
            "tool": """
                tool's, the tool's, gripper's, the gripper's, hand's, the hand's, in the tool frame, in the gripper's
                frame, from the gripper's point of view, relative to the gripper, relative to the tool
            """,
        },
        "who": {
            "you": "you, u, ya, yourself, robot, hey robot",
            "robot": """
                the gripper, gripper, the arm, arm, the hand, hand, the claw, claw, fingers, the fingers, jaws, the
                jaws, the tool, tool, end effector, the robot, your arm, your hand, your gripper, your fingers,
                grippers, effector, manipulator, the machine, machine, the end effector, finger, jaw, your claw, the
                arms, robotic arm, the robot arm, robot arm, the robotic arm, tcp, the tcp, pincers, the pincers, your
                tool, your jaws, hands, your grip, the grip, tool tip, tip
            """,
            "me": "me, us, myself, the camera, camera, my direction, the operator, my side, my position",
            "other": """
                i, we, he, she, they, him, her, my friend, someone, somebody, people, everyone, everybody, nobody, who
            """,
        },
        "is": {
            "is": """
                are, is, was, were, am, been, went, moved, has gone, have gone, have moved, has moved, had, keep
                drifting, keeps, sits, stands, gets, got, seems, looks, look, seem, feels, feel, ended up, ended, ends
                up, kept, goes too, have been, has been, became, gone, turned out, still, stayed, came, appears,
                appear, hangs, end up, ending up, stopped, landed, aimed, arrived, finished, end, keep ending up, keep
                landing
            """,
            "need": """
                need, needs, need to, needs to, should, must, have to, has to, ought to, supposed to, want to, wants
                to, could, can, might, shall, would, better to, had better, needed, want, wants, required, require, it
                takes, let, lets, will, ought, has got to, have got to, got to, gotta, may, wanna, needs some, need
                some, should be, must be, i want you, i need you
            """,
        },
        "thing": {
            "it": """
                it, that, this, them, those, these, that thing, this thing, the thing, the object, object, that one,
                this one, the item, item, thing, something
            """,
            "one": "one, ones",
            "the": "the, a, an, that there, another",
        },
        "link": {
            "and": "and, plus, also, as well as, n, as well",
            "or": "or",
            "then": """
                then, and then, but, afterwards, after that, before, while, next, followed by, and also, until, so
                that, and now, though, although, yet, because, since, after, finally, first, except, so then, and
                after that, and again
            """,
            "fix": """
                i mean, i meant to say, sorry, actually, oops, whoops, correction, my bad, my mistake, wait no, no
                wait, or rather, i meant, make that, no i mean, excuse me i mean, i mean to say, oh no, oh wait, err
                no, no sorry, sorry no, i should say, no no wait, better yet, no actually, on second thought, pardon,
                i said, i told you, i told you to, like i said, i repeat
            """,
            "instead": """
                instead of, rather than, not but, in place of, as opposed to, and not, but not, never mind the
            """,
            "if": "if, unless, suppose, whether, when i, imagine, had you, once i, as soon as i",
        },
        "word": {
            "manner": """
                gently, gentle, more gently, softly, carefully, delicately, nice and gently, nice and softly, nice and
                carefully, nice and easy, nice and slow, nice and slowly, with care, soft, slowly and gently, slowly
                and carefully
            """,
            "yes": "yes, yeah, yep, yup, yay",
            "more": """
                more, increase, boost, increasing, further, farther, some more, even more, still more, a further,
                even, still further, additional, yet more, even further
            """,
            "filler": """
                please, pls, plz, effort, recovery, progress, stuff, execution, improvement, make, making, ehm, ok,
                okay, okey, alright, all right, well then, so then, um, uh, erm, er, hm, hmm, hey, hello, hi, just,
                now, right now, right away, right then, can you, could you, would you, will you, can you please, could
                you please, would you please, would you mind, i think, i guess, i believe, i suppose, maybe, perhaps,
                probably, let us, i want you to, i need you to, i would like you to, i would like, i'd like you to, i
                would say, i say, you have to, you need to, try to, try going, try moving, try and, attempt to, how
                about, what about, why do not you, why dont you, why not, a moment, for now, for a moment, for me,
                thanks, thank you, thx, cheers, sure, fine, by, along, about, approximately, roughly speaking, exactly
                by, another little, over here, over there, right there, right here, here, as you can, possible,
                direction, the direction, side, position, some, any, only, simply, basically, literally, kindly,
                buddy, mate, dude, man, friend, sir, honey, dear, oh, ah, aha, ha, there we go, come on, go on,
                onwards then, way over, in a, your way, bit by bit, at once, immediately, instantly, quite simply, in
                order to, in order, as, like, such, right after, right before, i need, i wish, it would be, that would
                be, would be nice, the way, on your own, at the moment, currently, today, would like, side please,
                coloured, colored, colour, color, how bout, table, the table, floor, the floor, surface, ground, the
                ground, desk, the desk, workspace, axis,
                motion, movement, movements, position please, centimeters away, be so kind, if you please, if you can,
                if possible, if you could, if you would, if you do not mind, do me a favor, do me a favour, do, does,
                did, done, would be better, it is better to, better if you, spot, location, point, bit please, alright
                then, o, lets see, for, same, more time, as before, ready, absolutely, definitely, certainly, really,
                need you, straight, gonna, going to, directly, here please, onto there, my dear, bro, pal, quite a,
                both, all, of the way, while you are at it, sec, second, seconds, moment, time, have, s, d, ll, re,
                ve, t, amount, range, distance, level, way down here, end, robot please, with it, from it, a the, of
                course, at all, ever, i would, i want, i'd say, is better, are better, better be, i would rather, i'd
                rather, i wanted you to, i wanted, i asked you to, i asked for, i want to see, i was hoping for, i
                would prefer, i prefer, instead, at least, can we, could we, can it, stopped short, you stopped short,
                hand side
            """,
            "question": """
                what, where, why, who, whose, which, how, how much, how far, is it, is that, is this, is the, are you,
                did you, do you, does it, does the, am i, was it, was that, have you, has it, should i, shall i, may
                i, can i, could i, were you, will it, would it, are we, is there, are there, what if, tell me, do we,
                are they, did it, did i, have i, do i, will we, should we, when will, when did, when do, when is, when
                are, isn't it
            """,
            "nothing": """
                right way, the right way, right direction, the right direction, right place, right spot, right height,
                right amount, right speed, right time, right moment, right size, right position, right thing, right
                one for, all right then, right idea, that way, this way, other way, the other way, the other
                direction, other direction, the opposite, opposite way, opposite direction, the opposite direction,
                left over, leftover, leftovers, left behind, i left, we left, they left, he left, she left, has left,
                is left to, what is left, time left, minutes left, seconds left, hours left, days left, nothing left,
                left me, left my, left handed, right handed, left wing, right wing, human rights, what is up, straight
                up, up to you, upside down, give up, giving up, gave up, shut up, look up, looking up, cheer up, clean
                up, make up, come up with, set up, wake up, break down, sit down, write down, turn around, turn round,
                turn over, there, i am back, be back, came back, fall back, back in the day, on my back, my back, my
                left hand, my right hand, my right arm, my left arm, my left leg, my right leg, be right back, side to
                side, back and forth, up and down, left and right, right and left, left to right, right to left, open
                question, open mind, open source, open the door, close the door, open the window, close the window,
                close friend, close friends, close call, so close, very close, pretty close, getting close, getting
                closer, close one, close enough, good morning, good evening, good night, good day, good luck, good
                afternoon, goodbye, good bye, good question, good idea, a good day, bad weather, bad day, bad luck,
                bad news, good news, good weather, fast food, fast asleep, hold the line, left alone, wrong number,
                right angle, ups and downs, good point, by the way, pick up the phone, put up with, stop sign, bus
                stop, stop by, non stop, nonstop, do not stop, dont stop, never stop, can not stop, cannot stop,
                without stopping, not stop, closer, further away, farther away, nearer please, in the way, upset,
                update, download, downtown, upstairs, downstairs, background, feedback, backpack, you are back, money
                back, call back, call me back, welcome back, look back, i will be back, upload, setup, open the file,
                open a file, open my, close my, close the file, close the app, open the app, fast car, raise money,
                raise a question, lower price, lower prices, raise the price, right to vote, forward the email, look
                forward, looking forward, looking forward to, high school, high score, low battery, i see, you see,
                said, told, tell, say, it left us, you left it, you left the, you left me, wrong one, the wrong one,
                nice weather, fell down, fell over, fell, fallen, fall over, fell off, weather, lunch, dinner,
                breakfast, coffee, weekend, holiday, holidays, movie, music, song, traffic, rain, sunny, football,
                birthday, party, morning, afternoon, evening, nice to meet you, good to see you, great question, great
                idea, a nice day, nice day today, way too long
            """,
        },
    },
    nouns={
        "cube": "cube, cubes, block, blocks, box, boxes, brick, bricks, dice, die",
        "puck": "puck, disc, disk, pucks",
        "ring": "ring, goal, target, hoop, circle, goal zone, target zone, target area, goal area",
        "marker": "marker, dot, sphere, ball, balls",
        "glass": "glass, tumbler, beaker, goblet",
        "cup": "cup, mug",
        "lamp": "lamp, lantern, light, lights",
        "bowl": "bowl, bowls, dish, basin",
        "plate": "plate, tray, saucer",
        "basket": "basket, bin, container, bucket, crate",
        "drawer": "drawer, drawers",
        "cabinet": "cabinet, cupboard, chest",
        "handle": "handle, knob, drawer's handle, drawer handle, handle of the drawer, bar of the drawer",
        "peg": "peg, pin, plug, pegs, rod",
        "hole": "hole, socket, holes",
        "bottle": "bottle, can, jar",
        "tower": "tower",
        "nut": "nut, bolt",
        "obstacle": "obstacle, obstacles, wall, barrier",
    },
    adjectives={
        "red": "red, reddish, crimson, scarlet, ruby, maroon, vermilion, cherry red, blood red",
        "green": "green, greenish, emerald, olive, lime green, grass green, grass coloured, grass colored",
        "blue": "blue, bluish, blu, navy, azure, sapphire, cobalt, sky blue, navy blue, light blue, dark blue",
        "yellow": "yellow, yellowish, golden, lemon coloured, lemon colored, lemon yellow, mustard yellow",
        "orange": "orange",
        "black": "black",
        "white": "white",
        "purple": "purple, violet",
        "pink": "pink",
        "brown": "brown",
        "grey": "grey, gray",
        "wooden": "wooden",
        "metal": "metal, metallic",
        "top": "topmost, upper",
        "bottom": "bottom",
        "large": "large, larger, biggest, bigger, largest",
        "little": "smaller, smallest",
    },
    numbers={
        **{"zero": 0, "half a": 0.5, "half an": 0.5, "half": 0.5, "one": 1, "a single": 1, "one and a half": 1.5},
        **{"two": 2, "a couple": 2, "a couple of": 2, "couple of": 2, "couple": 2, "three": 3, "a few": 3},
        **{"few": 3, "several": 4, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10},
        **{"eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16},
        **{"eighteen": 18, "twenty": 20, "thirty": 30, "twenty five": 25, "forty": 40, "forty five": 45},
        **{"fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "a hundred": 100},
        **{"one hundred": 100, "a quarter of a": 0.25, "a": 1, "an": 1},
    },
    units={
        "m": "m, meter, meters, metre, metres",
        "cm": "cm, cms, centimeter, centimeters, centimetre, centimetres, centi, centis",
        "mm": "mm, mms, millimeter, millimeters, millimetre, millimetres, milli",
        "inch": "inch, inches",
        "degree": "degree, degrees, deg, °",
        "percent": "percent, per cent, %",
    },
    expanded={
        **{"don't": "do not", "doesn't": "does not", "didn't": "did not", "isn't": "is not", "aren't": "are not"},
        **{"wasn't": "was not", "weren't": "were not", "won't": "will not", "can't": "can not"},
        **{"couldn't": "could not", "shouldn't": "should not", "mustn't": "must not", "wouldn't": "would not"},
        **{"needn't": "do not", "you're": "you are", "youre": "you are", "it's": "it is", "its too": "it is too"},
        **{"that's": "that is", "thats": "that is", "there's": "there is", "what's": "what is"},
        **{"where's": "where is", "who's": "who is", "let's": "let us", "lets": "let us", "i'm": "i am"},
        **{"i'll": "i will", "should've": "should have", "could've": "could have", "would've": "would have"},
        **{"i'd": "i would", "you've": "you have", "i've": "i have", "you'll": "you will", "we're": "we are"},
        **{
            "they're": "they are",
            "it'd": "it would",
            "that'd": "that would",
            "we'd": "we would",
            "hadn't": "had not",
            "we'll": "we will",
            "gripper's too": "gripper is too",
            "you'd": "you would",
            "lil": "little",
        },
        **{"lil'": "little", "ur": "you are", "doin": "doing", "goin": "going", "goin'": "going"},
        **{"movin": "moving", "dont": "do not", "doesnt": "does not", "didnt": "did not", "ain't": "is not"},
        **{"isnt": "is not", "cant": "can not", "wont": "will not", "hasn't": "has not", "haven't": "have not"},
        **{"tooo": "too", "lefter": "more left", "righter": "more right", "'til": "until", "how's": "how is"},
    },
    ordinary="""
        arise, bake, case, cold, dine, dome, dose, drip, driver, droop, drown, fasten, father, feast, foster, freezer,
        goals, gold, goods, goof, hear, heaven, hood, lefty, lest, lively, mine, niece, paste, pill, read, rinse,
        risen, sack, shoe, shower, sight, sing, slop, sower, sport, stat, steps, stomp, tome, wife, wring
    """,
    gerund="ing",
    hints={
        "no": "bad, undo",
        "more": "forward, down, faster",
        "there": "down, close, open",
        "the other way": "left, right, back",
        "other way": "left, right, back",
        "closer": "forward, down, back",
        "further": "forward, back, up",
        "further away": "forward, back, up",
    },
    manners=MANNERS,
)
