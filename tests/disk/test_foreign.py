"""Images of other makers: VMDK and qcow2, read through libraries."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builders import KIB, MIB, flatten, patch, pattern
from vhdtool.disk.disk import ExtentKind
from vhdtool.disk.facts import ImageFormat
from vhdtool.disk.image import open_image
from vhdtool.errors import CorruptImage, ParentNotFound, UnsupportedImage

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 6 * MIB
EXPECTED = flatten(SIZE, {0: pattern(3000), MIB: pattern(MIB, 2), SIZE - 512: pattern(512, 3)})


def make(folder: Path, qemu_img: str, name: str, driver: str, options: str = "") -> Path:
    """Convert the expected bytes to another format."""
    raw = folder / "expected.raw"
    raw.write_bytes(EXPECTED)
    path = folder / name
    command = [qemu_img, "convert", "-f", "raw", "-O", driver]
    subprocess.run([*command, *(["-o", options] if options else []), raw, path], check=True)
    return path


SUBFORMATS = ["monolithicSparse", "streamOptimized", "monolithicFlat", "twoGbMaxExtentSparse"]


@pytest.mark.parametrize("subformat", SUBFORMATS)
def test_vmdk_is_read(tmp_path: Path, qemu_img: str, subformat: str) -> None:
    pytest.importorskip("pyvmdk")
    path = make(tmp_path, qemu_img, "disk.vmdk", "vmdk", f"subformat={subformat}")
    with open_image(path) as image:
        assert image.format is ImageFormat.VMDK
        assert image.read_at(0, SIZE) == EXPECTED
        assert image.read_at(SIZE - 100, 4096) == EXPECTED[-100:]
        assert sum(extent.length for extent in image.extents()) == SIZE


@pytest.mark.parametrize("name", [b"renamed.vhd", b"no text \xff.vmdk"])
def test_renamed_vmdk_is_read(tmp_path: Path, qemu_img: str, name: bytes) -> None:
    pytest.importorskip("pyvmdk")
    path = make(tmp_path, qemu_img, "disk.vmdk", "vmdk").rename(tmp_path / os.fsdecode(name))
    with open_image(path) as image:
        assert image.read_at(0, SIZE) == EXPECTED


def test_vmdk_may_be_read_by_many_threads(tmp_path: Path, qemu_img: str) -> None:
    """libvmdk keeps one position: without turns the threads would get each other's bytes."""
    pytest.importorskip("pyvmdk")
    path = make(tmp_path, qemu_img, "disk.vmdk", "vmdk", "subformat=streamOptimized")
    with open_image(path) as image, concurrent.futures.ThreadPoolExecutor(8) as pool:
        offsets = range(0, SIZE, 10000)
        pieces = pool.map(lambda offset: image.read_at(offset, 10000), offsets)
        assert b"".join(pieces) == EXPECTED


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "sub/disk.raw"])
def test_vmdk_extents_come_from_its_own_folder_only(tmp_path: Path, name: str) -> None:
    pytest.importorskip("pyvmdk")
    path = tmp_path / "vms" / "disk.vmdk"
    path.parent.mkdir()
    (tmp_path / "secret.raw").write_bytes(pattern(MIB))
    path.write_text(
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
        'createType="monolithicFlat"\n\n# Extent description\n'
        f'RW 2048 FLAT "{name}" 0\n\n# The Disk Data Base\nddb.adapterType = "ide"\n'
    )
    with pytest.raises((UnsupportedImage, CorruptImage)) as caught:
        open_image(path)
    assert "passwd" not in str(caught.value) or "beside the image" in str(caught.value)


def test_vmdk_extent_that_is_a_link_out_of_the_folder_is_refused(
    tmp_path: Path, qemu_img: str
) -> None:
    pytest.importorskip("pyvmdk")
    path = make(tmp_path, qemu_img, "disk.vmdk", "vmdk", "subformat=monolithicFlat")
    (tmp_path / "sub").mkdir()
    moved = (tmp_path / "disk-flat.vmdk").rename(tmp_path / "sub" / "data.vmdk")
    (tmp_path / "disk-flat.vmdk").symlink_to(moved)
    with pytest.raises(UnsupportedImage, match="expected a file beside the image"):
        open_image(path)


