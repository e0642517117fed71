"""What English tells of, warns of, or makes depend on something, with words that would also order it: that is asked."""

from __future__ import annotations

from collections.abc import Sequence

_ROBOT = "(?:gripper|arm|hand|claw|robot|tool|effector|fingers?|jaws?|it|thing|tip)"
_GOING = "(?:go|gone|went|move|moved|turn|turned|rotate|rotated|come|came|open|opened|close|closed|lower|lowered)"
_DOING = (
    "(?:go|move|push|pull|turn|put|lift|lower|raise|open|close|grab|hold|take|do|drive|drop|shift|slide|adjust|"
    "reset|fix)"
)
_SIDE = "(?:left|right|back|front|upper|lower)"
_BODY = "(?:gripper|finger|arm|hand|jaw|claw|camera|button|motor|joint|cable|wheel|screen|key|stick|sensor|light)s?"
_WAY = "(?:left|right|up|down|forwards?|back(?:wards?)?|higher|lower|clockwise|counterclockwise|anticlockwise)"
_GOOD = "(?:good|great|nice|lucky|lovely|glad|happy|fine)"

QUESTIONS: Sequence[tuple[str, str, str]] = (
    ("know hear understand remember", r"(?:can|do|did|could) you (?:know|hear|understand|remember)", "if"),
    ("see", r"^(?:(?:can|do|did|could) you )?see(?! to| that| if)", "if"),
    ("not", r"^(?:could|can|would|will) you not(?= .* (?:bit|little|tad|touch)(?: |$))", "if"),
    ("write note jot", r"(?:write|note|jot) (?:it|that|this) down", "if"),
)
"""What asks the robot about what it knows, or may be meant either way; as REPORTS."""

