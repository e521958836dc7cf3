"""A file system as it looks when one of its folders is mounted: a btrfs subvolume."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.filesystem import Entry, FileSystem, Stat, Volume


class RootedFileSystem:
    """A `FileSystem` that is another one from a folder of it on."""

    def __init__(self, filesystem: FileSystem, root: int) -> None:
        """Look at `filesystem` with the folder `root` as its root."""
        self.filesystem = filesystem
        self.root = root
        self.top_level = filesystem.top_level

    @property
    def volume(self) -> Volume:
        """As `FileSystem.volume`."""
        return self.filesystem.volume

    @property
    def ignores_case(self) -> bool:
        """As `FileSystem.ignores_case`."""
        return self.filesystem.ignores_case

    def lookup(self, directory: int, name: bytes) -> int | None:
        """As `FileSystem.lookup`."""
        return self.filesystem.lookup(directory, name)

    def entries(self, directory: int) -> Iterator[Entry]:
        """As `FileSystem.entries`."""
        return self.filesystem.entries(directory)

    def stat(self, node: int) -> Stat:
        """As `FileSystem.stat`."""
        return self.filesystem.stat(node)

    def read_at(self, node: int, offset: int, length: int) -> bytes:
        """As `FileSystem.read_at`."""
        return self.filesystem.read_at(node, offset, length)

    def read_link(self, node: int) -> bytes:
        """As `FileSystem.read_link`."""
        return self.filesystem.read_link(node)