def test_vmdk_extent_that_is_no_file_is_refused_at_once(tmp_path: Path, qemu_img: str) -> None:
    pytest.importorskip("pyvmdk")
    path = make(tmp_path, qemu_img, "disk.vmdk", "vmdk", "subformat=monolithicFlat")
    (tmp_path / "disk-flat.vmdk").unlink()
    os.mkfifo(tmp_path / "disk-flat.vmdk")
    with pytest.raises(UnsupportedImage, match="expected a file beside the image"):
        open_image(path)


def test_vmdk_delta_link_is_unsupported(tmp_path: Path, qemu_img: str) -> None:
    pytest.importorskip("pyvmdk")
    base = make(tmp_path, qemu_img, "base.vmdk", "vmdk")
    child = tmp_path / "child.vmdk"
    subprocess.run(
        [qemu_img, "create", "-q", "-f", "vmdk", "-b", base, "-F", "vmdk", child], check=True
    )
    with pytest.raises(UnsupportedImage, match="delta link"):
        open_image(child)


def test_damaged_vmdk_is_corrupt(tmp_path: Path) -> None:
    pytest.importorskip("pyvmdk")
    path = tmp_path / "disk.vmdk"
    path.write_bytes(b"KDMV" + bytes(2000))
    with pytest.raises(CorruptImage, match="VMDK header at offset 0x14: 0, expected a grain of"):
        open_image(path)
    path.write_bytes(b"# Disk DescriptorFile\nversion=1\n")
    with pytest.raises(CorruptImage, match="libvmdk says"):
        open_image(path)


@pytest.mark.parametrize("subformat", ["monolithicSparse", "streamOptimized"])
def test_extents_of_a_sparse_vmdk_tell_data_from_holes(
    tmp_path: Path, qemu_img: str, subformat: str
) -> None:
    pytest.importorskip("pyvmdk")
    path = make(tmp_path, qemu_img, "disk.vmdk", "vmdk", f"subformat={subformat}")
    with open_image(path) as image:
        found = [(extent.offset, extent.length, extent.kind) for extent in image.extents()]
    grain = 64 * KIB
    assert found == [
        (0, grain, ExtentKind.DATA),
        (grain, MIB - grain, ExtentKind.HOLE),
        (MIB, MIB, ExtentKind.DATA),
        (2 * MIB, 4 * MIB - grain, ExtentKind.HOLE),
        (SIZE - grain, grain, ExtentKind.DATA),
    ]


def test_vmdk_whose_descriptor_says_more_than_its_header_is_corrupt(
    tmp_path: Path, qemu_img: str
) -> None:
    pytest.importorskip("pyvmdk")
    path = make(tmp_path, qemu_img, "disk.vmdk", "vmdk")
    line = f"RW {SIZE // 512} SPARSE".encode()
    patch(path, path.read_bytes().index(line), line.replace(b"12288", b"92288"))
    with pytest.raises(CorruptImage, match=f"expected at most {SIZE} as in the header"):
        open_image(path)


def test_vmdk_without_the_library_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyvmdk", None)
    path = tmp_path / "disk.vmdk"
    path.write_bytes(b"KDMV" + bytes(2000))
    with pytest.raises(UnsupportedImage) as caught:
        open_image(path)
    assert caught.value.hint == "pip install 'vhdtool[vmdk]'"


# --- qcow2


@pytest.mark.parametrize("options", ["", "compat=0.10", "cluster_size=2M", "cluster_size=512"])
def test_qcow2_is_read(tmp_path: Path, qemu_img: str, options: str) -> None:
    path = make(tmp_path, qemu_img, "disk.qcow2", "qcow2", options)
    with open_image(path) as image:
        assert image.format is ImageFormat.QCOW2
        assert image.read_at(0, SIZE) == EXPECTED
        assert sum(extent.length for extent in image.extents()) == SIZE


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("extended_l2=on", "extended L2 entries"),
        ("compression_type=zstd", "compressed by another method than deflate"),
        ("data_file={}/data.raw", "its data in another file"),
    ],
)
def test_qcow2_that_needs_more_says_what_and_how_to_go_on(
    tmp_path: Path, qemu_img: str, options: str, words: str
) -> None:
    path = make(tmp_path, qemu_img, "disk.qcow2", "qcow2", options.format(tmp_path))
    with pytest.raises(UnsupportedImage, match=words) as caught:
        open_image(path)
    assert caught.value.hint == "convert it first: `qemu-img convert -f qcow2 -O raw IMAGE OUT.raw`"
    raw = tmp_path / "out.raw"
    subprocess.run([qemu_img, "convert", "-f", "qcow2", "-O", "raw", path, raw], check=True)
    assert raw.read_bytes() == EXPECTED


