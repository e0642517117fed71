"""Spanish, as a table."""

from __future__ import annotations

from robot_rlhf.language.spanish_reports import REPORTS
from robot_rlhf.language.table import Language

_TO_ME = r"mi(?= [,.!?;]|$| (?:y|e|un|unos|luego|despues|por|mas|como|ahora) | \d)"
_MANNERS = (
    (
        "vas mueves eres ibas yendo",
        r"(?<!no )(?:vas|te mueves|eres|ibas|estas yendo)(?: (?:muy|demasiado|un poco|bastante|tan))*"
        r"(?= (?:lento|lenta|rapido|rapida|despacio|deprisa)(?: |$))",
        "demasiado",
    ),
    (
        "suficiente suficientemente bastante",
        r"no (?:estas|esta|vas|fuiste|has ido|te has movido)(?: todavia| aun)? (?:lo )?(?:suficiente|bastante)"
        r"(?: lejos)?",
        "no lo suficiente",
    ),
    (
        "seria estaria",
        r"(?:seria|estaria) (?:\w+ )?(?:genial|bueno|mejor|bien|perfecto|ideal|estupendo) (?:si|que)",
        "",
    ),
    ("seria estaria", r"(?:eso )?(?:seria|estaria) (?:\w+ )?(?:genial|bueno|mejor|bien|perfecto|ideal|estupendo)", ""),
    ("gustaria quisiera preferiria querria", r"(?:me gustaria|quisiera|preferiria|querria) que(?! no)", ""),
    (
        "importaria importa puedes posible",
        r"te importaria|si no te importa|si puedes|si es posible|si eres tan amable",
        "",
    ),
    ("verdad no", r", (?:verdad|no)(?= [?])", ""),
    ("mi", rf"(?:estas |esta )?(?:muy|demasiado|no tan) lejos de {_TO_ME}", "hacia atras"),
    ("mi", rf"(?:estas |esta )?(?:muy|demasiado|no tan) cerca de {_TO_ME}", "hacia adelante"),
    ("mi", rf"(?:mas )?(?:aleja\w*|lejos|apartate|retirate)(?: mas)?(?: un poco)? de {_TO_ME}", "hacia adelante"),
    (
        "mi",
        rf"(?:(?:acerca\w*|ven|vente)(?: (?:mas|un poco|para aca))* )?(?:hacia|a|para|hasta) {_TO_ME}",
        "hacia atras",
    ),
    (
        "dije dicho decir",
        r"(?:olvida|cancela|ignora|borra|deshaz)(?: todo)?(?: (?:lo|eso))? que (?:te )?"
        r"(?:dije|he dicho|acabo de decir)(?: (?:antes|ahora))?",
        "olvida eso",
    ),
    ("mejor", r"mejor(?= (?:a la|hacia|para|ve|mas|sube|baja) )", ""),
    ("de", r"(tazon|cuenco|bol|bloque|cubo) de la (izquierda|derecha)", r"\1 \2"),
)
"""Turns of phrase, without accents, as texts are compared."""

