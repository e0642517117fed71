"""The fixed parts of the operator's page: buttons, and the HTML that drive.js paints into."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from robot_rlhf.datatypes import Button

JUDGEMENTS: tuple[tuple[Button, str, str, str, str], ...] = (
    (Button.SUCCESS, "Success", "check_circle", "Enter", "End the episode as a success"),
    (Button.FAILURE, "Failure", "cancel", "Escape", "End the episode as a failure"),
    (Button.DISCARD, "Discard", "delete", "Backspace", "End the episode and learn nothing from it"),
    (Button.RESET, "Reset", "restart_alt", "KeyR", "End the episode unjudged, begin the next"),
)
"""What ends an episode: words, icon, key, tooltip."""
_KEY_NAMES = {
    "Enter": "Enter",
    "Escape": "Esc",
    "Backspace": "⌫",
    "KeyR": "R",
    "KeyP": "P",
    "KeyN": "N",
    "KeyB": "B",
    "KeyX": "X",
}
SEGMENTS: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    ("mode", "Lead", "M", (("hold", "Hold"), ("toggle", "Toggle"))),
    ("speed", "Speed", "1 2 3", (("1", "Slow"), ("2", "Medium"), ("3", "Full"))),
    ("frame", "Frame", "F", (("base", "Base"), ("tool", "Tool"), ("camera", "Camera"))),
)
"""Setting of the hands, its words, its keys, and the choices: value and words."""


def key_code(key: str) -> str:
    """KeyboardEvent.code of a letter or digit."""
    return f"Digit{key}" if key.isdigit() else f"Key{key}"


def fixed(content: str, classes: str = "", props: str = "", tag: str = "div") -> ui.html:
    """HTML that the page's author wrote, painted by drive.js; never holds what was typed or recorded."""
    made = ui.html(content, sanitize=False, tag=tag)
    if classes:
        made.classes(classes)
    elif not props:
        made.style("display: contents")
    return made.props(props) if props else made


def button(words: str, icon: str, act: Callable[[], object] | None, mark: str, *, key: str = "") -> ui.element:
    """A plain button of the browser, with the key that does the same."""
    made = ui.element("button").classes("c-button").props(f'type="button" data-press="{mark}"').mark(mark)
    if act is not None:
        made.on("click", act)
    with made:
        if icon:
            fixed(f'<i class="material-icons" aria-hidden="true">{icon}</i>')
        if words:
            ui.label(words)
        if key:
            made.props(f'data-code="{key}"')
            fixed(f'<kbd data-code="{key}">{_KEY_NAMES[key]}</kbd>')
    return made


BANNER = """
<i class="material-icons" id="d-icon" aria-hidden="true">wifi_off</i>
<div class="d-banner-text"><span class="d-words" id="d-words">NO CONNECTION</span>
<span class="d-badge" id="d-badge" hidden></span>
<span class="d-sub" id="d-sub">Connecting to the robot</span></div>
"""
TIME = """
<div class="d-time-line"><canvas id="d-time-canvas"></canvas>
<input type="range" id="d-moment" min="0" max="1" value="0" disabled aria-label="Moment to go back to">
<div class="d-time-words" id="d-moment-words"></div></div>
"""
EPISODE = """
<div class="d-instruction" id="d-instruction">–</div>
<div class="d-facts">
<div class="d-fact d-fact-large"><span class="c-caption">Time left</span><b id="d-left">–</b></div>
<div class="d-fact d-fact-large"><span class="c-caption">Step</span>
<b><span id="d-step">–</span><small id="d-of"></small></b></div>
<div class="d-fact"><span class="c-caption">Hand</span><b id="d-gripper">–</b></div>
</div>
<div class="d-aside"><span id="d-episode" title="Episode"></span><span id="d-policy" title="Policy that drives"></span>
<span id="d-force" title="Force at the tool"></span>
<span id="d-loop" title="Control period, 99th percentile, and periods that came late"></span></div>
"""
PAD = '<i class="material-icons" aria-hidden="true">sports_esports</i><span id="d-pad-words">No gamepad</span>'
TOUCH = """
<button type="button" class="c-button" id="d-lead" data-seat-only="1">
<i class="material-icons" aria-hidden="true">pan_tool</i>Hold to lead</button>
<button type="button" class="c-button" id="d-grip" data-seat-only="1">
<i class="material-icons" aria-hidden="true">swap_horiz</i>Gripper</button>
"""
STICK = """
<div class="d-stick d-stick-{side}" data-axes="{axes}" role="application" aria-label="{side} stick">
<i>{top}</i><i>{bottom}</i><i>{left}</i><i>{right}</i><div class="d-stick-knob"></div></div>
"""
LAST = """
<span class="c-caption">Last episode</span><span id="d-last-words">None has ended yet.</span>
"""
SAY = """
<input id="d-text" type="text" maxlength="{longest}" autocomplete="off" spellcheck="true"
 placeholder="Say it in words  (T)" aria-label="Sentence" data-seat-only="1">
<button type="button" class="c-button" id="d-dictate" data-seat-only="1" data-ears="{ears}"
 data-language="{language}" title="{title}" hidden>
<i class="material-icons" aria-hidden="true">mic</i></button>
<button type="button" class="c-button" id="d-send" data-seat-only="1" title="Send (Enter)">
<i class="material-icons" aria-hidden="true">send</i></button>
<div id="d-hears" role="status" aria-live="polite" hidden>
<i class="material-icons" aria-hidden="true" id="d-hears-icon">mic</i><span id="d-hears-words"></span></div>
"""
EARS = {"none": ("none", ""), "browser": ("browser", "Dictate: your browser's maker listens")}
"""Who listens to the microphone, and what the button says; any other recogniser is this machine's own."""
LOCAL_EARS = ("local", "Hold to speak (Y): this machine listens")
ENDED = """
<div class="c-panel d-ended-card"><h1>The session has ended</h1>
<div class="c-dim" id="d-ended-why">Everything is saved. This page can be closed.</div>
<dl id="d-ended-facts"></dl></div>
"""
