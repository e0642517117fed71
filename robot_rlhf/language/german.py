"""German, as a table."""

from __future__ import annotations

from robot_rlhf.language.german_reports import REPORTS
from robot_rlhf.language.table import Language

_MANNERS = (
    ("aus", r"(?:wurde|macht) es dir (?:etwas|was) (?:ausmachen|aus)(?: ,)?", "bitte"),
    ("lass", r"lass (?:ihn|es|sie|das|den \w+|die \w+)(?: (?:bitte|jetzt|mal|einfach))* los", "lass los"),
    ("greif pack", r"(greif|pack)(?: (?:bitte|jetzt|mal|nun|einfach|endlich))+ zu", r"\1 zu"),
    (
        "geht",
        r"geht (?:das|es)(?: (?:auch|nicht|etwas|noch))*(?= (?:schneller|langsamer|hoher|tiefer|weiter) )",
        "bitte",
    ),
    ("geht", r"geht (?:das|es)(?: (?:auch|nicht|etwas|noch))*(?= (?:schneller|langsamer|hoher|tiefer)$)", "bitte"),
    (
        "hast",
        r"das hast du (?:\w+ )?(gut|super|toll|prima|richtig|falsch|schlecht)(?: gemacht)?(?= [,.!]|$)",
        r"das war \1",
    ),
    ("wollte", r"genau ?so wollte ich (?:das|es)", "genau so"),
    (
        "nimm",
        r"nimm (?:das|es|alles)(?: (?:bitte|wieder|mal))* zuruck(?: ,)?(?: was ich (?:\w+ )?gesagt habe?)?",
        "nimm das zuruck",
    ),
    ("nahe naehe", r"in der nae?he (?:vom|von dem|von der|des|der)", "in der nahe von"),
    (
        "ware fande",
        r"(?:es|das) ware (?:\w+ )?(?:nett|schon|toll|super|gut|besser|klasse|lieb|prima)(?: von dir)? ,? ?wenn"
        r"(?: du)?|"
        r"ich fande es (?:\w+ )?(?:gut|schon|besser|toll) ,? ?wenn du",
        "bitte",
    ),
    ("ware", r"(?:das|es) ware (?:\w+ )?(?:nett|schon|toll|super|perfekt|klasse|lieb|prima)(?: von dir)?", ""),
    (
        "hatte mochte wurde",
        r"ich (?:hatte|mochte|wurde)(?: es)?(?: (?:gern|gerne|lieber|mogen|begrussen))* ,? ?(?:dass|wenn) du(?! nicht)",
        "bitte",
    ),
    ("geht recht umstande", r"wenn (?:es|das) (?:\w+ )?(?:geht|recht ist|keine umstande macht|moglich ist)", ""),
    ("so", r"(?:sei|wenn du) (?:bitte )?so (?:nett|gut|lieb|freundlich)(?: wars?t| bist)?(?: und)?", ""),
    ("ich", r"ich (?:glaube|denke|finde|schatze|meine) ,(?: dass)?(?= du)", ""),
    ("oder", r", (?:oder|nicht|gell|ne)(?: nicht)?(?= [?.]|$)", ""),
    ("mir", r"nach hinten(?: ,)?(?: also)?(?= (?:weg von|von) mir)", ""),
    (
        "mir mich",
        r"(?<!naher )(?<!naeher )zu mir(?! nach)(?: (?:her|ran|heran|hin))?|auf mich zu|richtung mir",
        "zuruck",
    ),
    ("meine", r"in meine richtung", "zuruck"),
    (
        "zu",
        r"mach(?:e|t)?(?: (?:mal|bitte|jetzt))* (?:den greifer|die (?:hand|finger|zange|klaue)|ihn|sie|es)"
        r"(?: (?:bitte|jetzt|mal|wieder))* zu(?= [,.!?]|$| und )",
        "schliesse",
    ),
    (
        "langsam",
        r"(?:(?:ganz|schon|nur) )+langsam|langsam(?= (?:jetzt|nach|runter|hoch|rechts|links|vor|zuruck))",
        "langsamer",
    ),
    ("gas", r"gib (?:(?:mal|etwas|mehr|bisschen|ein|bitte|doch) )+gas", "gib gas"),
    (
        "gesagt sagte",
        r"(?:vergiss|streich|streiche|ignorier|ignoriere|losch|losche)(?: (?:bitte|mal|wieder|einfach))*"
        r"(?: (?:das|es|alles))?(?: ,)? was ich (?:dir )?(?:(?:eben|gerade|vorhin|vorher|zuletzt) )*"
        r"(?:gesagt|sagte)(?: habe?)?",
        "vergiss das",
    ),
    ("nehm nehme", r"ich nehme? (?:das|es|alles) (?:wieder )?zuruck", "das nehme ich zuruck"),
    ("an", r"fasse? (nie|niemals|nicht) ((?:\w+ ){1,3})an", r"\1 \2beruhren"),
    (
        "probier probiere probiers",
        r"probiere?s?(?: (?:das|es|bitte|doch|mal))*(?= (?:nochmal|noch mal|noch einmal|erneut|wieder))"
        r" (?:nochmal|noch mal|noch einmal|erneut|wieder)",
        "versuch es nochmal",
    ),
)
"""Turns of phrase, without umlauts, as texts are compared."""

