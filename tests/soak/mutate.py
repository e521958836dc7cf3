"""Damage to real images, the same for the same number: bit flips, truncation, field extremes."""

from __future__ import annotations

import random
import struct
import zlib

from tests.crc32c import crc32c

SECTOR = 512
EXTREMES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
    1 << 32,
    1 << 40,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 512,
    (1 << 64) - 1,
)


def mutate(image: bytes, number: int) -> bytes:
    """Return damaged bytes; most have their checksums mended, so that it is read."""
    rng = random.Random(number)
    data = bytearray(image)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        rng.choice((_flip, _flip, _extreme, _extreme, _extreme, _copy, _truncate))(data, rng)
    if rng.random() < 0.75:
        mend_checksums(data)
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    """Choose an offset, most often where the structures of the formats lie."""
    size = len(data)
    regions = [
        (0, 4096),
        (max(0, size - 1024), size),
        (0x10000, 0x11000),
        (0x30000, 0x30100),
        (0x200000, 0x210000),
        (0x100000, 0x102000),
        (0x300000, 0x301000),
        (512, 2048),
    ]
    start, end = rng.choice(regions) if rng.random() < 0.9 else (0, size)
    return rng.randrange(start, max(start + 1, end)) % max(1, size)


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _extreme(data: bytearray, rng: random.Random) -> None:
    width = rng.choice((1, 2, 4, 8))
    offset = _place(data, rng) & ~(width - 1)
    value = rng.choice(EXTREMES) & ((1 << 8 * width) - 1)
    if offset + width <= len(data):
        data[offset : offset + width] = value.to_bytes(width, rng.choice(("big", "little")))


def _copy(data: bytearray, rng: random.Random) -> None:
    length = rng.choice((4, 16, SECTOR, 4096))
    source, target = _place(data, rng), _place(data, rng)
    piece = bytes(data[source : source + length])
    data[target : target + len(piece)] = piece


def _truncate(data: bytearray, rng: random.Random) -> None:
    if rng.random() < 0.3 and data:
        cut = rng.choice((1, SECTOR, 4096, rng.randrange(len(data)) + 1))
        del data[max(0, len(data) - cut) :]


def mend_checksums(data: bytearray) -> None:
    """Make the checksums of VHD, VHDX and GPT structures right again, where they are usual."""
    for offset in (0, len(data) - SECTOR):
        if data[offset : offset + 8] == b"conectix":
            _ones_complement(data, offset, SECTOR, 64)
    if data[512:520] == b"cxsparse":
        _ones_complement(data, 512, 1024, 36)
    for offset, length, signature in (
        (0x10000, 4096, b"head"),
        (0x20000, 4096, b"head"),
        (0x30000, 0x10000, b"regi"),
        (0x40000, 0x10000, b"regi"),
    ):
        if data[offset : offset + 4] == signature and len(data) >= offset + length:
            struct.pack_into("<I", data, offset + 4, 0)
            struct.pack_into("<I", data, offset + 4, crc32c(bytes(data[offset : offset + length])))

    length = int.from_bytes(data[0x100008:0x10000C], "little")
    if data[0x100000:0x100004] == b"loge" and 64 <= length <= min(0x100000, len(data) - 0x100000):
        struct.pack_into("<I", data, 0x100004, 0)
        entry = bytes(data[0x100000 : 0x100000 + length])
        struct.pack_into("<I", data, 0x100004, crc32c(entry))
    if data[510:512] == b"\x55\xaa":  # a disk that is stored as it is
        for offset in (SECTOR, len(data) - SECTOR, len(data) - 2 * SECTOR):
            if data[offset : offset + 8] == b"EFI PART":
                _gpt(data, offset)


def _gpt(data: bytearray, offset: int) -> None:
    """Seal a GPT header and, where it names an array inside the file, the array."""
    entries, count, size = struct.unpack_from("<QII", data, offset + 72)
    array = bytes(data[entries * SECTOR : entries * SECTOR + min(count * size, 1 << 20)])
    if len(array) == count * size:
        struct.pack_into("<I", data, offset + 88, zlib.crc32(array))
    length = min(struct.unpack_from("<I", data, offset + 12)[0], SECTOR)
    struct.pack_into("<I", data, offset + 16, 0)
    header = bytes(data[offset : offset + length])
    struct.pack_into("<I", data, offset + 16, zlib.crc32(header))


def _ones_complement(data: bytearray, offset: int, length: int, field: int) -> None:
    if offset < 0 or len(data) < offset + length:
        return
    struct.pack_into(">I", data, offset + field, 0)
    struct.pack_into(">I", data, offset + field, ~sum(data[offset : offset + length]) & 0xFFFFFFFF)
