"""The operator's page: watch, drive, judge, speak, and see the robot learn. Fits 1366 x 768 without scrolling."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from robot_rlhf.console.desk import Desk, Visitor
from robot_rlhf.console.pages.help import dock_help, help_sheet
from robot_rlhf.console.pages.learning import LearningPanel
from robot_rlhf.console.pages.state import page_state
from robot_rlhf.console.pages.theme import header, version
from robot_rlhf.console.wire import MAX_SENTENCE
from robot_rlhf.datatypes import Button
from robot_rlhf.errors import InvalidValueError, RobotRlhfError

if TYPE_CHECKING:
    from robot_rlhf.console.server import Console

REFRESH = 0.25
"""Seconds between two looks at what changed; the banner and the pictures do not wait for it."""
RESEND = 20
"""Refreshes after which the page's state is sent again although it is the same, for a page that missed it."""
MAX_NAME = 40
"""Characters of a person's name."""

_JUDGEMENTS: tuple[tuple[Button, str, str, str, str], ...] = (
    (Button.SUCCESS, "Success", "check_circle", "Enter", "End the episode as a success"),
    (Button.FAILURE, "Failure", "cancel", "Escape", "End the episode as a failure"),
    (Button.DISCARD, "Discard", "delete", "Backspace", "End the episode and learn nothing from it"),
    (Button.RESET, "Reset", "restart_alt", "KeyR", "End the episode unjudged, begin the next"),
)
_KEY_NAMES = {"Enter": "Enter", "Escape": "Esc", "Backspace": "⌫", "KeyR": "R", "KeyP": "P", "KeyB": "B", "KeyX": "X"}
_SEGMENTS: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    ("mode", "Lead", "M", (("hold", "Hold"), ("toggle", "Toggle"))),
    ("speed", "Speed", "1 2 3", (("1", "Slow"), ("2", "Medium"), ("3", "Full"))),
    ("frame", "Frame", "F", (("base", "Base"), ("tool", "Tool"), ("camera", "Camera"))),
)


def build_drive_page(console: Console, visitor: Visitor) -> None:
    """Build the page into the current NiceGUI client.

    Args:
        console: with a robot and a desk: a live session.
        visitor: whose browser it is.

    Raises:
        InvalidValueError: the console shows a recorded session, which nobody can drive.
    """
    if console.robot is None or console.desk is None:
        raise InvalidValueError("console", "a recorded session", "a live one: only that can be driven")
    DrivePage(console, console.desk, visitor).build()


