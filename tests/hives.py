"""A small writer of registry hives for tests and fixtures. It shares no code with vhdtool.

A hive is a nested dict: a key with a dict is a key, anything else a value.

    hive = write_hive({"Select": {"Current": 1}, "Setup": {"OobeInProgress": 0, "": "default"}})

Values are strings (REG_SZ), bytes (REG_BINARY), ints (REG_DWORD), lists of strings (REG_MULTI_SZ)
or `Typed(type, data)`. `log_entries` makes a log that turns one state of a hive into another one,
`old_log` one of Windows before 8.1, `spoil` makes a hive dirty.
"""

from __future__ import annotations

import bisect
import itertools
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REG_NONE, REG_SZ, REG_EXPAND_SZ, REG_BINARY, REG_DWORD, REG_DWORD_BIG_ENDIAN = range(6)
REG_LINK, REG_MULTI_SZ, REG_RESOURCE_LIST = 6, 7, 8
REG_FULL_RESOURCE_DESCRIPTOR, REG_RESOURCE_REQUIREMENTS_LIST, REG_QWORD = 9, 10, 11

BASE_BLOCK = 4096
BIN = 4096
PAGE = 512
SEGMENT = 16344
EPOCH = 11_644_473_600
WRITTEN = 1_600_000_000  # seconds since 1970, of every key unless `modified` says other
NO_OFFSET = 0xFFFFFFFF


@dataclass(frozen=True)
class Typed:
    """A value of any type: its number and its bytes."""

    kind: int
    data: bytes


def filetime(seconds: int) -> int:
    return (seconds + EPOCH) * 10**7


def typed(value: object) -> Typed:
    """Return the type and the bytes of a value given in Python's types."""
    if isinstance(value, Typed):
        return value
    if isinstance(value, str):
        return Typed(REG_SZ, (value + "\0").encode("utf-16-le", "surrogatepass"))
    if isinstance(value, bytes):
        return Typed(REG_BINARY, value)
    if isinstance(value, int):
        return Typed(REG_DWORD, value.to_bytes(4, "little"))
    assert isinstance(value, list)
    text = "".join(f"{part}\0" for part in value) + "\0"
    return Typed(REG_MULTI_SZ, text.encode("utf-16-le", "surrogatepass"))


def expand(text: str) -> Typed:
    """Return a REG_EXPAND_SZ."""
    return Typed(REG_EXPAND_SZ, typed(text).data)


def qword(number: int) -> Typed:
    """Return a REG_QWORD."""
    return Typed(REG_QWORD, number.to_bytes(8, "little"))


