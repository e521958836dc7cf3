"""What an initial RAM disk holds: names only, of several archives in one file.

Archives are cpio, plain or compressed, one after another with zeros between them: microcode first,
then the rest.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_NAMES = 200_000
MOST_BYTES = 512 << 20  # unpacked, of all archives
_PIECE = 1 << 20
_HEADER = 110  # bytes of a cpio header in hexadecimal digits
_MAGICS = (b"070701", b"070702")
_LONGEST_NAME = 4096
_MOST_ARCHIVES = 64


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Damaged(Exception):  # noqa: N818 - ends the listing, seen by nobody else
    pass


def initramfs_names(data: bytes) -> list[str] | None:
    """List the names in an initial RAM disk, of all its archives.

    Args:
        data: The whole file.

    Returns:
        The names as stored. None where a part is damaged, is compressed in a way that is not read
        here (zstd, lz4, lzop), unpacks to more than 512 MiB, or there are too many.
    """
    names: list[str] = []
    offset = unpacked = 0
    try:
        for _ in range(_MOST_ARCHIVES):
            offset = _after_zeros(data, offset)
            if offset >= len(data):
                return names
            if data[offset : offset + 6] in _MAGICS:
                stream = _Stream(_plain(data, offset))
                _list(stream, names)
                offset += stream.position
                continue
            unpacker = _unpacker(data[offset : offset + 6])
            if unpacker is None:
                return None
            source = _Unpacked(data, offset, unpacker, MOST_BYTES - unpacked)
            stream = _Stream(source.pieces())
            archives = 0
            while stream.peek_archive():
                archives += 1
                if archives > _MOST_ARCHIVES:
                    return None
                _list(stream, names)
            stream.drain()
            offset = source.end
            unpacked += source.total
        return None
    except (_Damaged, zlib.error, lzma.LZMAError, OSError, ValueError, EOFError):
        return None


def _plain(data: bytes, offset: int) -> Iterator[bytes]:
    for start in range(offset, len(data), _PIECE):
        yield data[start : start + _PIECE]


def _after_zeros(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset] == 0:
        piece = data[offset : offset + 4096]
        offset += len(piece) - len(piece.lstrip(b"\0"))
    return offset


def _unpacker(magic: bytes) -> _Unpacker | None:
    if magic[:2] == b"\x1f\x8b":
        return _Gzip()
    if magic == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 << 20)
    if magic[:3] == b"BZh":
        return bz2.BZ2Decompressor()
    if magic[:3] == b"\x5d\0\0":
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=256 << 20)
    return None


class _Gzip:
    """zlib's object under the names of the others."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)


class _Unpacked:
    """A compressed archive in pieces; `end` is where it ends, once all pieces were taken."""

    def __init__(self, data: bytes, start: int, unpacker: _Unpacker, most: int) -> None:
        self._data = data
        self._most = most
        self.total = 0
        self._next = start
        self._unpacker = unpacker
        self.end = len(data)

    def pieces(self) -> Iterator[bytes]:
        given = b""
        while not self._unpacker.eof:
            piece = self._unpacker.decompress(given, _PIECE)
            given = b""
            if not piece and not self._unpacker.eof:
                given = self._data[self._next : self._next + _PIECE]
                if not given:
                    raise _Damaged
                self._next += len(given)
            self.total += len(piece)
            if self.total > self._most:
                raise _Damaged
            if piece:
                yield piece
        self.end = self._next - len(self._unpacker.unused_data)


class _Stream:
    """Bytes in order, read or passed over, with their position."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = b""
        self._start = 0
        self.position = 0

    def read(self, length: int) -> bytes:
        while len(self._buffer) - self._start < length:
            piece = next(self._pieces, None)
            if piece is None:
                raise _Damaged
            self._buffer = self._buffer[self._start :] + piece
            self._start = 0
        found = self._buffer[self._start : self._start + length]
        self._start += length
        self.position += length
        return found

    def skip(self, length: int) -> None:
        self.position += length
        while length > len(self._buffer) - self._start:
            length -= len(self._buffer) - self._start
            piece = next(self._pieces, None)
            if piece is None:
                raise _Damaged
            self._buffer, self._start = piece, 0
        self._start += length

    def peek_archive(self) -> bool:
        """Whether another archive follows, after zeros."""
        while True:
            self._buffer = self._buffer[self._start :].lstrip(b"\0")
            self._start = 0
            if len(self._buffer) >= 6:
                if self._buffer[:6] not in _MAGICS:
                    raise _Damaged
                return True
            piece = next(self._pieces, None)
            if piece is None:
                if self._buffer:
                    raise _Damaged
                return False
            self._buffer += piece

    def drain(self) -> None:
        for _ in self._pieces:
            pass


def _list(stream: _Stream, names: list[str]) -> None:
    """Take the names of one archive, to its trailer."""
    start = stream.position
    while True:
        header = stream.read(_HEADER)
        if header[:6] not in _MAGICS:
            raise _Damaged
        size, length = int(header[54:62], 16), int(header[94:102], 16)
        if not 0 < length <= _LONGEST_NAME:
            raise _Damaged
        name = stream.read(length).rstrip(b"\0")
        stream.skip(-(stream.position - start) % 4)
        if name == b"TRAILER!!!":
            return
        stream.skip(size + -size % 4)
        names.append(name.decode("utf-8", "surrogateescape"))
        if len(names) > MOST_NAMES:
            raise _Damaged