class DrivePage:
    """One browser tab on the operator's page."""

    def __init__(self, console: Console, desk: Desk, visitor: Visitor) -> None:
        self.console = console
        self.desk = desk
        self.visitor = visitor
        self.learning = LearningPanel(console)
        self._client = ui.context.client
        self._sent: dict[str, Any] = {}
        self._silent = 0

    # -- layout ------------------------------------------------------------------------------------------------------

    def build(self) -> None:
        settings = self.console.settings
        place = header(settings.title, "drive", task=settings.task)
        ui.add_head_html(
            f'<script defer src="/static/transport.js?{version("transport.js")}"></script>'
            f'<script defer src="/static/drive.js?{version("drive.js")}"></script>'
        )
        with place:
            self._people()
        cameras = tuple(settings.cameras)
        aspect = 1.0
        if cameras:
            height, width = settings.cameras[main_camera(cameras)]
            aspect = min(1.4, max(0.7, width / height))
        drive = ui.element("main").classes("d-drive").props('id="drive" data-look="lost" data-seat="0" data-paused="0"')
        beside = 1 if len(cameras) == 2 else 0
        drive.style(
            f"--aspect: {aspect:.4f}; --cells: {max(1, len(cameras) - 1)}; --shares: {beside}; "
            f"--rows: {beside * len(settings.action_names)}"
        )
        with drive:
            self._banner()
            self._stop()
            self._pictures(cameras)
            self._episode(with_axes=len(cameras) != 2)
            self.learning.build()
            self._judge()
            self._keys()
            self._speak()
            _static(_STICK.format(side="left", axes="x y", top="forward", bottom="back", left="left", right="right"))
            _static(_STICK.format(side="right", axes="z rz", top="up", bottom="down", left="turn", right="turn"))
        _static(_ENDED, "d-ended")
        self._sheet = help_sheet(self.desk.hands)
        self._end = self._end_dialog()
        if not self.desk.camera and cameras:
            self.desk.camera = main_camera(cameras)
        self._listen()

    def _listen(self) -> None:
        """What the page's own script asks for, and when to look again."""
        ui.on("drive-speak", self._on_speak)
        ui.on("drive-moment", self._on_moment)
        ui.on("drive-camera", self._on_camera)
        ui.on("drive-visible", self._on_visible)
        ui.on("drive-help", lambda _: self._sheet.set_value(not self._sheet.value))
        ui.timer(REFRESH, self.refresh)
        self.desk.on_change.append(self.refresh)
        self._client.on_delete(self._forget)

    def _forget(self) -> None:
        if self.refresh in self.desk.on_change:
            self.desk.on_change.remove(self.refresh)

    def _people(self) -> None:
        chip = ui.element("button").classes("c-button").props('type="button" id="d-person" aria-haspopup="menu"')
        with chip:
            _static('<i class="material-icons">person</i>')
            _static('<span id="d-person-words">You</span>')
            with ui.menu().classes("d-menu") as menu, ui.column().classes("q-pa-md gap-2"):
                name = ui.input("Your name", value=self.visitor.name).props(f"maxlength={MAX_NAME} dense outlined")
                name.mark("name")

                def rename() -> None:
                    self._do(lambda: self.desk.rename(self.visitor, str(name.value or "")))
                    menu.close()

                name.on("keydown.enter", rename)
                _button("Save the name", "done", rename, "save-name")
                _button("Leave the seat", "event_seat", self._leave, "leave").props('id="d-leave"')

    def _leave(self) -> None:
        self._do(lambda: self.desk.leave_seat(self.visitor))

    def _banner(self) -> None:
        _static(_BANNER, "d-banner", 'id="d-banner" role="status" aria-live="polite"')

    def _stop(self) -> None:
        with ui.element("div").classes("d-stop"):
            stop = _button("STOP", "dangerous", lambda: self._press(Button.STOP), "stop", key="KeyX")
            stop.classes("c-danger d-stop-now").props('title="Stop the robot and hold still until released (X)"')
            release = _button("Release", "lock_open", lambda: self._press(Button.RELEASE), "release")
            release.classes("d-release").props('id="d-release" data-seat-only="1"')

    def _pictures(self, cameras: tuple[str, ...]) -> None:
        with ui.element("section").classes("d-pics").props(f'data-count="{len(cameras)}" aria-label="Cameras"'):
            if cameras:
                main = main_camera(cameras)
                rest = [name for name in cameras if name != main]
                _static(self._camera(main), "d-mains", 'id="d-mains"')
                if rest:
                    with ui.element("div").classes("d-small"):
                        cells = "".join(self._camera(name) for name in rest)
                        _static(cells, "", 'id="d-smalls" style="display:contents"')
                        if len(cameras) == 2:
                            self._axes()
            else:
                _static('<div class="d-camera"><span class="d-none">This robot has no camera</span></div>', "d-mains")
            _static(_TIME, "d-time")

    def _camera(self, name: str) -> str:
        height, width = self.console.settings.cameras[name]
        safe = html.escape(name, quote=True)
        return (
            f'<button type="button" class="d-camera" data-name="{safe}" title="Show {safe} large">'
            f'<canvas data-camera="{safe}" width="{width}" height="{height}"></canvas>'
            f'<span>{safe}</span><span class="d-none">No picture yet</span></button>'
        )

    def _axes(self) -> None:
        rows = "".join(
            f'<div class="d-axis" title="{html.escape(_AXIS_WORDS.get(name, name), quote=True)}">'
            f'<span class="c-line">{html.escape(_AXIS_NAMES.get(name, name))}</span>'
            '<span class="d-axis-track"><span class="d-axis-bar"></span></span>'
            '<span class="d-axis-number">–</span></div>'
            for name in self.console.settings.action_names
        )
        _static(f'<div class="c-caption">Action</div><div id="d-axes">{rows}</div>', "d-axes")

    def _episode(self, *, with_axes: bool) -> None:
        with ui.element("section").classes("c-panel d-ep").props('aria-label="Episode"'):
            _static(_EPISODE.format(columns="d-facts-three" if with_axes else ""))
            if with_axes:
                self._axes()
            _static('<div class="c-caption">Guard</div><div id="d-guard"></div>', "d-guard")

    def _judge(self) -> None:
        with ui.element("section").classes("d-judge").props('aria-label="Judge"'):
            for button, words, icon, key, title in _JUDGEMENTS:
                made = _button(words, icon, self._presser(button), button.value, key=key)
                made.classes(f"d-{button.value}").props(f'data-seat-only="1" data-title="{title}"')
            pause = _button("", "", self._pause, "pause", key="KeyP", inside=_PAUSE)
            pause.props('data-seat-only="1" data-title="Pause, or go on"')
            rewind = _button("Rewind", "fast_rewind", lambda: self._press(Button.REWIND), "rewind", key="KeyB")
            rewind.props('data-seat-only="1" data-title="Pause and go back one second; hold B"')
            if not self.console.settings.can_rewind:
                rewind.props('data-never="This robot cannot rewind"')
            end = _button("End session", "logout", lambda: self._end.open(), "end")
            end.props('data-seat-only="1" data-title="End the session after this episode; asks first"')
            with ui.element("div").classes("d-watch"):
                _static('<i class="material-icons">visibility</i>')
                _static('<span id="d-watch-words">You are watching.</span>', "c-grow c-line")
                take = _button("Take the seat", "event_seat", self._take, "take-seat").classes("c-primary")
                take.props('title="From then on you drive, and who drives now only watches"')

    def _keys(self) -> None:
        with ui.element("section").classes("c-panel d-keys").props('aria-label="Controls"'):
            with ui.element("div").classes("d-controls"):
                for setting, words, key, choices in _SEGMENTS:
                    with ui.element("div").classes("d-segment"):
                        ui.label(words).classes("c-dim")
                        with ui.element("div").props(f'role="group" aria-label="{words}"'):
                            for value, text in choices:
                                choice = ui.element("button").props(f'type="button" data-{setting}="{value}"')
                                choice.props('aria-pressed="false" data-seat-only="1"').mark(f"{setting}-{value}")
                                choice.on("click", self._chooser(setting, value))
                                with choice:
                                    ui.label(text)
                        _static("".join(f"<kbd data-code='{_code(k)}'>{k}</kbd> " for k in key.split()))
                _static(_PAD, "d-pad", 'id="d-pad" data-on="0"')
                hands = (
                    ui.element("button")
                    .classes("c-button")
                    .props('type="button" id="d-hands" title="Keys or on-screen sticks"')
                )
                with hands:
                    _static('<i class="material-icons">touch_app</i>')
                    _static('<span id="d-hands-words">Sticks</span>')
            dock_help(self.desk.hands)
            _static(_TOUCH, "d-touch")

    def _speak(self) -> None:
        with ui.element("section").classes("c-panel d-speak").props('aria-label="Speak"'):
            _static(_SAY.format(longest=MAX_SENTENCE), "d-say")
            _static("", "d-chips", 'id="d-chips"')
            _static("", "d-said", 'id="d-said" aria-label="Said in this episode"')

    def _end_dialog(self) -> ui.dialog:
        with ui.dialog() as dialog, ui.card().classes("q-pa-lg gap-4"):
            ui.label("End the session?").style("font-size: 22px; font-weight: 700")
            ui.label("The running episode is closed and kept, learning stops, and everything is saved.")
            with ui.row().classes("justify-end w-full"):
                _button("Go on", "arrow_back", dialog.close, "end-no")
                _button("End the session", "logout", lambda: self._finish(dialog), "end-yes").classes("c-danger")
        return dialog

    # -- what people do ----------------------------------------------------------------------------------------------

    def _do(self, act: Callable[[], None]) -> None:
        """Say in plain words why something was refused."""
        try:
            act()
        except RobotRlhfError as error:
            ui.notify(str(error), type="warning", position="top", close_button="OK")

    def _press(self, button: Button) -> None:
        self._do(lambda: self.desk.press(self.visitor, button))

    def _presser(self, button: Button) -> Callable[[], None]:
        return lambda: self._press(button)

    def _pause(self) -> None:
        present = self.desk.robot.present
        paused = present is not None and present.phase in ("paused", "rewinding")
        self._press(Button.RESUME if paused else Button.PAUSE)

    def _finish(self, dialog: ui.dialog) -> None:
        dialog.close()
        self._press(Button.END)

    def _take(self) -> None:
        self._do(lambda: self.desk.take_seat(self.visitor))

    def _chooser(self, setting: str, value: str) -> Callable[[], None]:
        def act() -> None:
            if not self.desk.sits(self.visitor):
                raise InvalidValueError(setting, value, "what the operator chooses: take the seat first")
            if setting == "speed":
                self.desk.hands.speed_level = int(value)
            else:
                setattr(self.desk.hands, setting, value)
            self.refresh()

        return lambda: self._do(act)

    def _on_speak(self, event: GenericEventArguments) -> None:
        asked: Any = event.args
        try:
            text, ago = str(asked["text"]), float(asked["ago"])
        except (KeyError, TypeError, ValueError):
            return
        self._do(lambda: self.desk.speak(self.visitor, text, ago if ago == ago else 0.0))

    def _on_moment(self, event: GenericEventArguments) -> None:
        step: Any = event.args
        if step is not None and (isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 10**7):
            return
        self._do(lambda: self.desk.choose_moment(self.visitor, step))

    def _on_camera(self, event: GenericEventArguments) -> None:
        if event.args in self.console.settings.cameras and self.desk.sits(self.visitor):
            self.desk.camera = str(event.args)

    def _on_visible(self, event: GenericEventArguments) -> None:
        self.learning.visible = event.args is not False

    # -- what people see ---------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Send what changed since the last look."""
        state = page_state(self.console, self.visitor)
        self._silent += 1
        if state != self._sent or self._silent >= RESEND:
            self._sent, self._silent = state, 0
            text = json.dumps(state, allow_nan=False)
            self._client.run_javascript(
                f"window.console_drive_state = {text}; window.console_drive && window.console_drive.state()"
            )
        self.learning.refresh()


