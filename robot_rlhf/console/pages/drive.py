"""The operator's page: watch, drive, judge, speak, and see the robot learn. Fits 1366 x 768 without scrolling."""

from __future__ import annotations

import html
import json
import reprlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from robot_rlhf.console.desk import MAX_NAME, Desk, Visitor
from robot_rlhf.console.guides import ghost
from robot_rlhf.console.page_input import MAX_EPISODE_NAME
from robot_rlhf.console.pages import parts
from robot_rlhf.console.pages.help import dock_help, help_sheet
from robot_rlhf.console.pages.learning import LearningPanel
from robot_rlhf.console.pages.sentences import SentencePanel
from robot_rlhf.console.pages.state import last_episode, page_state
from robot_rlhf.console.pages.theme import header, version
from robot_rlhf.console.wire import MAX_SENTENCE
from robot_rlhf.datatypes import Button
from robot_rlhf.errors import InvalidValueError, RobotRlhfError
from robot_rlhf.timing import MonotonicClock

if TYPE_CHECKING:
    from robot_rlhf.console.shared import Console

SCRIPTS = (
    "transport.js",
    "guides.js",
    "elements.js",
    "banner.js",
    "timeline.js",
    "microphone.js",
    "speech.js",
    "sentences.js",
    "hands.js",
    "drive.js",
)
"""Under /static, in the order of loading: each knows those before it."""
REFRESH = 0.25
"""Seconds between two looks at what changed; the banner and the pictures do not wait for it."""
CHOICES = {setting: tuple(value for value, _ in choices) for setting, _, _, choices in parts.SEGMENTS}
"""What each of the hands' settings may be, as the page says it."""
SECOND = 0.9
"""Size of the second of two pictures, of the first: a person who drives needs both to see depth."""
KEYS_REST = "Keys do not drive while this is open. STOP works, and X."
RESEND = 20
"""Refreshes after which the page's state is sent again although it is the same, for a page that missed it."""


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
        self.sentences = SentencePanel(console, visitor, self._do)
        self._client = ui.context.client
        self._sent: dict[str, Any] = {}
        self._silent = 0

    # -- layout ------------------------------------------------------------------------------------------------------

    def build(self) -> None:
        settings = self.console.settings
        place = header(settings.title, "drive", task=settings.task)
        ui.add_head_html("".join(f'<script defer src="/static/{n}?{version(n)}"></script>' for n in SCRIPTS))
        with place:
            self._people()
        cameras = tuple(settings.cameras)
        aspect = 1.0
        if cameras:
            height, width = settings.cameras[main_camera(cameras)]
            aspect = min(1.4, max(0.7, width / height))
        drive = ui.element("main").classes("d-drive").props('id="drive" data-look="lost" data-seat="" data-paused="0"')
        small = len(cameras) - 1
        share = 0.0 if small < 1 else SECOND if small == 1 else 1.0 / small
        drive.style(f"--aspect: {aspect:.4f}; --cells: {max(1, small)}; --share: {share:.4f}")
        with drive:
            self._banner()
            self._stop()
            self._pictures(cameras)
            self._episode()
            self.learning.build()
            self._judge()
            self._keys()
            self._speak()
            parts.fixed(
                parts.STICK.format(side="left", axes="x y", top="forward", bottom="back", left="left", right="right")
            )
            parts.fixed(
                parts.STICK.format(side="right", axes="z rz", top="up", bottom="down", left="turn", right="turn")
            )
        parts.fixed(parts.ENDED, "d-ended")
        help_sheet(self.desk.hands, microphone=self.console.microphones is not None)
        self._end = self._end_dialog()
        if not self.desk.camera and cameras:
            self.desk.camera = main_camera(cameras)
        self._listen()

    def _listen(self) -> None:
        """What the page's own script asks for, and when to look again."""
        ui.on("drive-speak", self._on_speak)
        ui.on("drive-moment", self._on_moment)
        ui.on("drive-camera", self._on_camera)
        ui.on("drive-settings", self._on_settings)
        ui.on("drive-visible", self._on_visible)
        ui.timer(REFRESH, self.refresh)
        self.desk.on_change.append(self.refresh)
        self.desk.robot.on_answer.append(self._answer)
        self._client.on_delete(self._forget)

    def _answer(self, text: str) -> None:
        if self.desk.sits(self.visitor):
            with self._client:
                ui.notify(text, type="info", position="top", close_button="OK")

    def _forget(self) -> None:
        if self._answer in self.desk.robot.on_answer:
            self.desk.robot.on_answer.remove(self._answer)
        if self.refresh in self.desk.on_change:
            self.desk.on_change.remove(self.refresh)

    def _people(self) -> None:
        chip = ui.element("button").classes("c-button").props('type="button" id="d-person" aria-haspopup="menu"')
        with chip:
            parts.fixed('<i class="material-icons">person</i>')
            parts.fixed('<span id="d-person-words">You</span>')
            with ui.menu().classes("d-menu") as menu, ui.column().classes("q-pa-md gap-2"):
                name = ui.input("Your name", value=self.visitor.name).props(f"maxlength={MAX_NAME} dense outlined")
                name.mark("name")

                def rename() -> None:
                    self._do(lambda: self.desk.rename(self.visitor, str(name.value or "")))
                    menu.close()

                name.on("keydown.enter", rename)
                parts.button("Save the name", "done", rename, "save-name")
                ui.label(KEYS_REST).classes("c-dim")
                parts.button("Leave the seat", "event_seat", self._leave, "leave").props('id="d-leave"')

    def _leave(self) -> None:
        self._do(lambda: self.desk.leave_seat(self.visitor))

    def _banner(self) -> None:
        parts.fixed(parts.BANNER, "d-banner", 'id="d-banner" role="status" aria-live="polite"')

    def _stop(self) -> None:
        with ui.element("div").classes("d-stop"):
            stop = parts.button("STOP", "dangerous", lambda: self._press(Button.STOP), "stop", key="KeyX")
            stop.classes("c-danger d-stop-now").props('title="Stop the robot and hold still until released (X)"')
            release = parts.button("Release", "lock_open", lambda: self._press(Button.RELEASE), "release")
            release.classes("d-release").props('id="d-release" data-seat-only="1"')

    def _pictures(self, cameras: tuple[str, ...]) -> None:
        section = ui.element("section").classes("d-pics").props('aria-label="Cameras"')
        with section, ui.element("div").classes("d-view").props(f'data-small="{int(len(cameras) > 1)}"'):
            if cameras:
                main = main_camera(cameras)
                rest = [name for name in cameras if name != main]
                parts.fixed(self._camera(main), "d-mains", 'id="d-mains"')
                if rest:
                    with ui.element("div").classes("d-small"):
                        cells = "".join(self._camera(name) for name in rest)
                        parts.fixed(cells, "", 'id="d-smalls" style="display:contents"')
            else:
                parts.fixed(
                    '<div class="d-camera"><span class="d-none">This robot has no camera</span></div>', "d-mains"
                )
            parts.fixed(parts.TIME, "d-time")

    def _camera(self, name: str) -> str:
        height, width = self.console.settings.cameras[name]
        safe = html.escape(name, quote=True)
        return (
            f'<button type="button" class="d-camera" data-name="{safe}" title="Show {safe} large">'
            f'<canvas data-camera="{safe}" width="{width}" height="{height}"></canvas>'
            f'<span>{safe}</span><span class="d-none">No picture yet</span></button>'
        )

    def _episode(self) -> None:
        with ui.element("section").classes("c-panel d-ep").props('aria-label="Episode"'):
            parts.fixed(parts.EPISODE)
            show = parts.button("Show me", "smart_display", self._show_me, "show-me")
            show.props(
                'id="d-show" hidden title="A script that knows the simulation shows the task in the pictures: '
                'nothing moves, nothing is recorded"'
            )
            with ui.element("div").classes("d-last").props('role="status"'):
                parts.fixed(parts.LAST)
                undo = parts.button("Undo", "undo", None, "undo").props('id="d-undo" data-seat-only="1" hidden')
                undo.on("click", self._undo, js_handler="() => emit(window.console_drive_state.last)")
                undo.classes("d-undo")
            parts.fixed('<div class="c-caption">Guard</div><div id="d-guard"></div>', "d-guard")

    def _judge(self) -> None:
        with ui.element("section").classes("d-judge").props('aria-label="Judge"'):
            for button, words, icon, key, title in parts.JUDGEMENTS:
                made = parts.button(words, icon, None, button.value, key=key)
                made.on("click", self._judger(button), js_handler="() => emit(window.console_rlhf.shown)")
                made.classes(f"d-{button.value}").props(f'data-seat-only="1" data-title="{title}"')
            pause = parts.button("Pause", "pause", self._presser(Button.PAUSE), "pause", key="KeyP")
            pause.classes("d-only-running").props(
                'data-seat-only="1" data-title="Pause: hold still until told to go on"'
            )
            resume = parts.button("Go on", "play_arrow", self._presser(Button.RESUME), "resume", key="KeyN")
            resume.classes("d-only-paused").props('data-seat-only="1" data-title="Go on after the pause"')
            rewind = parts.button("Rewind", "fast_rewind", lambda: self._press(Button.REWIND), "rewind", key="KeyB")
            rewind.props('data-seat-only="1" data-title="Pause and go back one second; hold B"')
            if not self.console.settings.can_rewind:
                rewind.props('data-never="This robot cannot rewind"')
            end = parts.button("End session", "logout", lambda: self._end.open(), "end")
            end.props('data-seat-only="1" data-title="End the session after this episode; asks first"')
            with ui.element("div").classes("d-watch"):
                parts.fixed('<i class="material-icons">visibility</i>')
                parts.fixed('<span id="d-watch-words">You are watching.</span>', "c-grow c-line")
                take = parts.button("Take the seat", "event_seat", self._take, "take-seat").classes("c-primary")
                take.props('title="From then on you drive, and who drives now only watches"')

    def _keys(self) -> None:
        with ui.element("section").classes("c-panel d-keys").props('aria-label="Controls"'):
            with ui.element("div").classes("d-controls"):
                for setting, words, key, choices in parts.SEGMENTS:
                    with ui.element("div").classes("d-segment"):
                        ui.label(words).classes("c-dim")
                        with ui.element("div").props(f'role="group" aria-label="{words}"'):
                            for value, text in choices:
                                choice = ui.element("button").props(f'type="button" data-{setting}="{value}"')
                                choice.props('aria-pressed="false" data-seat-only="1"').mark(f"{setting}-{value}")
                                choice.on("click", self._chooser(setting, value))
                                with choice:
                                    ui.label(text)
                        parts.fixed("".join(f"<kbd data-code='{parts.key_code(k)}'>{k}</kbd> " for k in key.split()))
                parts.fixed(parts.PAD, "d-pad", 'id="d-pad" data-on="0"')
                hands = (
                    ui.element("button")
                    .classes("c-button")
                    .props('type="button" id="d-hands" title="Keys or on-screen sticks"')
                )
                with hands:
                    parts.fixed('<i class="material-icons">touch_app</i>')
                    parts.fixed('<span id="d-hands-words">Sticks</span>')
            dock_help(self.desk.hands)
            parts.fixed(parts.TOUCH, "d-touch")

    def _speak(self) -> None:
        with ui.element("section").classes("c-panel d-speak").props('aria-label="Speak"'):
            speech = self.console.settings.speech
            ears, title = parts.EARS.get(speech.recogniser, parts.LOCAL_EARS)
            say = parts.SAY.format(longest=MAX_SENTENCE, ears=ears, language=speech.language, title=title)
            parts.fixed(say, "d-say")
            self.sentences.build()

    def _end_dialog(self) -> ui.dialog:
        with ui.dialog() as dialog, ui.card().classes("q-pa-lg gap-4"):
            ui.label("End the session?").style("font-size: 22px; font-weight: 700")
            ui.label("The running episode is closed and kept, learning stops, and everything is saved.")
            ui.label(KEYS_REST).classes("c-dim")
            with ui.row().classes("justify-end w-full"):
                parts.button("Go on", "arrow_back", dialog.close, "end-no")
                parts.button("End the session", "logout", lambda: self._finish(dialog), "end-yes").classes("c-danger")
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

    def _show_me(self) -> None:
        """Play in this page's pictures how a script would do what the present demonstration is about."""
        robot, settings = self.desk.robot, self.console.settings
        moments: list[Any] = []
        if robot.present is not None:
            moments = ghost(settings.sight, settings.cameras, robot.present, robot.status.get("ghost", {}))
        self._client.run_javascript(f"window.console_guides && window.console_guides.play({json.dumps(moments)})")

    def _judger(self, button: Button) -> Callable[[GenericEventArguments], None]:
        """A judgement is about the episode that the page showed when it was clicked."""

        def judge(event: GenericEventArguments) -> None:
            shown: Any = event.args
            named = shown if isinstance(shown, str) and len(shown) <= MAX_EPISODE_NAME else ""
            self._do(lambda: self.desk.press(self.visitor, button, named))

        return judge

    def _undo(self, event: GenericEventArguments) -> None:
        """Take back what the page showed when it was clicked; nothing when another episode has ended meanwhile."""
        shown: Any = event.args

        def act() -> None:
            last = self.console.history.last()
            if last is None or shown != last_episode(self.console.history):
                raise InvalidValueError("undo", "what stands there no more", "the last episode, as it is shown now")
            sink = self.console.sink_for(self.visitor)
            for judgement in last.undone(self.visitor.name, MonotonicClock().now()):
                sink.give(judgement)

        self._do(act)

    def _finish(self, dialog: ui.dialog) -> None:
        dialog.close()
        self._press(Button.END)

    def _take(self) -> None:
        self._do(lambda: self.desk.take_seat(self.visitor))

    def _choose(self, setting: str, value: object) -> None:
        """Set how the hands' keys are meant; who only watches sets nothing."""
        if not self.desk.sits(self.visitor):
            raise InvalidValueError(setting, value, "what the operator chooses: take the seat first")
        if value not in CHOICES[setting]:
            raise InvalidValueError(setting, reprlib.repr(value), f"one of {CHOICES[setting]}")
        if setting == "speed":
            self.desk.hands.speed_level = int(str(value))
        else:
            setattr(self.desk.hands, setting, value)
        self.desk.tell_change()

    def _chooser(self, setting: str, value: str) -> Callable[[], None]:
        return lambda: self._do(lambda: self._choose(setting, value))

    def _on_settings(self, event: GenericEventArguments) -> None:
        """What this browser remembers of its operator's choices: told when it has got the seat."""
        remembered: Any = event.args
        if isinstance(remembered, dict) and self.desk.sits(self.visitor):
            for setting, choices in CHOICES.items():
                if remembered.get(setting) in choices:
                    self._choose(setting, remembered[setting])

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
