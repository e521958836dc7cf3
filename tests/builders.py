"""Small writers of disk images for tests. They share no code with vhdtool, so they can judge it.

What goes on a disk is given as *pieces*: `{offset: bytes}`, whole sectors. `flatten` gives what
a reader must see. Files are written sparse, so a disk of many GiB costs nothing.

    layout = write_vhd(folder / "disk.vhd", 4 * MIB, {0: bytes([1]) * 512})
    patch(layout.path, layout.header_offset + 36, b"\\0\\0\\0\\0")    # spoils the header's checksum

`write_vhd` makes dynamic and (with `parent=`) differencing disks, `write_fixed_vhd` fixed ones,
`write_vhdx` all VHDX kinds, `log_entry` entries for its log, `mbr_pieces` and `gpt_pieces`
partition tables.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.crc32c import crc32c

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB
SECTOR = 512

Pieces = dict[int, bytes]

DISK_ID = uuid.UUID("6f2d1c50-35d9-4f6c-9d3c-3f41a8a2c0de")
NO_LOG = uuid.UUID(int=0)
TIMESTAMP = 700_000_000  # seconds since 2000: March 2022


def flatten(size: int, pieces: Mapping[int, bytes], below: bytes = b"") -> bytes:
    """Return the disk as one array: the pieces over `below`, over zeros."""
    disk = bytearray(below[:size].ljust(size, b"\0"))
    for offset, data in pieces.items():
        disk[offset : offset + len(data)] = data
    return bytes(disk)


def patch(path: Path, offset: int, data: bytes) -> None:
    """Overwrite bytes of a file; a negative offset counts from its end."""
    with path.open("r+b") as file:
        file.seek(offset, 2 if offset < 0 else 0)
        file.write(data)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def pattern(length: int, seed: int = 1) -> bytes:
    """Return bytes without zeros, different for each sector and for seeds up to 126."""
    words = []
    for index in range(-(-length // SECTOR)):
        digits = (seed, index >> 14, index >> 7, index)
        words.append(bytes(0x80 | digit & 0x7F for digit in digits) * (SECTOR // 4))
    return b"".join(words)[:length]


# --- VHD -----------------------------------------------------------------------------------------


def checksum(structure: bytes) -> int:
    return ~sum(structure) & 0xFFFFFFFF


def seal(structure: bytes, offset: int) -> bytes:
    """Put the right checksum at `offset`: 64 in a footer, 36 in a dynamic header."""
    blank = structure[:offset] + bytes(4) + structure[offset + 4 :]
    return blank[:offset] + struct.pack(">I", checksum(blank)) + blank[offset + 4 :]


def footer(
    size: int,
    *,
    disk_type: int = 2,
    data_offset: int = 0xFFFFFFFFFFFFFFFF,
    cookie: bytes = b"conectix",
    features: int = 2,
    version: int = 0x00010000,
    timestamp: int = TIMESTAMP,
    creator: bytes = b"win ",
    creator_version: int = 0x000A0000,
    host: bytes = b"Wi2k",
    original_size: int | None = None,
    geometry: tuple[int, int, int] = (65535, 16, 255),
    unique_id: uuid.UUID = DISK_ID,
    saved_state: int = 0,
    reserved: bytes = b"",
) -> bytes:
    """Return a sealed footer of 512 bytes."""
    head = struct.pack(
        ">8sIIQI4sI4sQQHBBII16sB",
        cookie,
        features,
        version,
        data_offset,
        timestamp,
        creator,
        creator_version,
        host,
        size if original_size is None else original_size,
        size,
        *geometry,
        disk_type,
        0,
        unique_id.bytes,
        saved_state,
    )
    return seal((head + reserved).ljust(512, b"\0"), 64)


def write_fixed_vhd(
    path: Path, size: int, pieces: Mapping[int, bytes] | None = None, tail: bytes | None = None
) -> Path:
    """Write a fixed VHD; `tail` stands in for its footer."""
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in (pieces or {}).items():
            file.seek(offset)
            file.write(data)
        file.seek(size)
        file.write(footer(size) if tail is None else tail)
    return path


@dataclass
class VhdParent:
    """What a differencing VHD says of its parent; `locators` maps platform codes to raw data."""

    unique_id: uuid.UUID = DISK_ID
    timestamp: int = TIMESTAMP
    name: bytes = "base.vhd".encode("utf-16-be")
    locators: dict[bytes, bytes] = field(default_factory=dict)


def relative_locator(name: str) -> dict[bytes, bytes]:
    """Return a W2ru locator, such as Hyper-V writes: `.\\base.vhd`."""
    return {b"W2ru": name.encode("utf-16-le", "surrogatepass")}


@dataclass(frozen=True)
class VhdLayout:
    """Where things lie in a written VHD; offsets in the file."""

    path: Path
    header_offset: int
    table_offset: int
    footer_offset: int
    blocks: dict[int, int]  # block -> offset of its bitmap
    bitmap_size: int


def dynamic_header(
    *,
    table_offset: int,
    table_entries: int,
    block_size: int,
    parent: VhdParent | None = None,
    locators: Sequence[tuple[bytes, int, int, int]] = (),
    cookie: bytes = b"cxsparse",
    data_offset: int = 0xFFFFFFFFFFFFFFFF,
    version: int = 0x00010000,
) -> bytes:
    """Return a sealed dynamic header; `locators` are (code, space, length, offset)."""
    head = struct.pack(
        ">8sQQIIII16sII512s",
        cookie,
        data_offset,
        table_offset,
        version,
        table_entries,
        block_size,
        0,
        parent.unique_id.bytes if parent else bytes(16),
        parent.timestamp if parent else 0,
        0,
        parent.name if parent else b"",
    )
    for code, space, length, offset in locators:
        head += struct.pack(">4sIIIQ", code, space, length, 0, offset)
    return seal(head.ljust(1024, b"\0"), 36)


def write_vhd(
    path: Path,
    size: int,
    pieces: Mapping[int, bytes] | None = None,
    *,
    block_size: int = 2 * MIB,
    parent: VhdParent | None = None,
    all_bits: bool | None = None,
    table_entries: int | None = None,
    reverse: bool = False,
    copy: bytes | None = None,
    tail: bytes | None = None,
    unique_id: uuid.UUID = DISK_ID,
    timestamp: int = TIMESTAMP,
    creator: bytes = b"win ",
) -> VhdLayout:
    """Write a dynamic VHD, or with `parent` a differencing one.

    Bitmaps mark the sectors of the pieces, or all sectors with `all_bits` (default for dynamic
    disks, as every writer does). `reverse` stores the last block first. `copy` and `tail` stand in
    for the footer at the start and at the end.
    """
    pieces = dict(pieces or {})
    all_bits = parent is None if all_bits is None else all_bits
    count = -(-size // block_size)
    table_entries = count if table_entries is None else table_entries
    bitmap_size = -(-(block_size // SECTOR) // 8 // 512) * 512 or 512
    sectors_of = _sectors_by_block(pieces, block_size)

    offset = 1536
    locators = []
    locator_data: Pieces = {}
    for code, data in (parent.locators if parent else {}).items():
        space = -(-len(data) // 512) * 512
        locators.append((code, space, len(data), offset))
        locator_data[offset] = data
        offset += space
    table_offset = offset
    offset += -(-(max(table_entries, count) * 4) // 512) * 512
    order = sorted(sectors_of, reverse=reverse)
    blocks = {block: offset + at * (bitmap_size + block_size) for at, block in enumerate(order)}
    footer_offset = offset + len(order) * (bitmap_size + block_size)

    sound = footer(
        size,
        disk_type=4 if parent else 3,
        data_offset=512,
        unique_id=unique_id,
        timestamp=timestamp,
        creator=creator,
    )
    with path.open("wb") as file:
        file.write(sound if copy is None else copy)
        file.seek(512)
        file.write(
            dynamic_header(
                table_offset=table_offset,
                table_entries=table_entries,
                block_size=block_size,
                parent=parent,
                locators=locators,
            )
        )
        for at, data in locator_data.items():
            file.seek(at)
            file.write(data)
        file.seek(table_offset)
        padding = -table_entries % 128
        table = [0xFFFFFFFF] * (table_entries + padding)
        for block, at in blocks.items():
            if block < table_entries:
                table[block] = at // SECTOR
        file.write(struct.pack(f">{len(table)}I", *table))
        for block, at in blocks.items():
            file.seek(at)
            file.write(_msb_bitmap(sectors_of[block], bitmap_size, all_bits))
        for at, data in pieces.items():
            for begin, stop in _split(at, len(data), block_size):
                block = begin // block_size
                file.seek(blocks[block] + bitmap_size + begin % block_size)
                file.write(data[begin - at : stop - at])
        file.seek(footer_offset)
        file.write(sound if tail is None else tail)
    return VhdLayout(path, 512, table_offset, footer_offset, blocks, bitmap_size)


def _split(offset: int, length: int, unit: int) -> Iterator[tuple[int, int]]:
    end = offset + length
    while offset < end:
        stop = min(end, (offset // unit + 1) * unit)
        yield offset, stop
        offset = stop


def _sectors_by_block(pieces: Mapping[int, bytes], block_size: int) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for offset, data in pieces.items():
        assert offset % SECTOR == 0
        assert len(data) % SECTOR == 0
        for begin, stop in _split(offset, len(data), block_size):
            first = begin % block_size // SECTOR
            sectors = found.setdefault(begin // block_size, set())
            sectors.update(range(first, first + (stop - begin) // SECTOR))
    return found


def _msb_bitmap(sectors: set[int], size: int, all_bits: bool) -> bytes:
    if all_bits:
        return b"\xff" * size
    bitmap = bytearray(size)
    for sector in sectors:
        bitmap[sector // 8] |= 0x80 >> sector % 8
    return bytes(bitmap)


# --- VHDX ----------------------------------------------------------------------------------------

BAT_GUID = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA_GUID = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
FILE_PARAMETERS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
VIRTUAL_SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
VIRTUAL_ID = uuid.UUID("BECA12AB-B2E6-4523-93EF-C309E000C746")
LOGICAL_SECTOR = uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
PHYSICAL_SECTOR = uuid.UUID("CDA348C7-445D-4471-9CC9-E9885251C556")
PARENT_LOCATOR = uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
LOCATOR_TYPE = uuid.UUID("B04AEFB7-D19E-4A81-B789-25B8E9445913")

VHDX_HEADERS = (64 * KIB, 128 * KIB)
VHDX_REGION_TABLES = (192 * KIB, 256 * KIB)
VHDX_LOG = MIB
VHDX_LOG_LENGTH = MIB
VHDX_METADATA = 2 * MIB
VHDX_METADATA_ITEMS = VHDX_METADATA + 64 * KIB
VHDX_BAT = 3 * MIB

NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT = 0, 1, 2, 3, 6, 7


def vhdx_seal(structure: bytes) -> bytes:
    """Put the right CRC-32C into a header, region table or log entry."""
    blank = structure[:4] + bytes(4) + structure[8:]
    return blank[:4] + struct.pack("<I", crc32c(blank)) + blank[8:]


def vhdx_header(
    sequence: int,
    *,
    log_guid: uuid.UUID = NO_LOG,
    data_write_guid: uuid.UUID = DISK_ID,
    log_length: int = VHDX_LOG_LENGTH,
    log_offset: int = VHDX_LOG,
    version: int = 1,
    log_version: int = 0,
) -> bytes:
    """Return a sealed header of 4096 bytes."""
    head = struct.pack(
        "<4sIQ16s16s16sHHIQ",
        b"head",
        0,
        sequence,
        DISK_ID.bytes_le,
        data_write_guid.bytes_le,
        log_guid.bytes_le,
        log_version,
        version,
        log_length,
        log_offset,
    )
    return vhdx_seal(head.ljust(4096, b"\0"))


def region_table(regions: Sequence[tuple[uuid.UUID, int, int, int]]) -> bytes:
    """Return a sealed region table of 64 KiB from (GUID, offset, length, required)."""
    table = struct.pack("<4sIII", b"regi", 0, len(regions), 0)
    for guid, offset, length, required in regions:
        table += struct.pack("<16sQII", guid.bytes_le, offset, length, required)
    return vhdx_seal(table.ljust(64 * KIB, b"\0"))


def metadata_region(items: Sequence[tuple[uuid.UUID, bytes, int]]) -> bytes:
    """Return table and items from (GUID, value, flags)."""
    table = struct.pack("<8sHH20s", b"metadata", 0, len(items), b"")
    values = b""
    for guid, value, flags in items:
        table += struct.pack(
            "<16sIIII", guid.bytes_le, 64 * KIB + len(values), len(value), flags, 0
        )
        values += value
    return table.ljust(64 * KIB, b"\0") + values


def locator_item(entries: Mapping[str, str], *, locator_type: uuid.UUID = LOCATOR_TYPE) -> bytes:
    """Return a VHDX parent locator item."""
    head = struct.pack("<16sHH", locator_type.bytes_le, 0, len(entries))
    strings = b""
    start = 20 + 12 * len(entries)
    for key, value in entries.items():
        raw_key = key.encode("utf-16-le", "surrogatepass")
        raw_value = value.encode("utf-16-le", "surrogatepass")
        at = start + len(strings)
        head += struct.pack("<IIHH", at, at + len(raw_key), len(raw_key), len(raw_value))
        strings += raw_key + raw_value
    return head + strings


@dataclass(frozen=True)
class VhdxLayout:
    """Where things lie in a written VHDX; offsets in the file."""

    path: Path
    blocks: dict[int, int]  # payload block -> file offset
    bat_index: dict[int, int]  # payload block -> index of its entry
    bat_offset: int
    end: int


def write_vhdx(
    path: Path,
    size: int,
    pieces: Mapping[int, bytes] | None = None,
    *,
    block_size: int = MIB,
    sector_size: int = 512,
    parent: Mapping[str, str] | None = None,
    states: Mapping[int, int] | None = None,
    sequences: tuple[int, int] = (1, 2),
    log_guid: uuid.UUID = NO_LOG,
    log: bytes = b"",
    data_write_guid: uuid.UUID = DISK_ID,
    extra_items: Sequence[tuple[uuid.UUID, bytes, int]] = (),
    extra_regions: Sequence[tuple[uuid.UUID, int, int, int]] = (),
    leave_allocated: bool = False,
) -> VhdxLayout:
    """Write a VHDX; with `parent` (the locator's keys and values) a differencing one.

    Blocks that the pieces fill are fully present, others (of a differencing disk) partially.
    `states` sets the state of blocks without pieces. The second header is the newer one.
    """
    pieces = dict(pieces or {})
    differencing = parent is not None
    chunk_ratio = (1 << 23) * sector_size // block_size
    count = -(-size // block_size)
    chunks = -(-count // chunk_ratio)
    entries = chunks * (chunk_ratio + 1) if differencing else count + (count - 1) // chunk_ratio
    bat_length = -(-entries * 8 // MIB) * MIB
    sectors_of = _sectors_by_block(pieces, block_size)
    end = VHDX_BAT + bat_length

    blocks: dict[int, int] = {}
    for block in sorted(sectors_of):
        blocks[block] = end
        end += block_size
    table: dict[int, int] = {}
    bitmaps: dict[int, int] = {}
    bitmap_bits: dict[int, set[int]] = {}
    bat_index = {block: block + block // chunk_ratio for block in range(min(count, 1 << 16))}
    bat_index.update({block: block + block // chunk_ratio for block in sectors_of})
    for block, sectors in sectors_of.items():
        inside = min(block_size, size - block * block_size)
        whole = len(sectors) * SECTOR >= inside
        state = FULLY_PRESENT if whole or not differencing else PARTIALLY_PRESENT
        table[bat_index[block]] = blocks[block] | state
        if state == PARTIALLY_PRESENT:
            chunk = block // chunk_ratio
            if chunk not in bitmaps:
                bitmaps[chunk] = end
                end += MIB
                table[(chunk + 1) * chunk_ratio + chunk] = bitmaps[chunk] | FULLY_PRESENT
            first = block % chunk_ratio * (block_size // sector_size)
            per_bit = sector_size // SECTOR
            bitmap_bits.setdefault(chunk, set()).update(first + s // per_bit for s in sectors)
    for block, state in (states or {}).items():
        table[block + block // chunk_ratio] = state

    flags = int(leave_allocated) | (2 if differencing else 0)
    items = [
        (FILE_PARAMETERS, struct.pack("<II", block_size, flags), 4),
        (VIRTUAL_SIZE, struct.pack("<Q", size), 6),
        (LOGICAL_SECTOR, struct.pack("<I", sector_size), 6),
        (PHYSICAL_SECTOR, struct.pack("<I", 4096), 6),
        (VIRTUAL_ID, DISK_ID.bytes_le, 6),
        *extra_items,
    ]
    if parent is not None:
        items.append((PARENT_LOCATOR, locator_item(parent), 4))
    regions = region_table(
        [
            (BAT_GUID, VHDX_BAT, bat_length, 1),
            (METADATA_GUID, VHDX_METADATA, MIB, 1),
            *extra_regions,
        ]
    )
    with path.open("wb") as file:
        file.truncate(end)
        file.write(b"vhdxfile" + "vhdtool tests".encode("utf-16-le"))
        for offset, sequence in zip(VHDX_HEADERS, sequences, strict=True):
            file.seek(offset)
            file.write(vhdx_header(sequence, log_guid=log_guid, data_write_guid=data_write_guid))
        for offset in VHDX_REGION_TABLES:
            file.seek(offset)
            file.write(regions)
        file.seek(VHDX_LOG)
        file.write(log)
        file.seek(VHDX_METADATA)
        file.write(metadata_region(items))
        for index, entry in table.items():
            file.seek(VHDX_BAT + index * 8)
            file.write(struct.pack("<Q", entry))
        for chunk, offset in bitmaps.items():
            file.seek(offset)
            file.write(_lsb_bitmap(bitmap_bits[chunk]))
        for at, data in pieces.items():
            for begin, stop in _split(at, len(data), block_size):
                file.seek(blocks[begin // block_size] + begin % block_size)
                file.write(data[begin - at : stop - at])
    return VhdxLayout(path, blocks, bat_index, VHDX_BAT, end)


def _lsb_bitmap(bits: set[int]) -> bytes:
    bitmap = bytearray(MIB)
    for bit in bits:
        bitmap[bit // 8] |= 1 << bit % 8
    return bytes(bitmap)


def log_entry(
    guid: uuid.UUID,
    writes: Mapping[int, bytes],
    *,
    sequence: int = 1,
    tail: int = 0,
    flushed: int,
    last: int,
    zeros: Mapping[int, int] | None = None,
) -> bytes:
    """Return a sealed log entry that writes 4096-byte pages, and zeros (offset -> length).

    `flushed` and `last` are the file's length when the entry was written and after the replay.
    """
    descriptors = b""
    sectors = b""
    for offset, page in writes.items():
        assert len(page) == 4096
        descriptors += struct.pack("<4s4s8sQQ", b"desc", page[-4:], page[:8], offset, sequence)
        sectors += struct.pack("<4sI", b"data", sequence >> 32)
        sectors += page[8:-4] + struct.pack("<I", sequence & 0xFFFFFFFF)
    for offset, length in (zeros or {}).items():
        descriptors += struct.pack("<4sIQQQ", b"zero", 0, length, offset, sequence)
    count = len(writes) + len(zeros or {})
    head_size = -(-(64 + len(descriptors)) // 4096) * 4096
    head = struct.pack(
        "<4sIIIQII16sQQ",
        b"loge",
        0,
        head_size + len(sectors),
        tail,
        sequence,
        count,
        0,
        guid.bytes_le,
        flushed,
        last,
    )
    return vhdx_seal((head + descriptors).ljust(head_size, b"\0") + sectors)


# --- partition tables ----------------------------------------------------------------------------

LINUX_GUID = uuid.UUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4")
ESP_GUID = uuid.UUID("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")


def mbr_sector(
    entries: Sequence[tuple[int, int, int]],
    *,
    active: int | None = None,
    code: bytes = b"",
    signature: int = 0x12345678,
) -> bytes:
    """Return a boot record from (type, first LBA, sectors); `active` is an index of them."""
    sector = code.ljust(440, b"\0") + struct.pack("<IH", signature, 0)
    for index, (kind, first, count) in enumerate(entries):
        status = 0x80 if index == active else 0
        sector += struct.pack("<B3sB3sII", status, b"\0\2\0", kind, b"\xff\xff\xff", first, count)
    return sector.ljust(510, b"\0") + b"\x55\xaa"


def mbr_pieces(
    primaries: Sequence[tuple[int, int, int]], logicals: Sequence[tuple[int, int, int]] = ()
) -> Pieces:
    """Return an MBR; `logicals` (type, first LBA, sectors) lie in a last, extended partition.

    Each logical partition has its boot record 64 sectors in front of it.
    """
    entries = list(primaries)
    pieces: Pieces = {}
    if logicals:
        start = logicals[0][1] - 64
        end = logicals[-1][1] + logicals[-1][2]
        entries.append((0x0F, start, end - start))
        for index, (kind, first, count) in enumerate(logicals):
            links = [(kind, 64, count)]
            if index + 1 < len(logicals):
                following = logicals[index + 1]
                links.append((0x05, following[1] - 64 - start, following[2] + 64))
            pieces[(first - 64) * SECTOR] = mbr_sector(links, signature=0)
    pieces[0] = mbr_sector(entries)
    return pieces


def gpt_header(
    *,
    current: int,
    backup: int,
    first_usable: int,
    last_usable: int,
    entries_lba: int,
    entries_crc: int,
    entry_count: int = 128,
    entry_size: int = 128,
    revision: int = 0x00010000,
    header_size: int = 92,
    signature: bytes = b"EFI PART",
) -> bytes:
    """Return a sealed header, 512 bytes."""
    raw = struct.pack(
        "<8sIIIIQQQQ16sQIII",
        signature,
        revision,
        header_size,
        0,
        0,
        current,
        backup,
        first_usable,
        last_usable,
        DISK_ID.bytes_le,
        entries_lba,
        entry_count,
        entry_size,
        entries_crc,
    )
    crc = zlib.crc32(raw.ljust(header_size, b"\0")[:header_size])
    return (raw[:16] + struct.pack("<I", crc) + raw[20:]).ljust(512, b"\0")


def gpt_entries(
    partitions: Sequence[tuple[uuid.UUID, int, int, str]], entry_count: int = 128
) -> bytes:
    """Return an entry array from (type, first LBA, last LBA, name)."""
    array = b"".join(
        struct.pack(
            "<16s16sQQQ72s",
            kind.bytes_le,
            uuid.uuid5(DISK_ID, str(index)).bytes_le,
            first,
            last,
            0,
            name.encode("utf-16-le", "surrogatepass"),
        )
        for index, (kind, first, last, name) in enumerate(partitions)
    )
    return array.ljust(entry_count * 128, b"\0")


def gpt_pieces(
    size: int,
    partitions: Sequence[tuple[uuid.UUID, int, int, str]],
    *,
    sector_size: int = SECTOR,
    backup_lba: int | None = None,
    protective: bool = True,
) -> Pieces:
    """Return protective MBR, both headers and both arrays for a disk of `size` bytes."""
    last = size // sector_size - 1
    backup = last if backup_lba is None else backup_lba
    array = gpt_entries(partitions)
    array_sectors = len(array) // sector_size
    common = {
        "first_usable": 2 + array_sectors,
        "last_usable": backup - array_sectors - 1,
        "entries_crc": zlib.crc32(array),
    }
    primary = gpt_header(current=1, backup=backup, entries_lba=2, **common)
    second = gpt_header(current=backup, backup=1, entries_lba=backup - array_sectors, **common)
    pieces = {
        sector_size: primary,
        2 * sector_size: array,
        (backup - array_sectors) * sector_size: array,
        backup * sector_size: second,
    }
    if protective:
        pieces[0] = mbr_sector([(0xEE, 1, min(last, 0xFFFFFFFF))], signature=0)
    return pieces


# --- sets for campaigns --------------------------------------------------------------------------


def soak_images(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of small sound images of the kinds that qemu-img does not make."""
    size = 3 * MIB
    pieces = {0: pattern(1024), MIB: pattern(512, 2), size - 512: pattern(512, 3)}
    parent = VhdParent(locators=relative_locator(".\\base.vhd"))
    guid = uuid.UUID(int=0xD1E7)

    yield "partial.vhd", _written(write_vhd(folder / "p.vhd", size, pieces, all_bits=False))
    small = write_vhd(folder / "s.vhd", size, pieces, block_size=512 * KIB, parent=parent)
    yield "child.vhd", _written(small)
    legacy = write_fixed_vhd(folder / "l.vhd", MIB, {0: pattern(512)}, footer(MIB)[:511])
    yield "legacy.vhd", legacy.read_bytes()
    yield "partial.vhdx", _written(write_vhdx(folder / "p.vhdx", size, pieces))
    locator = {"parent_linkage": "{" + str(DISK_ID) + "}", "relative_path": ".\\base.vhdx"}
    child = write_vhdx(folder / "c.vhdx", size, {512: pattern(512)}, parent=locator)
    yield "child.vhdx", _written(child)
    page = bytes(4096)
    log = log_entry(guid, {VHDX_BAT: page}, flushed=5 * MIB, last=5 * MIB)
    dirty = write_vhdx(folder / "d.vhdx", size, {0: pattern(512)}, log_guid=guid, log=log)
    yield "dirty.vhdx", _written(dirty)
    table = mbr_pieces([(0x83, 64, 64)], [(0x83, 256, 64), (0x82, 512, 64)])
    raw = folder / "logical.raw"
    raw.write_bytes(flatten(MIB, table))
    yield "logical.raw", raw.read_bytes()


def _written(layout: VhdLayout | VhdxLayout) -> bytes:
    return layout.path.read_bytes()
