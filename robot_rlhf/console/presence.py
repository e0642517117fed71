"""Who is there: the seat of an operator whose last page is closed becomes free, after a grace for a reload."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from robot_rlhf.console.desk import Desk, Visitor

if TYPE_CHECKING:
    from nicegui import Client

GRACE = 5.0
"""Seconds without any page after which the operator is taken to have gone: a reload is quicker."""


class Presence:
    """The open pages of all visitors, of whatever kind; an operator who labels or reviews is still there.

    Nobody else gets the seat by this: it is free for a watcher's click, and until then for whoever had it and comes
    back. A robot that the operator drove when the page went is paused, and stays so.
    """

    def __init__(self, desk: Desk, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: clock: steady seconds."""
        self._desk = desk
        self._clock = clock
        self._open: dict[object, str] = {}
        """Id of the visitor of each page."""
        self._missed: tuple[str, float] | None = None
        """The operator of whom no page is open, and since when."""
        self._freed: str | None = None
        """Who had the seat that is free now, if it became so by their absence."""

    @property
    def waits_for_a_click(self) -> bool:
        """The seat is free because somebody has gone: opening a page alone does not take it."""
        return self._freed is not None

    def came(self, page: object, visitor: Visitor) -> None:
        """A page is open; whose absence has freed the seat has it again, if it still is. Idempotent."""
        self._open[page] = visitor.id
        if self._desk.operator is None and self._freed == visitor.id:
            self._desk.take_seat(visitor)

    def went(self, page: object) -> None:
        """A page is closed. Idempotent."""
        self._open.pop(page, None)

    def accompany(self, client: Client, visitor: Visitor) -> None:
        """Follow a page that is being built; asked for, it renews the grace."""
        if self._missed is not None and self._missed[0] == visitor.id:
            self._missed = None

        def look() -> None:
            if client.has_socket_connection:
                self.came(client.id, visitor)
            else:
                self.went(client.id)

        client.on_connect(look)
        client.on_disconnect(look)

    def look(self) -> None:
        """Free the seat of an operator who has gone; called again and again."""
        operator, now = self._desk.operator, self._clock()
        if operator is not None:
            self._freed = None
        if operator is None or operator.id in self._open.values():
            self._missed = None
        elif self._missed is None or self._missed[0] != operator.id:
            self._missed = operator.id, now
        elif now - self._missed[1] > GRACE:
            self._missed, self._freed = None, operator.id
            self._desk.leave_seat(operator)
