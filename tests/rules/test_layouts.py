"""Ordinary disks have no findings but true ones.

The partition tables are made by sfdisk and sgdisk, ext4 and FAT by their own tools; other volumes
are the boot sector that tells their kind.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

import vhdtool
from tests.builders import (
    GIB,
    KIB,
    LINUX_GUID,
    MIB,
    SECTOR,
    append,
    footer,
    mbr_sector,
    patch,
    write_fixed_vhd,
    write_vhdx,
)
from tests.corpus import unpack
from tests.rules.disks import (
    BOOT_CODE,
    Part,
    bitlocker,
    ext4,
    gpt,
    grub,
    grub_core,
    luks,
    lvm,
    ntfs,
    ufs,
    xfs,
)
from vhdtool.rules.model import Profile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EFI = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BIOS = "21686148-6449-6E6F-744E-656564454649"
MSR = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
BASIC = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
RECOVERY = "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
LVM = "E6D6D379-F507-44C2-A23C-238F2A3DF928"
SWAP = "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"
FREEBSD_BOOT = "83BD6B9D-7F41-11DC-BE0B-001560B84F0F"
FREEBSD_UFS = "516E7CB6-6ECF-11D6-8FF8-00022D09712B"
FLATCAR_USR = "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"
FLATCAR_ROOT = "3884DD41-8582-4404-B9A8-E9B84F2DF50E"

GEN1, GEN2, DATA, MARKETPLACE = Profile.GEN1, Profile.GEN2, Profile.DATA_DISK, Profile.MARKETPLACE
GENERALIZED = Profile.GENERALIZED


@dataclass(frozen=True)
class Layout:
    """A disk as its maker divides it.

    Attributes:
        size: Bytes of the disk.
        table: What sfdisk reads: the label, then a partition a line.
        volumes: What partitions hold, by first sector: bytes, or a tool and MiB: `ext4 64`.
        code: Boot code in the first sector.
        profiles: What the disk is found to be for.
        findings: The codes that are true of it, with their severities.
    """

    size: int
    table: str
    volumes: Mapping[int, bytes | str] = field(default_factory=dict)
    code: bytes = b""
    profiles: tuple[Profile, ...] = (DATA,)
    findings: Mapping[str, str] = field(default_factory=dict)


LAYOUTS = {
    "Windows, generation 1": Layout(
        127 * GIB,
        """label: dos
        start=2048, size=1024000, type=7, bootable
        start=1026048, type=7""",
        {2048: ntfs(), 1026048: ntfs()},
        BOOT_CODE,
        (GEN1,),
    ),
    "Windows, generation 1, one partition and recovery": Layout(
        64 * GIB,
        """label: dos
        start=2048, size=132000000, type=7, bootable
        start=132002048, type=27""",
        {2048: ntfs(), 132002048: ntfs()},
        BOOT_CODE,
        (GEN1,),
    ),
    "Windows, generation 2": Layout(
        127 * GIB,
        f"""label: gpt
        start=2048, size=204800, type={EFI}
        start=206848, size=32768, type={MSR}
        start=239616, size=264763392, type={BASIC}
        start=265003008, type={RECOVERY}""",
        {2048: "fat 100", 239616: ntfs(), 265003008: ntfs()},
        BOOT_CODE,
        (GEN2,),
    ),
    "Ubuntu": Layout(
        30 * GIB,
        f"""label: gpt
        1: start=227328, type={LINUX}
        14: start=2048, size=8192, type={BIOS}
        15: start=10240, size=217088, type={EFI}""",
        {227328: "ext4 64", 2048: grub_core(2048, 100), 10240: "fat 106"},
        grub(2048),
        (GEN1, GEN2),
    ),
    "Debian": Layout(
        30 * GIB,
        f"""label: gpt
        1: start=262144, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709
        14: start=2048, size=6144, type={BIOS}
        15: start=8192, size=253952, type={EFI}""",
        {262144: "ext4 64", 2048: grub_core(2048, 100), 8192: "fat 124"},
        grub(2048),
        (GEN1, GEN2),
    ),
    "Red Hat Enterprise Linux with LVM": Layout(
        30 * GIB,
        f"""label: gpt
        1: start=1026048, size=1024000, type={LINUX}
        2: start=2050048, type={LVM}
        14: start=2048, size=8192, type={BIOS}
        15: start=10240, size=1013760, type={EFI}""",
        {1026048: xfs(), 2050048: lvm(), 2048: grub_core(2048, 100), 10240: "fat 495"},
        grub(2048),
        (GEN1, GEN2),
        {"DSK119": "info"},
    ),
    "SUSE Linux Enterprise Server": Layout(
        30 * GIB,
        f"""label: gpt
        start=2048, size=4096, type={BIOS}
        start=6144, size=1048576, type={EFI}
        start=1054720, size=2097152, type={LINUX}
        start=3151872, type={LINUX}""",
        {2048: grub_core(2048, 100), 6144: "fat 512", 1054720: xfs(), 3151872: xfs()},
        grub(2048),
        (GEN1, GEN2),
    ),
    "Azure Linux, generation 1": Layout(
        5 * GIB,
        f"""label: gpt
        start=2048, size=16384, type={BIOS}
        start=18432, type={LINUX}""",
        {2048: grub_core(2048, 100), 18432: "ext4 64"},
        grub(2048),
        (GEN1,),
    ),
    "Azure Linux, generation 2": Layout(
        5 * GIB,
        f"""label: gpt
        start=2048, size=16384, type={EFI}
        start=18432, size=1024000, type={LINUX}
        start=1042432, type={LINUX}""",
        {2048: "fat 8", 18432: "ext4 64", 1042432: "ext4 64"},
        profiles=(GEN2,),
    ),
    "Flatcar": Layout(
        30 * GIB,
        f"""label: gpt
        1: start=4096, size=262144, type={EFI}, attrs=LegacyBIOSBootable
        2: start=266240, size=4096, type={BIOS}
        3: start=270336, size=2097152, type={FLATCAR_USR}
        4: start=2367488, size=2097152, type={FLATCAR_USR}
        9: start=4464640, type={FLATCAR_ROOT}""",
        {4096: "fat 128", 270336: "ext4 64", 266240: grub_core(266240), 4464640: "ext4 64"},
        grub(266240),
        (GEN1, GEN2),
    ),
    "Linux on an MBR": Layout(
        30 * GIB,
        """label: dos
        start=2048, type=83, bootable""",
        {1: grub_core(1, 60), 2048: "ext4 64"},
        grub(1),
        (GEN1,),
    ),
    "Linux on an MBR, no partition active": Layout(
        30 * GIB,
        """label: dos
        start=2048, size=1048576, type=83
        start=1050624, type=83""",
        {1: grub_core(1, 60), 2048: "ext4 64", 1050624: xfs()},
        grub(1),
        (GEN1,),
    ),
    "Linux in logical partitions": Layout(
        30 * GIB,
        """label: dos
        start=2048, size=2097152, type=83, bootable
        start=2101246, type=5
        start=2101248, size=20971520, type=83
        start=23074816, type=83""",
        {1: grub_core(1, 60), 2048: "ext4 64", 2101248: "ext4 64", 23074816: "ext4 64"},
        grub(1),
        (GEN1,),
    ),
    "Linux with swap and an encrypted volume": Layout(
        30 * GIB,
        f"""label: gpt
        start=2048, size=1048576, type={EFI}
        start=1050624, size=4194304, type={SWAP}
        start=5244928, type={LINUX}""",
        {2048: "fat 512", 5244928: luks()},
        profiles=(GEN2,),
        findings={"DSK116": "error", "DSK122": "warning"},
    ),
    "FreeBSD": Layout(
        30 * GIB,
        f"""label: gpt
        start=2048, size=1024, type={FREEBSD_BOOT}
        start=4096, size=409600, type={EFI}
        start=413696, type={FREEBSD_UFS}""",
        {2048: BOOT_CODE.ljust(512, b"\x90"), 4096: "fat 200", 413696: ufs()},
        BOOT_CODE,
        (GEN1, GEN2),
        {"DSK145": "info"},
    ),
    "FreeBSD in a slice with a disklabel": Layout(
        30 * GIB,
        """label: dos
        start=2048, type=a5, bootable""",
        {2048: BOOT_CODE.ljust(512, b"\0") + b"\x57\x45\x56\x82".ljust(512, b"\0")},
        BOOT_CODE,
        (GEN1,),
        {"DSK145": "info"},
    ),
    "data, Windows": Layout(
        64 * GIB,
        f"""label: gpt
        start=2048, size=32768, type={MSR}
        start=34816, type={BASIC}""",
        {34816: ntfs()},
        BOOT_CODE,
    ),
    "data, Windows on an MBR": Layout(
        64 * GIB,
        """label: dos
        start=2048, type=7""",
        {2048: ntfs()},
        BOOT_CODE,
    ),
    "data, Windows, encrypted": Layout(
        64 * GIB,
        f"""label: gpt
        start=2048, type={BASIC}""",
        {2048: bitlocker()},
        findings={"DSK124": "warning"},
    ),
    "data, Linux": Layout(
        64 * GIB,
        f"""label: gpt
        start=2048, type={LINUX}""",
        {2048: "ext4 64"},
    ),
    "data, LVM and swap": Layout(
        64 * GIB,
        f"""label: gpt
        start=2048, size=20971520, type={LVM}
        start=20973568, type={SWAP}""",
        {2048: lvm()},
    ),
    "data, an empty table": Layout(64 * GIB, "label: gpt"),
    "data, an empty MBR": Layout(64 * GIB, "label: dos"),
    "data, 256 entries": Layout(
        64 * GIB,
        f"""label: gpt
        table-length: 256
        start=2048, size=2097152, type={LINUX}
        200: start=2099200, type={LINUX}""",
        {2048: "ext4 64", 2099200: "ext4 64"},
    ),
}


def run(*command: object, script: str | None = None) -> None:
    words = [str(word) for word in command]
    tool = shutil.which(words[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
    if tool is None:
        pytest.skip(f"{words[0]} is not installed (`make test` says how)")
    subprocess.run([tool, *words[1:]], input=script, text=True, check=True, capture_output=True)


def raw_disk(folder: Path, layout: Layout) -> Path:
    path = folder / "disk.vhd"
    with path.open("wb") as file:
        file.truncate(layout.size)
    run("sfdisk", "--quiet", path, script=layout.table)
    patch(path, 0, layout.code)
    for sector, content in layout.volumes.items():
        if isinstance(content, bytes):
            patch(path, sector * SECTOR, content)
            continue
        kind, mib = content.split()
        if kind == "ext4":
            run("mkfs.ext4", "-q", "-F", "-E", f"offset={sector * SECTOR}", path, f"{mib}M")
        else:
            run("mkfs.vfat", "-F32", "--offset", sector, path, int(mib) * KIB)
    return path


def seal(path: Path) -> Path:
    append(path, footer(path.stat().st_size))
    return path


def found(path: Path, *profiles: Profile) -> dict[str, str]:
    """Return the codes of all findings with their severities; the volumes have no guest."""
    report = vhdtool.check(path, profiles=profiles, guest=False)
    assert (report.failures, report.error) == ((), None)
    assert report.facts is not None
    assert report.facts.gaps == ()
    return {finding.rule.code: str(finding.severity) for finding in report.findings}


@pytest.mark.parametrize("name", LAYOUTS)
def test_ordinary_disks_have_no_findings_but_true_ones(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    path = seal(raw_disk(tmp_path, layout))
    assert vhdtool.check(path).profiles == layout.profiles
    assert found(path) == layout.findings
    for profile in layout.profiles:
        assert found(path, profile) == layout.findings
    assert found(path, MARKETPLACE, GENERALIZED) == layout.findings


@pytest.mark.parametrize(
    ("name", "profile", "expected"),
    [
        ("Windows, generation 1", GEN2, {"DSK102": "error"}),
        ("Linux on an MBR", GEN2, {"DSK102": "error"}),
        ("Azure Linux, generation 1", GEN2, {"DSK102": "error"}),
        ("Windows, generation 2", GEN1, {"DSK101": "error"}),
        ("Azure Linux, generation 2", GEN1, {"DSK103": "error"}),
        ("data, Linux", GEN1, {"DSK103": "error"}),
        ("data, Linux", GEN2, {"DSK102": "error"}),
        ("Windows, generation 2", DATA, {}),
    ],
)
def test_the_wrong_generation_is_told_once(
    tmp_path: Path, name: str, profile: Profile, expected: dict[str, str]
) -> None:
    path = seal(raw_disk(tmp_path, LAYOUTS[name]))
    assert found(path, profile) == expected


# --- disks with a past


def test_grown_disk_has_its_backup_misplaced_and_nothing_else(tmp_path: Path) -> None:
    path = raw_disk(tmp_path, LAYOUTS["Azure Linux, generation 1"])
    append(path, bytes(MIB))
    assert found(seal(path)) == {"DSK112": "warning"}


def test_hybrid_mbr_is_a_warning_for_generation_2_only(tmp_path: Path) -> None:
    path = raw_disk(tmp_path, LAYOUTS["Ubuntu"])
    run("sgdisk", "--hybrid=1:EE", path)
    patch(path, 0, grub(2048))
    seal(path)
    assert found(path) == {"DSK137": "warning"}
    assert found(path, GEN1) == {}


def test_protective_mbr_of_the_largest_length_is_sound(tmp_path: Path) -> None:
    path = raw_disk(tmp_path, LAYOUTS["Azure Linux, generation 2"])
    patch(path, 0, mbr_sector([(0xEE, 1, 0xFFFFFFFF)], active=0, signature=0))
    assert found(seal(path)) == {}


def test_isohybrid_image_is_for_generation_1(tmp_path: Path) -> None:
    """Its table has a partition of type 0 from sector 0 on, and one for UEFI inside."""
    path = tmp_path / "disk.vhd"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    patch(path, 64 * SECTOR, b"\1CD001\1".ljust(2048, b"\1"))
    run("mkfs.vfat", "-F32", "--offset", 8192, path, 4 * KIB)
    entries = [(0x00, 0, 131072), (0xEF, 8192, 8192)]
    patch(path, 0, mbr_sector(entries, active=0, code=BOOT_CODE))
    seal(path)
    assert vhdtool.check(path).profiles == (GEN1,)
    assert found(path) == {}


def test_file_system_over_an_old_table_is_a_data_disk(tmp_path: Path) -> None:
    path = raw_disk(tmp_path, LAYOUTS["Azure Linux, generation 2"])
    run("mkfs.ext4", "-q", "-F", path, "4G")
    seal(path)
    assert vhdtool.check(path).profiles == (DATA,)
    assert found(path) == {}


@pytest.mark.parametrize("tool", [("mkfs.ext4", "-q", "-F"), ("mkfs.vfat", "-I"), ()])
def test_data_disk_without_a_table_is_clean(tmp_path: Path, tool: tuple[str, ...]) -> None:
    path = tmp_path / "disk.vhd"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    if tool:
        run(*tool, path)
    assert found(seal(path)) == {}


def test_data_disk_of_4096_byte_sectors_is_only_told(tmp_path: Path) -> None:
    pieces = gpt([Part(LINUX_GUID, 1, 40, ext4())], sector_size=4096)
    path = write_vhdx(tmp_path / "disk.vhdx", 64 * MIB, pieces, sector_size=4096).path
    assert found(path) == {"VHD006": "info"}


# --- the writers of containers


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"creator": b"win ", "geometry": (1040, 16, 63)}, {}),
        ({"creator": b"wa\0\0", "geometry": (1040, 16, 63)}, {}),
        ({"creator": b"d2v ", "geometry": (65535, 16, 255)}, {}),
        ({"creator": b"d2v\0", "geometry": (65535, 16, 255)}, {}),
        ({"creator": b"vbox", "geometry": (1040, 16, 63), "creator_version": 0x40002}, {}),
        ({"creator": b"qem2", "geometry": (65535, 16, 255)}, {}),
        ({"creator": b"vpc ", "geometry": (1040, 16, 63)}, {"VHD014": "warning"}),
        (
            {"creator": bytes(4), "host": bytes(4), "timestamp": 0, "geometry": (0, 0, 0)},
            {"VHD016": "info"},
        ),
    ],
)
def test_footers_of_known_writers_are_sound(
    tmp_path: Path, fields: dict[str, object], expected: dict[str, str]
) -> None:
    size = 512 * MIB
    path = write_fixed_vhd(tmp_path / "disk.vhd", size, tail=footer(size, **fields))  # type: ignore[arg-type]
    assert found(path) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("subformat=fixed,force_size=on", {}),
        ("subformat=dynamic,force_size=on", {"VHD003": "error"}),
        ("subformat=fixed", {"VHD007": "error", "VHD017": "warning"}),
    ],
)
def test_images_of_qemu(tmp_path: Path, options: str, expected: dict[str, str]) -> None:
    source = tmp_path / "source.raw"
    with source.open("wb") as file:
        file.truncate(100 * MIB)
    path = tmp_path / "disk.vhd"
    run("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", options, source, path)
    assert found(path) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("disks/dfvfs/ntfs-fixed.vhd.xz", {"VHD036": "error"}),
        ("disks/dfvfs/ntfs-dynamic.vhd.xz", {"VHD003": "error", "VHD036": "error"}),
        ("disks/dfvfs/ntfs-fixed.vhdx.xz", {"VHD005": "error"}),
        (
            "disks/dfvfs/ext2.vhd.xz",
            {"VHD003": "error", "VHD007": "error", "VHD017": "warning", "VHD036": "error"},
        ),
        ("disks/dfvfs/ext2.vhdx.xz", {"VHD005": "error"}),
        ("disks/go-vhd/vbox.vhd", {"VHD003": "error"}),
        ("disks/go-vhd/xapi.vhd", {"VHD003": "error"}),
        ("disks/go-vhd/win8.vhd", {"VHD003": "error"}),
        ("disks/go-vhd/qemu.vhd", {"VHD003": "error", "VHD007": "error", "VHD017": "warning"}),
        ("disks/qemu/hyperv2012r2-dynamic.vhd.bz2", {"VHD003": "error"}),
        ("disks/qemu/iotest-dynamic-1G.vhdx.bz2", {"VHD005": "error"}),
        ("disks/qemu/iotest-dirtylog-10G-4M.vhdx.bz2", {"VHD005": "error", "VHD040": "error"}),
        ("linux/dfvfs/gpt.raw.xz", {"VHD001": "error"}),
        ("linux/dfvfs/gpt_non_sequential.raw.xz", {"VHD001": "error"}),
        ("linux/dfvfs/gpt_empty_with_mbr.raw.xz", {"VHD001": "error"}),
        ("linux/dfvfs/mbr.raw.xz", {"VHD001": "error"}),
        ("linux/dfvfs/lvm.raw.xz", {"VHD001": "error"}),
        ("linux/dfvfs/xfs.raw.xz", {"VHD001": "error"}),
    ],
)
def test_disks_of_the_corpus(tmp_path: Path, name: str, expected: dict[str, str]) -> None:
    assert found(unpack(name, tmp_path)) == expected