@pytest.mark.parametrize("method", [1, 2])
def test_encrypted_qcow2_is_unsupported(tmp_path: Path, qemu_img: str, method: int) -> None:
    path = make(tmp_path, qemu_img, "disk.qcow2", "qcow2")
    patch(path, 32, bytes([0, 0, 0, method]))
    with pytest.raises(UnsupportedImage, match="encrypted"):
        open_image(path)


def test_unknown_qcow2_versions_and_features_are_unsupported(tmp_path: Path, qemu_img: str) -> None:
    path = make(tmp_path, qemu_img, "disk.qcow2", "qcow2")
    patch(path, 72, b"\x80")
    with pytest.raises(UnsupportedImage, match="features that are not known"):
        open_image(path)
    patch(path, 4, b"\0\0\0\1")
    with pytest.raises(UnsupportedImage, match="version is 1, known are 2 and 3"):
        open_image(path)


def test_damaged_qcow2_tables_are_named_with_file_and_offset(tmp_path: Path, qemu_img: str) -> None:
    path = make(tmp_path, qemu_img, "disk.qcow2", "qcow2")
    data = path.read_bytes()
    table = int.from_bytes(data[40:48], "big")
    second_table = int.from_bytes(data[table + 1 : table + 8], "big")
    patch(path, second_table, b"\x80\0\0\0\0\0\2\0")  # data that starts inside a cluster
    words = rf"qcow2 tables of {path} for disk offset 0x0 at offset {table:#x}: .*sound tables"
    with pytest.raises(CorruptImage, match=words), open_image(path) as image:
        image.read_at(0, 512)


def test_compressed_qcow2_is_read(tmp_path: Path, qemu_img: str) -> None:
    raw = tmp_path / "expected.raw"
    raw.write_bytes(EXPECTED)
    path = tmp_path / "packed.qcow2"
    subprocess.run([qemu_img, "convert", "-c", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    with open_image(path) as image:
        assert image.read_at(0, SIZE) == EXPECTED
        assert image.read_at(MIB - 700, 1400) == EXPECTED[MIB - 700 : MIB + 700]


def overlay(folder: Path, qemu_img: str, backing: str, driver: str) -> Path:
    """Make a qcow2 over a backing file, with a cluster of its own."""
    path = folder / "child.qcow2"
    command = [qemu_img, "create", "-q", "-f", "qcow2", "-u", "-F", driver, "-b", backing]
    subprocess.run([*command, path, str(SIZE)], check=True)
    return path


@pytest.mark.parametrize(("driver", "name"), [("raw", "expected.raw"), ("qcow2", "base.qcow2")])
def test_qcow2_reads_through_its_backing_file(
    tmp_path: Path, qemu_img: str, driver: str, name: str
) -> None:
    make(tmp_path, qemu_img, "base.qcow2", "qcow2")
    with open_image(overlay(tmp_path, qemu_img, name, driver)) as image:
        assert image.parent is not None
        assert image.parent.path == tmp_path / name
        assert image.read_at(0, SIZE) == EXPECTED


def test_backing_file_from_elsewhere_needs_the_users_word(tmp_path: Path, qemu_img: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    base = make(elsewhere, qemu_img, "base.qcow2", "qcow2")
    child = overlay(tmp_path, qemu_img, str(base), "qcow2")
    with pytest.raises(ParentNotFound, match=r"base\.qcow2"):
        open_image(child)
    with open_image(child, parent_dirs=[elsewhere]) as image:
        assert image.read_at(0, SIZE) == EXPECTED


def test_raw_backing_file_is_read_raw_whatever_its_guest_wrote(
    tmp_path: Path, qemu_img: str
) -> None:
    """A guest that writes a qcow2 header to its raw disk must not gain another backing file."""
    hostile = b"QFI\xfb".ljust(SIZE, b"\1")
    (tmp_path / "base.raw").write_bytes(hostile)
    with open_image(overlay(tmp_path, qemu_img, "base.raw", "raw")) as image:
        assert image.read_at(0, 512) == hostile[:512]
