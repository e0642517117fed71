"""Pickles of arrays are read whoever wrote them, and no name in them reaches a module."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from robot_rlhf.errors import JournalError
from robot_rlhf.journal.datasets.plain_pickle import array_of, read_plain
from tests.traced_memory import peak_bytes


def test_every_other_name_is_refused_with_its_module(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    for module, name in (("os", "system"), ("builtins", "getattr"), ("numpy", "load"), ("numpy.core.multiarray", "x")):
        path.write_bytes(f"c{module}\n{name}\n.".encode())
        with pytest.raises(JournalError, match=rf"x\.pkl: cannot be read: it asks for {module}\.{name};"):
            read_plain(path)
    path.write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.")
    with pytest.raises(JournalError, match=r"it asks for numpy\.ndarray\.dumps;"):
        read_plain(path)
    path.write_bytes(b"\x80\x02\x82\x01.")  # a number of a registry of names
    with pytest.raises(JournalError, match=r"x\.pkl: cannot be read"):
        read_plain(path)
    path.write_bytes(b"\x80\x02K\x01Q.")
    with pytest.raises(JournalError, match=r"x\.pkl: cannot be read"):
        read_plain(path)


def test_what_a_name_stands_for_cannot_be_changed(tmp_path: Path) -> None:
    """A pickle may set attributes of whatever it has made, and call what it likes with what it likes."""
    path = tmp_path / "x.pkl"
    dtype = b"cnumpy\ndtype\n"
    for data in (
        dtype + b"}(Vx\nI1\nub.",  # attributes
        dtype + b"(N}V__call__\nI1\nstb.",  # slots
        dtype + b"(I1\ntR.",  # a type by number
        dtype + b"(Vf8\ntR}b.",
        b"cnumpy\nndarray\n(I3\ntR.",
        b"ccollections\nOrderedDict\n(I3\ntR.",
        b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(tRI1\nb.",
    ):
        path.write_bytes(data)
        with pytest.raises(JournalError, match=r"x\.pkl: cannot be read"):
            read_plain(path)
    for data, words in (
        (
            dtype + b"(VO8\ntR0cnumpy._core.numeric\n_frombuffer\n(C\x08abcdefgh" + dtype + b"(VO8\ntR(I1\ntVC\ntR.",
            "'O8'",
        ),
        (
            b"cnumpy.core.multiarray\nscalar\n(" + dtype + b"(Vf8\ntRC\x03abctR.",
            r"shape \(\) and type float64 in 3 bytes",
        ),
        (b"cnumpy.core.multiarray\n_reconstruct\n(tR.", "without shape"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=words):
            array_of(read_plain(path))


def test_values_nested_however_deep_harm_nothing(tmp_path: Path) -> None:
    """To hash tuples in tuples in tuples ends an interpreter whose stack is too short for it."""
    path = tmp_path / "x.pkl"
    deep = b"N" + b"\x85" * 1_000_000
    for data in (b"\x80\x02}" + deep + b"Ns.", b"\x80\x02(" + deep + b"Nd.", b"\x80\x04\x8f(" + deep + b"\x90."):
        path.write_bytes(data)
        with pytest.raises(JournalError, match=r"x\.pkl: cannot be read: a key that is a tuple; allowed: text and num"):
            read_plain(path)
    made = b"cnumpy.core.multiarray\n_reconstruct\n(tR"
    path.write_bytes(b"\x80\x02N" + (b"q\x010" + made + b"(NNNNh\x01tb") * 100_000 + b".")
    with pytest.raises(ValueError, match="an array of other than numbers"):
        array_of(read_plain(path))


READ_BOTH = """
from pathlib import Path
from robot_rlhf.errors import JournalError
from robot_rlhf.journal.datasets.plain_pickle import read_plain
try:
    raise SystemExit(f"was read: {len(read_plain(Path(sys.argv[1])))} entries")
except JournalError as error:
    assert "x.pkl: cannot be read: it makes more bytes than the 1" in str(error), error
assert read_plain(Path(sys.argv[2])) is None
"""


def test_no_pickle_takes_much_more_memory_than_it_is_long(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    text = b"X" + (100_000).to_bytes(4, "little") + b"a" * 100_000
    encode = b"\x80\x02c_codecs\nencode\nq\x00" + text + b"q\x01X\x06\x00\x00\x00latin1q\x02"
    path.write_bytes(encode + b"](" + b"h\x00h\x01h\x02\x86R" * 1000 + b"e.")
    kept = tmp_path / "kept.pkl"
    kept.write_bytes(b"\x80\x04Nr\xff\xff\xff\x7f.")  # under number 2147483647
    peak = peak_bytes(READ_BOTH, str(path), str(kept), warm_up=READ_BOTH)
    assert peak < 2_000_000


def test_what_a_pickle_has_a_message_say_is_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    for name in ("a\nb\x1b[2Jc\ud800", "x" * 100_000):
        text = name.encode("utf-8", "surrogatepass")
        path.write_bytes(b"\x80\x02X" + len(text).to_bytes(4, "little") + text + b"X\x01\x00\x00\x00y\x93.")
        with pytest.raises(JournalError, match=r"x\.pkl: cannot be read: it asks for [ax]") as told:
            read_plain(path)
        words = str(told.value).removeprefix(str(path))
        assert words.isprintable()
        assert len(words) < 400


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_both_numpys_and_all_protocols(tmp_path: Path, core: str, protocol: int) -> None:
    values = {
        "plain": np.arange(6, dtype=np.float32).reshape(2, 3),
        "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "other end first": np.arange(3, dtype=">f4"),
        "empty": np.zeros((0, 3)),
        "scalar": np.float64(0.25),
        "truth": np.bool_(True),
        "pictures": np.arange(24, dtype=np.uint8).reshape(2, 4, 3),
        "text": np.array(["a", "bc"]),
    }
    data = pickle.dumps([OrderedDict(values)], protocol=protocol)
    named = [str(argument) for _, argument, _ in pickletools.genops(data) if argument is not None]
    assert any("numpy" in name and "core" in name for name in named)
    for module in (b"multiarray", b"numeric"):
        ours = f"{core}.".encode() + module
        for theirs in (b"numpy.core." + module, b"numpy._core." + module):
            if theirs in data and theirs != ours:
                text = theirs + b"\n" in data
                data = data.replace(theirs + b"\n", ours + b"\n") if text else _renamed(data, theirs, ours)
    path = tmp_path / "x.pkl"
    path.write_bytes(data)
    (back,) = read_plain(path)
    for name, value in values.items():
        array = array_of(back[name])
        assert (array.dtype, array.shape) == (value.dtype, value.shape), name
        assert np.array_equal(array, value), name


def _renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """A short string of a pickle in frames, one byte of length before it; frames fall away."""
    out = io.BytesIO()
    pieces = [(opcode, at) for opcode, _, at in pickletools.genops(data)]
    for (opcode, at), (_, end) in zip(pieces, [*pieces[1:], (None, len(data))], strict=True):
        piece = data[at:end]
        if opcode.name == "FRAME":
            continue
        out.write(piece.replace(bytes([len(old)]) + old, bytes([len(new)]) + new))
    return out.getvalue()
