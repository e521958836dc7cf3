"""What opens the file systems of volumes: the native core, or another reader beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vhdtool.disk.facts import Signature
from vhdtool.errors import GuestError
from vhdtool.guest.native import NativeFileSystem

if TYPE_CHECKING:
    from vhdtool.guest.filesystem import FileSystem
    from vhdtool.guest.volumes import DiskVolume


class Engine(Protocol):
    """Opens file systems. What it does not read, it says."""

    def reads(self, signature: Signature) -> bool:
        """Whether it reads volumes that start so."""

    def open(self, volume: DiskVolume) -> FileSystem:
        """Open the file system of a volume.

        Raises:
            GuestError: It is damaged, or needs what is not read.
        """


class NativeEngine:
    """Reads in this process, by the native core, without privileges."""

    _SIGNATURES = frozenset(
        (
            Signature.FAT12,
            Signature.FAT16,
            Signature.FAT32,
            Signature.NTFS,
            Signature.EXT,
            Signature.XFS,
            Signature.BTRFS,
        )
    )

    def reads(self, signature: Signature) -> bool:
        """As `Engine.reads`."""
        return signature in self._SIGNATURES

    def open(self, volume: DiskVolume) -> FileSystem:
        """As `Engine.open`."""
        if volume.disk is None:
            raise GuestError(volume.problem or "it is empty")
        return NativeFileSystem(volume.disk)


NATIVE = NativeEngine()