SPANISH = Language(
    name="es",
    called="Spanish",
    signs={
        "move": {
            "left": """
                izquierda, a la izquierda, izquierdo, hacia la izquierda, para la izquierda, a mano izquierda, a
                izquierda
            """,
            "right": "derecha, a la derecha, hacia la derecha, para la derecha, a mano derecha, a derecha",
            "forward": """
                adelante, hacia adelante, avanza, avanzar, al frente, delante, hacia delante, avance, para adelante
            """,
            "back": """
                atrás, hacia atrás, retrocede, retroceder, para atrás, retira, retrocediendo, detrás hacia, marcha
                atrás
            """,
            "up": """
                arriba, subas, subieras, sube, subir, hacia arriba, más alto, súbelo, eleva, elevar, levanta el brazo,
                subiendo, para arriba, suba, sube más
            """,
            "down": """
                abajo, bajes, bajaras, baja, bajar, hacia abajo, más bajo, bájalo, desciende, descender, bajando, para
                abajo, baje, baja más
            """,
        },
        "turn": {
            "turn_left": """
                en sentido antihorario, sentido antihorario, antihorario, contra las agujas del reloj, contra el reloj
            """,
            "turn_right": """
                en sentido horario, sentido horario, horario, en el sentido de las agujas del reloj, como el reloj
            """,
        },
        "grip": {
            "open": """
                abre, abras, abrieras, sueltes, soltaras, abrir, suelta, soltar, suéltalo, abre la mano, abre la
                pinza, libera, afloja, ábrelo, suéltala, abriendo, ábrela
            """,
            "close": """
                cierra, cierres, cerraras, cerrar, aprieta, apretar, ciérralo, cierra la mano, cierra la pinza, agarra
                fuerte, más fuerte, sujeta, cerrando
            """,
        },
        "pace": {
            "slower": """
                más despacio, despacio, más lento, más lenta, lento, con calma, frena, cuidado, ve lento, más suave,
                más lentamente, lentamente, tranquilo, menos velocidad, menos rápido, no tan rápido, con más cuidado
            """,
            "faster": """
                más rápido, rápido, más deprisa, deprisa, date prisa, acelera, más velocidad, más rápida, apúrate,
                rápidamente, menos lento
            """,
        },
        "state": {
            "left": "lejos a la izquierda",
            "right": "lejos a la derecha",
            "forward": "muy adelante",
            "back": "muy atrás",
            "up": "alto, alta",
            "down": "bajo, profundo",
            "open": "flojo, suelto",
            "close": "apretado, fuerte",
            "slower": "lentos",
            "faster": "veloz, brusco",
        },
        "verdict": {
            "good": """
                bien, muy bien, bueno, perfecto, genial, excelente, eso es, así, correcto, bien hecho, exacto,
                estupendo, mejor, así se hace
            """,
            "bad": """
                mal, muy mal, malo, incorrecto, error, así no, terrible, peor, está mal, no está bien, equivocado, no
                así, fatal, mala
            """,
        },
        "order": {
            "stop": """
                detente, párate, stop, detén, quieto ahí, para ya, para ahora, deténte, alto ahí, frena ya, para por
                favor, párate ya
            """,
            "alone": "para, alto, quieto, basta, ya basta, ya, suficiente, para para, para para para",
            "quit": "deja de, para de, no sigas, no más, no te muevas, no vayas más",
            "wait": "espera, un momento, espera un momento, pausa, aguarda, un segundo, quédate ahí, quédate quieto",
            "retry": """
                inténtalo de nuevo, vuelve a probar, vuelve a hacerlo, vuelve a intentar, prueba otra vez, prueba de
                nuevo, otra vez desde el principio, empieza de nuevo, vuelve a empezar, vuelve a intentarlo, vuelve al
                inicio, desde el principio, reinicia, reintenta, inténtalo otra vez, vuelve al principio, intenta de
                nuevo
            """,
            "again": "otra vez, de nuevo, repite, una vez más, nuevamente",
            "undo": """
                deshacer, deshaz, deshazlo, olvídalo, olvida eso, cancela, cancela eso, retiro lo dicho, ignora eso,
                deshaz eso, borra eso
            """,
        },
        "negate": {
            "not": "no, tampoco, ni",
            "dont": "sin, no vayas, no te vayas, no hay que, de ningún modo",
            "no": "nop, no no, qué va",
            "too": """
                demasiado, muy lejos, demasiado lejos, en exceso, te pasaste, demasiado a la, te has pasado,
                excesivamente, demasiada
            """,
            "drift": """
                te desvías, desviado, desviada, te vas, derivando, te estás yendo, te estás desviando, se desvía
            """,
            "less": "menos, no tan, no tanto, no tan lejos, un poco menos",
            "enough": "bastante lejos",
            "short": "demasiado poco, no lo suficiente, no suficiente",
        },
        "amount": {
            "small": """
                un poco, chiquito, chiquita, un poquitín, poco, un poquito, poquito, ligeramente, un pelín, apenas,
                algo, un tanto, un poco más, un pelo, un pelo más
            """,
            "large": "mucho, bastante, mucho más, un montón, del todo, lejos, muchísimo, todo lo posible",
            "very": "muy, tan, realmente",
        },
        "verb": {
            "go": """
                ve, fueras, vayas, muevas, movieras, ir, mueve, muévete, mover, muévelo, desplaza, desplázate, ven,
                sigue, vete, lleva, mueva, yendo, moviendo, ir hacia, vaya
            """,
            "turn": """
                gira, girar, girada, girado, rotada, rotado, giro, un giro, torcida, gires, giraras, rota, rotar,
                gire, gíralo, voltea, girando, la muñeca, muñeca, tuerce
            """,
            "put": "pon, poner, ponlo, coloca, mete, deja, colócalo, mételo, ponla, inserta, métela, apila",
            "push": "empuja, empujar, empújalo",
            "pull": "tira, tirar, jala, tira de, tira del, jala de",
            "pick": "recoge, recógelo",
            "grab": "agarra, coge, toma, agárralo, cógelo, tómalo, agarrar, coger, atrapa",
            "hold": "sostén, mantén",
            "lift": "levanta, levántalo, levantar, álzalo, alza",
            "drop": "deja caer, déjalo caer",
            "put_down": "déjalo abajo, ponlo abajo, bájalo y suéltalo",
            "keep": "mantente, quédate, permanece",
            "avoid": """
                evita, evitar, ojo con, cuidado con, mantente lejos de, mantente lejos del, no te acerques a, no te
                acerques al, aléjate siempre de, mantente alejado de, mantente alejado del, esquiva
            """,
            "touch": "toca, toques, tocar, golpees, golpear, choques con, rozar, toque",
            "approach": "acércate, te acerques, acercarse",
            "get": "quiero, quise decir, busca, elige, el de, usa",
            "speed": "la velocidad, velocidad",
        },
        "at": {
            "above": "sobre, encima de, encima del, por encima de, por encima del, arriba de, arriba del",
            "onto": "encima, en cima de, baja sobre",
            "to": "al, hacia, hasta, a, hacia el, hasta el, acércate a, acércate al, junto a, junto al",
            "away": """
                lejos de, lejos del, aléjate de, aléjate del, alejado de, fuera de, aparta de, apártate de, apártate
                del
            """,
            "behind": "detrás de, detrás del, al otro lado de, al otro lado del, tras",
            "near": "cerca de, cerca del, alrededor de, alrededor del, al lado de, al lado del, cerca",
            "in": "en, dentro de, dentro del, adentro de",
            "of": "que, del, de",
            "from": "desde, desde la, desde el",
            "far": "muy lejos de, muy lejos del",
            "seen": "visto desde",
        },
        "rule": {
            "always": """
                siempre, desde ahora, a partir de ahora, en general, en todas partes, de ahora en adelante, cada vez,
                todo el tiempo
            """,
            "never": "nunca, jamás",
            "from_above": "desde arriba, por arriba",
        },
        "frame": {
            "view": "mi, desde mi punto de vista, desde aquí",
            "base": "tu, desde tu punto de vista",
            "tool": "de la pinza, desde la pinza",
        },
        "who": {
            "you": "tú, te, robot",
            "robot": "la pinza, pinza, el brazo, brazo, la mano, mano, los dedos, dedos, el robot, la garra, garra",
            "me": "mí, la cámara, nosotros, mi lado",
            "other": "yo, ella, ellos, alguien, mi perro",
        },
        "is": {
            "is": "estás, está, eres, es, estabas, estaba, fuiste, fue, vas, va, has ido",
            "need": "debes, deberías, tienes que, hay que, debe, necesitas, puedes, tendrías que",
        },
        "thing": {
            "it": "lo, eso, esto, ese, este, la cosa, esa, esta, aquello",
            "one": "uno, una",
            "the": "el, la, los, las, un",
        },
        "link": {
            "and": "y, e, además",
            "or": "o, u",
            "then": "luego, y luego, entonces, después, pero, y después, sino, mientras, porque, hasta que",
            "fix": "quiero decir, perdón, mejor dicho, digo, perdona, corrección, me equivoqué",
            "instead": "en vez de, en lugar de, y no",
            "if": "si, suponiendo",
        },
        "word": {
            "more": "más, aún más, todavía más, más hacia, más a",
            "manner": "suavemente, con cuidado, suave",
            "yes": "sí, claro, vale sí",
            "filler": """
                por favor, porfa, has, hecho, hiciste, estuvo, ahora, ahora mismo, puedes, podrías, vale, ok, okay,
                hola, oye, eh, gracias, quizá, quizás, creo que, intenta, pues, solo, a ver, venga, vamos, un momento
                por favor, hacia allá, aquí, el lado, lado, tal vez, se, le, me, cuando, cuando estés, estés, por
            """,
            "question": "qué, dónde, por qué, quién, cómo, cuál, cuándo, estás tú, es esto, puedo, qué tal",
            "nothing": """
                al revés, el otro lado, otro lado, ahí, allí, derechos humanos, derecho, todo recto, la otra
                dirección, lo contrario, no pares, no te detengas, no parar, sin parar, buenos días, buenas noches,
                buenas tardes, buen tiempo, tiempo
            """,
        },
    },
    nouns={
        "cube": "cubo, bloque, caja, dado, cubos, bloques",
        "puck": "disco, ficha",
        "ring": "anillo, meta, objetivo, aro, círculo",
        "marker": "marca, bola, punto, pelota",
        "glass": "vaso, copa",
        "cup": "taza",
        "lamp": "lámpara, luz",
        "bowl": "cuenco, tazón, bol",
        "plate": "plato, bandeja",
        "basket": "cesta, recipiente",
        "drawer": "cajón",
        "cabinet": "armario",
        "handle": "manija, tirador, asa, mango",
        "peg": "clavija, pasador, espiga",
        "hole": "agujero, hueco, orificio",
        "obstacle": "obstáculo, pared",
    },
    adjectives={
        "red": "rojo, roja",
        "green": "verde",
        "blue": "azul",
        "yellow": "amarillo, amarilla",
        "black": "negro, negra",
        "white": "blanco, blanca",
        "large": "grande",
        "little": "pequeño, pequeña",
    },
    numbers={
        **{"cero": 0, "medio": 0.5, "un": 1, "uno": 1, "dos": 2, "tres": 3, "un par de": 2, "cuatro": 4},
        **{"cinco": 5, "seis": 6, "siete": 7, "ocho": 8, "nueve": 9, "diez": 10, "doce": 12, "quince": 15},
        **{"veinte": 20, "treinta": 30, "cuarenta": 40, "cuarenta y cinco": 45, "cincuenta": 50, "noventa": 90},
        **{"cien": 100},
    },
    units={
        "m": "m, metro, metros",
        "cm": "cm, centímetro, centímetros",
        "mm": "mm, milímetro, milímetros",
        "inch": "pulgada, pulgadas",
        "degree": "grado, grados, °",
        "percent": "por ciento, %",
    },
    expanded={
        **{"pa": "para", "xfa": "por favor"},
    },
    ordinary="abril, arribo, cierta, sobra",
    gerund="",
    hints={
        "no": "bad, undo",
        "más": "forward, down, faster",
        "ahí": "down, close, open",
        "al revés": "left, right, back",
    },
    manners=(*_MANNERS, *REPORTS),
)
