"""For every format: a disk reads as the bytes that were put on it, and its extents tile it."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import (
    DISK_ID,
    KIB,
    MIB,
    VhdParent,
    flatten,
    pattern,
    relative_locator,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from vhdtool.disk.convert import convert
from vhdtool.disk.disk import ExtentKind
from vhdtool.disk.image import open_image

if TYPE_CHECKING:
    from tests.builders import Pieces

SECTORS = 6 * MIB // 512


@st.composite
def disks(draw: st.DrawFn) -> tuple[int, Pieces]:
    """Return a size in whole sectors and a few pieces on the disk, some of them zeros."""
    sectors = draw(st.integers(min_value=1, max_value=SECTORS))
    pieces: Pieces = {}
    for _ in range(draw(st.integers(min_value=0, max_value=4))):
        first = draw(st.integers(min_value=0, max_value=sectors - 1))
        count = draw(st.integers(min_value=1, max_value=min(sectors - first, 2500)))
        seed = draw(st.integers(min_value=0, max_value=99))
        pieces[first * 512] = pattern(count * 512, seed) if seed else bytes(count * 512)
    return sectors * 512, pieces


ranges = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=SECTORS * 512 + 1000),
        st.integers(min_value=0, max_value=3 * MIB),
    ),
    min_size=3,
    max_size=8,
)
FORMATS = ("raw", "fixed", "dynamic", "partial", "differencing", "vhdx", "vhdx-child")


def write(kind: str, folder: Path, size: int, pieces: Pieces, block: int) -> tuple[Path, bytes]:
    """Write the disk in one format; return the file and what it must read as."""
    path = folder / "disk"
    if kind == "raw":
        path.write_bytes(flatten(size, pieces))
    elif kind == "fixed":
        write_fixed_vhd(path, size, pieces)
    elif kind == "dynamic":
        write_vhd(path, size, pieces, block_size=block)
    elif kind == "partial":
        write_vhd(path, size, pieces, block_size=block, all_bits=False, reverse=True)
    elif kind == "vhdx":
        write_vhdx(path, size, pieces, block_size=max(block, MIB))
    else:
        below = {0: pattern(size // 1024 * 512, 200)}
        if kind == "differencing":
            write_fixed_vhd(folder / "base", size, below)
            parent = VhdParent(DISK_ID, locators=relative_locator("base"))
            write_vhd(path, size, pieces, block_size=block, parent=parent, unique_id=uuid.uuid4())
        else:
            write_vhdx(folder / "base", size, below)
            locator = {"parent_linkage": f"{{{DISK_ID}}}", "relative_path": ".\\base"}
            write_vhdx(path, size, pieces, block_size=max(block, MIB), parent=locator)
        return path, flatten(size, pieces, flatten(size, below))
    return path, flatten(size, pieces)


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=25, deadline=None)
@given(disk=disks(), block=st.sampled_from([4 * KIB, 512 * KIB, 2 * MIB]), ranges=ranges)
def test_any_disk_reads_as_written_and_its_extents_tile_it(
    kind: str, disk: tuple[int, Pieces], block: int, ranges: list[tuple[int, int]]
) -> None:
    size, pieces = disk
    with TemporaryDirectory() as folder:
        path, expected = write(kind, Path(folder), size, pieces, block)
        with open_image(path) as image:
            assert image.size == size
            assert image.read_at(0, size) == expected
            for offset, length in ranges:
                assert image.read_at(offset, length) == expected[offset : offset + length]
            position = 0
            for extent in image.extents():
                assert extent.offset == position
                assert extent.length > 0
                position += extent.length
                if extent.kind is not ExtentKind.DATA:
                    assert not any(expected[extent.offset : position])
            assert position == size


@pytest.mark.parametrize("kind", ["dynamic", "vhdx"])
@settings(max_examples=15, deadline=None)
@given(disk=disks(), block=st.sampled_from([512 * KIB, 2 * MIB]))
def test_qemu_img_agrees(kind: str, disk: tuple[int, Pieces], block: int, qemu_img: str) -> None:
    size, pieces = disk
    size = -(-size // MIB) * MIB
    with TemporaryDirectory() as folder:
        path, expected = write(kind, Path(folder), size, pieces, block)
        raw = Path(folder) / "expected.raw"
        raw.write_bytes(expected)
        driver = "vhdx" if kind == "vhdx" else "vpc"
        command = [qemu_img, "compare", "-f", driver, "-F", "raw", path, raw]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@settings(max_examples=10, deadline=None)
@given(disk=disks(), start=st.integers(0, SECTORS), length=st.integers(0, SECTORS))
def test_extents_of_a_range_tile_that_range(
    disk: tuple[int, Pieces], start: int, length: int
) -> None:
    size, pieces = disk
    with TemporaryDirectory() as folder:
        path, _ = write("partial", Path(folder), size, pieces, 512 * KIB)
        with open_image(path) as image:
            position = start
            for extent in image.extents(start, length):
                assert extent.offset == position
                position += extent.length
            assert position == max(start, min(size, start + length))


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=12, deadline=None)
@given(disk=disks(), block=st.sampled_from([512 * KIB, 2 * MIB]))
def test_any_disk_of_any_format_survives_dynamic_fixed_and_raw(
    kind: str, disk: tuple[int, Pieces], block: int
) -> None:
    size, pieces = disk
    with TemporaryDirectory() as folder:
        source, expected = write(kind, Path(folder), size, pieces, block)
        for target in ("dynamic", "fixed", "raw"):
            out = Path(folder) / f"out.{target}"
            done = convert(source, out, target=target, align=1, verify=True)
            assert (done.source_size, done.size) == (size, size)
            source = out
        assert source.read_bytes() == expected


@settings(max_examples=12, deadline=None)
@given(disk=disks(), align=st.sampled_from([512, 4 * KIB, MIB, 3 * MIB]))
def test_any_disk_grows_to_its_alignment_with_zeros(disk: tuple[int, Pieces], align: int) -> None:
    size, pieces = disk
    with TemporaryDirectory() as folder:
        source, expected = write("dynamic", Path(folder), size, pieces, 512 * KIB)
        for target in ("dynamic", "fixed", "raw"):
            out = Path(folder) / f"out.{target}"
            grown = convert(source, out, target=target, align=align).size
            assert size <= grown < size + align
            assert grown % align == 0
            with open_image(out) as image:
                assert image.read_at(0, image.size) == expected.ljust(grown, b"\0")
