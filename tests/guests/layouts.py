"""Disks with a tree on them: partitions, file systems and loaders, all made by the real tools."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.guests.tools import fixture, looped, mounted, need, run
from vhdtool.units import GIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 4 * GIB
ROOT_ID = "5d0c7a3e-8f14-4a5b-9e26-7b1c3d4e5f60"
ESP_ID = "1A2B3C4D"
VOLUME = "/dev/mapper/system-root"
# Files that say where the root is; all others are the same on every disk.
OWN_FILES = ("etc/fstab", "boot/grub/grub.cfg")
WRITTEN = 1_714_637_600  # their time on the disk, seconds

_SECTOR = 512
_ESP = (1 * MIB, 127 * MIB)
_BIOS_BOOT = (1 * MIB, 1 * MIB)
_ESP_FSTAB = f"UUID={ESP_ID[:4]}-{ESP_ID[4:]} /boot/efi vfat umask=0077 0 1\n"
# Where GRUB's boot.img and the first sector of its core have the sector that comes next.
_KERNEL_SECTOR, _BLOCK_LIST = 0x5C, 500


@dataclass(frozen=True)
class Layout:
    """How a guest lies on a disk."""

    write: Callable[[Path, Path], None]
    fstab: str
    grub: tuple[str, ...]  # device, file system, partition map, UUID and subvolume for GRUB


def write(name: str, tree: Path, target: Path) -> dict[str, bytes]:
    """Write a raw disk with a tree on it; return what its own files hold.

    They are put into the tree for this, where they must be already, and emptied afterwards.
    """
    layout = LAYOUTS[name]
    try:
        (tree / "etc/fstab").write_text(layout.fstab)
        fixture("debian-boot", tree, *layout.grub)
        for own in OWN_FILES:
            os.utime(tree / own, (WRITTEN, WRITTEN))
        with target.open("wb") as file:
            file.truncate(SIZE)
        layout.write(tree, target)
        return {own: (tree / own).read_bytes() for own in OWN_FILES}
    finally:
        for own in OWN_FILES:
            (tree / own).write_bytes(b"")


def _mbr_ext4(tree: Path, target: Path) -> None:
    start, length = MIB, SIZE - MIB
    partition(target, "dos", f"start={start // _SECTOR}, type=83, bootable")
    run("mke2fs", "-q", "-F", "-t", "ext4", "-U", ROOT_ID, "-d", tree, "-E", f"offset={start}",
        target, f"{length // 1024}k", package="e2fsprogs")  # fmt: skip
    core = _grub(tree, "i386-pc", "(hd0,msdos1)/boot/grub", "biosdisk", "part_msdos", "ext2")
    _install_bios(tree, target, core, 1)


def _gpt_lvm_xfs(tree: Path, target: Path) -> None:
    start = sum(_ESP)
    length = SIZE - start - MIB
    partition(
        target,
        "gpt",
        f"start={_ESP[0] // _SECTOR}, size={_ESP[1] // _SECTOR}, type=U, name=ESP",
        f"start={start // _SECTOR}, size={length // _SECTOR}, type=V",
    )
    _write_esp(tree, target)
    with looped(target, start, length) as device:
        first, size = _volume(device)
    with looped(target, start + first, size) as device:
        run("mkfs.xfs", "-q", "-m", f"uuid={ROOT_ID}", device, package="xfsprogs")
        with (
            tempfile.TemporaryDirectory() as folder,
            mounted(device, Path(folder), "xfs", "nouuid") as root,
        ):
            run("cp", "-a", f"{tree}/.", root, package="coreutils")


def _volume(device: str) -> tuple[int, int]:
    """Make a logical volume; return where on the device it lies and its length, bytes."""
    only = f'devices {{ use_devicesfile=0 filter=["a|^{device}$|","r|.*|"] }}'
    options = ("--driverloaded", "n", "--config", only)

    def lvm(command: str, *arguments: str) -> str:
        return run("lvm", command, *options, *arguments, package="lvm2").decode()

    lvm("pvcreate", "-y", device)
    lvm("vgcreate", "system", device)
    lvm("lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "root", "-l", "100%FREE", "system")
    shown = ("--noheadings", "--nosuffix", "--units", "b", "-o")
    start = lvm("pvs", *shown, "pe_start", device)
    length = lvm("lvs", *shown, "lv_size", "system")
    return int(start), int(length)


def _gpt_btrfs(tree: Path, target: Path) -> None:
    start = sum(_BIOS_BOOT)
    length = SIZE - start - MIB
    partition(
        target,
        "gpt",
        f"start={_BIOS_BOOT[0] // _SECTOR}, size={_BIOS_BOOT[1] // _SECTOR}, "
        "type=21686148-6449-6E6F-744E-656564454649",
        f"start={start // _SECTOR}, size={length // _SECTOR}, type=L",
    )
    modules = ("biosdisk", "part_gpt", "btrfs")
    core = _grub(tree, "i386-pc", "(hd0,gpt2)/@/boot/grub", *modules)
    _install_bios(tree, target, core, _BIOS_BOOT[0] // _SECTOR)
    with looped(target, start, length) as device:
        run("mkfs.btrfs", "-q", "-U", ROOT_ID, device, package="btrfs-progs")
        with (
            tempfile.TemporaryDirectory() as folder,
            mounted(device, Path(folder), "btrfs", "compress=zstd") as top,
        ):
            for name in ("@", "@home"):
                run("btrfs", "subvolume", "create", top / name, package="btrfs-progs")
            run("cp", "-a", "--reflink=never", f"{tree}/.", top / "@", package="coreutils")
            home = top / "@" / "home"
            run("cp", "-a", "--reflink=never", f"{home}/.", top / "@home", package="coreutils")
            run("find", home, "-mindepth", "1", "-delete", package="findutils")


def partition(target: Path, label: str, *lines: str) -> None:
    """Write a partition table by sfdisk, one line of its language a partition."""
    script = target.with_suffix(".sfdisk")
    script.write_text("\n".join((f"label: {label}", *lines, "")))
    try:
        run("sh", "-c", f'sfdisk -q "{target}" < "{script}"', package="fdisk")
    finally:
        script.unlink()


def _write_esp(tree: Path, target: Path) -> None:
    """Make the EFI system partition, as grub-install leaves it with and without --removable."""
    offset, length = _ESP
    esp = target.with_suffix(".esp")
    with esp.open("wb") as file:
        file.truncate(length)
    try:
        run("mkfs.vfat", "-F", "32", "-i", ESP_ID, "-n", "EFI", esp, package="dosfstools")
        run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", "::/EFI/debian", package="mtools")
        modules = ("part_gpt", "fat", "lvm", "xfs", "normal", "configfile", "search",
                   "search_fs_uuid", "linux", "echo", "test")  # fmt: skip
        loader = _grub(tree, "x86_64-efi", "/EFI/debian", *modules)
        config = (
            f"search.fs_uuid {ROOT_ID} root\n"
            "set prefix=($root)'/boot/grub'\n"
            "configfile $prefix/grub.cfg\n"
        )
        for name, data in {
            "BOOT/BOOTX64.EFI": loader,
            "debian/grubx64.efi": loader,
            "debian/grub.cfg": config.encode(),
        }.items():
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                run("mcopy", "-i", esp, file.name, f"::/EFI/{name}", package="mtools")
        with target.open("r+b") as disk:
            disk.seek(offset)
            disk.write(esp.read_bytes())
    finally:
        esp.unlink()


def _grub(tree: Path, platform: str, prefix: str, *modules: str) -> bytes:
    """Make GRUB's core image by the guest's own grub-mkimage, which writes to no pipe."""
    command = [need("chroot", "coreutils"), tree, "grub-mkimage", "-O", platform, "-p", prefix]
    with tempfile.TemporaryFile() as file:
        subprocess.run([*command, *modules], stdout=file, check=True)
        file.seek(0)
        return file.read()


def _install_bios(tree: Path, target: Path, core: bytes, sector: int) -> None:
    """Put boot.img into the first sector and GRUB's core where it looks for it."""
    boot = bytearray((tree / "usr/lib/grub/i386-pc/boot.img").read_bytes())
    struct.pack_into("<Q", boot, _KERNEL_SECTOR, sector)
    patched = bytearray(core)
    struct.pack_into("<Q", patched, _BLOCK_LIST, sector + 1)
    with target.open("r+b") as disk:
        disk.write(boot[:440])
        disk.seek(sector * _SECTOR)
        disk.write(patched)


LAYOUTS = {
    "mbr-ext4": Layout(
        _mbr_ext4,
        f"UUID={ROOT_ID} / ext4 defaults,errors=remount-ro 0 1\n",
        ("/dev/sda1", "ext2", "msdos", ROOT_ID),
    ),
    "gpt-lvm-xfs": Layout(
        _gpt_lvm_xfs,
        f"{VOLUME} / xfs defaults 0 0\n{_ESP_FSTAB}",
        (VOLUME, "xfs", "gpt", ROOT_ID),
    ),
    "gpt-btrfs": Layout(
        _gpt_btrfs,
        f"UUID={ROOT_ID} / btrfs defaults,subvol=@ 0 0\n"
        f"UUID={ROOT_ID} /home btrfs defaults,subvol=@home 0 0\n",
        ("/dev/sda2", "btrfs", "gpt", ROOT_ID, "@"),
    ),
}
