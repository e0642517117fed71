"""What the console's process is told when it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from robot_rlhf.errors import ConfigError, InvalidValueError
from robot_rlhf.language.ear_process import from_json as speech_from_json
from robot_rlhf.language.ear_process import to_json as speech_to_json
from robot_rlhf.language.ears import SpeechConfig
from robot_rlhf.sight import Sight


@dataclass(frozen=True)
class ConsoleSettings:
    """Made by the app, read by the console's process from its standard input as one line of JSON."""

    journal: str
    """The journal's folder: what is recorded, for history, review and labels."""
    token: str
    """Secret that opens the console: part of the address, exchanged for a cookie."""
    values: str = ""
    """File of JSON lines with the critic's values of episodes; it may grow, or be absent. Empty for none."""
    task: str = ""
    title: str = "robot_rlhf"
    link: int | None = None
    """File descriptor of the socket to the robot; None for a recorded session, which nobody drives."""
    block: int | None = None
    """File descriptor of the live block."""
    listen: int = -1
    """File descriptor of the listening TCP socket."""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    """Names under which a browser may address the console."""
    certificate: str = ""
    """File with a certificate in PEM; empty for plain http."""
    key: str = ""
    """File with its key."""
    cameras: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    sight: Sight = field(default_factory=Sight)
    """Where the cameras stand, as far as that is known."""
    action_names: tuple[str, ...] = ()
    action_scale: tuple[float, ...] = ()
    action_frame: str = "base"
    control_period: float = 0.05
    can_rewind: bool = False
    operator: str = ""
    """Name of the first visitor; empty for a number."""
    judged_by: str = "task"
    """Who says that an episode succeeded: 'task' or 'person'."""
    examples: tuple[str, ...] = ()
    """Sentences that fit the task, to try."""
    things: Mapping[str, str] = field(default_factory=dict[str, str])
    """What people call the things of the scene, by their names."""
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    """Who listens to the page's microphone."""

    def to_json(self) -> str:
        plain = asdict(replace(self, cameras=dict(self.cameras), things=dict(self.things), sight=Sight()))
        return json.dumps({**plain, "sight": self.sight.to_json(), "speech": speech_to_json(self.speech)})

    @staticmethod
    def from_json(text: str) -> ConsoleSettings:
        """The inverse of `to_json`. Raises ConfigError when it is none."""
        try:
            fields = json.loads(text)
            for name in ("hosts", "action_names", "action_scale", "examples"):
                fields[name] = tuple(fields[name])
            fields["cameras"] = {name: (int(size[0]), int(size[1])) for name, size in fields["cameras"].items()}
            fields["things"] = {str(name): str(called) for name, called in fields["things"].items()}
            fields["sight"] = Sight.from_json(fields["sight"])
            fields["speech"] = speech_from_json(fields["speech"])
            return ConsoleSettings(**fields)
        except (ValueError, KeyError, TypeError, AttributeError, InvalidValueError) as error:
            raise ConfigError(f"console settings: not understood ({type(error).__name__}: {error})") from error
