"""How an order is wrapped in English: courtesy, wishes and tags, and the plain words that stand for them."""

from __future__ import annotations

from collections.abc import Sequence

from robot_rlhf.language.english_idioms import ADVERBS, IDIOMS, NICE, PAST, WAYS
from robot_rlhf.language.english_reports import QUESTIONS, REPORTS

_GLAD = (
    "(?:happier|happy|better|safer|more comfortable|comfortable|calmer|more relaxed|more at ease|easier|grateful|"
    "obliged|glad|delighted|pleased|thankful)"
)
_OFTEN = "(?: (?:just|maybe|perhaps|please|really|actually|simply|always|also|never|slowly|gently|carefully))*"
_SUBJECT = r"(?:the|your|its|it|that|this)(?: \w+){0,3}?"

_ASIDES: Sequence[tuple[str, str, str]] = (
    ("well", r"^well(?: , well)+", ""),
    ("right", r"^right ,(?= (?:so|let us|could|can|would|well|we|i|um) )", ""),
    ("want need have", r"do not you (?:want|need|have) to", "§"),
    ("did", r"did not you", "did you"),
    ("dare", r"do not you dare(?: to)?", "do not"),
    ("not", r"(are|is|was|were|have|has) not (you|it|that|this|the \w+)(?=(?: \w+){0,3} (?:too|far) )", r"\2 \1"),
    ("well", r"^(?:oh |so |um |hm |ah )?(?:, )?well(?: ,)?(?= (?!done|played|made))|, well(?= ,)|oh well", ""),
    ("know", r"you know(?: what)?(?! (?:where|how|who|when|why|the|that|what))", ","),
    ("mean", r"(?:yeah|yes|yep|ok|okay) , i mean", "i mean"),
    ("afraid fear", r"i am (?:just |a bit |really )*afraid(?: that)?|i fear(?: that)?", ""),
    (
        "sorry",
        r"(?:i am )?(?:so |very |really |terribly )*sorry to (?:have to )?"
        r"(?:say|bother you|be \w+|trouble you|interrupt)"
        r"(?: (?:it|that|this|so))?(?: ,)?(?: but)?",
        "",
    ),
    (
        "say admit honest frank confess",
        r"i (?:have to|must|should|would|hate to|want to|need to|ought to|will|can) "
        r"(?:say|admit|confess|be (?:honest|frank))(?: that(?! was| is)| it)?(?: ,)?(?: but)?",
        "",
    ),
    ("honest frank fair", r"(?:to be|being) (?:perfectly |quite |really )?(?:honest|frank|fair)(?: with you)?", ""),
    ("ask may", r"if you ask me|if i may say so", ""),
    ("opinion taste liking comfort", r"(?:in|for|to) my (?:humble )?(?:opinion|taste|liking|comfort)", ""),
    ("where", r"from where i am(?: \w+ing)?", ""),
    (
        "seems appears looks feels strikes",
        r"it (?:seems|appears|looks|feels|strikes me)(?: to me)?(?: (?:that|like|as if|as though))?"
        r"(?= (?:you|the|it|we|your) )",
        "",
    ),
    (
        "think believe feel reckon suppose",
        r"i do not (?:(?:really|quite|even) )?(?:think|believe|feel|reckon|suppose)(?: that)? "
        r"(you|it|that|the \w+) (should|have|had|is|are|were|was|need to|ought to)(?! not)",
        r"\1 \2 not",
    ),
    (
        "think guess believe reckon suppose feel figure suspect",
        r"i (?:(?:really|do|just|personally|still|would) )*(?:think|guess|believe|reckon|suppose|feel|figure|suspect)"
        r"(?: like)?(?: that)?(?= (?:you|the|it|we|your|i|that|this|perhaps|maybe|a) )",
        "",
    ),
    (
        "not you shall",
        r", (?:(?:have|has|had|is|are|do|does|did|was|were|will|can|could|should|would) not (?:you|it|we|they|i|that)|"
        r"shall we|would you|will you|could you|can you)(?= [.?!,]|$)",
        "",
    ),
    (
        "if",
        rf"if (?:that|it|this)(?: (?:is|would be|will be))?(?: not)? {ADVERBS}"
        rf"(?:{NICE}|too much(?: trouble| to ask| bother)?|too (?:hard|difficult))(?: (?:with|for|by) you)?"
        r"|if you (?:do not|would not|will not) (?:mind|object)(?: (?:me|my) (?:saying|asking)(?: so)?)?"
        r"|if you (?:please|like|wish|want|are able|feel like it|have a \w+|get a \w+|can (?:manage|do) (?:it|that))"
        r"(?= [,.!?]|$)|if (?:at all )?possible",
        "",
    ),
    (
        "when",
        r"when(?:ever)? you (?:get|have|find) (?:a|the) (?:chance|moment|second|minute|time)|whenever you like",
        "",
    ),
    ("kind good nice", r"if you would be so (?:kind|good|nice)(?: as)?(?: to)?", ""),
    ("if", r"if i (?:were you|may|might)|if you are (?:ready|able|done|free)(?= [,.!?]|$)", ""),
    ("back", r"(?:i will be |be )?back in a (?:sec|second|minute|moment)", ""),
    ("repeat say", r"(?:repeat|say)(?: again)? what (?:you|i) (?:just )?said", ""),
    ("want like", r"(?:do you want|would you like) to(?= (?:have|try|go|move|start|give) )", ""),
    ("ahead", r"go ahead and", ""),
    ("favor favour dear love", r"(?:could you |please )?(?:do me a favou?r|be a (?:dear|love))(?: and)?", ""),
    ("point happens", r"at this point|before anything else(?: happens)?|before you do anything else", ""),
    ("asked ask", r"(?:would|do) you mind (?:if|me) i? ?(?:asked|ask|asking) you to", ""),
    (
        "mind able willing kind good care",
        r"(?:would|do|will|could) you (?:mind(?: terribly| awfully| very much)?|be (?:able|willing) to|care to|"
        r"be (?:so (?:kind|good|nice)(?: as)?|(?:kind|good) enough) to)|are you able to|be so (?:kind|good|nice) as to",
        "",
    ),
    ("sure free", r"(?:please )?(?:do )?(?:make sure|be sure|see to it|feel free)(?: that| to)?(?: you)?", ""),
)
"""What says nothing, and would be taken for praise, a question, a condition or a direction."""

