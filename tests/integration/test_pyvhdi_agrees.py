"""libvhdi sees the disk that we see wherever it is right; where it is not, a test says why.

It is the second reader of `compare --with pyvhdi`, which is how most of this is asked here.
"""

from __future__ import annotations

import subprocess
import uuid
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests import builders
from tests.builders import (
    DISK_ID,
    GIB,
    KIB,
    LINUX_GUID,
    MIB,
    SECTOR,
    VhdParent,
    append,
    flatten,
    footer,
    gpt_pieces,
    log_entry,
    patch,
    pattern,
    relative_locator,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from tests.corpus import unpack
from vhdtool.cli.app import run
from vhdtool.disk.convert import convert
from vhdtool.disk.image import open_image
from vhdtool.errors import CorruptImage, ParentMismatch, ParentNotFound

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

pyvhdi: Any = pytest.importorskip("pyvhdi", reason="libvhdi-python is not installed")

SIZE = 12 * MIB
DISK = flatten(
    SIZE,
    {
        **gpt_pieces(SIZE, [(LINUX_GUID, 2048, 8191, "root")]),
        MIB: pattern(3 * MIB),
        11 * MIB: pattern(SECTOR, 2),
    },
)
IDENTITY = uuid.UUID(int=9)


def both_agree(image: Path) -> bool:
    return run(["compare", "--with", "pyvhdi", str(image)]) == 0


def libvhdi(image: Path, *parents: Path) -> bytes:
    """Read a whole disk by libvhdi alone."""
    files = []
    for path in (image, *parents):
        files.append(pyvhdi.file())
        files[-1].open(str(path))
    for child, parent in pairwise(files):
        child.set_parent(parent)
    data: bytes = files[0].read_buffer_at_offset(files[0].get_media_size(), 0)
    return data


def ours(image: Path) -> bytes:
    with open_image(image) as opened:
        return opened.read_at(0, opened.size)


# --- where it agrees -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["fixed", "dynamic"])
@pytest.mark.parametrize("size", [SIZE, SIZE - 5 * SECTOR, 4 * MIB + SECTOR])
def test_what_we_write_is_the_same_disk_for_libvhdi(tmp_path: Path, target: str, size: int) -> None:
    raw, out = tmp_path / "disk.raw", tmp_path / "out.vhd"
    raw.write_bytes(DISK[:size])
    convert(raw, out, target=target, align=1)
    assert both_agree(out)
    assert libvhdi(out) == DISK[:size]


@pytest.mark.parametrize("block", [512 * KIB, 2 * MIB, 16 * MIB])
def test_dynamic_disks_of_any_block_size_are_the_same(tmp_path: Path, block: int) -> None:
    path = write_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}, block_size=block, reverse=True).path
    assert both_agree(path)
    assert libvhdi(path) == DISK


@pytest.mark.parametrize("block", [MIB, 8 * MIB, 32 * MIB])
def test_vhdx_of_any_block_size_are_the_same(tmp_path: Path, block: int) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, {0: DISK}, block_size=block).path
    assert both_agree(path)
    assert libvhdi(path) == DISK


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("vpc", "subformat=dynamic,force_size=on"),
        ("vpc", "subformat=fixed,force_size=on"),
        ("vpc", "subformat=dynamic"),
        ("vhdx", "block_size=1M"),
        ("vhdx", "subformat=fixed"),
    ],
)
def test_what_qemu_writes_is_the_same_disk(
    tmp_path: Path, qemu_img: str, driver: str, options: str
) -> None:
    raw, theirs = tmp_path / "disk.raw", tmp_path / "theirs"
    raw.write_bytes(DISK)
    command = [qemu_img, "convert", "-f", "raw", "-O", driver, "-o", options, raw, theirs]
    subprocess.run(command, check=True)
    assert both_agree(theirs)
    assert libvhdi(theirs).rstrip(b"\0") == DISK.rstrip(b"\0")


def test_sectors_under_clear_bits_are_zero_for_both(tmp_path: Path) -> None:
    """As the specification has it; qemu differs (test_qemu_agrees.py)."""
    layout = write_vhd(tmp_path / "a.vhd", 2 * MIB, {0: pattern(8192)})
    patch(layout.path, layout.blocks[0], b"\0")
    assert both_agree(layout.path)
    assert libvhdi(layout.path) == flatten(2 * MIB, {4096: pattern(8192)[4096:]})


