"""What a header claims costs nothing: every command ends soon, with little memory."""

from __future__ import annotations

import os
import struct
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.builders import (
    GIB,
    LINUX_GUID,
    MIB,
    SECTOR,
    TIB,
    VHDX_BAT,
    VHDX_METADATA_ITEMS,
    VHDX_REGION_TABLES,
    append,
    footer,
    gpt_header,
    gpt_pieces,
    patch,
    pattern,
    seal,
    vhdx_seal,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from tests.soak.forkserver import ForkServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIZE = 8 * MIB
SECONDS = 5  # measured: under 0.3
MEMORY_KIB = 160 << 10  # measured: under 80 MiB


def reseal(path: Path, offset: int, length: int, field: int, changes: dict[int, bytes]) -> None:
    """Change fields of a VHD structure and make its checksum right."""
    with path.open("r+b") as file:
        file.seek(offset)
        raw = bytearray(file.read(length))
        for at, data in changes.items():
            raw[at : at + len(data)] = data
        file.seek(offset)
        file.write(seal(bytes(raw), field))


def four_billion_entries(path: Path) -> None:
    write_vhd(path, SIZE, {0: pattern(MIB)})
    reseal(path, SECTOR, 1024, 36, {28: b"\xff" * 4})


def four_billion_entries_in_a_sparse_file(path: Path) -> None:
    """The table is really that long: 16 GiB, of which nothing is stored."""
    write_vhd(path, SIZE, {})
    end = path.read_bytes()[-SECTOR:]
    reseal(path, SECTOR, 1024, 36, {16: struct.pack(">Q", MIB), 28: b"\xff" * 4})
    patch(path, MIB, b"\xff" * 64)
    os.truncate(path, 17 * GIB)
    append(path, end)


def dynamic_of_64_tib(path: Path) -> None:
    claim = footer(64 * TIB, disk_type=3, data_offset=512)
    write_vhd(path, SIZE, {0: pattern(MIB)}, copy=claim, tail=claim)


def dynamic_of_64_tib_with_its_table(path: Path) -> None:
    """Blocks of 256 MiB: a table of a MiB, all unused."""
    claim = footer(64 * TIB, disk_type=3, data_offset=512)
    write_vhd(path, SIZE, {}, copy=claim)
    entries = 64 * TIB // (256 * MIB)
    changes = {28: struct.pack(">I", entries), 32: struct.pack(">I", 256 * MIB)}
    reseal(path, SECTOR, 1024, 36, changes)
    os.truncate(path, 1536)
    append(path, b"\xff" * 4 * entries)
    append(path, claim)


def fixed_of_64_tib(path: Path) -> None:
    write_fixed_vhd(path, SIZE, {0: pattern(MIB)}, footer(64 * TIB))


def fixed_of_8_tib_in_a_sparse_file(path: Path) -> None:
    write_fixed_vhd(path, 8 * TIB, {7 * TIB: pattern(SECTOR)})


def largest_dynamic_with_a_full_table(path: Path) -> None:
    """2040 GiB, each block in its place: a file of 2 TiB, of which 4 MiB are stored."""
    size, block = 2040 * GIB, 2 * MIB
    count = size // block
    write_vhd(path, size, {}, table_entries=count)
    end = path.read_bytes()[-SECTOR:]
    first = 1536 + 4 * count
    starts = range(first // SECTOR, 1 << 32, (block + SECTOR) // SECTOR)
    table = struct.pack(f">{count}I", *starts[:count])
    patch(path, 1536, table)
    os.truncate(path, first + count * (block + SECTOR))
    append(path, end)


def vhdx_of_64_tib(path: Path) -> None:
    write_vhdx(path, SIZE, {0: pattern(MIB)})
    patch(path, VHDX_METADATA_ITEMS + 8, struct.pack("<Q", 64 * TIB))


def vhdx_of_64_tib_with_its_table(path: Path) -> None:
    """Blocks of 1 MiB: a table of 513 MiB, of which nothing is stored."""
    layout = write_vhdx(path, 64 * TIB, {})
    assert layout.end > VHDX_BAT + 512 * MIB


def vhdx_with_many_regions(path: Path) -> None:
    write_vhdx(path, SIZE, {0: pattern(MIB)})
    for offset in VHDX_REGION_TABLES:
        table = bytearray(path.read_bytes()[offset : offset + 65536])
        table[8:12] = b"\xff" * 4
        patch(path, offset, vhdx_seal(bytes(table)))


def gpt_of_four_billion_entries(path: Path) -> None:
    pieces = gpt_pieces(SIZE, [(LINUX_GUID, 2048, 4095, "root")])
    pieces[SECTOR] = gpt_header(
        current=1,
        backup=SIZE // SECTOR - 1,
        first_usable=34,
        last_usable=SIZE // SECTOR - 34,
        entries_lba=2,
        entries_crc=zlib.crc32(b""),
        entry_count=0xFFFFFFFF,
    )
    write_fixed_vhd(path, SIZE, pieces)


def qcow2_of_64_tib(path: Path) -> None:
    command = ["qemu-img", "create", "-q", "-f", "qcow2", path, "64T"]
    subprocess.run(command, check=True)


def qcow2_of_an_impossible_size(path: Path) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "8M"], check=True)
    patch(path, 24, b"\x7f" + b"\xff" * 7)


CLAIMS: list[Callable[[Path], None]] = [
    four_billion_entries,
    four_billion_entries_in_a_sparse_file,
    dynamic_of_64_tib,
    dynamic_of_64_tib_with_its_table,
    fixed_of_64_tib,
    fixed_of_8_tib_in_a_sparse_file,
    largest_dynamic_with_a_full_table,
    vhdx_of_64_tib,
    vhdx_of_64_tib_with_its_table,
    vhdx_with_many_regions,
    gpt_of_four_billion_entries,
    qcow2_of_64_tib,
    qcow2_of_an_impossible_size,
]


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as started:
        yield started


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_a_claim_costs_nothing(
    server: ForkServer, tmp_path: Path, qemu_img: str, claim: Callable[[Path], None]
) -> None:
    path = tmp_path / "disk.vhd"
    claim(path)
    commands = [("check",), ("info",)]
    if claim is not largest_dynamic_with_a_full_table:  # it does have a million bitmaps to read
        commands += [("map",), ("convert", "--to", "raw")]
    for words in commands:
        out = [tmp_path / "out"] if words[0] == "convert" else []
        outcome = server.run(*words, path, *out)
        assert outcome.status in (0, 1, 3, 4), outcome
        assert outcome.seconds < SECONDS, outcome
        assert outcome.peak_kib < MEMORY_KIB, outcome
