"""The console of a live run: its process, the operator's hands at the station, and what the run says of itself."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from robot_rlhf.background import Background
from robot_rlhf.console.encryption import check_certificate
from robot_rlhf.console.link import ConsoleLink
from robot_rlhf.console.process import ConsoleProcess, is_loopback, listen, new_token
from robot_rlhf.console.sentences import examples
from robot_rlhf.console.settings import ConsoleSettings
from robot_rlhf.datatypes import RobotSpec
from robot_rlhf.device import Device, open_device
from robot_rlhf.errors import ConfigError, LinkError
from robot_rlhf.facts import book_of
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.feedback.first_of import FirstOf
from robot_rlhf.language.ears import check_speech
from robot_rlhf.place import Place
from robot_rlhf.ports import Monitor, Teleop
from robot_rlhf.run.folder.run_folder import RunFolder
from robot_rlhf.run.links.elsewhere import RobotLink
from robot_rlhf.run.live.ghost import Ghost
from robot_rlhf.run.live.open_page import open_page
from robot_rlhf.run.priority import stay_urgent
from robot_rlhf.run.results.keeper import Keeper, described
from robot_rlhf.run.settings import ConsoleConfig, TrainConfig
from robot_rlhf.runtime.fan_out import Monitors
from robot_rlhf.runtime.station import Station
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import Clock, Rate

RECENT = 1_200
"""Periods and inputs that the status is about: a minute's."""
log = logging.getLogger(__name__)

UPTAKES = 50
"""Sentences of which the share is told that is learned."""
TELL_EVERY = 0.5
"""Seconds between two words of the run about itself."""


def serve(
    console: ConsoleConfig, settings: ConsoleSettings, link: ConsoleLink | None, log_file: Path
) -> ConsoleProcess:
    """The console's process, not yet started.

    Raises:
        ConfigError: it cannot listen, NiceGUI is missing, or the certificate cannot be served with.
    """
    if importlib.util.find_spec("nicegui") is None:
        raise ConfigError("the console needs NiceGUI: pip install 'robot-rlhf[console]'")
    check_certificate(console.certificate, console.key)
    check_speech(settings.speech)
    if console.certificate is not None and console.key is not None:
        files = str(console.certificate.resolve()), str(console.key.resolve())
        settings = replace(settings, certificate=files[0], key=files[1])
    listening = listen(console.host, console.port)
    hosts = {"127.0.0.1", "localhost", *console.names}
    if not is_loopback(console.host):
        hosts |= {console.host, os.uname().nodename}
    return ConsoleProcess(replace(settings, hosts=tuple(sorted(hosts))), listening, link, log_file)


def newest(values: deque[float]) -> list[float]:
    """The last RECENT values, without a copy of the whole session's; another thread may add some meanwhile."""
    while True:
        with suppress(RuntimeError):  # one came in between: once more
            return list(islice(reversed(values), RECENT))


