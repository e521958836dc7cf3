"""qemu-img sees the disk that we see, in both directions, wherever it is right.

The second part names every case where it does not, and why: there we follow the specification.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.builders import (
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
    patch,
    pattern,
    relative_locator,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from tests.corpus import unpack
from vhdtool.disk.convert import convert
from vhdtool.disk.image import open_image
from vhdtool.errors import CorruptImage, ParentNotFound

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 12 * MIB
PARTITIONS = [(LINUX_GUID, 2048, 8191, "root")]
DISK = flatten(
    SIZE,
    {
        **gpt_pieces(SIZE, PARTITIONS),
        MIB: pattern(3 * MIB),
        6 * MIB - 512: random.Random(6).randbytes(1024),
        11 * MIB: pattern(SECTOR, 2),
    },
)
OURS = "force_size_calc=current_size"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(DISK)
    return path


@pytest.fixture
def qemu(qemu_img: str) -> Qemu:
    return Qemu(qemu_img)


class Qemu:
    """qemu-img, with formats always named: what it guesses by itself is another matter."""

    def __init__(self, path: str) -> None:
        self._path = path

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [self._path, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def write(self, raw: Path, path: Path, driver: str, options: str = "", *more: str) -> Path:
        chosen = ["-o", options] if options else []
        done = self.run("convert", "-f", "raw", "-O", driver, *chosen, *more, raw, path)
        assert done.returncode == 0, done.stderr
        return path

    def same(self, a: Path, b: Path, driver: str, options: str = "") -> bool:
        """Whether raw disk `a` and image `b` are equal, in their size as well."""
        image = f"driver={driver},file.driver=file,file.filename={b}"
        image += f",{options}" if options else ""
        raw = f"driver=raw,file.driver=file,file.filename={a}"
        done = self.run("compare", "--image-opts", raw, image)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0 and "size mismatch" not in done.stdout + done.stderr

    def size(self, path: Path, driver: str) -> int:
        done = self.run("info", "--output", "json", "-f", driver, path)
        return int(json.loads(done.stdout)["virtual-size"])

    def read(self, path: Path, driver: str, folder: Path) -> bytes:
        out = folder / "by-qemu.raw"
        done = self.run("convert", "-f", driver, "-O", "raw", path, out)
        assert done.returncode == 0, done.stderr
        return out.read_bytes()


# --- what qemu-img writes, read by us ------------------------------------------------------------

THEIRS = [
    ("vpc", "subformat=dynamic,force_size=on"),
    ("vpc", "subformat=fixed,force_size=on"),
    ("vhdx", ""),
    ("vhdx", "block_size=1M"),
    ("vhdx", "block_size=256M,log_size=2M"),
    ("vhdx", "subformat=fixed,block_size=2M"),
    ("vhdx", "block_state_zero=off,block_size=4M"),
    ("qcow2", "compat=0.10"),
    ("qcow2", "compat=1.1,lazy_refcounts=on"),
    ("qcow2", "cluster_size=512"),
    ("qcow2", "cluster_size=2M"),
    ("qcow2", "refcount_bits=64"),
    ("qcow2", "preallocation=metadata"),
    ("qcow2", "preallocation=full"),
    ("vmdk", "subformat=monolithicSparse"),
    ("vmdk", "subformat=monolithicFlat"),
    ("vmdk", "subformat=twoGbMaxExtentSparse"),
    ("vmdk", "subformat=twoGbMaxExtentFlat"),
    ("vmdk", "subformat=streamOptimized"),
    ("raw", ""),
]


@pytest.mark.parametrize(("driver", "options"), THEIRS)
def test_what_qemu_writes_reads_as_the_disk_it_was_made_of(
    qemu: Qemu, raw: Path, tmp_path: Path, driver: str, options: str
) -> None:
    theirs = qemu.write(raw, tmp_path / f"theirs.{driver}", driver, options)
    with open_image(theirs) as image:
        assert image.size == SIZE
        assert image.read_at(0, SIZE) == DISK
    convert(theirs, tmp_path / "back.raw", target="raw")
    assert qemu.same(tmp_path / "back.raw", theirs, driver)


def test_compressed_qcow2_reads_as_the_disk_it_was_made_of(
    qemu: Qemu, raw: Path, tmp_path: Path
) -> None:
    theirs = qemu.write(raw, tmp_path / "theirs.qcow2", "qcow2", "", "-c")
    convert(theirs, tmp_path / "back.raw", target="raw")
    assert (tmp_path / "back.raw").read_bytes() == DISK


def test_overlays_of_qcow2_read_as_qemu_reads_them(qemu: Qemu, raw: Path, tmp_path: Path) -> None:
    qemu.write(raw, tmp_path / "base.qcow2", "qcow2")
    qemu_io = shutil.which("qemu-io")
    assert qemu_io, "it comes with qemu-img"
    below = "base.qcow2"
    for number in range(3):
        name = f"{number}.qcow2"
        words = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", below, tmp_path / name]
        assert qemu.run(*words).returncode == 0
        write, zero = f"write -P {number + 1} {number}M 100k", f"write -z {number + 4}M 64k"
        command = [qemu_io, "-f", "qcow2", "-c", write, "-c", zero, tmp_path / name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        below = name
    convert(tmp_path / below, tmp_path / "ours.raw", target="raw")
    assert qemu.same(tmp_path / "ours.raw", tmp_path / below, "qcow2")
    assert (tmp_path / "ours.raw").read_bytes() != DISK


def test_vhdx_past_its_first_chunk_reads_as_qemu_reads_it(qemu: Qemu, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(9 * GIB)
        for offset in (0, 4 * GIB - 512, 4 * GIB + MIB, 8 * GIB + 3 * MIB, 9 * GIB - 512):
            file.seek(offset)
            file.write(pattern(SECTOR, offset // MIB % 126))
    theirs = qemu.write(raw, tmp_path / "theirs.vhdx", "vhdx", "block_size=1M", "-S", "512")
    convert(theirs, tmp_path / "ours.raw", target="raw")
    assert qemu.same(tmp_path / "ours.raw", theirs, "vhdx")
    assert qemu.same(raw, theirs, "vhdx")


# --- what we and our builders write, read by qemu-img --------------------------------------------


@pytest.mark.parametrize("target", ["fixed", "dynamic", "raw"])
@pytest.mark.parametrize("size", [SIZE, SIZE - 5 * SECTOR, 4 * MIB + SECTOR])
def test_what_we_write_is_the_same_disk_for_qemu(
    qemu: Qemu, tmp_path: Path, target: str, size: int
) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(DISK[:size])
    convert(raw, tmp_path / "ours", target=target, align=1, verify=True)
    if target == "raw":
        assert qemu.same(raw, tmp_path / "ours", "raw")
    else:
        assert qemu.same(raw, tmp_path / "ours", "vpc", OURS)


def test_what_we_write_of_every_kind_of_qemus_is_the_same_disk_for_qemu(
    qemu: Qemu, raw: Path, tmp_path: Path
) -> None:
    for number, (driver, options) in enumerate(THEIRS):
        theirs = qemu.write(raw, tmp_path / f"{number}.{driver}", driver, options)
        convert(theirs, tmp_path / f"{number}.out", verify=True)
        assert qemu.same(raw, tmp_path / f"{number}.out", "vpc", OURS), (driver, options)


@pytest.mark.parametrize("block", [512 * KIB, 2 * MIB, 16 * MIB])
def test_dynamic_vhds_of_our_builders_are_the_same_disk_for_qemu(
    qemu: Qemu, raw: Path, tmp_path: Path, block: int
) -> None:
    path = write_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}, block_size=block, reverse=True).path
    assert qemu.same(raw, path, "vpc", OURS)


def test_a_footer_of_511_bytes_is_one_for_qemu_too(qemu: Qemu, raw: Path, tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}, footer(SIZE)[:511])
    assert qemu.same(raw, path, "vpc")
    convert(path, tmp_path / "ours.raw", target="raw")
    assert qemu.same(tmp_path / "ours.raw", path, "vpc")


def test_the_copy_at_the_start_serves_qemu_too(qemu: Qemu, raw: Path, tmp_path: Path) -> None:
    path = write_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}, tail=bytes(SECTOR)).path
    assert qemu.same(raw, path, "vpc")
    convert(path, tmp_path / "ours.raw", target="raw")
    assert qemu.same(tmp_path / "ours.raw", path, "vpc")


@pytest.mark.parametrize("block", [MIB, 8 * MIB, 32 * MIB])
def test_vhdx_of_our_builders_are_the_same_disk_for_qemu(
    qemu: Qemu, raw: Path, tmp_path: Path, block: int
) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, {0: DISK}, block_size=block).path
    assert qemu.same(raw, path, "vhdx")


@pytest.mark.parametrize(
    "name",
    [
        "disks/dfvfs/ntfs-dynamic.vhd.xz",
        "disks/dfvfs/ntfs-fixed.vhdx.xz",
        "disks/dfvfs/ext2.vhd.xz",
        "disks/dfvfs/ext2.vhdx.xz",
        "disks/qemu/iotest-dynamic-1G.vhdx.bz2",
        "disks/plaso/image.vhd.xz",
        "disks/discutils/xfs.vhdx.gz",
    ],
)
def test_disks_of_other_makers_are_the_same_for_qemu_and_us(
    qemu: Qemu, tmp_path: Path, name: str
) -> None:
    image = unpack(name, tmp_path)
    convert(image, tmp_path / "ours.raw", target="raw")
    assert qemu.same(tmp_path / "ours.raw", image, "vhdx" if ".vhdx" in name else "vpc")


# --- where qemu-img 7.2 differs ------------------------------------------------------------------


@pytest.mark.parametrize("creator", [b"vpc ", b"vs  ", b"qemu", b"vbox", b"vht "])
def test_qemu_sizes_a_vhd_by_its_geometry_unless_it_knows_the_creator(
    qemu: Qemu, tmp_path: Path, creator: bytes
) -> None:
    """qemu believes CHS, which cannot express most sizes; the specification has the current size.

    It makes an exception for creators on a short list (and for the largest geometry). We take the
    current size of all and `check` warns where a reader could believe CHS. So a VHD of ours must
    be given to qemu with force_size_calc=current_size.
    """
    sealed = footer(SIZE, creator=creator, geometry=(360, 4, 17))
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}, sealed)
    assert qemu.size(path, "vpc") == 360 * 4 * 17 * 512 != SIZE
    with open_image(path) as image:
        assert image.size == SIZE
        assert image.read_at(0, SIZE) == DISK


@pytest.mark.parametrize("creator", [b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS"])
def test_qemu_takes_the_current_size_of_the_creators_that_it_knows(
    qemu: Qemu, tmp_path: Path, raw: Path, creator: bytes
) -> None:
    sealed = footer(SIZE, creator=creator, geometry=(360, 4, 17))
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}, sealed)
    assert qemu.same(raw, path, "vpc")


def test_qemu_rounds_the_size_of_a_vhd_up_to_a_geometry(qemu: Qemu, tmp_path: Path) -> None:
    """Without force_size=on it writes a larger disk, creator `qemu`; we read what it wrote."""
    raw = tmp_path / "disk.raw"
    raw.write_bytes(pattern(SIZE))
    theirs = qemu.write(raw, tmp_path / "theirs.vhd", "vpc", "subformat=fixed")
    with open_image(theirs) as image:
        assert image.size == qemu.size(theirs, "vpc") > SIZE
        assert image.read_at(0, image.size) == pattern(SIZE).ljust(image.size, b"\0")


def test_qemu_guesses_that_a_fixed_vhd_is_raw(qemu: Qemu, tmp_path: Path) -> None:
    """It looks at the start of a file only, where a fixed VHD has no mark; we look at its end."""
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, {0: DISK})
    told = json.loads(qemu.run("info", "--output", "json", path).stdout)
    assert (told["format"], told["virtual-size"]) == ("raw", SIZE + 512)
    with open_image(path) as image:
        assert image.size == SIZE


def test_qemu_ignores_the_sector_bitmaps_of_dynamic_disks(qemu: Qemu, tmp_path: Path) -> None:
    """By the specification a sector whose bit is clear is not in use: zeros, as Xen, VirtualBox,
    DiscUtils and libvhdi read it. With ignore_bitmap we read what qemu reads.
    """
    layout = write_vhd(tmp_path / "a.vhd", 2 * MIB, {0: pattern(4096)})
    patch(layout.path, layout.blocks[0], b"\x0f")
    theirs = qemu.read(layout.path, "vpc", tmp_path)
    with open_image(layout.path) as image:
        assert image.read_at(0, 4096) == bytes(2048) + pattern(4096)[2048:]
    with open_image(layout.path, ignore_bitmap=True) as image:
        assert image.read_at(0, 2 * MIB) == theirs


def test_qemu_reads_a_differencing_vhd_without_its_parent(qemu: Qemu, tmp_path: Path) -> None:
    """It takes type 4 for type 3: zeros where the parent's data is, and exit status 0."""
    write_vhd(tmp_path / "base.vhd", SIZE, {0: DISK})
    parent = VhdParent(locators=relative_locator("base.vhd"))
    identity = uuid.UUID(int=9)
    own = {4 * MIB: pattern(2 * MIB, 9)}
    child = write_vhd(tmp_path / "c.vhd", SIZE, own, parent=parent, unique_id=identity).path
    assert qemu.read(child, "vpc", tmp_path) == flatten(SIZE, own)
    with open_image(child) as image:
        assert image.read_at(0, SIZE) == flatten(SIZE, own, DISK)
    (tmp_path / "base.vhd").unlink()
    with pytest.raises(ParentNotFound):
        open_image(child)


