"""What partitions hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import ESP_GUID, LINUX_GUID, MIB
from tests.rules.disks import (
    BASIC_DATA_GUID,
    BOOT_CODE,
    FREEBSD_UFS_GUID,
    LDM_DATA_GUID,
    LVM_GUID,
    MSR_GUID,
    RAID_GUID,
    SWAP_GUID,
    Part,
    bitlocker,
    ext4,
    fat32,
    fixed,
    gpt,
    grub,
    hit,
    hits,
    luks,
    lvm,
    mbr,
    ntfs,
    raid,
    swap,
    ufs,
    xfs,
)
from vhdtool.rules.model import DiskLocation, Profile, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders import Pieces

ESP = Part(ESP_GUID, 1, 8, fat32())
ROOT = Part(LINUX_GUID, 9, 30, ext4())
MSR = Part(MSR_GUID, 9, 1)
C_DRIVE = Part(BASIC_DATA_GUID, 10, 50, ntfs())
PLAIN = gpt([ESP, ROOT])


def linux(*more: Part) -> Pieces:
    return gpt([ESP, ROOT, *more])


@pytest.mark.parametrize(
    "part",
    [
        Part(SWAP_GUID, 40, 8, swap()),
        Part(SWAP_GUID, 40, 8),
        Part(LINUX_GUID, 40, 8, swap()),
    ],
)
def test_dsk116_hits_swap_by_type_or_superblock(tmp_path: Path, part: Part) -> None:
    found = hit(fixed(tmp_path, linux(part)), "DSK116")
    kind = "Linux swap" if part.kind == SWAP_GUID else "Linux"
    assert found.hit.message == (
        f"partition 3 ({kind}) of 8388608 bytes (8 MiB) is swap, expected none on the OS disk"
    )
    assert found.hit.location == DiskLocation(1024 + 256, 128)
    assert found.severity is Severity.ERROR


def test_dsk116_hits_swap_on_an_mbr(tmp_path: Path) -> None:
    pieces = mbr([Part(0x83, 1, 30, ext4()), Part(0x82, 31, 8)], code=grub())
    assert hit(fixed(tmp_path, pieces), "DSK116").hit.location == DiskLocation(462, 16)


def test_dsk116_hits_few_of_many(tmp_path: Path) -> None:
    many = [Part(SWAP_GUID, 40, 1, swap())] * 20
    found = hits(fixed(tmp_path, linux(*many)), "DSK116")
    assert len(found) == 17
    assert "further partitions that are swap: 4" in [one.hit.message for one in found]


def test_dsk116_passes_no_swap_data_disks_and_other_contents(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, PLAIN), "DSK116") == []
    assert hits(fixed(tmp_path, gpt([Part(SWAP_GUID, 1, 8, swap())])), "DSK116") == []
    assert hits(fixed(tmp_path, linux(Part(SWAP_GUID, 40, 8, ext4()))), "DSK116") == []


def test_dsk119_hits_lvm(tmp_path: Path) -> None:
    for part in (Part(LVM_GUID, 40, 8), Part(LINUX_GUID, 40, 8, lvm())):
        found = hit(fixed(tmp_path, linux(part)), "DSK119")
        assert found.hit.message.endswith(
            " of 8388608 bytes (8 MiB) is an LVM physical volume, expected a file system"
        )
        assert found.severity is Severity.WARNING


def test_dsk119_hits_the_layout_of_red_hat_as_information(tmp_path: Path) -> None:
    pieces = gpt([ESP, Part(LINUX_GUID, 9, 10, xfs()), Part(LVM_GUID, 20, 40, lvm())])
    assert hit(fixed(tmp_path, pieces), "DSK119").severity is Severity.INFO


def test_dsk119_passes_plain_partitions_and_data_disks(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, PLAIN), "DSK119") == []
    assert hits(fixed(tmp_path, gpt([Part(LVM_GUID, 1, 8, lvm())])), "DSK119") == []


def test_dsk121_hits_raid_members(tmp_path: Path) -> None:
    for part in (Part(RAID_GUID, 40, 8), Part(LINUX_GUID, 40, 8, raid())):
        found = hit(fixed(tmp_path, linux(part)), "DSK121")
        assert found.hit.message.endswith("is a RAID member, expected a file system")
        assert found.severity is Severity.WARNING


def test_dsk121_passes_plain_partitions(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, PLAIN), "DSK121") == []
    assert hits(fixed(tmp_path, linux(Part(RAID_GUID, 40, 8, xfs()))), "DSK121") == []


def test_dsk122_hits_luks(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, linux(Part(LINUX_GUID, 40, 8, luks()))), "DSK122")
    assert found.hit.message == (
        "partition 3 (Linux) of 8388608 bytes (8 MiB) is encrypted with LUKS, expected a volume"
        " that opens unattended"
    )
    assert found.hit.location == DiskLocation(40 * MIB, 64)
    assert found.severity is Severity.WARNING


def test_dsk122_passes_plain_partitions_and_data_disks(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, PLAIN), "DSK122") == []
    assert hits(fixed(tmp_path, gpt([Part(LINUX_GUID, 1, 8, luks())])), "DSK122") == []


def test_dsk123_hits_an_encrypted_system(tmp_path: Path) -> None:
    pieces = gpt([ESP, MSR, Part(BASIC_DATA_GUID, 10, 50, bitlocker())])
    for profile in (Profile.GENERALIZED, Profile.MARKETPLACE):
        found = hit(fixed(tmp_path, pieces), "DSK123", profile)
        assert found.hit.message == (
            "partition 3 (Microsoft basic data) of 52428800 bytes (50 MiB) is encrypted with"
            " BitLocker, expected plain NTFS"
        )
        assert found.hit.location == DiskLocation(10 * MIB, 64)
        assert found.severity is Severity.ERROR


def test_dsk123_passes_plain_systems_and_specialized_ones(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, gpt([ESP, MSR, C_DRIVE])), "DSK123") == []
    pieces = gpt([ESP, MSR, Part(BASIC_DATA_GUID, 10, 50, bitlocker())])
    assert hits(fixed(tmp_path, pieces), "DSK123", Profile.SPECIALIZED) == []


def test_dsk124_hits_encrypted_data(tmp_path: Path) -> None:
    pieces = gpt([Part(BASIC_DATA_GUID, 1, 50, bitlocker())])
    found = hit(fixed(tmp_path, pieces), "DSK124", Profile.DATA_DISK)
    assert found.hit.message.endswith("is encrypted with BitLocker, expected plain data")
    assert found.severity is Severity.WARNING
    bare = hit(fixed(tmp_path, {0: bitlocker()}), "DSK124", Profile.DATA_DISK)
    assert bare.hit.message == "the disk is encrypted with BitLocker, expected plain data"
    assert bare.hit.location == DiskLocation(0, 512)


def test_dsk124_passes_plain_data(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, gpt([Part(BASIC_DATA_GUID, 1, 50, ntfs())])), "DSK124") == []


def test_dsk125_hits_dynamic_disks(tmp_path: Path) -> None:
    pieces = mbr([Part(0x42, 1, 60, ntfs())], active=0, code=BOOT_CODE)
    found = hit(fixed(tmp_path, pieces), "DSK125")
    assert found.hit.message == (
        "partition 1 has type 0x42 of a dynamic disk, expected that of a basic disk"
    )
    assert found.hit.location == DiskLocation(446, 16)
    assert found.severity is Severity.WARNING
    found = hit(fixed(tmp_path, gpt([ESP, MSR, Part(LDM_DATA_GUID, 10, 50)])), "DSK125")
    assert found.hit.location == DiskLocation(1024 + 256, 128)


def test_dsk125_passes_basic_disks_and_dynamic_data_disks(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, gpt([ESP, MSR, C_DRIVE])), "DSK125") == []
    assert hits(fixed(tmp_path, gpt([Part(LDM_DATA_GUID, 10, 50)])), "DSK125") == []


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        (gpt([Part(FREEBSD_UFS_GUID, 1, 40, ufs())]), "FreeBSD UFS"),
        (mbr([Part(0xA5, 1, 40)], active=0, code=BOOT_CODE), "FreeBSD"),
        (mbr([Part(0xA6, 1, 40)], active=0, code=BOOT_CODE), "OpenBSD"),
    ],
)
def test_dsk145_hits_bsd_volumes(tmp_path: Path, pieces: Pieces, kind: str) -> None:
    found = hit(fixed(tmp_path, pieces), "DSK145")
    assert found.hit.message == (
        f"partition 1 ({kind}) of 41943040 bytes (40 MiB) belongs to a BSD system: its files are"
        " not checked"
    )
    assert found.hit.location == DiskLocation(MIB, 64)
    assert found.severity is Severity.INFO


def test_dsk145_passes_other_systems(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, PLAIN), "DSK145") == []
    assert hits(fixed(tmp_path, gpt([ESP, MSR, C_DRIVE])), "DSK145") == []
