"""Whether a sentence that asks for something else says that nothing else was ever wanted: "no, the red one"."""

from __future__ import annotations

import re

_ANEW = (
    r"now|next|then|instead|rather|afterwards|after (?:this|that)|chang(?:e|ed)|switch"
    r"|any ?more|any longer|no longer|no more|as well|too$"
    r"|jetzt|nun|danach|dann|stattdessen|als nächstes|lieber|nicht (?:\w+ ){0,3}mehr"
    r"|ahora|luego|después|siguiente|mejor|en vez|ya no"
)
"""Words of who wants something else from now on."""
_DENIED = r"no+|nah|nope|nein|nee|nicht|not"
"""What begins a sentence that takes back how it was understood."""
_ASIDE = r"oh|sorry|um|er|hey|but|please|dear|dude|bro|mate|man|aber|ach|bitte|pero|ay"
"""What may stand around it and says nothing."""
_COLOUR = (
    r"red|green|blue|yellow|orange|purple|pink|black|white|brown|gr[ae]y"
    r"|(?:rot|grün|blau|gelb)e?[nrsm]?|roj[oa]|verde|azul|amarill[oa]"
)
_THING = r"ones?|block|cube|brick|bowl|thing|colou?r|side|würfel|klotz|schüssel|schale|bloque|cubo|cuenco"
_NAME = (
    r"(?:(?:it's|its|it is|it was) )?(?:the|den|dem|der|die|el|la|los|las) \w"
    rf"|(?:that|this|das|ese|esa|este|esta)(?:,|$| (?:\w+ )?(?:{_THING}|{_COLOUR})\b)"
    rf"|\w+ (?:{_THING})\b|(?:{_COLOUR})\b"
)
"""How the name of a thing begins."""
_CONTENT = (
    r"no (?:problem|worr(?:y|ies)|rush|hurry|trouble|harm)|not (?:\w+ )?(?:bad|best|worst)|nicht schlecht"
    r"|(?:that|this|it|das|es)(?:'?s| is| was| ist| war) "
    r"(?:\w+ )?(?:fine|good|great|nice|ok|okay|perfect|alright|gut|prima|schön)"
)
"""Who says so was understood: nothing is taken back."""
_HAD_BEEN = (
    r"i (?:meant|mean|was meaning|said|told|asked|wanted|had asked|did say|ordered)"
    r"|(?:was|were) (?:ordered|meant|supposed)|should have been|you misunderstood|misunderstanding|not what i"
    r"|wrong (?:one|block|cube|brick|bowl|thing|colou?r|side)|the wrong|incorrect|mistake"
    r"|(?:want|is|its|it's) not (?!so|too)\w+$"
    r"|(?:ich )?(?:meinte|wollte|sagte)|(?:habe?|hatte) (?:ich )?(?:\w+ )*(?:gesagt|gemeint|gewollt)|missverstanden"
    r"|falsche?[rsn]?|sondern"
    r"|quise decir|quer[ií]a(?: decir)?|me refer[ií]a|(?:he )?dich[oa]|dije|ped[ií]|equivocad[oa]|sino"
)
_NO_MISTAKE = (
    r"\bno (?:mistake|misunderstanding)\b"
    r"|(?:\bnot|\bnever|n't|\bkeine?|\bnicht) (?:(?:a|an|the|any|das|der|die) )?"
    r"(?:wrong|incorrect|mistake|misunderstanding|falsche?[rsn]?|missverstanden)\b"
)
"""A mistake that was none."""
_SAYS_ANEW = re.compile(rf"\b(?:{_ANEW})\b")
_TAKES_BACK = re.compile(rf"^(?:(?:{_ASIDE})\W+)*(?:{_DENIED})\b(?: (?:{_DENIED}|{_ASIDE})\b)*(?=,|$| (?:{_NAME}))")
_IS_CONTENT = re.compile(rf"\b(?:{_CONTENT})\b")
_SAYS_ALL_ALONG = re.compile(rf"\b(?:{_HAD_BEEN})\b")


def meant_all_along(text: str) -> bool:
    """Whether the goal that a sentence names had been meant before, too, and was only not understood.

    "No, the red one", "I meant the red one", "wrong block, the red one" say so, in English, German and Spanish. Where
    it is not said, or is both ("no, now the red one"), it counts from now on: nothing is rewritten on a guess. A bare
    denial says so only before a break or the name of a thing, not in "no problem" or "not bad".
    """
    plain = " ".join(re.sub(r"[^\w\s']", " , ", text.lower().replace("’", "'")).split()).replace(" ,", ",")
    if _SAYS_ANEW.search(plain):
        return False
    if _SAYS_ALL_ALONG.search(re.sub(_NO_MISTAKE, "", plain)):
        return True
    return bool(_TAKES_BACK.search(plain)) and not _IS_CONTENT.search(plain)
