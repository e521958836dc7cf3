"""File systems by the native core, behind the `FileSystem` protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.errors import FormatError, GuestError
from vhdtool.guest.filesystem import Entry, NodeKind, Stat, Volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


class NativeFileSystem:
    """A `FileSystem` that the native core reads from a volume."""

    def __init__(self, volume: _native.Disk) -> None:
        """Open the file system of a volume.

        Raises:
            GuestError: None is known, it is damaged, or it needs what is not read.
        """
        with _AS_GUEST_ERROR:
            self._native = _native.FileSystem.open(volume)
            kind, label, uuid, size, free, ignores_case, notes, *state = self._native.volume()
        clean, errors, dirty, log_clean = state
        text = label.decode("utf-8", "surrogateescape")
        self.volume = Volume(
            kind, text, uuid, size, free, tuple(notes), clean, bool(errors), dirty, log_clean
        )
        self.ignores_case = ignores_case
        self.root = self._native.root
        self.top_level = self._native.top_level

    def lookup(self, directory: int, name: bytes) -> int | None:
        """As `FileSystem.lookup`."""
        with _AS_GUEST_ERROR:
            return self._native.lookup(directory, name)

    def entries(self, directory: int) -> Iterator[Entry]:
        """As `FileSystem.entries`."""
        with _AS_GUEST_ERROR:
            found = self._native.entries(directory)
        for name, node in found:
            yield Entry(name, node)

    def stat(self, node: int) -> Stat:
        """As `FileSystem.stat`."""
        with _AS_GUEST_ERROR:
            kind, *rest = self._native.stat(node)
        return Stat(NodeKind(kind), *rest)

    def read_at(self, node: int, offset: int, length: int) -> bytes:
        """As `FileSystem.read_at`."""
        pieces = []
        with _AS_GUEST_ERROR:
            while length > 0:
                piece = self._native.read_at(node, offset, length)
                if not piece:
                    break
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
        return b"".join(pieces)

    def read_link(self, node: int) -> bytes:
        """As `FileSystem.read_link`."""
        with _AS_GUEST_ERROR:
            return self._native.read_link(node)


class _AsGuestError:
    """Raises what the native core raises as a GuestError; cheaper than a generator of contextlib.

    It is entered thousands of times for one guest.
    """

    def __enter__(self) -> None:
        """Nothing is to be prepared."""

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if isinstance(error, (FormatError, OSError, ValueError)):
            raise GuestError(str(error)) from error


_AS_GUEST_ERROR = _AsGuestError()