def main_camera(cameras: tuple[str, ...]) -> str:
    """The one that is shown large at first: 'front' or 'scene' where there is one, else the first."""
    return next((name for name in ("front", "scene", "overview") if name in cameras), cameras[0])


def _code(key: str) -> str:
    return f"Digit{key}" if key.isdigit() else f"Key{key}"


def _static(content: str, classes: str = "", props: str = "", tag: str = "div") -> ui.html:
    """Fixed HTML of this file, painted by drive.js; never holds what was typed or recorded."""
    made = ui.html(content, sanitize=False, tag=tag)
    if classes:
        made.classes(classes)
    elif not props:
        made.style("display: contents")
    return made.props(props) if props else made


def _button(
    words: str, icon: str, act: Callable[[], object], mark: str, *, key: str = "", inside: str = ""
) -> ui.element:
    """A plain button of the browser, with the key that does the same; `inside` is fixed HTML."""
    made = ui.element("button").classes("c-button").props(f'type="button" data-press="{mark}"').mark(mark)
    made.on("click", act)
    with made:
        if icon:
            _static(f'<i class="material-icons" aria-hidden="true">{icon}</i>')
        if words:
            ui.label(words)
        if inside:
            _static(inside)
        if key:
            made.props(f'data-code="{key}"')
            _static(f'<kbd data-code="{key}">{_KEY_NAMES[key]}</kbd>')
    return made


