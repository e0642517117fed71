"""Writes the record of a session while it happens."""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from mcap.records import Metadata

from robot_rlhf.datatypes import EpisodeEnd, EpisodeMeta, Event, Observation, RobotSpec, Step
from robot_rlhf.errors import InvalidValueError, JournalError
from robot_rlhf.journal.bag_index import BAG_INDEX, write_bag_index
from robot_rlhf.journal.files import journal_files
from robot_rlhf.journal.format import (
    JOURNAL_VERSION,
    LIBRARY,
    SESSION_METADATA,
    TOPIC_EPISODE_END,
    TOPIC_EPISODE_START,
    TOPIC_EVENT,
    TOPIC_STEP,
    encode_episode_end,
    encode_episode_start,
    encode_event,
    encode_spec,
    encode_step,
    to_json,
)
from robot_rlhf.journal.mcapfile import SealedFile, message_record
from robot_rlhf.journal.robots import RUN, check_same
from robot_rlhf.journal.schemas import JSON_SCHEMAS
from robot_rlhf.journal.sensors import SensorTopics, message_definition
from robot_rlhf.journal.tail import session_of

log = logging.getLogger(__name__)

LOCK_FILE = ".writer.lock"
"""An empty file in a journal's folder; who holds its lock writes the journal."""


