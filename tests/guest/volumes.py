"""Volumes for tests of guests: file systems in memory, and real ones made with mke2fs."""

from __future__ import annotations

import subprocess
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.builders import MIB
from tests.native.conftest import need
from vhdtool.disk.facts import Partition, PartitionFacts, Signature
from vhdtool.errors import GuestError
from vhdtool.guest.volumes import DiskVolume

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vhdtool.guest.filesystem import FileSystem

ROOT_ID = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'


@dataclass(frozen=True)
class MemoryEngine:
    """Opens what it is given, by the names of volumes; the others are damaged."""

    filesystems: Mapping[str, FileSystem]

    def reads(self, signature: Signature) -> bool:
        return signature not in (Signature.UFS, Signature.LUKS, Signature.BITLOCKER)

    def open(self, volume: DiskVolume) -> FileSystem:
        if volume.name not in self.filesystems:
            raise GuestError("superblock at offset 0x400: checksum is 0x0, expected 0x1")
        return self.filesystems[volume.name]


def partition(
    number: int,
    signature: Signature | None,
    *,
    type_code: str = "0x83",
    type_name: str = "Linux",
    name: str = "",
    active: bool = False,
) -> Partition:
    return Partition(
        number, "mbr", number * MIB, MIB, type_code, type_name, name, active, 0, signature, b""
    )


def volumes(
    filesystems: Mapping[str, FileSystem], *partitions: Partition, logical: tuple[str, ...] = ()
) -> list[DiskVolume]:
    """Return volumes of partitions, then logical ones of ext4, all opened in memory."""
    engine = MemoryEngine(filesystems)
    found = [
        DiskVolume(f"partition {one.number}", None, one.signature, one, engine=engine)
        for one in partitions
    ]
    return found + [DiskVolume(name, None, Signature.EXT, engine=engine) for name in logical]


def layout(*partitions: Partition) -> PartitionFacts:
    """Return the facts of a disk without an MBR that had a signature."""
    return PartitionFacts(None, None, None, False, tuple(partitions), None, b"", b"", (), ())


def ext4(
    folder: Path,
    files: Mapping[str, str | bytes | None],
    links: Mapping[str, str] | None = None,
    *,
    size: int = 8 * MIB,
    uuid_text: str = ROOT_ID,
    label: str = "",
) -> bytes:
    """Make a real ext4 with some files, folders (None) and symbolic links; return its bytes."""
    tree = folder / f"tree-{uuid.uuid4().hex}"
    tree.mkdir()
    for path, data in files.items():
        place = tree / path.strip("/")
        if data is None:
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(
            data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        )
    for path, target in (links or {}).items():
        place = tree / path.strip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
    image = folder / f"{tree.name}.ext4"
    image.touch()
    with image.open("r+b") as file:
        file.truncate(size)
    command = [need("mke2fs", "e2fsprogs"), "-q", "-F", "-t", "ext4", "-E", "root_owner=0:0"]
    command += ["-U", uuid_text, "-L", label, "-d", str(tree), str(image)]
    subprocess.run(command, check=True, capture_output=True)
    return image.read_bytes()