def test_chains_of_whole_bitmap_bytes_are_the_same(tmp_path: Path) -> None:
    """Three levels of different block sizes, each child in runs of eight sectors."""
    levels = [
        ({0: pattern(3 * MIB)}, 2 * MIB),
        ({512 * KIB: pattern(8192, 2), 5 * MIB: pattern(4096, 3)}, 512 * KIB),
        ({512 * KIB + 4096: pattern(4096, 4), 2 * MIB - 4096: pattern(8192, 5)}, 2 * MIB),
    ]
    expected = b""
    for level, (pieces, block) in enumerate(levels):
        below = VhdParent(uuid.UUID(int=level), locators=relative_locator(f"{level - 1}.vhd"))
        write_vhd(
            tmp_path / f"{level}.vhd",
            SIZE,
            pieces,
            block_size=block,
            parent=below if level else None,
            unique_id=uuid.UUID(int=level + 1),
        )
        expected = flatten(SIZE, pieces, expected)
    assert both_agree(tmp_path / "2.vhd")
    assert libvhdi(*(tmp_path / f"{level}.vhd" for level in (2, 1, 0))) == expected


def test_vhdx_past_its_first_chunk_is_the_same(tmp_path: Path) -> None:
    pieces = {0: pattern(4096), 4 * GIB + MIB: pattern(4096, 2), 5 * GIB - 4096: pattern(4096, 3)}
    path = write_vhdx(tmp_path / "a.vhdx", 5 * GIB, pieces).path
    theirs = pyvhdi.file()
    theirs.open(str(path))
    with open_image(path) as image:
        for offset, data in pieces.items():
            assert theirs.read_buffer_at_offset(len(data), offset) == data
            assert image.read_at(offset, len(data)) == data


@pytest.mark.parametrize(
    "name",
    [
        "dfvfs/ntfs-fixed.vhd.xz",
        "dfvfs/ntfs-dynamic.vhd.xz",
        "dfvfs/ntfs-fixed.vhdx.xz",
        "dfvfs/fat-parent.vhdx.xz",
        "dfvfs/ext2.vhd.xz",
        "dfvfs/ext2.vhdx.xz",
        "plaso/image.vhd.xz",
        "go-vhd/vbox.vhd",
        "go-vhd/qemu.vhd",
        "go-vhd/win8.vhd",
        "go-vhd/xapi.vhd",
        "qemu/iotest-dynamic-1G.vhdx.bz2",
    ],
)
def test_disks_of_other_makers_are_the_same(tmp_path: Path, name: str) -> None:
    assert both_agree(unpack(f"disks/{name}", tmp_path))


def test_real_differencing_disks_are_the_same(tmp_path: Path) -> None:
    unpack("disks/dfvfs/fat-parent.vhdx.xz", tmp_path)
    assert both_agree(unpack("disks/dfvfs/fat-differential.vhdx.xz", tmp_path))
    unpack("disks/go-vhd/win8.vhd", tmp_path)
    assert both_agree(unpack("disks/go-vhd/win8-child.vhd.xz", tmp_path))


# --- where libvhdi differs -----------------------------------------------------------------------


def test_libvhdi_ignores_the_checksum_of_a_footer(tmp_path: Path) -> None:
    """A footer that is damaged anywhere is believed; we refuse it and `repair` may mend it."""
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, {0: DISK})
    patch(path, -SECTOR + 64, b"\0\0\0\0")
    assert libvhdi(path) == DISK
    with pytest.raises(CorruptImage, match="checksum is 0x00000000"):
        open_image(path)


def test_libvhdi_ignores_the_checksum_of_a_dynamic_header(tmp_path: Path) -> None:
    """The same for the header that says where the table is and how large blocks are."""
    path = write_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}).path
    patch(path, 512 + 36, b"\0\0\0\0")
    assert libvhdi(path) == DISK
    with pytest.raises(CorruptImage, match="dynamic header"):
        open_image(path)