REPORTS: Sequence[tuple[str, str, str]] = (
    # praise and blame of what was done
    (
        "that thing",
        rf"(?:it (?:is|was) )?(?:a )?{_GOOD} (?:thing )?(?:that )?(?:you|it) (?:did|have|had|are)? ?not .*",
        "good",
    ),
    (
        "you",
        rf"(?:it (?:is|was) )?(?:a )?{_GOOD} (?:thing |job )?(?:that )?(?:you|it) (?:have |had )?(?:{_GOING})(?= ).*",
        "good",
    ),
    ("bad pity shame", r"(?:too bad|(?:what )?a (?:pity|shame)|it is bad)(?: that)?(?= (?:you|it) ).*", "bad"),
    (
        "mistake wrong idea bad",
        r"(?:it )?(?:is|was) (?:just )?(?:a (?:\w+ )?(?:mistake|idea|error)|wrong|bad|stupid|silly)"
        r"(?: (?:of|for) you)? to(?= (?:go|move|turn|open|close|lower|lift|come|push|pull|drop) )",
        "do not",
    ),
    ("forget", rf"forget(?: about)?(?: going| moving| turning)?(?: to)?(?: the)?(?= {_WAY}(?: |$))", "do not go"),
    ("better worse", r"never (?:seen|had|been|saw) (?:a |it |any)?better", "good"),
    ("worse", r"(?:could|can|would) not (?:be|have been|get|go) (?:any )?worse", "bad"),
    ("something", rf"(?:{_GOOD}|well done)(?: \w+)? is something else", "bad"),
    # what it did not do: "you never went left"
    (
        "never not",
        rf"(?:you|it|(?:the|your) {_ROBOT}) (?:(?:have|has|had|did|do|does|were|are) not|(?:have |has |had )?never)"
        rf"(?: \w+)?? (?:{_GOING}|going|moving|turning)(?!.* enough)(?= )",
        "if",
    ),
    ("not", r"did (?:not i|i not)(?: \w+)?? (?:say|tell you|ask(?: you)?)(?: to)?", "please"),
    # what it did instead, and what was meant: "it went left instead of right"
    (
        "instead",
        rf"(?:you|it|that|this|(?:the|your) {_ROBOT}) (?:(?:are|is|keep|keeps|were|was) )?(?:\w+ing|{_GOING}) "
        rf"(?:to the )?{_WAY} instead of (?:to the )?({_WAY})(?= [,.!?]|$)",
        r"go \1",
    ),
    ("instead", rf"^(?:going|moving|turning) (?:to the )?{_WAY} instead of", "if"),
    # what other things did, and how they are
    (
        "went moved slid rolled slipped drifted jumped bounced flew tipped",
        rf"(?:the|that|this|my|our) (?!{_ROBOT} )\w+(?: (?!{_ROBOT} )\w+)? "
        r"(?:has |had |just |suddenly )*"
        r"(?:went|moved|slid|rolled|slipped|drifted|jumped|bounced|flew|tipped|gone)(?= )",
        "if",
    ),
    (
        "left right back front upper lower",
        rf"(?:the|your|its|that) {_SIDE} (?!hand side|side |way |direction |one |answer )\w+"
        r"(?= (?:is|are|was|were|has|have|does|do|did|looks|seems|shows|broke|needs|makes|feels) )",
        "if",
    ),
    ("left right", rf"(the|your|its|that) (?:left|right)(?= (?!hand side){_BODY}(?: |$))", r"\1"),
    ("left", r"^(?:\w+ )?just left$|\d+ (?!inch|cm|mm|centi|milli|degree|step|more)\w+s left(?= [,.!?]|$)", "if"),
    # what is about to happen
    (
        "about going almost nearly will might",
        r"(?:you|it|we|that|this) (?:(?:are|is) (?:about|going)(?: to)?|(?:are|is)? ?(?:almost|nearly)|will|might|may) "
        r"(?:be )?(?:drop|lose|fall|slip|let go|dropping|losing|release|dropped|lost|falling|slipping)(?= |$)",
        "if",
    ),
    ("dropping losing", r"(?:you|it) (?:are|is|keep) (?:dropping|losing|releasing|letting go)(?= |$)", "if"),
    # what others do: "let me go left", "thanks for going left"
    ("let", rf"let me(?: \w+)??(?= {_DOING} )", "if"),
    ("will", rf"i (?:will|ll|shall|am going to|can|could|may|might)(?: \w+)??(?= {_DOING} )", "if"),
    ("thanks thank sorry", r"(?:thanks|thank you|sorry) for(?: not)?(?= \w+ing )", "if"),
    ("say says said wants", r"(?!i |you |we )(?:\w+ )?(?:says|wants|thinks)(?= )", "if"),
    # conditions
    ("until till", r"(not|never|wait)(?= .*(?:until|till)(?: |$))", "if"),
    ("until till", r"until (?:i|we|he|she|they|the time)(?= )", "if"),
    ("before", r"before (?:you(?= )|it(?= )|(?!any|every)\w+ing(?= ))", "if"),
    ("first", r"but first|but before(?: that)?", "if"),
    ("after once", r"(?:after|once) (?:you|it|the|we|i|he|she)(?= \w+)", "if"),
    ("when", r"only (?:go |move |turn )?(.* )?when", "if"),
    ("case otherwise else", r"in case|otherwise|or else|only if", "if"),
    ("yet later", r"but not (?:yet|now)|not (?:yet|now) ,(?=.*later)", "if"),
    (
        "leave",
        r"leave (?:it|that|this|them)"
        r"(?= (?:there|here|be|open|opened|closed|shut|as|like|left|right|up|down|in|on)(?: |$))",
        "if",
    ),
    ("close", r"not (?:so|that|quite so|quite that|this) close(?= [,.!?]|$)", "too close"),
    # "go right down": straight down, or right and down?
    ("right", r"(?:go|get|come|move|went) right(?= (?:up|down|back|forward|forwards)(?: [,.!?]|$))", "if right"),
)
"""As a language's manners: 'if' makes of a sentence one that is asked about."""
