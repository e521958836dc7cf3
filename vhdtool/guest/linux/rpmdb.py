"""rpm's databases: SQLite, ndb and Berkeley DB, and the headers that all of them hold."""

from __future__ import annotations

import sqlite3
import struct
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.files import Files

_FOLDERS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm")
_MOST_DATABASE = 512 << 20
_MOST_PACKAGES = 50_000
_MOST_HEADER = 64 << 20
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_TEXT, _NUMBER = 6, 4
_STEPS = 20_000_000  # of SQLite's machine: seconds, where a database is made to take for ever

# Berkeley DB's pages
_DB_HASH = 0x061561
_HASH_PAGES = (2, 13)
_OVERFLOW_PAGE = 7
_ON_PAGE, _OFF_PAGE = 1, 3


def read_rpm_headers(files: Files) -> tuple[str, list[tuple[str, str, str]]] | None:
    """Return the database's path and name, version, architecture of each package.

    Returns:
        None where there is no database.

    Raises:
        GuestError: It is damaged.
    """
    for folder in _FOLDERS:
        for name, blobs in (
            ("rpmdb.sqlite", _sqlite),
            ("Packages.db", _ndb),
            ("Packages", _berkeley),
        ):
            path = f"{folder}/{name}"
            if not files.size(path):
                continue
            if name == "rpmdb.sqlite" and files.size(f"{path}-wal"):
                raise GuestError(f"{path} has changes in {name}-wal, which are not read")
            data = files.read(path, _MOST_DATABASE) or b""
            try:
                return path, [header(blob) for blob in _bounded(blobs(data))]
            except (struct.error, ValueError, IndexError, sqlite3.Error) as error:
                raise GuestError(f"{path} is damaged: {error}") from error
    return None


def _bounded(blobs: Iterator[bytes]) -> Iterator[bytes]:
    for count, blob in enumerate(blobs):
        if count >= _MOST_PACKAGES:
            raise ValueError(f"more than {_MOST_PACKAGES} packages")
        yield blob


def header(blob: bytes) -> tuple[str, str, str]:
    """Read name, version with release and epoch, and architecture out of a header.

    Raises:
        ValueError: It is damaged.
    """
    count, length = struct.unpack_from(">II", blob)
    start = 8 + 16 * count
    if start + length > len(blob):
        raise ValueError(f"a header claims {count} entries and {length} bytes of {len(blob)}")
    found: dict[int, str] = {}
    for index in range(count):
        tag, kind, offset, _ = struct.unpack_from(">IIII", blob, 8 + 16 * index)
        if tag not in (_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH) or offset >= length:
            continue
        if kind == _TEXT:
            end = blob.index(b"\0", start + offset)
            found[tag] = blob[start + offset : end].decode("utf-8", "replace")
        elif kind == _NUMBER:
            found[tag] = str(struct.unpack_from(">I", blob, start + offset)[0])
    if _NAME not in found:
        raise ValueError("a header without a name")
    version = f"{found.get(_VERSION, '')}-{found.get(_RELEASE, '')}"
    if found.get(_EPOCH, "0") != "0":
        version = f"{found[_EPOCH]}:{version}"
    return found[_NAME], version, found.get(_ARCH, "")


def _sqlite(data: bytes) -> Iterator[bytes]:
    if data[:16] != b"SQLite format 3\0":
        raise ValueError("no SQLite database")
    # one that uses a write-ahead log cannot be opened in memory; there is none to apply
    plain = data[:18] + b"\1\1" + data[20:]
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(plain)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.set_progress_handler(lambda: 1, _STEPS)
        kinds = connection.execute("SELECT type FROM sqlite_schema WHERE name = 'Packages'")
        if [kind for (kind,) in kinds] != ["table"]:
            raise ValueError("no table of packages")
        for (blob,) in connection.execute("SELECT blob FROM Packages"):
            if isinstance(blob, bytes):
                yield blob
    finally:
        connection.close()


def _ndb(data: bytes) -> Iterator[bytes]:
    """Packages.db: slots of 16 bytes in the first pages, blobs in blocks of 16 bytes."""
    magic, _, _, pages = struct.unpack_from("<4sIII", data)
    if magic != b"RpmP":
        raise ValueError("no ndb database")
    end = min(pages * 4096, len(data) - 15)
    for offset in range(32, end, 16):
        slot, index, block, blocks = struct.unpack_from("<4sIII", data, offset)
        if slot != b"Slot":
            raise ValueError(f"no slot at {offset}")
        if not block:
            continue
        start = block * 16
        mark, owner, _, length = struct.unpack_from("<4sIII", data, start)
        if mark != b"BlbS" or owner != index or length > blocks * 16:
            raise ValueError(f"no package at {start}")
        yield data[start + 16 : start + 16 + length]


def _berkeley(data: bytes) -> Iterator[bytes]:
    """Packages: a hash of Berkeley DB, little or big endian, whose values are headers."""
    order = "<" if struct.unpack_from("<I", data, 12)[0] == _DB_HASH else ">"
    magic, _, size = struct.unpack_from(f"{order}III", data, 12)
    if magic != _DB_HASH:
        raise ValueError("no hash of Berkeley DB")
    if size not in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
        raise ValueError(f"pages of {size} bytes")
    for start in range(size, len(data) - size + 1, size):
        count, kind = struct.unpack_from(f"{order}HxxxB", data, start + 20)
        if kind not in _HASH_PAGES:
            continue
        offsets = struct.unpack_from(f"{order}{min(count, (size - 26) // 2)}H", data, start + 26)
        for number in range(1, len(offsets), 2):
            at, above = offsets[number], offsets[number - 1]
            if not 26 <= at < above <= size:
                raise ValueError(f"an item at {at} of the page at {start}")
            item = data[start + at : start + above]
            if item[0] == _ON_PAGE:
                value = item[1:]
            elif item[0] == _OFF_PAGE:
                page, length = struct.unpack_from(f"{order}II", item, 4)
                value = _overflow(data, order, size, page, length)
            else:
                continue
            # the first record is no package: it holds the highest number given so far
            if len(value) > 16:
                yield value


def _overflow(data: bytes, order: str, size: int, page: int, length: int) -> bytes:
    if length > min(_MOST_HEADER, len(data)):
        raise ValueError(f"a value of {length} bytes")
    pieces = []
    left = length
    while left > 0:
        start = page * size
        if page == 0 or start + size > len(data):
            raise ValueError(f"page {page} of a value")
        following = struct.unpack_from(f"{order}I", data, start + 16)[0]
        used, kind = struct.unpack_from(f"{order}HxB", data, start + 22)
        pieces.append(data[start + 26 : start + 26 + min(used, left)])
        if kind != _OVERFLOW_PAGE or used == 0:
            raise ValueError(f"page {page} is of kind {kind}")
        left -= used
        page = following
    return b"".join(pieces)
