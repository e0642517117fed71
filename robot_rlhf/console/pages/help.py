"""Help about keys and gamepad: the part that is always on the page, and the whole list."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from nicegui import ui

from robot_rlhf.console.controls import Hands
from robot_rlhf.console.keymap import KEY_HELP, MICROPHONE, KeyHelp, key_label

_DOCK = ("move", "turn", "gripper", "lead")
"""Groups that are on the page at all times; the keys of the others stand on their buttons."""
_SHORT = {
    "left Shift": "⇧ L",
    "right Shift": "R ⇧",
    "left Ctrl": "Ctrl L",
    "right Ctrl": "R Ctrl",
    "Page up": "PgUp",
    "Page down": "PgDn",
}
_WORDS = {"take the lead (hold, or toggle)": "lead", "rewind while held": "rewind", "open or close": "open / close"}
_TITLES = {
    "move": "Move",
    "turn": "Turn",
    "gripper": "Gripper",
    "lead": "Lead",
    "judge": "Judge",
    "session": "Session",
    "settings": "Settings",
}
_SHEET_HEAD = (
    '<span class="d-sheet-title">Keyboard</span><span class="c-dim c-grow">Your keys go on driving; try them: they '
    'light up.</span><button type="button" class="c-button" id="d-sheet-close">Close <kbd data-code="KeyH">H</kbd>'
    "<kbd>Esc</kbd></button>"
)
_ON_PAGE = 2
"""Keys shown per line of the dock; the others are in the line's tooltip and in the whole list."""


def dock_help(hands: Hands) -> None:
    """The driving keys that do something with this robot; hands.js lights them up while held."""
    groups: list[str] = []
    for group in _DOCK:
        entries = [entry for entry in hands.help() if entry.group == group]
        if entries:
            rows = "".join(
                _entry(entry, entry.keys[:_ON_PAGE], _WORDS.get(entry.does, entry.does)) for entry in entries
            )
            groups.append(f'<div class="d-help-group" aria-label="{_TITLES[group]}">{rows}</div>')
    more = '<div class="d-help-entry d-help-all"><kbd data-code="KeyH">H</kbd><span>all keys</span></div>'
    ui.html(f'<div class="d-help-groups">{"".join(groups)}</div>{more}', sanitize=False).classes("d-help")


def help_sheet(hands: Hands, *, microphone: bool) -> None:
    """All keys, buttons and sticks, over the lower half of the page, opened and closed by H; the keys go on driving.

    Args:
        microphone: somebody listens while the talk key is held.
    """
    keys = tuple(entry for entry in KEY_HELP if hands.can(entry) or (microphone and entry.needs == MICROPHONE))
    with ui.element("section").classes("c-panel d-sheet").props('id="d-sheet" aria-label="All keys" hidden'):
        ui.html(_SHEET_HEAD, sanitize=False).classes("d-sheet-head")
        ui.html(_columns(keys), sanitize=False).classes("d-sheet-columns")
        ui.label("Gamepad").classes("d-sheet-title")
        ui.html(_columns(hands.pad_help()), sanitize=False).classes("d-sheet-columns")


def _columns(entries: Sequence[KeyHelp]) -> str:
    columns: list[str] = []
    for group, title in _TITLES.items():
        rows = "".join(_entry(entry, entry.keys, entry.does) for entry in entries if entry.group == group)
        if rows:
            columns.append(f'<div><div class="c-caption">{title}</div>{rows}</div>')
    return "".join(columns)


def _entry(entry: KeyHelp, keys: Iterable[str], does: str) -> str:
    caps = "".join(f'<kbd data-code="{html.escape(key, quote=True)}">{html.escape(_short(key))}</kbd>' for key in keys)
    title = html.escape(f"{' or '.join(entry.labels)}: {entry.does}", quote=True)
    return f'<div class="d-help-entry" title="{title}">{caps}<span>{html.escape(does)}</span></div>'


def _short(key: str) -> str:
    label = key_label(key)
    return _SHORT.get(label, label)
