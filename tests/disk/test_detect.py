"""What a file is, whatever it is called."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import struct
import subprocess
import uuid
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests import builders
from tests.builders import MIB, append, footer, patch, pattern, write_fixed_vhd, write_vhd
from vhdtool._native import File
from vhdtool.disk.detect import Detected, detect
from vhdtool.disk.facts import ImageFormat
from vhdtool.disk.image import open_image
from vhdtool.errors import CorruptImage, NotAnImage, UnsupportedImage

if TYPE_CHECKING:
    from pathlib import Path

    from vhdtool.disk.footers import Footers


def found(path: Path) -> Detected:
    return detect(File(path))


def footers_of(path: Path) -> Footers:
    footers = found(path).footers
    assert footers is not None
    return footers


def test_fixed_vhd_is_known_by_its_end(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.bin", MIB, {0: pattern(512)})
    assert found(path).format is ImageFormat.VHD_FIXED
    assert footers_of(path).active.offset == MIB
    assert footers_of(path).copy is None


@pytest.mark.parametrize("magic", [b"vhdxfile", b"QFI\xfb", b"KDMV", b"PK\x03\x04", b"conectix"])
def test_fixed_vhd_stays_one_when_its_guest_starts_with_a_magic(
    tmp_path: Path, magic: bytes
) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", MIB, {0: magic.ljust(512, b"\1")})
    assert found(path).format is ImageFormat.VHD_FIXED


def test_fixed_vhd_stays_one_when_its_guest_is_a_dynamic_vhd(tmp_path: Path) -> None:
    inner = write_vhd(tmp_path / "inner.vhd", MIB, {0: pattern(512)}).path.read_bytes()
    path = write_fixed_vhd(tmp_path / "outer.vhd", 4 * MIB, {0: inner})
    assert found(path).format is ImageFormat.VHD_FIXED
    assert footers_of(path).copy is None
    with open_image(path) as image:
        assert image.size == 4 * MIB
        assert image.read_at(0, len(inner)) == inner


def test_dynamic_vhd_has_two_footers(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", MIB)
    footers = footers_of(layout.path)
    assert found(layout.path).format is ImageFormat.VHD_DYNAMIC
    assert footers.footer is not None
    assert footers.copy is not None
    assert (footers.footer.offset, footers.copy.offset) == (layout.footer_offset, 0)


def test_footer_of_511_bytes_is_found(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", MIB, {0: pattern(512)}, footer(MIB)[:511])
    footers = footers_of(path)
    assert footers.is_legacy
    assert (footers.active.offset, footers.trailing_bytes) == (MIB, 0)
    with open_image(path) as image:
        assert (image.size, image.read_at(0, 512)) == (MIB, pattern(512))


def test_dynamic_vhd_with_a_footer_of_511_bytes_is_found(tmp_path: Path) -> None:
    path = write_vhd(tmp_path / "a.vhd", MIB).path
    os.truncate(path, path.stat().st_size - 1)
    patch(path, 0, bytes(512))
    assert footers_of(path).is_legacy
    assert found(path).format is ImageFormat.VHD_DYNAMIC


@pytest.mark.parametrize("extra", [1, 511, 512, 4096, 1000003, 3 * MIB])
def test_footer_before_trailing_bytes_is_found(tmp_path: Path, extra: int) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", MIB, {0: pattern(512)})
    append(path, bytes(extra))
    footers = footers_of(path)
    assert (footers.active.offset, footers.trailing_bytes) == (MIB, extra)
    with open_image(path) as image:
        assert image.size == MIB


def test_dynamic_footer_before_trailing_bytes_is_found(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", MIB, {0: pattern(512)})
    append(layout.path, b"tail")
    footers = footers_of(layout.path)
    assert footers.footer is not None
    assert (footers.footer.offset, footers.trailing_bytes) == (layout.footer_offset, 4)


def test_copy_at_the_start_serves_when_the_end_is_missing(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", MIB, {0: pattern(512)})
    os.truncate(layout.path, layout.footer_offset)
    footers = footers_of(layout.path)
    assert footers.footer is None
    assert footers.active.offset == 0
    with open_image(layout.path) as image:
        assert image.read_at(0, 512) == pattern(512)


@pytest.mark.parametrize("offset", [3, 30, 66])
def test_copy_at_the_start_serves_when_the_end_is_damaged(tmp_path: Path, offset: int) -> None:
    layout = write_vhd(tmp_path / "a.vhd", MIB, {0: pattern(512)})
    patch(layout.path, layout.footer_offset + offset, b"\x99")
    footers = footers_of(layout.path)
    assert footers.active.offset == 0
    assert footers.footer is None or not footers.footer.value.is_plausible
    with open_image(layout.path) as image:
        assert image.read_at(0, 512) == pattern(512)


def test_the_end_serves_when_the_copy_is_damaged(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", MIB, {0: pattern(512)})
    patch(layout.path, 30, b"\x99")
    footers = footers_of(layout.path)
    assert footers.active.offset == layout.footer_offset
    assert footers.copy is not None
    assert not footers.copy.value.is_plausible


def test_the_end_wins_when_both_are_sound_and_disagree(tmp_path: Path) -> None:
    other = footer(2 * MIB, disk_type=3, data_offset=512)
    layout = write_vhd(tmp_path / "a.vhd", MIB, copy=other)
    with open_image(layout.path) as image:
        assert image.size == MIB
        assert image.vhd is not None
        assert image.vhd.footer_copy is not None
        assert image.vhd.footer_copy.value.current_size == 2 * MIB


def test_fixed_vhd_with_a_damaged_checksum_is_a_vhd_and_refused(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", MIB)
    patch(path, MIB + 64, b"\0\0\0\0")
    assert found(path).format is ImageFormat.VHD_FIXED
    with pytest.raises(CorruptImage, match=r"checksum is 0x00000000, expected 0x\w+") as caught:
        open_image(path)
    assert caught.value.offset == MIB
    assert caught.value.hint


def test_fixed_vhd_with_a_damaged_cookie_is_a_vhd_and_refused(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", MIB)
    patch(path, MIB, b"C")
    assert found(path).format is ImageFormat.VHD_FIXED
    with pytest.raises(CorruptImage):
        open_image(path)


def test_raw_disk_whose_last_sector_says_conectix_is_raw(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(pattern(MIB - 512) + b"conectix".ljust(512, b"\1"))
    assert found(path).format is ImageFormat.RAW


def test_raw_disk_whose_last_sector_is_a_footer_with_wrong_checksum_and_size_is_raw(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.raw"
    damaged = bytearray(footer(MIB))
    damaged[64] ^= 1
    path.write_bytes(pattern(2 * MIB) + bytes(damaged))
    assert found(path).format is ImageFormat.RAW


def test_raw_disk_that_ends_with_a_small_vhd_is_raw(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(pattern(8 * MIB) + bytes(MIB) + footer(MIB))
    assert found(path).format is ImageFormat.RAW
    with open_image(path) as image:
        assert image.size == 9 * MIB + 512


def test_partitioned_raw_disk_that_ends_with_a_vhd_is_raw(tmp_path: Path) -> None:
    size = 10 * MIB
    inner = footer(6 * MIB)
    table = builders.mbr_pieces([(0x83, 2048, size // 512 - 2048)])
    path = tmp_path / "a.raw"
    path.write_bytes(builders.flatten(size, table | {size - 512: inner}))
    assert found(path).format is ImageFormat.RAW


def test_footer_of_a_vhd_inside_the_guest_is_not_taken_for_a_trailed_one(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(pattern(4 * MIB) + footer(MIB) + pattern(MIB))
    assert found(path).format is ImageFormat.RAW


def test_fixed_vhd_with_surplus_data_is_a_vhd(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    path.write_bytes(pattern(5 * MIB) + footer(4 * MIB))
    assert found(path).format is ImageFormat.VHD_FIXED
    with open_image(path) as image:
        assert image.size == 4 * MIB


def test_fixed_vhd_shorter_than_its_size_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    path.write_bytes(pattern(3 * MIB) + footer(4 * MIB))
    with pytest.raises(CorruptImage, match=r"3145728 bytes of data .* expected 4194304 bytes"):
        open_image(path)


@pytest.mark.parametrize("disk_type", [0, 1, 5, 6, 77])
def test_other_disk_types_are_named_and_refused(tmp_path: Path, disk_type: int) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", MIB, tail=footer(MIB, disk_type=disk_type))
    assert found(path).format is ImageFormat.VHD_OTHER
    with pytest.raises(UnsupportedImage, match=f"disk type is {disk_type}, expected 2"):
        open_image(path)


def test_vhd_wrapped_in_a_vhd_shows_its_second_footer(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", MIB)
    append(path, footer(MIB + 512))
    footers = footers_of(path)
    assert footers.second_offset == MIB
    assert footers.active.value.current_size == MIB + 512


def test_footer_appended_twice_shows_its_second_footer(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", MIB)
    append(path, footer(MIB))
    assert footers_of(path).second_offset == MIB


def _iso() -> bytes:
    descriptor = b"\x01CD001\x01".ljust(80, b"\0") + struct.pack("<I", 64)
    return (bytes(32768) + descriptor).ljust(64 * 2048, b"\0")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (gzip.compress(b"disk", mtime=0), ImageFormat.GZIP),
        (lzma.compress(b"disk"), ImageFormat.XZ),
        (bz2.compress(b"disk"), ImageFormat.BZIP2),
        (bz2.compress(b""), ImageFormat.BZIP2),
        (b"\x28\xb5\x2f\xfd rest of a zstd frame", ImageFormat.ZSTD),
        (bytes(64) + b"\x7f\x10\xda\xbe" + bytes(448), ImageFormat.VDI),
        (b"COWD" + bytes(508), ImageFormat.VMDK),
        (b"# Disk DescriptorFile\nversion=1\n", ImageFormat.VMDK),
        (_iso(), ImageFormat.ISO),
        (b"BZh is how this text starts", ImageFormat.RAW),
        (b"plain", ImageFormat.RAW),
    ],
)
def test_other_files_are_named_for_what_they_are(
    tmp_path: Path, data: bytes, expected: ImageFormat
) -> None:
    path = tmp_path / "renamed.vhd"
    path.write_bytes(data)
    assert found(path).format is expected


@pytest.mark.parametrize("data", [gzip.compress(b"disk", mtime=0), bz2.compress(b"disk"), _iso()])
def test_what_is_no_disk_is_refused_with_advice(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "renamed.vhd"
    path.write_bytes(data)
    with pytest.raises(
        UnsupportedImage, match=r"the file is .*, which is not read as a disk"
    ) as caught:
        open_image(path)
    assert caught.value.hint


def test_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "renamed.vhd"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("disk.vhd", b"x")
    assert found(path).format is ImageFormat.ZIP


def test_disk_that_once_held_an_iso_is_raw(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(_iso().ljust(8 * MIB, b"\0"))
    assert found(path).format is ImageFormat.RAW


@pytest.mark.parametrize("driver", ["qcow2", "vmdk", "vdi", "vhdx"])
def test_what_qemu_makes_is_named(tmp_path: Path, driver: str, qemu_img: str) -> None:
    path = tmp_path / "renamed.vhd"
    subprocess.run([qemu_img, "create", "-q", "-f", driver, path, "8M"], check=True)
    assert found(path).format is ImageFormat[driver.upper()]


@pytest.mark.parametrize("size", [0, 1, 510, 511, 512, 1023])
def test_tiny_files_are_no_vhd(tmp_path: Path, size: int) -> None:
    path = tmp_path / "tiny.vhd"
    path.write_bytes(b"\xff" * size)
    assert found(path).format is ImageFormat.RAW


def test_empty_file_is_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "empty.vhd"
    path.touch()
    with pytest.raises(NotAnImage, match="empty"):
        open_image(path)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: object) -> None:
    path = tmp_path / "not-a-file.vhd"
    assert callable(make)
    make(path)
    with pytest.raises(OSError, match=r"not-a-file"):
        open_image(path)


def test_file_full_of_cookies_is_searched_in_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "hostile.raw"
    path.write_bytes(b"conectix" * (4 * MIB // 8))
    assert found(path).format is ImageFormat.RAW


def test_foreign_footer_with_a_new_identifier_is_not_a_twin(tmp_path: Path) -> None:
    """Guest data of a dynamic disk may hold footers of other dynamic disks."""
    layout = write_vhd(tmp_path / "a.vhd", MIB)
    os.truncate(layout.path, layout.footer_offset)
    append(layout.path, footer(MIB, disk_type=3, data_offset=512, unique_id=uuid.uuid4()))
    append(layout.path, bytes(512))
    assert footers_of(layout.path).footer is None
