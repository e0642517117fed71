"""Whether a sentence that asks for something else says that nothing else was ever wanted: "no, the red one"."""

from __future__ import annotations

import re

_ANEW = (
    r"now|next|then|instead|rather|afterwards|after (?:this|that)|chang(?:e|ed)|switch"
    r"|jetzt|nun|danach|dann|stattdessen|als nächstes|lieber"
    r"|ahora|luego|después|siguiente|mejor|en vez"
)
"""Words of who wants something else from now on."""
_DENIED = r"no+|nah|nope|nein|nee|nicht|not"
"""What begins a sentence that takes back how it was understood."""
_HAD_BEEN = (
    r"i (?:meant|mean|was meaning|said|told|asked|wanted|had asked|did say|ordered)"
    r"|(?:was|were) (?:ordered|meant|supposed)|should have been|you misunderstood|misunderstanding|not what i"
    r"|wrong (?:one|block|cube|brick|bowl|thing|colou?r|side)|the wrong|incorrect|mistake"
    r"|(?:want|is|its|it's) not (?!so|too)\w+$"
    r"|(?:ich )?(?:meinte|wollte|sagte)|(?:habe?|hatte) (?:ich )?(?:\w+ )*(?:gesagt|gemeint|gewollt)|missverstanden"
    r"|falsche?[rsn]?|sondern"
    r"|quise decir|quer[ií]a(?: decir)?|me refer[ií]a|(?:he )?dich[oa]|dije|ped[ií]|equivocad[oa]|sino"
)
_SAYS_ANEW = re.compile(rf"\b(?:{_ANEW})\b")
_SAYS_ALL_ALONG = re.compile(
    rf"^(?:(?:oh|sorry|um|er|hey|but|aber|ach|pero|ay)\W+)*(?:{_DENIED})\b|\b(?:{_HAD_BEEN})\b"
)


def meant_all_along(text: str) -> bool:
    """Whether the goal that a sentence names had been meant before, too, and was only not understood.

    "No, the red one", "I meant the red one", "wrong block, the red one" say so, in English, German and Spanish. Where
    it is not said, or is both ("no, now the red one"), it counts from now on: nothing is rewritten on a guess.
    """
    plain = " ".join(re.sub(r"[^\w\s']", " , ", text.lower().replace("’", "'")).replace(" ,", ",").split())
    return not _SAYS_ANEW.search(plain) and bool(_SAYS_ALL_ALONG.search(plain))
