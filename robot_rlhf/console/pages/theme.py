"""The look that the three pages share: style sheet, dark and light, and the header."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from nicegui import ui

from robot_rlhf.console.pages import parts

STATIC = Path(__file__).parent.parent / "static"
"""Folder of the style sheets and scripts; served under /static."""

Page = Literal["drive", "label", "review"]
_PAGES: tuple[tuple[Page, str, str, str], ...] = (
    ("drive", "/", "Drive", "sports_esports"),
    ("label", "/label", "Label", "compare"),
    ("review", "/review", "Review", "video_library"),
)


def apply_theme() -> None:
    """Load the shared look into the page that is being built; dark or light as the browser's user chose before."""
    ui.add_head_html(
        f'<script src="/static/theme.js?{version("theme.js")}"></script>'
        f'<link rel="stylesheet" href="/static/console.css?{version("console.css")}">'
    )


def version(name: str) -> int:
    """Changes when a static file does, so that no browser keeps an old one."""
    path = STATIC / name
    return int(path.stat().st_mtime) if path.exists() else 0


def header(
    title: str, here: Page, *, task: str = "", live: bool = True, stop: Callable[[], object] | None = None
) -> ui.element:
    """The bar on top of each page: names, links, STOP, connection, dark or light.

    Args:
        title: of the session.
        here: the page that is being built.
        task: what the robot learns; left out when empty.
        live: False for a recorded session: there is nothing to drive, and no connection to a robot.
        stop: stops the robot; None where the page has a STOP of its own, or there is no robot.

    Returns:
        A place inside the header for what the page adds to it.
    """
    apply_theme()
    with ui.element("header").classes("c-header"):
        with ui.element("div").classes("c-title"):
            ui.label(title).classes("c-title-name")
            if task:
                ui.label(task).classes("c-title-task")
        with ui.element("nav").classes("c-nav").props('aria-label="Pages"'):
            for page, address, name, icon in _PAGES:
                if page == "drive" and not live:
                    continue
                link = ui.element("a").props(f'href="{address}"').classes("c-nav-link").mark(f"link-{page}")
                if page == here:
                    link.classes("c-here").props('aria-current="page"')
                with link:
                    ui.icon(icon)
                    ui.label(name)
        place = ui.element("div").classes("c-header-place")
        if stop is not None:
            button = parts.button("STOP", "dangerous", stop, "stop").classes("c-danger c-stop")
            button.props('id="c-stop" title="Stop the robot and hold still until released on the Drive page"')
            button.on("click", js_handler="(e) => e.currentTarget.blur()")  # Space must not press it again
        if live:
            with ui.element("div").classes("c-link").props('id="c-link" data-state="wait" role="status"'):
                ui.element("i").classes("c-dot")
                ui.label("Connecting").classes("c-link-text").props('id="c-link-text"')
        toggle = ui.element("button").classes("c-button c-quiet").mark("theme")
        toggle.props('type="button" title="Dark or light" aria-label="Dark or light"')
        toggle.on("click", js_handler="(e) => { window.console_theme.toggle(); e.currentTarget.blur(); }")
        with toggle:
            ui.icon("contrast")
    return place