@dataclass
class _Writer:
    """Lays cells into bins; a cell larger than what is left of a bin starts a new one."""

    minor: int
    lists: str
    list_length: int
    bins: list[bytearray] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    size: int = 0
    used: int = 0
    security: int = NO_OFFSET

    def cell(self, data: bytes) -> int:
        """Store the bytes of a cell; return its offset."""
        length = -(-(len(data) + 4) // 8) * 8
        if not self.bins or self.used + length > len(self.bins[-1]):
            self._close()
            self._open(length)
        bin_start = self.size - len(self.bins[-1])
        place = self.used
        packed = struct.pack("<i", -length) + data
        self.bins[-1][place : place + len(packed)] = packed
        self.used += length
        return bin_start + place

    def _open(self, length: int) -> None:
        size = -(-(length + 32) // BIN) * BIN
        header = struct.pack("<4sIIQQI", b"hbin", self.size, size, 0, filetime(WRITTEN), 0)
        self.bins.append(bytearray(header.ljust(size, b"\0")))
        self.starts.append(self.size)
        self.size += size
        self.used = 32

    def _close(self) -> None:
        """Make the rest of the last bin a free cell."""
        if self.bins and (left := len(self.bins[-1]) - self.used):
            struct.pack_into("<i", self.bins[-1], self.used, left)

    def fill(self, offset: int, data: bytes) -> None:
        """Overwrite the start of a cell."""
        at = bisect.bisect_right(self.starts, offset) - 1
        start = offset - self.starts[at] + 4
        self.bins[at][start : start + len(data)] = data

    def finish(self) -> bytes:
        self._close()
        return b"".join(self.bins)


def write_hive(
    keys: Mapping[str, object],
    *,
    root_name: str = "ROOT",
    minor: int = 5,
    lists: str = "lh",
    list_length: int = 1000,
    sequence: int = 1,
    modified: Mapping[str, int] | None = None,
    size: int = 0,
) -> bytes:
    r"""Build a hive.

    Args:
        keys: The tree below the root key.
        root_name: Name of the root key.
        minor: Minor version; from 4 on long values are big data.
        lists: `lf`, `lh` or `li`.
        list_length: Subkeys in one list; more make a list of lists (`ri`).
        sequence: Both sequence numbers.
        modified: Seconds since 1970 of keys by their path (`Setup\Upgrade`, "" for the root).
        size: Bytes of hive bins at least: room that a state of the hive shares with a later one.
    """
    writer = _Writer(minor, lists, list_length)
    root = writer.cell(bytes(80 + 2 * len(root_name)))
    writer.security = writer.cell(bytes(40))
    security = struct.pack("<2sHIIII", b"sk", 0, writer.security, writer.security, 1, 20)
    writer.fill(writer.security, security + struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0))
    _fill_key(writer, root, keys, root_name, 0, "", modified or {})
    bins = writer.finish()
    while len(bins) < size:
        header = struct.pack("<4sIIQQIi", b"hbin", len(bins), BIN, 0, 0, 0, BIN - 32)
        bins += header.ljust(BIN, b"\0")
    return seal(_base(root, len(bins), minor, sequence) + bins)


def _base(root: int, size: int, minor: int, sequence: int) -> bytes:
    numbers = (sequence, sequence, filetime(WRITTEN), 1, minor, 0, 1, root, size, 1)
    start = struct.pack("<4sIIQIIIIIII", b"regf", *numbers)
    return (start + "\\hive".encode("utf-16-le")).ljust(BASE_BLOCK, b"\0")


def seal(data: bytes) -> bytes:
    """Put the right checksum into a base block."""
    total = 0
    for (word,) in struct.iter_unpack("<I", data[:508]):
        total ^= word
    total = {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(total, total)
    return data[:508] + struct.pack("<I", total) + data[512:]


def _name(text: str) -> tuple[bytes, bool]:
    """Return a name as stored: Latin-1 where that is possible, then True, else UTF-16."""
    try:
        return text.encode("latin-1"), True
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass"), False


def _fill_key(
    writer: _Writer,
    cell: int,
    keys: Mapping[str, object],
    name: str,
    parent: int,
    path: str,
    modified: Mapping[str, int],
) -> None:
    children = {key: value for key, value in keys.items() if isinstance(value, dict)}
    values = {key: value for key, value in keys.items() if not isinstance(value, dict)}
    # Lists are sorted by the capital letters, as Windows searches them.
    ordered = sorted(children, key=str.upper)
    cells = [writer.cell(bytes(76 + len(_name(child)[0]))) for child in ordered]
    for child, place in zip(ordered, cells, strict=True):
        below = f"{path}\\{child}" if path else child
        _fill_key(writer, place, children[child], child, cell, below, modified)
    value_cells = [_value(writer, key, typed(value)) for key, value in values.items()]
    stored, latin = _name(name)
    flags = (0x20 if latin else 0) | (0x0C if not path and parent == 0 else 0)
    subkeys = _lists(writer, ordered, cells) if cells else NO_OFFSET
    value_list = NO_OFFSET
    if value_cells:
        value_list = writer.cell(struct.pack(f"<{len(value_cells)}I", *value_cells))
    seconds = modified.get(path, WRITTEN)
    key = struct.pack("<2sHQII", b"nk", flags, filetime(seconds), 0, parent)
    key += struct.pack("<IIII", len(cells), 0, subkeys, NO_OFFSET)
    key += struct.pack("<IIII", len(value_cells), value_list, writer.security, NO_OFFSET)
    key += struct.pack("<IIIII", 0, 0, 0, 0, 0) + struct.pack("<HH", len(stored), 0)
    writer.fill(cell, key + stored)


def _lists(writer: _Writer, names: Sequence[str], cells: Sequence[int]) -> int:
    step = writer.list_length
    parts = [
        _list(writer, names[start : start + step], cells[start : start + step])
        for start in range(0, len(cells), step)
    ]
    if len(parts) == 1:
        return parts[0]
    return writer.cell(struct.pack(f"<2sH{len(parts)}I", b"ri", len(parts), *parts))


def _list(writer: _Writer, names: Sequence[str], cells: Sequence[int]) -> int:
    data = writer.lists.encode() + struct.pack("<H", len(cells))
    for name, cell in zip(names, cells, strict=True):
        data += struct.pack("<I", cell)
        if writer.lists == "lf":
            data += name[:4].encode("latin-1", "replace").ljust(4, b"\0")
        elif writer.lists == "lh":
            data += struct.pack("<I", name_hash(name))
    return writer.cell(data)


def name_hash(name: str) -> int:
    """Return the hash of a name in an `lh` list."""
    total = 0
    for letter in name.upper():
        total = (total * 37 + ord(letter)) & 0xFFFFFFFF
    return total


def _value(writer: _Writer, name: str, value: Typed) -> int:
    stored, latin = _name(name)
    length = len(value.data)
    if length <= 4:
        place = int.from_bytes(value.data, "little")
        length |= 0x80000000
    elif length > SEGMENT and writer.minor >= 4:
        segments = [value.data[at : at + SEGMENT] for at in range(0, length, SEGMENT)]
        cells = [writer.cell(segment) for segment in segments]
        table = writer.cell(struct.pack(f"<{len(cells)}I", *cells))
        place = writer.cell(struct.pack("<2sHI", b"db", len(cells), table))
    else:
        place = writer.cell(value.data)
    fields = (len(stored), length, place, value.kind, int(latin), 0)
    return writer.cell(struct.pack("<2sHIIIHH", b"vk", *fields) + stored)


# --- dirty hives and their logs ------------------------------------------------------------------


def spoil(hive: bytes, *, checksum: bool = False) -> bytes:
    """Make a hive dirty: its first sequence number one higher, or its checksum wrong."""
    if checksum:
        return hive[:508] + bytes(byte ^ 0xFF for byte in hive[508:512]) + hive[512:]
    primary = int.from_bytes(hive[4:8], "little") + 1
    return seal(hive[:4] + struct.pack("<I", primary) + hive[8:])


def _log_base(hive: bytes, sequence: int, kind: int) -> bytes:
    start = (
        hive[:4] + struct.pack("<II", sequence, sequence) + hive[12:28] + struct.pack("<I", kind)
    )
    return seal(start + hive[32:512])


def log_entries(states: Sequence[bytes], *, first: int) -> bytes:
    """Return a log with an entry for each state of a hive after the first one.

    The entries are numbered from `first`, which is the hive's second sequence number.
    """
    log = _log_base(states[0], first, 6)
    for number, (before, after) in enumerate(itertools.pairwise(states), first):
        log += log_entry(before, after, number)
    return log


def log_entry(before: bytes, after: bytes, sequence: int) -> bytes:
    """Return an entry with the pages in which two states of a hive differ."""
    pages = changed_pages(before, after)
    table = b"".join(struct.pack("<II", page * PAGE, PAGE) for page in pages)
    data = b"".join(page_of(after, page) for page in pages)
    length = -(-(40 + len(table) + len(data)) // PAGE) * PAGE
    body = (table + data).ljust(length - 40, b"\0")
    size = len(after) - BASE_BLOCK
    header = struct.pack("<4sIIIII", b"HvLE", length, 0, sequence, size, len(pages))
    header += struct.pack("<Q", marvin32(body))
    return header + struct.pack("<Q", marvin32(header)) + body


def old_log(before: bytes, after: bytes, *, sequence: int) -> bytes:
    """Return a log of the kind that Windows before 8.1 writes."""
    pages = changed_pages(before, after)
    bits = bytearray((len(after) - BASE_BLOCK) // PAGE // 8)
    for page in pages:
        bits[page // 8] |= 1 << page % 8
    vector = b"DIRT" + bytes(bits)
    vector = vector.ljust(-(-len(vector) // PAGE) * PAGE, b"\0")
    return _log_base(after, sequence, 1) + vector + b"".join(page_of(after, page) for page in pages)


def changed_pages(before: bytes, after: bytes) -> list[int]:
    count = (len(after) - BASE_BLOCK) // PAGE
    return [page for page in range(count) if page_of(before, page) != page_of(after, page)]


def page_of(hive: bytes, page: int) -> bytes:
    start = BASE_BLOCK + page * PAGE
    return hive[start : start + PAGE]


def marvin32(data: bytes, seed: int = 0x82EF4D887A4E55C5) -> int:
    """Return the hash of log entries."""
    low, high = seed & 0xFFFFFFFF, seed >> 32
    tail = data[len(data) & ~3 :] + b"\x80"
    padded = data[: len(data) & ~3] + tail.ljust(4, b"\0") + bytes(4)
    for (word,) in struct.iter_unpack("<I", padded):
        low = (low + word) & 0xFFFFFFFF
        high ^= low
        low = (_rotate(low, 20) + high) & 0xFFFFFFFF
        high = _rotate(high, 9) ^ low
        low = (_rotate(low, 27) + high) & 0xFFFFFFFF
        high = _rotate(high, 19)
    return high << 32 | low


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & 0xFFFFFFFF