def test_libvhdi_ignores_a_pending_log_of_a_vhdx(tmp_path: Path) -> None:
    """What was in the log when the host crashed was promised to the guest; libvhdi reads the file
    as it was before. We replay the log in memory, as Hyper-V does when it opens the disk.
    """
    guid = uuid.UUID(int=0xD1E7)
    layout = write_vhdx(tmp_path / "a.vhdx", SIZE, {0: DISK}, log_guid=guid)
    table = layout.path.read_bytes()[layout.bat_offset :][:4096]
    patch(layout.path, layout.bat_offset, bytes(4096))
    entry = log_entry(guid, {layout.bat_offset: table}, flushed=layout.end, last=layout.end)
    patch(layout.path, builders.VHDX_LOG, entry)
    assert libvhdi(layout.path) == bytes(SIZE)
    assert ours(layout.path) == DISK
    assert not both_agree(layout.path)


def test_libvhdi_loses_parent_sectors_beside_those_of_the_child(tmp_path: Path) -> None:
    """After a sector of the child it reads the rest of that bitmap byte as zeros, not as the
    parent's: found with a FAT volume whose last clusters were lost.
    """
    base = write_vhd(tmp_path / "base.vhd", SIZE, {0: DISK}).path
    below = VhdParent(locators=relative_locator("base.vhd"))
    own = {MIB + SECTOR: pattern(SECTOR, 7)}
    child = write_vhd(tmp_path / "c.vhd", SIZE, own, parent=below, unique_id=IDENTITY).path
    expected = flatten(SIZE, own, DISK)
    theirs = libvhdi(child, base)
    wrong = [
        (offset - MIB) // SECTOR
        for offset in range(0, SIZE, SECTOR)
        if theirs[offset : offset + SECTOR] != expected[offset : offset + SECTOR]
    ]
    assert wrong == [2, 3, 4, 5, 6, 7]
    assert ours(child) == expected
    assert not both_agree(child)


def test_libvhdi_does_not_look_for_parents(tmp_path: Path) -> None:
    """Whoever calls it hands them over; without one it fails, or reads zeros. We find them."""
    write_vhd(tmp_path / "base.vhd", SIZE, {0: DISK})
    below = VhdParent(locators=relative_locator("base.vhd"))
    own = {4 * MIB: pattern(2 * MIB, 7)}
    child = write_vhd(tmp_path / "c.vhd", SIZE, own, parent=below, unique_id=IDENTITY).path
    file = pyvhdi.file()
    file.open(str(child))
    with pytest.raises(OSError, match="parent"):
        file.read_buffer_at_offset(SECTOR, MIB)
    assert ours(child) == flatten(SIZE, own, DISK)
    (tmp_path / "base.vhd").unlink()
    with pytest.raises(ParentNotFound):
        open_image(child)


def test_libvhdi_needs_the_footer_at_the_end(tmp_path: Path) -> None:
    """It does not know the copy at the start, which is there for a lost end."""
    path = write_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}, tail=bytes(SECTOR)).path
    with pytest.raises(OSError, match="libvhdi"):
        libvhdi(path)
    assert ours(path) == DISK


def test_libvhdi_refuses_a_footer_that_something_was_appended_to(tmp_path: Path) -> None:
    """It looks in the last 512 bytes only."""
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, {0: DISK})
    append(path, bytes(4096))
    with pytest.raises(OSError, match="libvhdi"):
        libvhdi(path)
    assert ours(path) == DISK


def test_libvhdi_refuses_a_footer_of_511_bytes(tmp_path: Path) -> None:
    """Virtual PC wrote such footers before 2004."""
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}, footer(SIZE)[:511])
    with pytest.raises(OSError, match="libvhdi"):
        libvhdi(path)
    assert ours(path) == DISK


def test_a_parent_with_another_identifier_is_refused_by_both(tmp_path: Path) -> None:
    base = write_vhd(tmp_path / "base.vhd", SIZE, {0: DISK}).path
    below = VhdParent(uuid.UUID(int=3), locators=relative_locator("base.vhd"))
    child = write_vhd(tmp_path / "c.vhd", SIZE, {}, parent=below, unique_id=IDENTITY).path
    with pytest.raises(OSError, match="parent"):
        libvhdi(child, base)
    with pytest.raises(ParentMismatch, match=str(DISK_ID)):
        open_image(child)