def test_qemu_refuses_a_differencing_vhdx(qemu: Qemu, tmp_path: Path) -> None:
    """It does not know parents of VHDX; we read through them."""
    write_vhdx(tmp_path / "base.vhdx", SIZE, {0: DISK})
    locator = {"parent_linkage": "{6f2d1c50-35d9-4f6c-9d3c-3f41a8a2c0de}"}
    locator["relative_path"] = "base.vhdx"
    child = write_vhdx(tmp_path / "c.vhdx", SIZE, {512: pattern(512)}, parent=locator).path
    assert "not supported" in qemu.run("info", "-f", "vhdx", child).stderr
    with open_image(child) as image:
        assert image.read_at(0, SIZE) == flatten(SIZE, {512: pattern(512)}, DISK)


def test_qemu_does_not_check_the_dynamic_header(qemu: Qemu, tmp_path: Path) -> None:
    """It looks at its cookie only; a checksum that is wrong says that any field may be."""
    path = write_vhd(tmp_path / "a.vhd", SIZE, {0: DISK}).path
    patch(path, 512 + 36, b"\0\0\0\0")
    assert qemu.size(path, "vpc") == SIZE
    with pytest.raises(CorruptImage, match="dynamic header"):
        open_image(path)


def test_qemu_reads_blocks_that_lie_over_each_other(qemu: Qemu, tmp_path: Path) -> None:
    """It believes every table entry; two blocks in one place are two guesses at one truth."""
    layout = write_vhd(tmp_path / "a.vhd", SIZE, {0: DISK})
    patch(layout.path, layout.table_offset + 4, (layout.blocks[0] // 512).to_bytes(4, "big"))
    theirs = qemu.read(layout.path, "vpc", tmp_path)
    assert theirs[2 * MIB : 4 * MIB] == theirs[: 2 * MIB]
    with pytest.raises(CorruptImage, match="lies over block 0"):
        convert(layout.path, tmp_path / "out.vhd")


def test_qemu_refuses_a_footer_that_something_was_appended_to(qemu: Qemu, tmp_path: Path) -> None:
    """It looks in one place only; we find the footer, and `check` and `repair` tell of the rest."""
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, {0: DISK})
    append(path, bytes(4096))
    assert qemu.run("info", "-f", "vpc", path).returncode != 0
    with open_image(path) as image:
        assert image.read_at(0, SIZE) == DISK
