"""What every reader of a file system offers, whoever wrote it: nodes, by number.

Paths, symbolic links and mounts are resolved once, above all readers, in `tree.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class NodeKind(StrEnum):
    """What a node of a file system is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    FIFO = "fifo"
    SOCKET = "socket"
    OTHER = "other"  # a Windows reparse point that is no link, a whiteout


@dataclass(frozen=True, slots=True)
class Stat:
    """What a file system says of a node.

    Attributes:
        kind: What it is.
        size: Bytes; of a symbolic link the length of its target.
        mode: The 12 permission bits; 0 where the file system has none.
        uid: Owner, 0 where the file system has none.
        gid: Group, 0 where the file system has none.
        links: Names that the node has, as the file system counts them.
        modified: Seconds since 1970-01-01 UTC, rounded down.
        inode: The file system's own number of the node.
    """

    kind: NodeKind
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    links: int = 1
    modified: int = 0
    inode: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a directory and the node that it stands for."""

    name: bytes
    node: int


@dataclass(frozen=True, slots=True)
class Volume:
    """What a file system says of itself.

    Attributes:
        kind: `ext4`, `XFS`, `btrfs`, `NTFS`, `FAT32`, ...
        label: As stored, decoded as UTF-8 with surrogate escapes.
        uuid: As the system's tools print it; the serial number of FAT and NTFS; "" where none.
        size: Bytes that it manages.
        free: Bytes free, None where that is not stored.
        notes: What a reader of files must know: a journal that was not replayed, a feature that
            is not read. One sentence each.
        clean: Whether it was unmounted, None where that is not stored.
        errors: Whether the system has noted errors in it.
        dirty: Whether NTFS is marked to be checked at the next start, None where not stored.
        log_clean: Whether the log of NTFS says that it was dismounted in order, None likewise.
    """

    kind: str
    label: str = ""
    uuid: str = ""
    size: int = 0
    free: int | None = None
    notes: tuple[str, ...] = ()
    clean: bool | None = None
    errors: bool = False
    dirty: bool | None = None
    log_clean: bool | None = None


class FileSystem(Protocol):
    """A file system that is read in place. Nothing is ever written.

    Every method may raise `GuestError`: the structures are damaged, or use what is not read.
    """

    @property
    def volume(self) -> Volume:
        """What the file system says of itself."""

    @property
    def ignores_case(self) -> bool:
        """Whether `lookup` takes names in any case: FAT and NTFS."""

    @property
    def root(self) -> int:
        """The node of the root directory."""

    def lookup(self, directory: int, name: bytes) -> int | None:
        """Return the node that a name stands for, None where the directory has no such name."""

    def entries(self, directory: int) -> Iterator[Entry]:
        """Yield what a directory holds, without `.` and `..`, in no order."""

    def stat(self, node: int) -> Stat:
        """Return what is known of a node."""

    def read_at(self, node: int, offset: int, length: int) -> bytes:
        """Read from a file; fewer bytes than `length` only at its end."""

    def read_link(self, node: int) -> bytes:
        """Return the target of a symbolic link, at most 64 KiB."""