class JournalWriter:
    """A Subscriber that appends everything it is told to a folder of MCAP files, one file per run.

    Each call puts its messages into the operating system in one piece before it returns, so that the death of the
    process at any moment loses nothing that was acknowledged. A background thread syncs the file to disk once per
    `sync_interval` and at episode ends, so that the death of the machine loses at most that. While it is open no
    other writer can open the folder, unless both share it; the kernel lets go of it when the process dies.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        spec: RobotSpec,
        *,
        metadata: Mapping[str, str] | None = None,
        epoch_offset_ns: int = 0,
        sync_interval: float = 1.0,
        shared: bool = False,
    ) -> None:
        """Remember the settings; `open` or `with` creates the file.

        Args:
            folder: the journal's folder; created when missing. A folder with files is continued in the next file.
            spec: the robot whose observations come.
            metadata: entries kept in the file, for example software versions.
            epoch_offset_ns: what to add to the session clock to get nanoseconds since 1970; 0 for simulated time,
                which makes the files of equal runs equal byte for byte.
            sync_interval: seconds between two syncs to disk.
            shared: other writers that share may have the folder open, too; each writes its own file.
        """
        if not sync_interval > 0:
            raise InvalidValueError("JournalWriter.sync_interval", sync_interval, "seconds > 0")
        self.folder = Path(folder)
        self._spec = spec
        self._metadata = dict(metadata or {})
        self._epoch_offset_ns = epoch_offset_ns
        self._sync_interval = sync_interval
        self._shared = shared
        self._sensors = SensorTopics(spec)
        self._channels: dict[str, int] = {}
        self._sensor_channels: list[int] = []
        self._file: SealedFile | None = None
        self._lock = -1
        self._sequence = 0
        self._episode: str | None = None
        self._steps = 0
        self._last: Observation | None = None
        self._wake = threading.Event()
        self._stopping = False
        self._unsynced = False
        self._sync_failure: JournalError | None = None
        self._syncer: threading.Thread | None = None

    @property
    def path(self) -> Path:
        """The file that is being written, or was last."""
        if self._file is None:
            raise JournalError(f"{self.folder}: the journal is not open")
        return self._file.path

    def open(self) -> JournalWriter:
        """Create the next file of the folder.

        Raises:
            JournalError: the folder cannot be created or written, another writer has it open, or what is in it was
                recorded with a robot whose numbers mean something else.
        """
        if self._file is not None:
            raise JournalError(f"{self._file.path}: the journal was opened already")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"{self.folder}: cannot make the journal folder: {error.strerror}") from error
        self._lock = _lock_folder(self.folder, shared=self._shared)
        with ExitStack() as unless_open:
            unless_open.callback(self._let_go)
            self._check_robot()
            self._begin_file()
            unless_open.pop_all()
        return self

    def _check_robot(self) -> None:
        """Raises JournalError when the folder is a recording of a robot whose numbers mean something else."""
        described = filter(None, map(session_of, reversed(journal_files(self.folder))))
        for spec, _ in itertools.islice(described, 1):
            check_same(self._spec, spec, "the robot of this session", str(self.folder), RUN)

    def _begin_file(self) -> None:
        session = {
            **self._metadata,
            "journal_version": str(JOURNAL_VERSION),
            "epoch_offset_ns": str(self._epoch_offset_ns),
            "robot_spec": encode_spec(self._spec),
        }
        self._file = file = self._create(Metadata(name=SESSION_METADATA, metadata=session))
        for topic in self._sensors.topics:
            definition = message_definition(topic.msgtype)
            self._sensor_channels.append(file.add_channel(topic.topic, "cdr", (topic.msgtype, "ros2msg", definition)))
        for topic, (name, schema) in JSON_SCHEMAS.items():
            text = to_json(schema, name)
            self._channels[topic] = file.add_channel(topic, "json", (name, "jsonschema", text))
        file.append(file.definitions())
        _sync_folder(self.folder)
        self._syncer = threading.Thread(target=self._sync_regularly, name="journal-sync", daemon=True)
        self._syncer.start()

    def _create(self, metadata: Metadata) -> SealedFile:
        """The file with the next number; of two sharers that want the same one, one takes the number after it."""
        while True:
            try:
                numbers = [int(path.stem) for path in journal_files(self.folder)]
            except OSError as error:
                raise JournalError(f"{self.folder}: cannot read the journal folder: {error.strerror}") from error
            file = SealedFile(self.folder / f"{max(numbers, default=-1) + 1:03d}.mcap")
            try:
                file.open("ros2", LIBRARY, metadata)
            except JournalError as error:
                if self._shared and isinstance(error.__cause__, FileExistsError):
                    continue
                raise
            return file

    def __enter__(self) -> JournalWriter:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def on_episode_start(self, meta: EpisodeMeta, observation: Observation) -> None:
        time_ns = self._time_ns(observation.stamp)
        self._append_observed(observation, TOPIC_EPISODE_START, encode_episode_start(meta, observation), time_ns)
        self._episode = meta.id
        self._steps = 0
        self._last = observation

    def on_step(self, step: Step) -> None:
        """Append a step of the open episode.

        Raises:
            InvalidValueError: it does not follow the step before.
            JournalError: it could not be written.
        """
        self._open_file()  # what was not written before is the reason of all that follows
        if self._episode is None or self._last is None:
            raise InvalidValueError("JournalWriter.on_step", "a step outside an episode", "on_episode_start first")
        begins = step.observation
        if step.index != self._steps or (begins is not self._last and begins.stamp != self._last.stamp):
            raise InvalidValueError(
                f"Step of episode {self._episode}",
                f"index {step.index} that begins at {begins.stamp} s",
                f"index {self._steps} that begins at {self._last.stamp} s",
            )
        time_ns = self._time_ns(step.next_observation.stamp)
        self._append_observed(step.next_observation, TOPIC_STEP, encode_step(step), time_ns)
        self._steps += 1
        self._last = step.next_observation

    def on_event(self, event: Event) -> None:
        self._append_json(TOPIC_EVENT, encode_event(event), self._time_ns(event.stamp))

    def on_episode_end(self, end: EpisodeEnd) -> None:
        self._open_file()
        if end.id != self._episode:
            raise InvalidValueError("EpisodeEnd.id", repr(end.id), f"the open episode, {self._episode!r}")
        stamp = self._last.stamp if self._last is not None else 0.0
        self._append_json(TOPIC_EPISODE_END, encode_episode_end(end), self._time_ns(stamp))
        self._episode = None
        self._wake.set()

    def flush(self) -> None:
        """Sync to disk now, in this thread."""
        self._open_file().sync()

    def close(self) -> None:
        """Write the file's summary, sync and close it, and describe the folder to bag tools. Idempotent."""
        if self._file is None or self._file.closed:
            return
        self._stopping = True
        self._wake.set()
        if self._syncer is not None:
            self._syncer.join()
        try:
            self._file.close()
            self._describe()
        finally:
            self._let_go()

    def _describe(self) -> None:
        try:
            write_bag_index(self.folder)
        except OSError as error:  # the record itself is whole
            log.warning("%s: no %s for ros2 bag: %s", self.folder, BAG_INDEX, error.strerror or error)

    def _let_go(self) -> None:
        """Let others write the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open_file(self) -> SealedFile:
        if self._file is None:
            raise JournalError(f"{self.folder}: the journal is not open")
        if self._sync_failure is not None:
            raise self._sync_failure
        self._file.check_open()
        return self._file

    def _time_ns(self, stamp: float) -> int:
        time_ns = round(stamp * 1e9) + self._epoch_offset_ns
        if time_ns < 0:
            raise InvalidValueError("stamp", stamp, "seconds that with the epoch offset are not before 1970")
        return time_ns

    def _append_observed(self, observation: Observation, topic: str, payload: bytes, time_ns: int) -> None:
        """Append an observation's sensor messages, and last the record that makes them count."""
        file = self._open_file()
        channels = self._sensor_channels
        sequence = self._sequence
        counts: dict[int, int] = {}
        records: list[bytes] = []
        for i, data in self._sensors.encode(observation, time_ns):
            records.append(message_record(channels[i], sequence, time_ns, data))
            counts[channels[i]] = 1
        channel = self._channels[topic]
        counts[channel] = 1
        records.append(message_record(channel, sequence, time_ns, payload))
        file.append(b"".join(records), counts, time_ns)
        self._sequence += 1
        self._unsynced = True

    def _append_json(self, topic: str, payload: bytes, time_ns: int) -> None:
        channel = self._channels.get(topic, 0)
        self._open_file().append(message_record(channel, self._sequence, time_ns, payload), {channel: 1}, time_ns)
        self._unsynced = True

    def _sync_regularly(self) -> None:
        file = self._open_file()
        while not self._stopping:
            self._wake.wait(self._sync_interval)
            self._wake.clear()
            if self._unsynced:
                self._unsynced = False
                try:
                    file.sync()
                except JournalError as error:
                    self._sync_failure = error
                    return


def check_idle(folder: str | os.PathLike[str]) -> None:
    """Check that nobody writes a journal now.

    Raises:
        JournalError: a session is writing it, or nobody may write there.
    """
    os.close(_lock_folder(Path(folder), shared=False))


def _lock_folder(folder: Path, *, shared: bool) -> int:
    """Become the folder's only writer, or one of those that share it; closing the returned descriptor ends that."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise JournalError(f"{folder}: cannot create the journal file: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalError(
            f"{folder}: a session is writing this journal, or a page of review or label; end that first, or give "
            "labels through it"
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise JournalError(f"{folder}: this file system cannot lock a journal: {error.strerror}") from error
    return descriptor


def _sync_folder(folder: Path) -> None:
    """Have the disk know the new file's name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