GERMAN = Language(
    name="de",
    called="German",
    signs={
        "move": {
            "left": """
                links, nach links, linke, linken, linker, linkes, zur linken seite, linksherum, auf die linke seite,
                linkere
            """,
            "right": """
                rechts, nach rechts, rechte, rechten, rechter, rechtes, zur rechten seite, auf die rechte seite
            """,
            "forward": "vor, vorwärts, nach vorne, nach vorn, vorne, vorn, geradeaus, vorrücken, weiter vor, voran",
            "back": "zurück, rückwärts, nach hinten, hinten, retour, zurückziehen, zurückfahren, zurückgehen",
            "up": """
                hoch, nach oben, oben, höher, rauf, hinauf, aufwärts, hochfahren, anheben, hochgehen, steig, steigen,
                herauf, empor, hoch gehen, hoch fahren
            """,
            "down": """
                runter, nach unten, unten, tiefer, herunter, hinunter, abwärts, niedriger, senken, absenken, sinken,
                runtergehen, runterfahren, senk, senke, hinab, herab
            """,
        },
        "turn": {
            "turn_left": """
                gegen den uhrzeigersinn, linksrum, links herum, links rum, gegen uhrzeigersinn, entgegen dem
                uhrzeigersinn, linksdrehung
            """,
            "turn_right": """
                im uhrzeigersinn, rechtsrum, rechtsherum, rechts herum, rechts rum, mit dem uhrzeigersinn,
                rechtsdrehung
            """,
        },
        "grip": {
            "open": """
                öffnen, öffne, auf, aufmachen, loslassen, lass los, lass es los, lass ihn los, loslass, weiter auf,
                mach auf, locker, lockerer, lösen, lass sie los, freigeben
            """,
            "close": """
                schließen, schließe, schliess, schließ, zumachen, zudrücken, fester, mach zu, festhalten, halt fest,
                halte fest, zugreifen, greif zu, drück zu, fester zu, halt es fest, halt ihn fest, zusammendrücken,
                pack zu, packe zu, zupacken, fass zu, fasse zu
            """,
        },
        "pace": {
            "slower": """
                langsamer, vorsichtiger, sanfter, bremsen, brems, immer mit der ruhe,
                mit ruhe, gemächlich, nicht so hastig, behutsamer, sachter, tempo raus
            """,
            "faster": """
                schneller, beeil dich, beeile dich, zügiger, rascher, mehr tempo, gib gas, mach schneller, tempo,
                flotter
            """,
        },
        "state": {
            "left": "weit links, weit nach links",
            "right": "weit rechts, weit nach rechts",
            "forward": "weit vorne, weit nach vorne, weit vor, weit vorn",
            "back": "weit hinten, weit nach hinten, weit zurück",
            "up": "weit oben, weit hoch, weit nach oben",
            "down": "tief, niedrig, weit unten, weit runter, weit nach unten",
            "open": "lose, weit auf, weit offen",
            "close": "fest, eng",
            "slower": "langsam, lahm",
            "faster": "schnell, hastig, ruckartig, grob",
        },
        "verdict": {
            "good": """
                gut, super, prima, toll, perfekt, sehr gut, richtig, genau, gut gemacht, genau so, ausgezeichnet,
                klasse, wunderbar, schön, besser, weiter so, das ist gut, das war gut, stimmt, hervorragend, nicht
                schlecht, bravo
            """,
            "bad": """
                schlecht, falsch, nicht gut, mist, schlimm, furchtbar, schrecklich, schlechter, das war falsch,
                fehler, so nicht, nicht richtig, miserabel, daneben, das war nichts, das war nix
            """,
        },
        "order": {
            "stop": """
                stopp, stop, anhalten, halt an, halte an, sofort anhalten, stehenbleiben, bleib stehen, not aus,
                notaus, abbruch
            """,
            "alone": "halt, genug, das reicht, schluss, aus",
            "quit": "hör auf, höre auf, hör auf damit, nicht mehr, aufhören, beweg dich nicht",
            "wait": """
                warte, warten, moment, moment mal, einen moment, pause, warte mal, bleib so, bleib da, warte kurz
            """,
            "retry": """
                nochmal versuchen, versuch es nochmal, noch einmal versuchen, von vorne, neu anfangen, fang neu an,
                versuche es noch einmal, zurück zum start, zurück zum anfang, geh zurück zum start, neustart, noch ein
                versuch, nochmal von vorne, von vorn, versuchs nochmal, versuch es noch einmal, fang von vorne an, zum
                anfang
            """,
            "again": "nochmal, noch einmal, noch mal, wieder, wiederholen, wiederhole das, nochmals",
            "undo": """
                rückgängig, mach das rückgängig, rückgängig machen, vergiss das, vergiss es, nimm das zurück, streich
                das, ignorier das, ignoriere das, mach es rückgängig, zurücknehmen, das nehme ich zurück
            """,
        },
        "negate": {
            "not": "nicht, kein, keine, keinen, keinesfalls",
            "dont": "ohne, bloß nicht, auf keinen fall, auf gar keinen fall, keineswegs",
            "no": "nein, ne, nee, nö, nein nein",
            "too": """
                zu weit, zu viel, viel zu, zu sehr, zuviel, viel zu weit, etwas zu, bisschen zu, zu stark,
                übertrieben, ein bisschen zu, zu
            """,
            "drift": "driftest, driftet, driftend, abgedriftet, rutschst, weichst ab, drängst, ziehst",
            "less": """
                weniger, nicht so, nicht so weit, nicht so sehr, nicht ganz so, nicht so viel, minder, etwas weniger
            """,
            "enough": "genug weit, ausreichend, weit genug",
            "short": "zu wenig, nicht genug, nicht weit genug, nicht ausreichend",
        },
        "amount": {
            "small": """
                ein bisschen, bisschen, ein wenig, wenig, etwas, leicht, ein stück, ein stückchen, stückchen, ein
                tick, tick, minimal, geringfügig, ein kleines stück, ein hauch, ne spur, eine spur, ein klein wenig,
                nur etwas, klein
            """,
            "large": """
                viel, deutlich, weit, ganz, ein ganzes stück, sehr viel, stark, erheblich, ein großes stück, ganz weit
            """,
            "very": "sehr, so, ziemlich, recht, ganz schön, echt, total",
        },
        "verb": {
            "go": """
                geh, gehe, gehen, fahr, fahre, fahren, beweg, bewege, bewegen, komm, komme, schieb dich, rück, rücke,
                mach, rutsch, lenk, weiter, bring, steuer, steuere, bewegst, gehst, fährst, machen, schwenk, neig,
                halte dich, halt dich, zu fahren, zu gehen, zu bewegen, zu machen
            """,
            "turn": """
                dreh, drehe, drehen, dreht, drehst, rotier, rotiere, rotieren, schwenke, das handgelenk, handgelenk,
                gedreht, verdreh, verdrehe, verdrehen, zu drehen
            """,
            "put": """
                leg, lege, legen, stell, stelle, stellen, setz, setze, tu, steck, stecke, pack, ablegen, stapel,
                stecken
            """,
            "push": "schieb, schiebe, schieben, stoß, drück, drücke, stoße, schubs, drücken",
            "pull": "zieh, ziehe, ziehen",
            "pick": "heb auf, nimm auf, aufheben, aufnehmen, aufsammeln",
            "grab": """
                greif, greife, greifen, nimm, nehmen, pack dir, fass, fasse, schnapp, ergreif, ergreife, hol, packe
            """,
            "hold": "halten, halte",
            "lift": "heb, hebe, heben, heb an, hebe an, heb hoch, hebe hoch, hochheben",
            "drop": "fallen lassen, fallenlassen, lass fallen, lass es fallen, lass ihn fallen",
            "put_down": """
                leg es ab, leg ihn ab, stell es ab, setz ihn ab, abstellen, absetzen, stell ihn ab, setz es ab
            """,
            "keep": "bleib, bleibe, bleiben, halte abstand, halt abstand",
            "avoid": """
                vermeide, vermeiden, meide, pass auf, weich aus, umfahre, achte auf, halte dich fern, halt dich fern,
                bleib weg, bleib fern, komm nicht, geh nicht, fahr nicht, halte abstand von, halte abstand zu, achtung
            """,
            "touch": "berühre, berühren, berühr, stoß an, anstoßen, anfassen, triff, umstoßen, fass an",
            "approach": "näherst, annähern, nähere dich, wenn du dich näherst",
            "get": "will, ich will, ich meine, ich möchte, wähle, such, finde, suche, ich wollte",
            "speed": "die geschwindigkeit, geschwindigkeit, das tempo",
        },
        "at": {
            "above": "über, oberhalb, oberhalb von",
            "onto": "auf die, auf den, auf das, drauf, darauf, auf dem, herunter auf, runter auf",
            "to": """
                zum, zur, zu dem, zu der, in richtung, richtung, bis zu, an, hin zu, nach, näher an, näher zu, heran
                an, hin zum
            """,
            "away": "weg von, weg vom, fort von, weg von der, weg, entfernt von, fern, fern von, von, vom",
            "behind": "hinter, auf die andere seite von, auf der anderen seite von, auf die rückseite",
            "near": """
                nahe, in der nähe von, in der nähe, nah an, nahe bei, bei, beim, neben, nah, dicht an, nahe an, in die
                nähe von
            """,
            "in": "in, ins, hinein in, in den, in die, hinein, im, rein in, rein",
            "of": "als",
            "from": "von links her, aus",
            "far": "weit weg von, weit weg vom, weit von",
            "seen": "gesehen von, von aus gesehen",
        },
        "rule": {
            "always": """
                immer, ab jetzt, von jetzt an, ab sofort, generell, überall, jedes mal, in zukunft, künftig, stets
            """,
            "never": "nie, niemals, nie wieder",
            "from_above": "von oben, senkrecht von oben",
        },
        "frame": {
            "view": "mein, meine, von mir aus, von mir aus gesehen, aus meiner sicht, mein eigenes, meinem",
            "base": "dein, deine, von dir aus, von dir aus gesehen, aus deiner sicht, deinem, deiner, deinen",
            "tool": "des greifers, vom greifer aus",
        },
        "who": {
            "you": "du, dich, dir, roboter",
            "robot": """
                der greifer, den greifer, greifer, der arm, den arm, arm, die hand, hand, die finger, finger, das
                werkzeug, klaue, dem arm, dem greifer, der roboter, den roboter, die klaue, die zange
            """,
            "me": "mir, mich, uns, der kamera, die kamera",
            "other": "ich, wir, er, man, jemand, ihr, mein hund",
        },
        "is": {
            "is": """
                bist, ist, war, warst, sind, gehst zu, fährst zu, bist gegangen, wirst, wird, hast, hat, liegt, steht,
                bleibst
            """,
            "need": "musst, solltest, sollst, sollte, muss, soll, kannst, könntest, müsstest, darfst, müsste, könnte",
        },
        "thing": {
            "it": "es, ihn, dies, dieses, diesen, das ding, ding, das da, den da, die da, ihm",
            "one": "einen, eines",
            "the": "der, die, den, dem, des, ein, eine, einem, einer, das",
        },
        "link": {
            "and": "und, sowie, plus",
            "or": "oder",
            "then": "dann, und dann, aber, danach, anschließend, sondern, jedoch, doch, bis, während, weil",
            "fix": """
                ich meine, quatsch, ach nein, entschuldigung, sorry, vielmehr, besser gesagt, äh nein, ich meinte,
                pardon, korrektur
            """,
            "instead": "statt, anstatt, anstelle von, und nicht",
            "if": "falls, ob, angenommen",
        },
        "word": {
            "more": "mehr, weiter nach, noch, noch mehr, noch weiter, noch etwas",
            "manner": "sachte, behutsam, sanft, vorsichtig",
            "yes": "ja, jawohl, jo",
            "filler": """
                bitte, mal, jetzt, nun, okay, ok, hallo, hey, kannst du, könntest du, würdest du, doch mal, eben,
                einfach, sofort, also, na, äh, ähm, danke, vielleicht, gerade, ich glaube, ich denke, ein kleines, so
                bitte, ungefähr, etwa, lass uns, versuch, versuche, ganz einfach, dort drüben, hier, rüber, hinüber,
                herüber, um, seite, richtung bitte, ein mal, nur, schon, ja bitte, kannst, mehr so, gleich, wohl,
                dabei, dorthin, her, hin, wenn, du bist, sein
            """,
            "question": """
                was, wo, warum, wer, wie, welche, welcher, welches, wieso, weshalb, wohin, bist du, ist das, hast du,
                kann ich, ist es
            """,
            "nothing": """
                andersrum, andere richtung, die andere richtung, anders, umgekehrt, gegenteil, linkshänder,
                rechtshänder, da, dort, rechtzeitig, rechtschreibung, recht haben, hast recht, wetter, vorher,
                vorgestern, vorbei, obendrein, hinterher, zuhause, zu hause, nicht anhalten, nicht stoppen, nicht
                aufhören, auf wiedersehen, guten morgen, gute nacht, guten tag, zu mir, auf mich, auf jeden fall,
                links liegen, auf einmal, zu zweit, vor allem, vor kurzem, zurück zu hause, hochzeit, das wetter,
                schönes wetter
            """,
        },
    },
    nouns={
        "cube": "würfel, klotz, block, kiste, quader, baustein, würfels",
        "puck": "puck, scheibe",
        "ring": "ring, ziel, kreis, tor",
        "marker": "markierung, punkt, kugel, ball",
        "glass": "glas, glases",
        "cup": "tasse, becher",
        "lamp": "lampe, leuchte, licht",
        "bowl": "schale, schüssel",
        "plate": "teller, tablett",
        "basket": "korb, behälter, eimer",
        "drawer": "schublade, lade",
        "cabinet": "schrank",
        "handle": "griff, knauf, henkel",
        "peg": "stift, zapfen, stab, bolzen",
        "hole": "loch, öffnung, buchse",
        "obstacle": "hindernis, wand",
    },
    adjectives={
        "red": "rot, rote, roten, roter, rotes",
        "green": "grün, grüne, grünen, grüner, grünes",
        "blue": "blau, blaue, blauen, blauer, blaues",
        "yellow": "gelb, gelbe, gelben, gelber, gelbes",
        "black": "schwarz, schwarze, schwarzen, schwarzer",
        "white": "weiß, weiße, weißen, weißer",
        "large": "groß, große, großen, großer",
        "little": "kleine, kleinen, kleiner, kleines",
    },
    numbers={
        **{"null": 0, "ein halber": 0.5, "einen halben": 0.5, "ein": 1, "einen": 1, "eins": 1, "zwei": 2},
        **{"drei": 3, "vier": 4, "ein paar": 3, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9},
        **{"zehn": 10, "zwölf": 12, "fünfzehn": 15, "zwanzig": 20, "dreißig": 30, "vierzig": 40, "fünfzig": 50},
        **{"neunzig": 90, "hundert": 100, "fünfundvierzig": 45},
    },
    units={
        "m": "m, meter",
        "cm": "cm, zentimeter",
        "mm": "mm, millimeter",
        "inch": "zoll",
        "degree": "grad, °",
        "percent": "prozent, %",
    },
    expanded={
        **{
            "gehs": "geh es",
            "machs": "mach es",
            "nich": "nicht",
            "biste": "bist du",
            "nochn": "noch ein",
            "wenn's": "wenn es",
            "versuch's": "versuch es",
            "geht's": "geht es",
        },
    },
    ordinary="fenster, link, rechne, rechnen",
    gerund="",
    hints={
        "nein": "bad, undo",
        "mehr": "forward, down, faster",
        "da": "down, close, open",
        "andersrum": "left, right, back",
    },
    manners=(*_MANNERS, *REPORTS),
)
