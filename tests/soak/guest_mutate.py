"""Damage to disks with guests on them, the same for the same number, where the structures lie.

A disk is its blocks of 4 KiB that are not zero, so that a mutant of a large disk costs little.
"""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tests.crc32c import crc32c
from tests.hives import seal
from tests.soak.mutate import EXTREMES, SECTOR

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 4096
BTRFS_NODE = 16384
LVM_AREA = b" LVM2 x[5A%r0N*>"
# How sectors with structures start: NTFS, XFS, hives, LVM.
_SIGNATURES = (
    *(b"FILE", b"INDX", b"\xebR\x90NTFS", b"\xeb<\x90", b"\xebX\x90"),
    *(b"XFSB", b"XAGF", b"XAGI", b"IN", b"XDB3", b"XDD3", b"XD2B", b"XD2D", b"FIB3", b"IAB3"),
    *(b"regf", b"hbin", b"LABELONE"),
)


@dataclass(frozen=True)
class GuestSeed:
    """A sound disk, a file on it; damage goes only to the blocks in `focus`, if there are some."""

    name: str
    size: int
    blocks: dict[int, bytes]
    file: str = "/passwords.txt"  # as the corpus has it
    focus: frozenset[int] = frozenset()

    @classmethod
    def of(cls, name: str, path: Path) -> GuestSeed:
        """Read a disk."""
        blocks = {}
        with path.open("rb") as file:
            offset = 0
            while data := file.read(1 << 20):
                if data.count(0) != len(data):
                    for at in range(0, len(data), BLOCK):
                        block = data[at : at + BLOCK].ljust(BLOCK, b"\0")
                        if block.count(0) != BLOCK:
                            blocks[offset + at] = block
                offset += len(data)
        return cls(name, offset, blocks)

    @cached_property
    def sectors(self) -> list[int]:
        """Offsets of what is neither zeros nor ones."""
        return [
            start + at
            for start, block in self.blocks.items()
            if not self.focus or start in self.focus
            for at in range(0, BLOCK, SECTOR)
            if block[at : at + SECTOR].strip(block[at : at + 1])
        ]

    @cached_property
    def structures(self) -> list[int]:
        """Offsets of the sectors that start as structures do, of ext's and btrfs's blocks too."""
        if self.focus:
            return self.sectors
        found = []
        for start in self.sectors:
            block = self.blocks[start - start % BLOCK]
            at = start % BLOCK
            sector = block[at : at + SECTOR]
            is_ext = sector[56:58] == b"\x53\xef"
            is_folder = sector[4:9] == b"\x0c\0\x01\x02."
            is_inode = sector[1] in (0x41, 0x81, 0xA1) and sector[0] in (0xED, 0xA4, 0xFF)
            is_btrfs = sector[64:72] == b"_BHRfS_M" or sector[56:64] == b"\1\0\0\0\0\0\0\1"
            if sector.startswith(_SIGNATURES) or is_ext or is_folder or is_inode or is_btrfs:
                found.append(start)
        return found or self.sectors

    @cached_property
    def lvm_areas(self) -> list[int]:
        """Offsets of the headers of LVM's metadata areas."""
        return [
            start + at
            for start, block in self.blocks.items()
            for at in range(0, BLOCK, SECTOR)
            if block[at + 4 : at + 20] == LVM_AREA
        ]