_AXIS_NAMES = {"rx": "roll", "ry": "pitch", "rz": "yaw", "gripper": "grip"}
_AXIS_WORDS = {
    "x": "x: + is forward",
    "y": "y: + is left",
    "z": "z: + is up",
    "rx": "turning about x",
    "ry": "turning about y",
    "rz": "turning about z",
    "gripper": "gripper: + opens, − closes",
}
_BANNER = """
<i class="material-icons" id="d-icon" aria-hidden="true">wifi_off</i>
<span class="d-words" id="d-words">NO CONNECTION</span>
<span class="d-badge" id="d-badge" hidden></span>
<span class="d-sub" id="d-sub">Connecting to the robot</span>
"""
_TIME = """
<div class="d-time-line"><canvas id="d-time-canvas"></canvas>
<input type="range" id="d-moment" min="0" max="1" value="0" disabled aria-label="Moment to go back to">
<div class="d-time-words" id="d-moment-words"></div></div>
"""
_EPISODE = """
<div class="d-instruction" id="d-instruction">–</div>
<div class="d-facts {columns}">
<div class="d-fact d-fact-large"><span class="c-caption">Time left</span><b id="d-left">–</b></div>
<div class="d-fact d-fact-large"><span class="c-caption">Step</span>
<b><span id="d-step">–</span><small id="d-of"></small></b></div>
<div class="d-fact"><span class="c-caption">Episode</span><b id="d-episode">–</b></div>
<div class="d-fact"><span class="c-caption">Kind</span><b id="d-kind">–</b></div>
<div class="d-fact"><span class="c-caption">Force</span><b id="d-force">–</b></div>
<div class="d-fact"><span class="c-caption">Gripper</span><b id="d-gripper">–</b></div>
<div class="d-fact"><span class="c-caption">Policy</span><b id="d-policy">–</b></div>
<div class="d-fact" title="Control period, 99th percentile, and periods that came late">
<span class="c-caption">Loop</span><b id="d-loop">–</b></div>
</div>
"""
_PAUSE = """
<span class="d-only d-only-running"><i class="material-icons" aria-hidden="true">pause</i>Pause</span>
<span class="d-only d-only-paused"><i class="material-icons" aria-hidden="true">play_arrow</i>Resume</span>
"""
_PAD = '<i class="material-icons" aria-hidden="true">sports_esports</i><span id="d-pad-words">No gamepad</span>'
_TOUCH = """
<button type="button" class="c-button" id="d-lead" data-seat-only="1">
<i class="material-icons" aria-hidden="true">pan_tool</i>Hold to lead</button>
<button type="button" class="c-button" id="d-grip" data-seat-only="1">
<i class="material-icons" aria-hidden="true">swap_horiz</i>Gripper</button>
"""
_STICK = """
<div class="d-stick d-stick-{side}" data-axes="{axes}" role="application" aria-label="{side} stick">
<i>{top}</i><i>{bottom}</i><i>{left}</i><i>{right}</i><div class="d-stick-knob"></div></div>
"""
_SAY = """
<input id="d-text" type="text" maxlength="{longest}" autocomplete="off" spellcheck="true"
 placeholder="Type a correction  (T)" aria-label="Correction" data-seat-only="1">
<button type="button" class="c-button" id="d-dictate" data-seat-only="1" title="Dictate" hidden>
<i class="material-icons" aria-hidden="true">mic</i></button>
<button type="button" class="c-button" id="d-send" data-seat-only="1" title="Send (Enter)">
<i class="material-icons" aria-hidden="true">send</i></button>
"""
_ENDED = """
<div class="c-panel d-ended-card"><h1>The session has ended</h1>
<div class="c-dim" id="d-ended-why">Everything is saved. This page can be closed.</div>
<dl id="d-ended-facts"></dl></div>
"""