def spread(name: str, seconds: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum in milliseconds, by name; empty without values."""
    if not seconds:
        return {}
    seconds.sort()
    places = {"p50": len(seconds) // 2, "p99": int(0.99 * (len(seconds) - 1)), "max": len(seconds) - 1}
    return {f"{name}_{what}_ms": round(1e3 * seconds[place], 2) for what, place in places.items()}


def words_of(config: TrainConfig, uptake: Mapping[str, float] | None) -> dict[str, Any]:
    """What becomes of sentences in a run.

    Args:
        uptake: how much of each sentence is learned, the newest last; None where nobody learns.
    """
    learns = uptake is not None and config.words.teaches
    shown = list((uptake or {}).items())[-UPTAKES:]
    listens = config.language.interpreter != "deaf"
    return {"listens": listens, "learns_words": learns, "uptake": {name: round(share, 3) for name, share in shown}}


class LiveConsole:
    """A context manager around the console of one run."""

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        tally: Tally,
        spec: RobotSpec,
        clock: Clock,
        *,
        on_stop: Callable[[str], None],
        on_release: Callable[[], object] = lambda: None,
        place: Place,
        ghost: Ghost | None = None,
    ) -> None:
        """Begin to listen.

        Args:
            on_stop: called at once with a reason when STOP is pressed, in a thread of the console's own.
            on_release: the same for RELEASE.
            place: whose robot it is.
            ghost: shows the person how a script would do the task; None where there is none.

        Raises:
            ConfigError: the port is in use.
        """
        assert config.console is not None
        self._folder = folder
        self._settings = config.console
        self._config = config
        self._spec = spec
        self._place = place
        self._ghost = ghost
        self._tally = tally
        self._stack = ExitStack()
        self.link = ConsoleLink(
            spec,
            clock,
            on_stop=lambda: on_stop("STOP was pressed"),
            on_release=on_release,
            on_thread=stay_urgent,
        )
        self.hands: Teleop = self.link
        """The real operator's, by browser or device."""
        self._device: Device | None = None
        self._real = True
        self._ending = False
        things = book_of(place.task, spec).things
        told = ConsoleSettings(
            journal=str(folder.journal),
            token=new_token(),
            values=str(folder.values),
            task=config.task,
            title=folder.path.name,
            cameras=spec.cameras,
            sight=place.sight,
            action_names=spec.action.names,
            action_scale=tuple(spec.action.scale.tolist()),
            action_frame=spec.action.frame,
            control_period=spec.control_period,
            can_rewind=True,
            judged_by=config.reward.judge,
            examples=examples([*things.values()]),
            things={name: thing.called for name, thing in things.items()},
            operator=config.operator if config.supervisor is None else "",
            speech=self._settings.speech,
        )
        self.process = serve(self._settings, told, self.link, folder.path / "console.log")

    def __enter__(self) -> LiveConsole:
        with ExitStack() as unless_open:
            unless_open.enter_context(self.process)
            if self._settings.open_browser:
                open_page(self.process.address, self._folder.path)
            unless_open.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()
        if self._ghost is not None:
            self._ghost.close()
        self.link.tell({"stage": "ended"})
        self.process.__exit__()
        self.link.close()

    @property
    def invitation(self) -> str:
        """What to print for the operator."""
        host = self._settings.host
        if is_loopback(host):
            return f"operator's console: {self.process.address}"
        name = self._settings.names[0] if self._settings.names else os.uname().nodename
        address = self.process.address.replace("127.0.0.1", name) if host in ("0.0.0.0", "::") else self.process.address
        return f"operator's console: {address} (open to the network: whoever has the token may drive)"

    # -- the station -------------------------------------------------------------------------------------------------

    def attend(self, station: Station) -> Station:
        """Put the operator at a station: their hands come first, the simulated person's after them."""
        device = open_device(self._settings.device, self._spec.action, self._place.forward)
        self._device = None if device is None else self._stack.enter_context(device)
        real = station.teleop is None
        self.hands = self.link if self._device is None else FirstOf([self.link, self._device])
        station = replace(
            self.beside(station.teleop, station) if station.teleop else replace(station, teleop=self.hands),
            attended=True,
            world=station.guard if self._place.world is not None and self._settings.rewind == "restore" else None,
            subscribers=(*station.subscribers, self.link),
        )
        self._real = real
        if not real:
            return station
        arbiter = Arbiter(self._spec.action, give_back_after=self._settings.give_back_after)
        looking: list[Monitor] = [each for each in (self.link, self._device, self._ghost) if each is not None]
        return replace(
            station,
            monitor=Monitors(*looking),
            who=lambda: self.link.operator,
            arbiter=arbiter,
            patience=self._settings.patience,
        )

    def beside(self, person: Teleop, station: Station) -> Station:
        """A station at which a simulated person drives, and the real one may at any time."""
        both = FirstOf([self.hands], [person])
        shown = [self.link, both] if self._device is None else [self.link, self._device, both]
        return replace(station, teleop=both, monitor=Monitors(*shown))

    def share(self, station: Station) -> Station:
        """Put the operator at a station at which somebody real has other hands, as a gamepad: the page's come first."""
        assert station.teleop is not None
        return replace(
            station,
            teleop=FirstOf([self.link, station.teleop]),
            monitor=self.link if station.monitor is None else Monitors(self.link, station.monitor),
            subscribers=(*station.subscribers, self.link),
            who=lambda: self.link.operator,
            attended=True,
            patience=self._settings.patience,
        )

    # -- what the run says of itself -----------------------------------------------------------------------------------

    @contextmanager
    def feed(self, learner: RobotLink | None, pace: Rate, keeper: Keeper) -> Iterator[None]:
        """Tell the console how the run is doing, from a thread of its own. Without a learner nobody learns."""
        began = time.monotonic()

        def tell() -> bool:
            try:
                status = self._status(learner, pace, time.monotonic() - began)
                if learner is not None and keeper.active:
                    status["practice"] = described(keeper.monitor.report)
                self.link.tell(status)
            except (LinkError, RuntimeError) as error:  # the next word will do
                log.warning("console status: %s", error)
            return True

        background = Background("console-status", tell, TELL_EVERY)
        background.start()
        try:
            yield
        finally:
            background.close()

    def say_ending(self) -> None:
        """The person has ended the session, and the learner still works: tell them so until the end."""
        self._ending = True

    def measured(self, pace: Rate) -> dict[str, Any]:
        """How the loop and the operator's inputs fared over the whole session."""
        return {
            "periods": pace.periods,
            "period_overruns": pace.overruns,
            **spread("period", list(pace.recent)),
            "inputs": len(self.link.delays),
            **spread("input", list(self.link.delays)),
            "operator_lost": self.link.lost,
            "console_starts": self.process.starts,
        }

    def _status(self, learner: RobotLink | None, pace: Rate, seconds: float) -> dict[str, Any]:
        tally, news = self._tally, None if learner is None else learner.news
        wanted = self._config.demonstrations
        status: dict[str, Any] = {
            "stage": "ending" if self._ending else "demonstrations" if tally.demonstrations < wanted else "practice",
            "operator_kind": "person" if self._real else "simulated",
            "session_seconds": round(seconds, 1),
            "demonstrations": tally.demonstrations,
            "demonstrations_wanted": wanted,
            "practice_episodes": tally.episodes,
            "steps": tally.steps,
            "hands_on_seconds": round(tally.hands_on_seconds, 1),
            "at_machine_seconds": round(tally.at_machine_seconds, 1),
            "periods": pace.periods,
            "period_overruns": pace.overruns,
            "inputs": len(self.link.delays),
            "operator_lost": self.link.lost,
            "learner_healthy": learner is None or learner.healthy,
            "learner_state": "none" if learner is None else learner.state,
            "target_ratio": self._config.trainer.updates_per_step,
        }
        status |= words_of(self._config, None if learner is None else (news.uptake if news else {}))
        if self._ghost is not None and self._ghost.way:
            status["ghost"] = self._ghost.way
        status |= spread("period", newest(pace.recent)) | spread("input", newest(self.link.delays))
        if tally.recent:
            alone = [episode.success for episode in list(tally.recent) if not episode.human_steps]
            status |= {
                "success_with_help": tally.recent_success,
                "human_share": tally.recent_human_share,
                "unaided": [sum(alone) / len(alone), len(alone)] if alone else None,
            }
        if learner is not None:
            status["learned"] = news is not None and news.learned
        if learner is not None and news is not None:
            status |= {
                "updates": news.updates,
                "ratio": round(news.updates / max(1, news.steps), 2),
                "latency_ms": round(news.latency_ms, 1),
                "policy_age_updates": max(0, news.updates - learner.policy.version) if news.version >= 0 else None,
                "q": news.q,
                "value_return": news.value_return,
                "over_estimation": round(news.over_estimation, 3),
                "alarm": news.alarm,
            }
        return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in status.items()}
