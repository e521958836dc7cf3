"""Make the disks that benchmarks convert: large, sparse, with zeros inside what is allocated."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from vhdtool.disk.create import DynamicLayout, new_footer
from vhdtool.formats.guid import NIL
from vhdtool.formats.vhd import FOOTER_SIZE, UNUSED_ENTRY, DiskType
from vhdtool.units import GIB, KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BLOCK = 2 * MIB
CLUSTER = 64 * KIB
CLUSTERS = BLOCK // CLUSTER
LARGEST = 2040 * GIB  # of a dynamic VHD

_POOL = 64 * MIB
_ZERO_SHARE = 1 / 6
# Bytes of a sector bitmap for one cluster.
_BITMAP_STEP = CLUSTER // 512 // 8

ZERO, DATA, BELOW = range(3)  # what a cluster is in one image; BELOW is left to the parent


@dataclass(frozen=True)
class Run:
    """A stretch of data: where it lies in the image file, and where on the disk; bytes."""

    file_offset: int
    disk_offset: int
    length: int


def guest_blocks(size: int, allocated: int, seed: int = 1) -> dict[int, list[int]]:
    """Choose the blocks of a used disk, in the order in which a guest filled it.

    A guest fills a disk in stretches: eight blocks in a row, then somewhere else. A sixth of the
    clusters of each block are zeros.
    """
    rng = random.Random(seed)
    chosen = rng.sample(range(size // BLOCK), allocated // BLOCK)
    ordered = [block for at in range(0, len(chosen), 8) for block in sorted(chosen[at : at + 8])]
    return {
        block: [ZERO if rng.random() < _ZERO_SHARE else DATA for _ in range(CLUSTERS)]
        for block in ordered
    }


def write_dynamic(
    path: Path,
    size: int,
    blocks: Mapping[int, Sequence[int]],
    *,
    number: int = 1,
    parent: Path | None = None,
) -> list[Run]:
    """Write a dynamic VHD with random data, or over a parent (number `number` - 1) a differencing.

    Zeros are really stored, not a hole of the file. Returns where data that is not zero lies, in
    the order of the file.
    """
    rng = random.Random(number)
    layout = DynamicLayout(size)
    disk_type = DiskType.DYNAMIC if parent is None else DiskType.DIFFERENCING
    footer = new_footer(size, disk_type=disk_type, unique_id=UUID(int=number), timestamp=0).build()
    header = replace(
        layout.header(),
        parent_unique_id=NIL if parent is None else UUID(int=number - 1),
        parent_name_raw=("" if parent is None else parent.name)
        .encode("utf-16-be")
        .ljust(512, b"\0"),
    ).sealed()
    table = [UNUSED_ENTRY] * layout.table_entries
    pool = os.urandom(_POOL)
    runs: list[Run] = []
    with path.open("wb") as file:
        file.write(footer + header.build())
        place = layout.first_block
        for block, clusters in blocks.items():
            table[block] = place // 512
            file.seek(place)
            bits = (b"\0" if cluster == BELOW else b"\xff" for cluster in clusters)
            file.write(b"".join(bit * _BITMAP_STEP for bit in bits))
            start = place + layout.bitmap_size
            for at, cluster in enumerate(clusters):
                skip = at * CLUSTER
                if cluster == DATA:
                    random_start = rng.randrange(_POOL - CLUSTER)
                    file.write(pool[random_start : random_start + CLUSTER])
                    _append(runs, Run(start + skip, block * BLOCK + skip, CLUSTER))
                else:
                    file.write(bytes(CLUSTER))
            place = start + BLOCK
        file.write(footer)
        file.seek(layout.table_offset)
        file.write(b"".join(entry.to_bytes(4, "big") for entry in table))
    return runs


def _append(runs: list[Run], run: Run) -> None:
    """Add a run, joined with the last one where it goes on in the file and on the disk."""
    if runs:
        last = runs[-1]
        end = last.file_offset + last.length, last.disk_offset + last.length
        if end == (run.file_offset, run.disk_offset):
            runs[-1] = replace(last, length=last.length + run.length)
            return
    runs.append(run)


def write_used_disk(path: Path, size: int, allocated: int, runs: Path | None = None) -> None:
    """Write a dynamic VHD as a guest leaves it; into `runs` what the yardstick is to copy.

    That is text: the size of the disk, then three numbers a line for each run.
    """
    found = write_dynamic(path, size, guest_blocks(size, allocated))
    if runs is not None:
        lines = [str(size), *(f"{run.file_offset} {run.disk_offset} {run.length}" for run in found)]
        runs.write_text("\n".join(lines) + "\n")


def write_chain(youngest: Path, size: int, allocated: int) -> None:
    """Spread the data of one used disk over a chain of three images, `youngest` on top.

    Half of the blocks are in the base, a fifth in each of the others, and a tenth in all three,
    cluster by cluster.
    """
    rng = random.Random(2)
    layers: list[dict[int, list[int]]] = [{}, {}, {}]
    for block, clusters in guest_blocks(size, allocated).items():
        layer = rng.choices([0, 1, 2, None], [5, 2, 2, 1])[0]
        if layer is not None:
            layers[layer][block] = clusters
            continue
        for number, image in enumerate(layers):
            below = BELOW if number else ZERO
            image[block] = [
                cluster if at % 3 == number else below for at, cluster in enumerate(clusters)
            ]
    older = [youngest.with_name(f"{youngest.stem}-{name}.vhd") for name in ("base", "middle")]
    parent = None
    for number, (path, image) in enumerate(zip([*older, youngest], layers, strict=True), start=1):
        write_dynamic(path, size, image, number=number, parent=parent)
        parent = path


def convert_by_qemu(source: Path, target: Path, *options: str) -> None:
    """Write `source`, a dynamic VHD, in another format."""
    image = f"driver=vpc,force_size_calc=current_size,file.filename={source}"
    command = ["qemu-img", "convert", "-W", "-m", "16", "--image-opts", image, *options]
    subprocess.run([*command, str(target)], check=True)


def write_full_table(path: Path) -> None:
    """Write a dynamic VHD of 2040 GiB in which each block is allocated, the file sparse.

    Bitmaps and data are holes of the file, so the disk reads as zero.
    """
    layout, footer = _largest()
    step = layout.bitmap_size + BLOCK
    places = range(layout.first_block, layout.first_block + layout.table_entries * step, step)
    with path.open("wb") as file:
        file.write(footer + layout.header().build())
        file.seek(layout.table_offset)
        file.write(b"".join((place // 512).to_bytes(4, "big") for place in places))
        file.seek(places.stop)
        file.write(footer)


def write_nearly_empty(path: Path) -> None:
    """Write a dynamic VHD of 2040 GiB with 1 MiB of data in its last block."""
    layout, footer = _largest()
    table = bytearray(b"\xff" * (layout.first_block - layout.table_offset))
    last = 4 * (layout.table_entries - 1)
    table[last : last + 4] = (layout.first_block // 512).to_bytes(4, "big")
    block = b"\xff" * layout.bitmap_size + os.urandom(MIB) + bytes(BLOCK - MIB)
    path.write_bytes(footer + layout.header().build() + table + block + footer)


def _largest() -> tuple[DynamicLayout, bytes]:
    footer = new_footer(
        LARGEST, disk_type=DiskType.DYNAMIC, unique_id=UUID(int=1), timestamp=0
    ).build()
    assert len(footer) == FOOTER_SIZE
    return DynamicLayout(LARGEST), footer
