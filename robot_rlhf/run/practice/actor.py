"""One robot in this process, with its people: what an actor of a run is, wherever its learner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from robot_rlhf.datatypes import UNATTENDED
from robot_rlhf.feedback.first_of import FirstOf
from robot_rlhf.journal.reader import ReplayCounts, replay_into
from robot_rlhf.journal.writer import JournalWriter
from robot_rlhf.people.person import PEOPLE
from robot_rlhf.people.speaker import SimulatedSpeaker
from robot_rlhf.place import Place
from robot_rlhf.ports import Subscriber, Teleop
from robot_rlhf.run.build import build_station, software_versions
from robot_rlhf.run.rewarded import success_watch
from robot_rlhf.run.settings import TrainConfig, known
from robot_rlhf.run.words import open_listening
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.session import TRIES_PER_DEMONSTRATION, Session
from robot_rlhf.runtime.station import Station
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.timing import FakeClock


def alone(person: Teleop, station: Station) -> Station:
    """The same station, with a person at it and nobody else."""
    return replace(station, teleop=person)


class Actor:
    """Takes up what it did before, demonstrates, practises, and records it all."""

    def __init__(self, config: TrainConfig, place: Place, tally: Tally, *, number: int = 0, of: int = 1) -> None:
        """
        Args:
            tally: of this robot.
            number, of: which of so many actors of the run, whose episodes are numbered in turn.
        """
        self.config = config
        self.place = place
        self.tally = tally
        self.number = number
        self.of = of
        supervisor = config.supervisor if place.hands is None else None
        self.person = None if supervisor is None else place.person(supervisor)
        """Watches practice; None where nobody simulated does."""
        self.speaker = None if config.speaking is None else place.speaker(config.speaking)
        """Speaks in practice; None where nobody simulated does."""
        self.listening = open_listening(config.language, place)
        self.versions = software_versions()

    @property
    def listeners(self) -> list[Subscriber]:
        """Those who hear what happens here because they are here."""
        simulated = (self.person, self.speaker)
        return [*(person for person in simulated if person), self.listening.standing, *self.place.subscribers]

    def recover(self, recorded: Path, listeners: Sequence[Subscriber], *, pictures: bool) -> ReplayCounts:
        """Tell what was recorded before, and set the clock to its end.

        Args:
            recorded: the journal, or one file of it.
            listeners: told of it, but for those of the place, which hear of what happens now alone.
        """
        heard = [each for each in listeners if each not in self.place.subscribers]
        heard = [each.memory if isinstance(each, SimulatedSpeaker) else each for each in heard]
        counts, clock = replay_into(recorded, FanOut(heard), pictures=pictures), self.place.clock
        if isinstance(clock, FakeClock):
            clock.advance(max(0.0, counts.last_stamp - clock.now()))
        return counts

    def open(
        self,
        stack: ExitStack,
        journal: Path,
        listeners: Sequence[Subscriber],
        *,
        metadata: Mapping[str, str] | None = None,
        shared: bool = False,
        epoch_offset_ns: int = 0,
    ) -> Station:
        """The station of this robot, which records into a journal.

        Args:
            stack: closes the journal.
            listeners: told of everything, after the journal.
            metadata: what else the journal is to say of its session.
            shared, epoch_offset_ns: as of JournalWriter.
        """
        config, place = self.config, self.place
        writer = JournalWriter(
            journal,
            place.spec,
            metadata={**self.versions, **(metadata or {})},
            epoch_offset_ns=epoch_offset_ns,
            shared=shared,
        )
        station = build_station(config, place)
        stack.callback(self.listening.close)
        self.listening.steer(station.director)
        return replace(
            station,
            listening=self.listening,
            teleop=self._teleop,
            operator=self._operator,
            subscribers=(stack.enter_context(writer), *listeners),
            success_watch=success_watch(config, place.spec, stack),
        )

    @property
    def _operator(self) -> str:
        """Who is there: hands that are absent leave whoever speaks."""
        operator = self.config.operator if self.config.person is None else "custom"
        return "speaker" if self.speaker is not None and operator in UNATTENDED else operator

    @property
    def _teleop(self) -> Teleop | None:
        """Whoever is simulated, by hands and by words, else who stands beside the robot."""
        if self.speaker is None:
            return self.person or self.place.hands
        return FirstOf([self.person, self.speaker]) if self.person else self.speaker

    def session(self, station: Station) -> Session:
        """Numbers this actor's episodes, going on where it was."""
        return Session(station, self.tally, self.config.seed, self.versions, first=self.number, every=self.of)

    def demonstrate(
        self,
        session: Session,
        count: int,
        *,
        beside: Callable[[Teleop, Station], Station] = alone,
        may_move: Callable[[], bool] = lambda: True,
    ) -> None:
        """Have the simulated demonstrator succeed until there are so many demonstrations.

        Args:
            beside: a station at which they drive, among others.

        Raises:
            UnknownNameError: nobody simulated is called so.
            ConfigError: nobody simulated knows the task.
            RobotRlhfError: they fail again and again.
        """
        name, before = self.config.demonstrator, session.station
        person = self.place.person(known(name, PEOPLE, "demonstrator"))
        session.station = beside(person, replace(before, subscribers=(*before.subscribers, person)))
        hands = session.station.teleop or person
        try:
            session.demonstrate(count, hands, name, tries=TRIES_PER_DEMONSTRATION, may_move=may_move)
        finally:
            session.station = before
