"""Which picture topics of a bag are which cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.bags.encodings import trouble
from robot_rlhf.journal.bags.pictures import COMPRESSED, RAW
from robot_rlhf.journal.bags.source import Bag

PICTURES = (RAW, COMPRESSED)
OPTION = "--camera NAME=TOPIC"

_TRANSPORT = ("image", "compressed", "color", "rgb")
"""Parts of a topic's name that tell how pictures come, and not whose they are; and what begins with image_."""

Place = tuple[str, ...]
"""The parts of a topic's name that tell whose pictures they are."""


def place_of(topic: str) -> Place:
    """Whose pictures a topic has, for example ('left_arm', 'camera') for /left_arm/camera/color/image_raw."""
    parts = [part for part in topic.strip("/").split("/") if part]
    return tuple(part for part in parts if part not in _TRANSPORT and not part.startswith("image_"))


def camera_names(topics: Sequence[str]) -> dict[str, str]:
    """Topic to its camera's name: the last part that tells it, and as many before it as set it apart."""
    places = {topic: place_of(topic) for topic in topics}
    found: dict[str, str] = {}
    for topic, place in places.items():
        others = {other for other in places.values() if other != place}
        length = 1
        while length < len(place) and any(other[-length:] == place[-length:] for other in others):
            length += 1
        found[topic] = "_".join(place[-length:]) or "camera"
    return found


def choose_cameras(
    bag: Bag, named: Mapping[str, str], known: Sequence[str] | None, left: dict[str, str], mono16_bits: int
) -> dict[str, str]:
    """Camera name to topic.

    Args:
        named: those that the caller names.
        known: those that the robot has; None: any.
        left: filled with the picture topics that are not taken, and why.
        mono16_bits: see `encodings.picture_of`.

    Raises:
        JournalError: more than one topic may be a camera, or none is; names the topics and the option to say it.
    """
    strange = [name for name in named if known is not None and name not in known]
    if strange:
        raise JournalError(
            f"{bag.path}: the robot has no camera {strange[0]}; allowed: {', '.join(known or ()) or 'none'}"
        )
    topics = [topic for topic, kind in bag.topics.items() if kind in PICTURES and topic not in named.values()]
    left |= dict.fromkeys(topics, "not asked for")
    if known is None and named:
        return dict(named)
    if known is not None and not set(known) - set(named):
        left |= dict.fromkeys(topics, "the robot has no such camera" if known else "the robot has no cameras")
        return {name: named[name] for name in known}
    usable = _usable(bag, topics, left, mono16_bits)
    groups: dict[str, list[str]] = {}
    for topic, name in camera_names(usable).items():
        groups.setdefault(name, []).append(topic)
    if known is None:
        return {name: _only(bag, name, candidates) for name, candidates in groups.items()}
    left |= dict.fromkeys(usable, "the robot has no such camera")
    found = dict(named)
    for name in (name for name in known if name not in named):
        candidates = groups.get(name) or [t for t in usable if name in place_of(t)]
        if not candidates:
            allowed = ", ".join(usable) or "none is there"
            raise JournalError(
                f"{bag.path}: no topic for camera {name}; say which: {OPTION}; pictures are in {allowed}"
            )
        found[name] = _only(bag, name, candidates)
    return {name: found[name] for name in known}


def _only(bag: Bag, name: str, candidates: Sequence[str]) -> str:
    if len(candidates) > 1:
        allowed = ", ".join(f"--camera {name}={topic}" for topic in candidates)
        raise JournalError(f"{bag.path}: camera {name} may be any of {', '.join(candidates)}; say which: {allowed}")
    return candidates[0]


def _usable(bag: Bag, topics: Sequence[str], left: dict[str, str], mono16_bits: int) -> list[str]:
    """Those whose first picture can be read; why the others cannot goes to `left`."""
    usable: list[str] = []
    first = bag.first(topics)
    for topic in topics:
        why = "depth, by its name" if "depth" in topic.lower() else trouble(first[topic].value, mono16_bits)
        if why:
            left[topic] = why
        else:
            usable.append(topic)
    return usable
