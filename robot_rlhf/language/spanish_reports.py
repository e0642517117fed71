"""What Spanish tells of, or makes depend on something, with words that would also order it: that is asked."""

from __future__ import annotations

from collections.abc import Sequence

REPORTS: Sequence[tuple[str, str, str]] = (
    (
        "izquierda izquierdo derecha derecho",
        r"(pinza|dedo|brazo|mano|garra|camara|boton|motor) (?:izquierd[oa]|derech[oa])",
        r"\1",
    ),
    (
        "fue ha movio cayo",
        r"se (?:fue|ha ido|movio|ha movido|cayo|ha caido|deslizo|ha deslizado)(?! demasiado)(?= )",
        "si",
    ),
    (
        "fuiste ido moviste",
        r"(?:no )?(?:te )?(?:fuiste|has ido|moviste|has movido)"
        r"(?!.* (?:demasiado|muy|tanto|mas|suficiente|bastante))(?= )",
        "si",
    ),
    ("hasta", r"hasta que (?:te |yo |lo |se )*(?:diga|avise|pueda|quite|vaya)\w*", "si"),
    ("antes", r"antes de(?: que)?(?= \w+)", "si"),
    ("cuando", r"cuando (?:yo|te|aplauda|diga|avise)(?= |$)", "si"),
    ("dejame", r"dejame", "si"),
    ("menos bien", r"(?:menos mal|que bien|bien)(?: ,)? que (?:no )?\w+ .*", "bien"),
    ("lastima pena", r"(?:que )?(?:lastima|pena) que .*", "mal"),
    ("error malo mal", r"(?:fue|ha sido|es) (?:un error|mala idea)(?= \w+r )", "no"),
    ("gracias", r"gracias por(?: no)?(?= \w+r )", "si"),
    ("olvida", r"olvida(?:te de)?(?= (?:la |el )?(?:izquierda|derecha|arriba|abajo))", "no"),
    ("voy", r"(?:yo )?voy(?= (?:a|hacia) )", "si"),
)
"""As a language's manners: 'si' makes of a sentence one that is asked about."""