_WISHES: Sequence[tuple[str, str, str]] = (
    (
        "would will is might could",
        rf"(?:it|that|this) (?:would|will|might|could)(?: (?:be|feel|look|seem|work))? {ADVERBS}"
        rf"(?:{NICE}|help(?: me)?|an idea)(?: (?:of|for) (?:you|me))? (?:if|that|to)(?= \w)",
        "§",
    ),
    (
        "would will is might could",
        rf"(?:would|will|is|might|could)(?: not)? it (?:be )?{ADVERBS}(?:{NICE}|too much(?: trouble| to ask)?)"
        r"(?: for (?:you|me))? (?:to|if|that)",
        "§",
    ),
    ("not", r"(?:could|can|should|would|will|might) not (?:you|we)(?= \w)", "§"),
    ("time", r"it is (?:about |high )?time (?:to|for you to|you)", "§"),
    ("kill hurt", r"(?:would|will) it (?:kill|hurt) (?:you )?to", "§"),
    ("ask have get", r"(?:could|can|may|might) (?:i|we) (?:please )?(?:ask for|have|get)(?= (?:a|some|more) )", "§"),
    (
        "hate dislike",
        r"i would (?:really )?(?:hate|dislike)(?: (?:it|that))?(?: (?:for|if))? (?:you|to see you)(?: to)?"
        r"(?: (?:went|moved|got|came|go|be|were))?",
        "do not go",
    ),
    (
        "what",
        r"what (?:i|we) (?:would (?:like|prefer|want)|want|need)(?: (?:you to do|now))* is(?: for)?(?= \w)",
        "§",
    ),
    (
        "time moment",
        r"(?:now|this) (?:would be|is|might be) (?:a|the) (?:\w+ )?(?:time|moment) (?:to|for you to)",
        "§",
    ),
    (
        "we",
        r"we (?:(?:really|probably|just|maybe|also|still|now) )*"
        r"(?:(?:need|have|want|ought) to|had better|should|must|could|can|might|shall)(?= \w)",
        "§",
    ),
    (
        "not",
        r"(?:i|we) (?:would|do|did)(?: really| ever)? not (?:really |particularly )?"
        r"(?:like|want|need|wish|love|enjoy|appreciate)(?: it if| that)? you(?: to)?"
        r"(?: (?:go|be)(?= (?:going|so|too)))?",
        "do not",
    ),
    (
        "would should",
        r"(?:i|we) (?:would|should) (?:(?:really|very|much|quite|so|also|just|kind of) )*"
        r"(?:like|love|prefer|appreciate|rather|suggest|recommend|propose|wish|want|need)"
        r"(?: (?:it|that))?(?: (?:if|that|for))?(?: to (?:see|have))?(?= (?:you|the|your|it|that|fingers|a) )",
        "§",
    ),
    (
        "want need wish prefer suggest recommend propose ask beg",
        r"(?:i|we) (?:(?:really|do|just|would|also|still) )*"
        r"(?:want|need|wish|prefer|suggest|recommend|propose|ask|beg)(?: it if| that)?(?= you )",
        "§",
    ),
    (
        "wonder wondering hope hoping hoped",
        r"(?:i|we) (?:am |was |were |are |do |just )*(?:wonder|wondering|hope|hoping|hoped)(?: (?:if|whether|that))?"
        r"(?= (?:you|we) )",
        "§",
    ),
    (
        "feel be",
        rf"(?:i|we) (?:would|will|might) (?:feel|be) {ADVERBS}{_GLAD}(?: (?:if|that|with))?(?= (?:you|the|it|your) )",
        "§",
    ),
    (
        "think suppose reckon",
        r"do (?:not )?you (?:not )?(?:think|suppose|reckon)(?: that)?(?= (?:you|we) (?:could|can|might|should|would) )",
        "§",
    ),
    ("chance way", r"(?:is there )?(?:a|any) (?:chance|way)(?: that)?(?= you )|(?:is there )?any chance of you", "§"),
    (
        "i",
        r"(?:could|can|may|might|would) i (?:(?:please|just|perhaps|possibly|maybe) )*"
        r"(?:ask|get|trouble|bother|persuade|beg|have) you(?: please)?(?: to)?",
        "§",
    ),
    ("if", r"if(?= you .*(?:that|it|this) would (?:be|help|do|make) )", "§"),
    (
        "would will might",
        rf"(?:and |so )?(?:that|it|this|which) (?:would|will|might) "
        rf"(?:be {ADVERBS}(?:much |greatly )?{NICE}|help|do(?: it| nicely)?)(?: of you| for me| then)?(?= [,.!?]|$)",
        "",
    ),
    ("would", rf"would be {ADVERBS}{NICE}(?: of you| for me)?(?= [,.!?]|$)", ""),
    (
        "appreciate appreciated grateful obliged",
        r"i would (?:(?:really|very|much|so) )*(?:appreciate (?:it|that)|be (?:\w+ )?(?:grateful|obliged))"
        r"|(?:much|greatly) appreciated",
        "",
    ),
    (
        "§",
        rf"§ (?:that )?(?:you|we|{_SUBJECT}){_OFTEN} (?:did|do|does|would|could|should|were|was|is|are|can|must|to)"
        r"(?: to)? not",
        "do not",
    ),
    ("§", r"§ (?:that )?(?:you|we) not(?: to)?|§ not(?: to)?", "do not"),
    *(
        ("§", rf"§ (?:that )?(?:you|we)({_OFTEN}) (?:{pasts})", rf"please\1 {present}")
        for present, pasts in PAST.items()
    ),
    (
        "§",
        rf"§ (?!you|we)({_SUBJECT}) (?:was|were|is|are|went|moved|came|(?:would|could|to) (?:be|go|move))",
        r"\1 should be",
    ),
    ("§", r"§(?: that)?(?: (?:you|we))?(?: (?:to|would|could|can|might|should|will|may|ought|were to))*", "please"),
    (
        "if",
        r"if you (?:could|can|would|will|might)(?: (?:please|just|perhaps|maybe|possibly|kindly|only))*"
        r"(?: be so (?:kind|good|nice)(?: as)?(?: to)?)?",
        "",
    ),
)
"""What is wished is asked for: 'I'd feel happier if ...'; § stands for the wish until what is wished has been found."""

MANNERS: Sequence[tuple[str, str, str]] = (*QUESTIONS, *_ASIDES, *IDIOMS, *_WISHES, *WAYS, *REPORTS)
