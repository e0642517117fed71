"""What must not be written down: an API key, in whatever form somebody echoes it."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import TextIO

MASK = "***"
LONG = 8
"""Characters from which a key is looked for in other forms than its own; a shorter one would be found in any text."""
_BETWEEN = r"(?:\s|\\[nrt]|\\u000[ad])*"
"""What may stand between two characters of a key that was broken over lines, in text or in JSON."""


class Secret:
    """A key that is sent, and never written. An empty one masks nothing."""

    def __init__(self, value: str) -> None:
        self.value = value
        self._forms = re.compile("|".join(_forms(value))) if value else None

    def __bool__(self) -> bool:
        return bool(self.value)

    def __repr__(self) -> str:
        return f"Secret({MASK if self.value else ''})"

    def masked(self, text: str) -> str:
        """The text without the key: as it is, with a percent sign for any of its characters, over several lines, as
        the escapes of JSON or HTML, in hexadecimal or in base64, alone or within something longer.
        """
        return self._forms.sub(MASK, text) if self._forms else text


def _forms(value: str) -> list[str]:
    if len(value) < LONG:
        return [re.escape(value)]
    forms = [_BETWEEN.join(_written(character) for character in value)]
    data = value.encode()
    forms.append(_BETWEEN.join(f"[{digit}{digit.upper()}]" for digit in data.hex()))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # bytes of a group of three that stand before the key
            text = encode(bytes(before) + data).decode().rstrip("=")
            whole = (len(data) + before) // 3 * 4  # the last group may go on with what follows the key
            inner = text[:whole][-(-before * 8 // 6) :]
            forms.append(_BETWEEN.join(map(re.escape, inner)))
    return list(dict.fromkeys(forms))


def _written(character: str) -> str:
    """A pattern for one character, however it is escaped."""
    code = ord(character)
    ways = [re.escape(character), rf"(?i:%{code:02x}|\\u00{code:02x}|\\x{code:02x}|&\#x0*{code:x};)", rf"&\#0*{code};"]
    ways += [rf"\\{re.escape(character)}"] if character in "\\/\"'" else []
    return f"(?:{'|'.join(ways)})"


def private_file(path: Path) -> TextIO:
    """A file to append text to that only its owner may read, also when it was there with other rights.

    Raises:
        OSError: it cannot be opened, or belongs to somebody else.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    file = os.fdopen(descriptor, "a", encoding="utf-8")
    try:
        os.fchmod(descriptor, 0o600)
    except OSError:
        file.close()
        raise
    return file
