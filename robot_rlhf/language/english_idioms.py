"""Idioms of English: for praise, blame and taking back, and for directions, turns and grips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ADVERBS = (
    "(?:(?:just|really|very|so|quite|absolutely|about|much|a bit|a little|a lot|even|rather|most|far|perhaps|too|"
    "particularly|entirely|completely) )*"
)
NICE = (
    "(?:lovely|great|perfect|wonderful|ideal|fine|brilliant|nicer?|good|better|best|helpful|super|fantastic|excellent|"
    "amazing|awesome|safer?|easier|wiser?|smarter|smart|kind|ok|okay|alright|all right|possible|appreciated|handy|cool|"
    "splendid|superb|terrific|useful|preferable|sensible|convenient|neat|enough)"
)
PAST: Mapping[str, str] = {
    "go": "went|moved|shifted|slid|headed|travelled|drove|nudged|scooted|stepped|got",
    "come": "came",
    "turn": "turned|rotated|twisted|spun|swivelled|swiveled",
    "lift": "lifted|hoisted",
    "raise": "raised",
    "rise": "rose|climbed",
    "lower": "lowered",
    "go down": "dropped down|sank|descended|dipped|came down",
    "drop": "dropped",
    "open": "opened",
    "close": "closed",
    "grab": "grabbed|grasped|picked",
    "grip": "gripped",
    "take": "took",
    "release": "released",
    "squeeze": "squeezed",
    "tighten": "tightened",
    "loosen": "loosened",
    "hold": "held",
    "push": "pushed",
    "pull": "pulled",
    "slow": "slowed",
    "speed": "sped|speeded",
    "hurry": "hurried",
    "back": "backed",
    "keep": "kept",
    "stay": "stayed",
    "avoid": "avoided",
    "approach": "approached",
    "touch": "touched",
    "try": "tried",
    "start": "started",
    "stop": "stopped",
    "reach": "reached",
    "bring": "brought",
    "give": "gave",
    "be": "were|was",
}
"""What is wished is said in the past: 'if you went up'."""

_SAID = (
    "i (?:have |had )?(?:just )?(?:have )?(?:said|told you|asked(?: you)?(?: for| to do)?|typed|wrote)"
    "(?: to you)?(?: (?:before|earlier|a moment ago|just now|last|a second ago|right now))?"
)
_LAST = (
    "(?:my|the|that|this) (?:very )?(?:last|latest|previous) "
    "(?:sentence|command|order|instruction|words?|remark|thing|one|message|input|bit)"
)
_TAKE_BACK = (
    "(?:forget|ignore|disregard|scratch|scrap|never mind|cancel|strike|skip|drop|delete|undo|take back|withdraw|"
    "discard)"
)
_HAND = "(?:fingers?|jaws?|claws?|pincers)"
_WANTED = (
    "i (?:(?:was|had|have|am) )?(?:hoping|hoped|wanted|want|wished|after|looking|in mind|asked|meant|needed)"
    "(?: for)?(?: it)?(?: to be)?"
)
_GRIP_NOUN = "(?:grip|grasp|grab|move|turn|push|pull|lift|reach|attempt|try|motion|drop|go)"
_END = r"(?= [,.!?;]|$| and | but )"

IDIOMS: Sequence[tuple[str, str, str]] = (
    ("back", rf"(?:i )?take back (?:(?:what|everything|all) )?{_SAID}", "undo that"),
    ("last latest previous", rf"{_TAKE_BACK}(?: about)? {_LAST}", "undo that"),
    (
        "better nicer smoother",
        r"could have (?:gone|been|done|worked)(?: (?:it|that|a bit|a lot|much))* (?:better|nicer|smoother)",
        "bad",
    ),
    (
        "doing going coming",
        r"(?:you are )?doing (?:an? )?(?:(?:really|very|quite) )?(?:great|good|fine|excellent|nice|brilliant) "
        r"(?:job|work)|(?:you are|that is|it is) (?:going|doing|coming along) (?:(?:really|very|quite) )?"
        r"(?:well|nicely|fine|great|good)",
        "well done",
    ),
    (
        "disappointed unhappy dissatisfied displeased annoyed frustrated",
        rf"i (?:am|was) {ADVERBS}(?:disappointed|unhappy|dissatisfied|displeased|annoyed|frustrated) (?:with|by|about)"
        r"(?: (?:that|it|this)(?: one)?)?(?= [,.!?]|$)",
        "bad",
    ),
    (
        "not",
        r"(is|was)(?: (?:just|really|so|simply|clearly))* not(?: (?:at all|quite|really))* right(?: at all)?"
        r"(?= [,.!?]|$)",
        r"\1 wrong",
    ),
    ("taking", r"(?:you are )?taking (?:forever|ages|(?:far |way )?too long|so long)", "too slow"),
    ("another", r"(another (?:go|try|shot|attempt)) at (?:it|that|this)", r"\1"),
    ("mistake fault", r"(?:that|it) was (?:my (?:mistake|fault)|a mistake of mine)", "sorry"),
    (
        "how",
        rf"i (?:am {ADVERBS}not {ADVERBS}(?:happy|comfortable|pleased|satisfied|ok|okay|sure) (?:with|about)|"
        rf"(?:do|did) not {ADVERBS}(?:like|love)|hate|dislike|"
        r"am (?:worried|unhappy|concerned|nervous|uneasy|bothered) (?:about|with|by)) how(?= \w+)",
        "you are too",
    ),
    (
        "like love enjoy care",
        rf"i (?:do|did) not {ADVERBS}(?:like|love|enjoy|care for) "
        r"(?:that|it|this|what you did|(?:how|the way) you (?:did|do|are doing) (?:that|it|this))(?: at all| one bit)?"
        r"(?= [,.!?]|$)",
        "bad",
    ),
    (
        "like love enjoy",
        r"i (?:(?:really|just|so|do|did|absolutely) )*(?:liked?|loved?|enjoy|enjoyed) (?:how|the way|what) "
        r"you (?:did|do|are doing|have done|just did|handled)(?: (?:that|it|this|just now|there))*",
        "well done",
    ),
    (
        "what",
        rf"not (?:(?:at all|really|quite|exactly|remotely|even close to|anything like) )*what {_WANTED}(?: at all)?",
        "bad",
    ),
    (
        "said told asked typed wrote",
        rf"{_TAKE_BACK}(?: about)?(?: (?:it|that|this))?(?: ,)? (?:(?:what|everything|all|whatever|anything)(?: that)?|"
        rf"(?:the|that) (?:last )?(?:thing|bit|one)(?: that)?) {_SAID}",
        "undo that",
    ),
    (
        "said told asked",
        rf"what {_SAID} (?:is|was) (?:not valid|no longer valid|wrong|nonsense|a mistake|invalid)(?: any ?more)?",
        "undo that",
    ),
    ("last latest previous", rf"(?:undo|cancel|i take|take)(?: (?:it|that))?(?: back)? ,? ?{_LAST}", "undo that"),
    ("back", rf"i take (?:it|that|this) back(?: ,)?(?: {_LAST})?", "undo that"),
    ("misspoke spoken", r"i (?:misspoke|have spoken wrong|spoke wrong)", "undo that"),
    (
        "better improved happier prouder more",
        r"(?:(?:i|you|it|that|we) )?(?:could|can) not "
        r"(?:(?:have|be|do|done|been|get|gotten|got|go|gone|ask for|it|that|this|any|possibly) )*"
        r"(?:better|improved|happier|prouder|more (?:pleased|impressed|perfect|happy))"
        r"(?: (?:myself|than that|with (?:that|it|this)))?",
        "well done",
    ),
    (
        "hoping hoped wanted want wished after looking mind asked meant needed",
        rf"(?:(?:exactly|just|precisely|really|quite|pretty much) )+(?:what|how|the way|as|like) {_WANTED}",
        "well done",
    ),
    (
        "pleased happy satisfied delighted impressed thrilled",
        rf"i (?:am|was) {ADVERBS}(not )?{ADVERBS}(?:pleased|happy|satisfied|delighted|impressed|thrilled)"
        r" (?:with|by|about)"
        r"(?: (?:how|what|the way))?(?: you (?:did|have done|do|handled|made))?(?: (?:that|it|this)(?: one)?)?",
        r"\1well done",
    ),
    (
        "mess hash",
        r"(?:you )?(?:have )?(?:made|what) (?:a )?(?:bit of )?(?:a )?(?:(?:real|complete|total|right) )?(?:mess|hash)"
        r"(?: (?:of|out of) (?:it|that|this)(?: one)?)?",
        "bad",
    ),
    (
        "screwed messed mucked fouled botched bungled fluffed blew ruined spoiled",
        r"(?:screwed|messed|mucked|fouled|botched|bungled|fluffed|blew|ruined|spoiled)(?: (?:it|that|this)(?: one)?)?"
        r"(?: up)?(?: (?:it|that|this)(?: one)?)?",
        "bad",
    ),
    (
        "good great nice bad poor terrible awful lovely perfect wrong",
        rf"(good|great|nice|bad|poor|terrible|awful|lovely|perfect|wrong) {_GRIP_NOUN}{_END}",
        r"\1",
    ),
    (
        "was is",
        rf"(?:this|that|the|your) {_GRIP_NOUN}(?= (?:was|is) (?:not )?{ADVERBS}(?:{NICE}|bad|wrong|poor))",
        "that",
    ),
    ("grip grasp", r"(?<=bad was )(?:this|that|the|your) (?:grip|grasp)", "that"),
)
"""What was done, or said, in a turn of phrase."""

WAYS: Sequence[tuple[str, str, str]] = (
    ("there", r"(job|work|done|one|move) there", r"\1"),
    ("other", r"(?:(?:the|my|your) )?other (?:left|right|direction|way)", "the other way"),
    (
        "enough",
        r"not (?:(?:quite|nearly|really|yet|even|gone|come|moved|been|go|move|get|got) )+"
        r"(?=(?:far )?enough)(?:far )?enough",
        "not far enough",
    ),
    ("than", r"(\w+er|more) than (?:that|this|it|now|before|you are)(?: now)?(?= [,.!?]|$)", r"\1"),
    ("direction", r"in my direction|in (?:the )?direction (?:of|to) me", "towards me"),
    ("me", r"(?:pull|drag) (?:it|that|this)(?= (?:back )?(?:closer |nearer )?(?:towards?|to) me)", "come"),
    ("clock", r"(?:with|like|as) the clock(?: goes)?", "clockwise"),
    ("clock", r"against the clock", "counterclockwise"),
    ("hand", r"(left|right) hand(?= (?:bowl|dish|basin|container|box|block|cube|drawer|one)s?(?: |$))", r"\1"),
    ("deeper deep", r"(lower|down|downwards?|descend|sink|dip)((?: \w+| ,){0,3}) (?:deeper|deep)", r"\1\2"),
    ("deeper deep", r"(?:deeper|deep)((?: \w+){0,2}) (down|downwards?|lower)", r"\1 \2"),
    ("deeper deep", r"(deeper|deep) in(?:to)?(?: the)? (?:table|desk|workspace|picture|scene|screen)", r"\1"),
    ("together", rf"({_HAND})((?: \w+){{0,3}}) together", r"\1\2 close"),
    ("apart", rf"({_HAND})((?: \w+){{0,3}}) apart", r"\1\2 wider"),
    *(
        (noun, rf"(?:((?:a little|a bit|some|a touch|a lot|much) ))?{how} {noun}", rf"\1{instead}")
        for noun, how, instead in (
            ("speed", "more", "faster"),
            ("speed", "less", "slower"),
            ("height", "more", "higher"),
            ("height", "less", "lower"),
        )
    ),
    ("straight", r"(go|going|move|come|head|please) straight (up|down)", r"\1 \2"),
    ("repeat try redo start", r"(?:we|let us)(?: (?:should|shall|must|will|can))?(?= (?:repeat|try|redo|start) )", ""),
    (
        "reach stretch",
        r"(?:reach|stretch)(?: out)?( a bit| a little| a touch| a tad| somewhat| much| a lot)? (?:further|farther|more)"
        r"(?: out)?(?= [,.!?]|$)",
        r"forward\1",
    ),
    ("out", r"(?:further|farther|more) out|out (?:further|farther)", "further forward"),
    ("harder", r"(squeeze|grip|hold|clamp|pinch)((?: \w+){0,3}) harder", r"\1\2 tighter"),
    *(
        (
            "enough",
            rf"(?:you )?have not (?:{PAST[present]})((?: \w+){{0,3}}?)(?: (?:quite|nearly|far|wide|tightly))* enough",
            rf"{present}\1",
        )
        for present in ("open", "close", "turn", "raise", "lower")
    ),
    ("near", r"(?:nowhere|not anywhere) near(?= \w+ enough)", "not"),
    ("take taking", r"(?:take|taking) (?:things|this|it)(?= (?:\w+ ){1,3}(?:slow|slower|slowly|easy|easier))", "go"),
    (
        "starting trying doing",
        r"(?:starting|trying|doing)(?: (?:it|that|this))?(?= (?:over|again|once more))",
        "try again",
    ),
    *(
        ("please", rf"(and|then) (?:{PAST[present]})(?! by)", rf"\1 {present}")
        for present in ("open", "close", "grab", "grip", "take", "release", "lift", "drop", "turn")
    ),
    ("again", r"do (?:it|that|this) again(?= .*from the (?:start|beginning|top))", "try again"),
    ("try", r"try (?:it|that|this)(?= (?:one more time|once more|over))", "try"),
    ("lined", r"(?:all )?lined (?:it |them |that )?up", "ready"),
    ("loose", r"(?:turn|set|cut) (?:it |them |that |the \w+ )?loose", "let go"),
    ("turn twist", r"give (?:it|the \w+|your \w+|yourself|that) (?:a|an)(?= (?:\w+ ){0,2}(?:turn|twist|rotation))", ""),
    ("quarter", r"(?:a )?quarter(?: of a)? turn", "turn 90 degrees"),
    ("half", r"half a turn|a half turn", "turn 180 degrees"),
    ("quarter", r"(?<=wise )a quarter", "90 degrees"),
    (
        "misses lacks missing",
        r"(?:it )?(?:misses|lacks|is missing)(?: (?:only|just|about|maybe))*(?= \d)",
        "",
    ),
    ("that", r"it is (the (?:\w+ ){1,3})(?:that|which) (?:please|i (?:want|meant|need)).*$", r"\1"),
    ("when whenever", r"(?:always )?when(?:ever)?(?: (?:it|you))?(?: (?:is|are))?(?= near )", "when you are"),
    ("near", r"near to(?= the)(?! table| floor)", "near"),
    ("so", r"(?<=exactly )so", ""),
)
"""Ways to name a direction, a turn or a grip that a table of words cannot list."""
