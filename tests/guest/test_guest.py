"""Systems, their trees and what is mounted in them, on file systems in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.guest.volumes import DEBIAN, layout, partition, volumes
from vhdtool.disk.facts import Signature
from vhdtool.guest.filesystem import Volume
from vhdtool.guest.guest import Guest, guest_on
from vhdtool.guest.memory import MemoryFileSystem
from vhdtool.guest.systems import SystemKind

if TYPE_CHECKING:
    from vhdtool.disk.facts import Partition

EXT, FAT32, NTFS, BTRFS = Signature.EXT, Signature.FAT32, Signature.NTFS, Signature.BTRFS
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
Files = dict[str, str | bytes]


def filesystem(
    files: Files, kind: str = "ext4", uuid: str = "", label: str = ""
) -> MemoryFileSystem:
    return MemoryFileSystem(files, volume=Volume(kind, label, uuid))


def root(fstab: str = "", *folders: str, **more: str) -> MemoryFileSystem:
    made = filesystem({"/usr/lib/os-release": DEBIAN, "/etc/fstab": fstab, **more}, uuid="aaaa-1")
    made.link("/etc/os-release", "../usr/lib/os-release")
    for folder in folders:
        made.folder(folder)
    return made


def guest(
    filesystems: list[MemoryFileSystem],
    *partitions: Partition,
    logical: tuple[str, ...] = (),
) -> Guest:
    names = [*(f"partition {one.number}" for one in partitions), *logical]
    given = dict(zip(names, filesystems, strict=False))
    return guest_on(volumes(given, *partitions, logical=logical), layout(*partitions), [])


def mounted(found: Guest) -> list[tuple[str, str]]:
    return [(mount.folder, mount.volume.name) for mount in found.mounts]


def test_linux_is_found_by_its_release_file() -> None:
    found = guest([filesystem({"/data": "x"}), root()], partition(1, EXT), partition(2, EXT))
    assert found.kind is SystemKind.LINUX
    assert found.summary == "Debian GNU/Linux 12 (bookworm) on partition 2"
    assert mounted(found) == [("/", "partition 2")]
    assert found.gaps == ()
    assert found.linux is not None
    assert found.windows is None


def test_linux_whose_usr_is_apart_is_found_by_its_link() -> None:
    made = filesystem({"/etc/fstab": "LABEL=usr /usr ext4 ro 0 2\n"})
    made.link("/etc/os-release", "../usr/lib/os-release")
    made.folder("/usr")
    usr = filesystem({"/lib/os-release": DEBIAN}, label="usr")
    found = guest([made, usr], partition(1, EXT), partition(2, EXT))
    assert found.summary.startswith("Debian")
    assert mounted(found) == [("/", "partition 1"), ("/usr", "partition 2")]
    assert found.tree is not None
    assert found.tree.text("/etc/os-release") == DEBIAN


def test_release_file_without_etc_is_no_system() -> None:
    found = guest([filesystem({"/usr/lib/os-release": DEBIAN})], partition(1, EXT))
    assert found.kind is SystemKind.NONE


@pytest.mark.parametrize(
    "device",
    [
        "UUID=BOOT-2",
        'UUID="boot-2"',
        "/dev/disk/by-uuid/boot-2",
        "LABEL=my\\040boot",
        "/dev/disk/by-label/my boot".replace(" ", "\\040"),
        "PARTLABEL=second",
        "/dev/sda2",
        "/dev/vda2",
        "/dev/nvme0n1p2",
        "/dev/mmcblk0p2",
    ],
)
def test_fstab_names_volumes_in_many_ways(device: str) -> None:
    boot = filesystem({"/vmlinuz-6": "k"}, uuid="boot-2", label="my boot")
    found = guest(
        [root(f"{device} /boot ext4 defaults 0 2\n", "/boot"), boot],
        partition(1, EXT),
        partition(2, EXT, name="second"),
    )
    assert mounted(found) == [("/", "partition 1"), ("/boot", "partition 2")]
    assert found.mounts[1].line == 1
    assert found.gaps == ()


@pytest.mark.parametrize("device", ["/dev/sdb2", "/dev/nvme1n1p2", "/dev/sda22", "UUID=", "LABEL="])
def test_other_disks_are_not_taken_for_this_one(device: str) -> None:
    other = filesystem({"/x": "y"})
    found = guest(
        [root(f"{device} /var ext4 defaults 0 2\n", "/var"), other],
        partition(1, EXT),
        partition(2, EXT),
    )
    assert mounted(found) == [("/", "partition 1")]
    assert found.gaps == (f"/var is not mounted: {device} is not on this disk",)


def test_data_on_another_disk_is_no_gap() -> None:
    fstab = "UUID=gone /srv/data xfs nofail 0 2\nUUID=gone /home ext4 defaults 0 2\n"
    assert guest([root(fstab, "/srv/data", "/home")], partition(1, EXT)).gaps == ()


@pytest.mark.parametrize("device", ["/dev/my-vg/root", "/dev/mapper/my--vg-root"])
def test_logical_volumes_are_found_by_both_names(device: str) -> None:
    var = filesystem({"/lib/dpkg/status": "Package: x\n"})
    found = guest(
        [filesystem({}), var, root(f"{device} /var ext4 defaults 0 2\n", "/var")],
        partition(1, Signature.LVM),
        logical=("my-vg/root", "my-vg/sys"),
    )
    assert mounted(found) == [("/", "my-vg/sys"), ("/var", "my-vg/root")]
    assert found.gaps == ()


def test_folders_are_mounted_before_what_is_in_them() -> None:
    fstab = "LABEL=ESP /boot/efi vfat defaults 0 2\nLABEL=boot /boot ext4 defaults 0 2\n"
    boot = filesystem({"/grub/grub.cfg": ""}, label="boot")
    boot.folder("/efi")
    efi = filesystem({"/EFI/BOOT/BOOTX64.EFI": b"MZ"}, "FAT32", label="ESP")
    found = guest(
        [root(fstab, "/boot"), boot, efi], partition(1, EXT), partition(2, EXT), partition(3, FAT32)
    )
    assert [folder for folder, _ in mounted(found)] == ["/", "/boot", "/boot/efi"]
    assert found.tree is not None
    assert found.tree.read("/boot/efi/EFI/BOOT/BOOTX64.EFI") == b"MZ"


def test_boot_and_efi_are_found_by_content() -> None:
    boot = filesystem({"/vmlinuz-6.1.0": "k"})
    boot.folder("/efi")
    efi = filesystem({"/EFI/BOOT/BOOTX64.EFI": b"MZ"}, "FAT32")
    found = guest(
        [efi, filesystem({"/photos": "x"}), boot, root("", "/boot")],
        partition(1, FAT32, type_code=ESP),
        partition(2, EXT),
        partition(3, EXT),
        partition(4, EXT),
    )
    assert mounted(found) == [
        ("/", "partition 4"),
        ("/boot", "partition 3"),
        ("/boot/efi", "partition 1"),
    ]
    assert [mount.line for mount in found.mounts] == [None, None, None]
    assert found.efi_system is not None
    assert found.efi_system.name == "partition 1"


def test_boot_with_kernels_of_its_own_is_left_alone() -> None:
    found = guest(
        [root("", **{"/boot/vmlinuz-6": "own"}), filesystem({"/vmlinuz-5": "other"})],
        partition(1, EXT),
        partition(2, EXT),
    )
    assert mounted(found) == [("/", "partition 1")]


def test_volume_of_the_system_that_is_damaged_is_a_gap() -> None:
    found = guest(
        [root("/dev/sda2 /var ext4 defaults 0 2\n", "/var")],
        *(partition(number, EXT) for number in (1, 2)),
    )
    assert found.gaps[0].startswith("partition 2 (ext2/3/4) cannot be read: superblock at offset")
    assert found.gaps[1].startswith("/var is not mounted: partition 2: superblock")


def test_folder_that_is_missing_is_a_gap() -> None:
    found = guest(
        [root("/dev/sda2 /var ext4 defaults 0 2\n"), filesystem({})],
        partition(1, EXT),
        partition(2, EXT),
    )
    assert found.gaps == ("/var is not mounted: there is no such folder",)


def btrfs(files: Files) -> MemoryFileSystem:
    return filesystem(files, "btrfs", uuid="b")


def test_btrfs_root_in_a_subvolume_is_found_and_its_home_mounted() -> None:
    fstab = "UUID=b / btrfs subvol=/@ 0 0\nUUID=b /home btrfs defaults,subvol=@home 0 0\n"
    made = btrfs(
        {
            "/@/etc/os-release": DEBIAN,
            "/@/etc/fstab": fstab,
            "/@home/me/file": "mine",
            "/@snapshots/1/etc/os-release": DEBIAN,
        }
    )
    made.folder("/@/home")
    found = guest([made], partition(1, BTRFS))
    assert found.summary == "Debian GNU/Linux 12 (bookworm) on partition 1, subvolume @"
    assert [(mount.folder, mount.subvolume) for mount in found.mounts] == [
        ("/", "@"),
        ("/home", "@home"),
    ]
    assert found.tree is not None
    assert found.tree.text("/home/me/file") == "mine"
    assert found.tree.names("/") == ["etc", "home"]
    assert not found.tree.exists("/../@home")


def test_of_several_roots_in_a_btrfs_the_one_that_mounts_itself_counts() -> None:
    made = btrfs({})
    for name, subvolume in (("@", "@new"), ("@new", "@new"), ("old", "@new")):
        made.add(f"/{name}/etc/os-release", DEBIAN)
        made.add(f"/{name}/etc/fstab", f"UUID=b / btrfs subvol={subvolume} 0 0\n")
    found = guest([made], partition(1, BTRFS))
    assert [system.subvolume for system in found.systems] == ["@new"]


def test_newest_snapshot_of_snapper_is_a_root() -> None:
    made = btrfs({})
    for number in (2, 9, 10):
        made.add(f"/@/.snapshots/{number}/snapshot/etc/os-release", DEBIAN)
    found = guest([made], partition(1, BTRFS))
    assert [one.subvolume for one in found.systems] == ["@/.snapshots/10/snapshot"]


def test_subvolume_by_number_only_is_a_gap() -> None:
    made = btrfs({"/etc/os-release": DEBIAN, "/etc/fstab": "UUID=b /var btrfs subvolid=257 0 0\n"})
    found = guest([made], partition(1, BTRFS))
    assert found.gaps == (
        "/var is not mounted: a subvolume that is given by its number only is not looked for",
    )


def windows() -> MemoryFileSystem:
    return MemoryFileSystem(
        {"/Windows/System32/config/SYSTEM": b"regf"}, ignores_case=True, volume=Volume("NTFS")
    )


def test_windows_is_found_with_its_boot_volumes() -> None:
    efi = MemoryFileSystem({"/EFI/Microsoft/Boot/BCD": b"regf"}, volume=Volume("FAT32"))
    found = guest(
        [efi, windows(), filesystem({"/ReAgent.xml": "x"}, "NTFS")],
        partition(1, FAT32, type_code=ESP),
        partition(2, NTFS),
        partition(3, NTFS),
    )
    assert found.kind is SystemKind.WINDOWS
    assert mounted(found) == [("/", "partition 2")]
    assert found.windows is not None
    assert list(found.windows.system_volumes) == ["partition 1"]
    assert found.linux is None


def test_several_systems_are_all_told() -> None:
    found = guest([windows(), root()], partition(1, NTFS), partition(2, EXT))
    assert [system.kind for system in found.systems] == [SystemKind.WINDOWS, SystemKind.LINUX]
    assert found.summary == "Windows on partition 1, and 1 more"


def test_bsd_is_recognised_once() -> None:
    found = guest(
        [],
        partition(1, Signature.UFS, type_name="FreeBSD UFS"),
        partition(2, Signature.UFS, type_name="FreeBSD UFS"),
    )
    assert found.kind is SystemKind.BSD
    assert found.summary == "a BSD (FreeBSD UFS) on partition 1"
    assert found.tree is None
    assert [volume.is_unread for volume in found.volumes] == [True, True]


@pytest.mark.parametrize("signature", [Signature.LUKS, Signature.BITLOCKER])
def test_what_is_encrypted_may_be_a_system(signature: Signature) -> None:
    (volume,) = volumes({}, partition(1, signature))
    assert volume.reason == f"it is encrypted with {signature}"
    assert volume.is_unread
    assert not volume.is_damaged


def test_swap_and_members_of_groups_are_no_gaps_and_no_systems() -> None:
    found = guest(
        [filesystem({"/data": "x"})],
        partition(1, EXT),
        partition(2, Signature.SWAP),
        partition(3, Signature.LVM),
        partition(4, None),
    )
    assert found.kind is SystemKind.NONE
    assert found.gaps == ()
    assert mounted(found) == [("/", "partition 1")]


def test_tree_of_a_data_disk_is_that_of_its_only_volume() -> None:
    one, other = filesystem({"/a": "x"}), filesystem({"/b": "x"})
    assert guest([one, other], partition(1, EXT), partition(2, EXT)).tree is None
    assert guest([one, other], partition(1, EXT), partition(2, FAT32)).tree is not None


def test_notes_of_file_systems_are_gaps() -> None:
    made = MemoryFileSystem({"/x": "y"}, volume=Volume("ext4", notes=("its journal\x1b was lost",)))
    assert guest([made], partition(1, EXT)).gaps == ("partition 1: its journal\\x1b was lost",)


def test_hostile_fstab_and_names_do_no_harm() -> None:
    lines = [f"/dev/sda2 /boot/../../../../etc/{number} ext4 x 0 0" for number in range(3000)]
    lines += ["/dev/sda2", "\x00\x1b[31m / ext4", "UUID=\\777 /etc ext4 d 0 0", "/dev/sda2 / ext4"]
    found = guest(
        [root("\n".join(lines), "/boot"), filesystem({})],
        *(partition(number, EXT) for number in (1, 2)),
    )
    assert found.gaps[0] == "of 3001 mounts in /etc/fstab only 64 were looked at"
    assert len(found.gaps) < 70
    assert all(gap.isprintable() for gap in found.gaps)


def test_release_that_is_a_loop_of_links_is_no_crash() -> None:
    made = filesystem({"/etc/hostname": "x"})
    made.link("/etc/os-release", "/etc/os-release")
    made.link("/etc/fstab", "fstab")
    found = guest([made], partition(1, EXT))
    assert found.kind is SystemKind.LINUX
    assert found.summary == "Linux on partition 1"
    assert found.gaps == ("/etc/fstab cannot be read: /etc/fstab: more than 40 symbolic links",)


def test_names_of_systems_are_printable_and_short() -> None:
    text = f'PRETTY_NAME="a\x1b]0;{"x" * 500}\x07"\n'
    found = guest([filesystem({"/etc/os-release": text})], partition(1, EXT))
    assert found.summary.isprintable()
    assert len(found.summary) < 120
