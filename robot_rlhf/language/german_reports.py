"""What German tells of, or makes depend on something, with words that would also order it: that is asked."""

from __future__ import annotations

from collections.abc import Sequence

_WENT = "(?:gefahren|gegangen|gerutscht|gerollt|gekippt|gesprungen|gewandert|gekommen|gedreht|bewegt)"

REPORTS: Sequence[tuple[str, str, str]] = (
    (
        "linke linken rechte rechten",
        r"(?:der|die|das|dein|deine) (?:linke|rechte)n? (?!seite)\w+(?= (?:ist|sind|war|hat|geht|tut|sieht|macht) )",
        "falls",
    ),
    (
        "linke linken rechte rechten",
        r"(?:linke|rechte)[nrs]?(?= (?:greifer|finger|arm|hand|klaue|backe|kamera|knopf|motor)(?: |$))",
        "",
    ),
    (
        "gefahren gegangen gerutscht gerollt gekippt gesprungen gewandert gekommen gedreht bewegt",
        rf"(?:du|es|er|sie|(?:der|die|das) \w+) (?:bist|hast|ist|hat|war)(?!.* (?:zu|genug) )(?= .*{_WENT}(?: |$))",
        "falls",
    ),
    ("auf zu", r"mach(?:e|t)? ((?:die|den|das) \w+) nicht (auf|zu)", r"mach nicht \2 \1"),
    ("hor hoer", r"hoe?re? (?:bitte |jetzt |doch )?(?:nicht|niemals|nie) auf|nicht aufhoe?ren", "weiter"),
    ("geht", r"auf geht (?:es|s)", "weiter"),
    ("bis bevor ehe sobald erst", r"bis (?:ich|wir|er|sie)|bevor|ehe|sobald|erst wenn|erst dann", "falls"),
    ("wenn", r"wenn (?:ich|wir)(?= )", "falls"),
    (
        "lass",
        r"lass mich|lass (?:es|ihn|sie|das) (?=(?:so|da|dort|hier|offen|zu|auf|stehen|liegen|links|rechts)(?: |$))",
        "falls",
    ),
    ("gut schon toll", r"(?:gut|schon|toll|prima|super)(?: ,)? dass (?:du|er|es|sie) .*", "gut"),
    ("schade schlecht blod", r"(?:schade|schlecht|blod)(?: ,)? dass (?:du|er|es|sie) .*", "schlecht"),
    ("danke", r"danke (?:furs?|dass)(?= )", "falls"),
    ("vergiss", r"vergiss(?= (?:links|rechts|hoch|runter|oben|unten)(?: |$))", "nicht"),
    (
        "ich",
        r"ich (?:gehe|fahre|bewege|schiebe|drehe|mache|nehme)(?! (?:das|es|alles) (?:wieder )?zuruck)(?= )",
        "falls",
    ),
)
"""As a language's manners: 'falls' makes of a sentence one that is asked about."""