@dataclass
class Mutant:
    """A damaged copy of a seed."""

    seed: GuestSeed
    size: int
    blocks: dict[int, bytes] = field(default_factory=dict)  # the changed ones

    def read(self, offset: int, length: int) -> bytes:
        start = offset - offset % BLOCK
        data = b"".join(
            self.blocks.get(at, self.seed.blocks.get(at, bytes(BLOCK)))
            for at in range(start, offset + length, BLOCK)
        )
        return data[offset - start : offset - start + length]

    def write(self, offset: int, data: bytes) -> None:
        start = offset - offset % BLOCK
        end = offset + len(data)
        whole = bytearray(self.read(start, -(-(end - start) // BLOCK) * BLOCK))
        whole[offset - start : end - start] = data
        for at in range(0, len(whole), BLOCK):
            self.blocks[start + at] = bytes(whole[at : at + BLOCK])

    def store(self, path: Path) -> None:
        with path.open("wb") as file:
            for offset, block in {**self.seed.blocks, **self.blocks}.items():
                if offset < self.size:
                    file.seek(offset)
                    file.write(block)
            file.truncate(self.size)


def mutate_guest(seed: GuestSeed, number: int) -> Mutant:
    """Return a damaged disk; most have their checksums mended, so that it is read."""
    rng = random.Random(number)
    mutant = Mutant(seed, seed.size)
    for _ in range(rng.choice((1, 1, 2, 4, 8, 32))):
        change = rng.choice((_flip, _flip, _extreme, _extreme, _extreme, _point, _point, _copy))
        change(mutant, rng)
    if rng.random() < 0.05:
        mutant.size -= min(mutant.size, rng.choice((SECTOR, 1 << 20, rng.randrange(seed.size))))
    if rng.random() < 0.75:
        mend(mutant)
    return mutant


def _place(mutant: Mutant, rng: random.Random) -> int:
    """Choose an offset, most often where a structure starts."""
    sectors = mutant.seed.structures if rng.random() < 0.6 else mutant.seed.sectors
    within = rng.randrange(128) if rng.random() < 0.5 else rng.randrange(SECTOR)
    return rng.choice(sectors) + within


def _flip(mutant: Mutant, rng: random.Random) -> None:
    offset = _place(mutant, rng)
    mutant.write(offset, bytes([mutant.read(offset, 1)[0] ^ 1 << rng.randrange(8)]))


def _extreme(mutant: Mutant, rng: random.Random) -> None:
    width = rng.choice((1, 2, 4, 8))
    offset = _place(mutant, rng) & ~(width - 1)
    value = rng.choice(EXTREMES) & ((1 << 8 * width) - 1)
    mutant.write(offset, value.to_bytes(width, rng.choice(("little", "little", "big"))))


def _point(mutant: Mutant, rng: random.Random) -> None:
    """Make a field of one structure that of another one: what points then points elsewhere."""
    width = rng.choice((1, 2, 4, 8))
    within = rng.randrange(0, SECTOR, width)
    sectors = mutant.seed.structures
    other = within if rng.random() < 0.5 else rng.randrange(0, SECTOR, width)
    source, target = rng.choice(sectors) + other, rng.choice(sectors) + within
    mutant.write(target, mutant.read(source, width))


def _copy(mutant: Mutant, rng: random.Random) -> None:
    length = rng.choice((16, SECTOR, BLOCK))
    source, target = rng.choice(mutant.seed.structures), rng.choice(mutant.seed.structures)
    mutant.write(target, mutant.read(source, length))


def mend(mutant: Mutant) -> None:
    """Make the checksums right of what was changed: of btrfs, XFS, ext, LVM and hives."""
    for start in sorted(mutant.blocks):
        _mend_btrfs(mutant, start)
        for offset in range(start, start + BLOCK, SECTOR):
            sector = mutant.read(offset, SECTOR)
            if sector.startswith(b"regf"):
                mutant.write(offset, seal(sector))
            elif sector.startswith(b"LABELONE"):
                mutant.write(offset + 16, _lvm_crc(sector[20:]))
            elif sector[56:58] == b"\x53\xef":
                whole = mutant.read(offset, 1020)
                mutant.write(offset + 1020, struct.pack("<I", crc32c(whole) ^ 0xFFFFFFFF))
            else:
                _mend_xfs(mutant, offset, sector)
    for offset in mutant.seed.lvm_areas:
        _mend_lvm(mutant, offset)


def _mend_lvm(mutant: Mutant, offset: int) -> None:
    """Seal the text of volume groups and the header of its area."""
    place, length = struct.unpack("<QQ", mutant.read(offset + 40, 16))
    if length <= 1 << 20 and offset + place + length <= mutant.size:
        mutant.write(offset + 56, _lvm_crc(mutant.read(offset + place, length)))
    mutant.write(offset, _lvm_crc(mutant.read(offset + 4, SECTOR - 4)))


def _lvm_crc(data: bytes) -> bytes:
    crc = zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    return struct.pack("<I", crc)


def _mend_btrfs(mutant: Mutant, start: int) -> None:
    if mutant.read(start + 64, 8) == b"_BHRfS_M":
        mutant.write(start, struct.pack("<I", crc32c(mutant.read(start + 32, BLOCK - 32))))
        return
    # A node's four blocks: the volume starts at a whole MiB, and its first MiB has none.
    node = start - start % BTRFS_NODE
    if mutant.read(node + 56, 8) == b"\1\0\0\0\0\0\0\1":
        crc = crc32c(mutant.read(node + 32, BTRFS_NODE - 32))
        mutant.write(node, struct.pack("<I", crc))


def _mend_xfs(mutant: Mutant, offset: int, sector: bytes) -> None:
    fields = {b"XFSB": 224, b"XAGF": 216, b"XAGI": 312, b"XDB3": 4, b"XDD3": 4}
    at, length = fields.get(sector[:4]), SECTOR
    if at == 4:
        length = BLOCK
    elif sector[:2] == b"IN" and sector[4] == 3:
        at = 100
    if at is not None:
        data = mutant.read(offset, length)
        crc = crc32c(data[:at] + bytes(4) + data[at + 4 :])
        mutant.write(offset + at, struct.pack("<I", crc))
