"""The sound disks that mutants of guests are made of: each file system as its own tools make it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.builders import KIB, MIB, mbr_sector
from tests.corpus import CORPUS, unpack
from tests.guest.volumes import DEBIAN, ROOT_ID, ext4
from tests.guests import windows
from tests.hives import Typed, write_hive
from tests.native.conftest import need
from tests.native.ntfs_volumes import make_volume, mounted
from tests.soak.guest_mutate import BLOCK, GuestSeed
from vhdtool.guest.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vhdtool.guest.memory import MemoryHive

_SYSTEM = "/Windows/System32/config/SYSTEM"
_PACKAGE = "Package: {0}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.{1}\n\n"
_PACKAGES = ("linux-image-6.1.0-1-cloud-amd64", "waagent", "cloud-init", "openssh-server", "grub2")
LINUX = {
    "etc/os-release": DEBIAN,
    "etc/fstab": f"UUID={ROOT_ID} / ext4 defaults 0 1\nUUID=1234-ABCD /boot/efi vfat d 0 1\n",
    "etc/hostname": "web1\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nme:x:1000:1000::/home/me:/bin/sh\n",
    "etc/shadow": "root:!:19000:0:99999:7:::\nme:$6$salt$hash:19000:0:99999:7:::\n",
    "etc/ssh/sshd_config": "PasswordAuthentication no\nPermitRootLogin no\n",
    "etc/waagent.conf": "Provisioning.Enabled=y\nResourceDisk.Format=n\n",
    "etc/default/grub": 'GRUB_CMDLINE_LINUX="console=ttyS0 earlyprintk=ttyS0"\n',
    "boot/grub/grub.cfg": "linux /boot/vmlinuz-6.1.0-1-cloud-amd64 root=/dev/sda1\n",
    "boot/vmlinuz-6.1.0-1-cloud-amd64": "kernel" * 3000,
    "boot/config-6.1.0-1-cloud-amd64": "CONFIG_HYPERV=y\nCONFIG_HYPERV_STORAGE=m\n",
    "lib/modules/6.1.0-1-cloud-amd64/modules.builtin": "kernel/drivers/hv/hv_vmbus.ko\n",
    "usr/sbin/waagent": "#!/usr/bin/python3\n",
    "var/lib/dpkg/status": "".join(map(_PACKAGE.format, _PACKAGES, range(5))),
    "var/log/syslog": "a line of a log\n" * 5000,
    **{f"usr/share/doc/package-{number:03}/copyright": f"{number}\n" for number in range(60)},
}


def guest_seeds(folder: Path) -> Iterator[GuestSeed]:
    """Yield disks with guests of every file system that is read."""
    tree = folder / "tree"
    for name, text in LINUX.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "bin").symlink_to("usr/bin")
    (tree / "loop").symlink_to("loop")
    hives = _hives(windows.sealed())
    for name, kind, size, command in _recipes(tree):
        volume = folder / name
        with volume.open("wb") as file:
            file.truncate(size)
        _run(*command, str(volume))
        yield _on_disk(name, kind, volume)
    yield _fat(folder, hives)
    if os.access("/dev/fuse", os.R_OK | os.W_OK) and os.geteuid() == 0:
        disk = _ntfs(folder, hives)
        yield disk
        yield _only_hives(disk, hives)
    volume = folder / "ext4"
    volume.write_bytes(
        ext4(folder, {f"/Windows/System32/config/{name}": data for name, data in hives.items()})
    )
    yield _only_hives(_on_disk("ext4", 0x83, volume), hives)
    if CORPUS.is_dir():
        for path in sorted((CORPUS / "linux").glob("*/*.xz")):
            if "head1M" not in path.name and "gpt_" not in path.name:
                image = unpack(str(path.relative_to(CORPUS)), folder)
                yield GuestSeed.of(path.stem, image)
                image.unlink()
        for name in ("ntfs-dynamic.vhd.xz", "ext2.vhdx.xz"):
            yield GuestSeed.of(name, unpack(f"disks/dfvfs/{name}", folder))


def _recipes(tree: Path) -> Iterator[tuple[str, int, int, list[str]]]:
    """Yield name, type of the partition, bytes, and what makes the file system."""
    ext = ["mke2fs", "-q", "-F", "-d", str(tree), "-U", ROOT_ID]
    yield "ext4", 0x83, 8 * MIB, [*ext, "-t", "ext4"]
    plain = "^metadata_csum,^64bit,^has_journal,inline_data"
    yield "ext4-plain", 0x83, 8 * MIB, [*ext, "-t", "ext4", "-b", "1024", "-O", plain]
    yield "ext2", 0x83, 8 * MIB, [*ext, "-t", "ext2", "-O", "^metadata_csum"]
    proto = tree.with_name("proto")
    proto.write_text("\n".join(["/", "0 0", *_proto(tree), "$", ""]))
    for version in (0, 1):
        options = f"crc={version}" + (",finobt=0,rmapbt=0,reflink=0" if not version else "")
        command = ["mkfs.xfs", "-q", "-f", "-p", str(proto), "-m", options]
        yield f"xfs-crc{version}", 0x83, 320 * MIB, command
    btrfs = ["mkfs.btrfs", "-q", "--rootdir", str(tree)]
    yield "btrfs", 0x83, 128 * MIB, [*btrfs, "-m", "single"]


def _proto(folder: Path) -> Iterator[str]:
    """Yield the lines of a tree for mkfs.xfs."""
    yield "d--755 0 0"
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            yield f"{path.name} l--777 0 0 {path.readlink()}"
        elif path.is_dir():
            first, *rest = _proto(path)
            yield f"{path.name} {first}"
            yield from rest
            yield "$"
        else:
            yield f"{path.name} ---644 0 0 {path}"


def _hives(machine: windows.Machine) -> dict[str, bytes]:
    parts = {"SYSTEM": machine.system, "SOFTWARE": machine.software, "SAM": machine.sam}
    parts |= {"SECURITY": machine.security, "BCD": machine.bcd}
    return {name: write_hive(_keys(hive, hive.root)) for name, hive in parts.items()}


def _keys(hive: MemoryHive, node: int) -> dict[str, object]:
    keys: dict[str, object] = {name: _keys(hive, below) for name, below in hive.subkeys(node)}
    return keys | {value.name: Typed(value.kind, value.data) for value in hive.values(node)}


def _fat(folder: Path, hives: dict[str, bytes]) -> GuestSeed:
    volume = folder / "fat"
    with volume.open("wb") as file:
        file.truncate(34 * MIB)
    _run("mkfs.vfat", "-F", "32", "-s", "1", "-i", "1234ABCD", str(volume))
    source = folder / "esp"
    for name, data in {
        "EFI/BOOT/BOOTX64.EFI": windows.pe(windows.AMD64),
        "EFI/debian/grub.cfg": b"search.fs_uuid 1\n",
        "EFI/Microsoft/Boot/BCD": hives["BCD"],
        _SYSTEM.strip("/"): hives["SYSTEM"],
        **{f"EFI/many/a long name {number:03}.conf": b"x" * number for number in range(80)},
    }.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    _run("mcopy", "-s", "-Q", "-i", str(volume), *map(str, source.iterdir()), "::/")
    return _on_disk("fat", 0xEF, volume)


def _ntfs(folder: Path, hives: dict[str, bytes]) -> GuestSeed:
    """Make a Windows that is prepared for Azure, on NTFS."""
    volume = make_volume(folder / "ntfs", 24 * MIB)
    machine = windows.sealed()
    with mounted(volume) as root:
        tree = Tree(machine.files)
        for name in tree.walk("/"):
            place = root / name.strip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(tree.read(name) or b"")
        for name, data in hives.items():
            place = root / ("Boot" if name == "BCD" else "Windows/System32/config") / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        many = root / "Users" / "Public" / "many"
        many.mkdir(parents=True)
        for number in range(200):
            (many / f"a file of a folder with an index {number}.txt").write_text(str(number))
    return _on_disk("ntfs", 0x07, volume)


def _only_hives(disk: GuestSeed, hives: dict[str, bytes]) -> GuestSeed:
    """Return a disk on which hives alone are damaged: what they lie in is read."""
    pieces = {data[at : at + BLOCK] for data in hives.values() for at in range(0, len(data), BLOCK)}
    focus = frozenset(offset for offset, block in disk.blocks.items() if block in pieces)
    return replace(disk, name=f"hives-{disk.name}", file=_SYSTEM, focus=focus)


def _on_disk(name: str, kind: int, volume: Path) -> GuestSeed:
    """Put a volume into the one partition of a disk, 1 MiB from its start."""
    seed = GuestSeed.of(name, volume)
    volume.unlink()
    blocks = {offset + MIB: block for offset, block in seed.blocks.items()}
    sector = mbr_sector([(kind, 2 * KIB, seed.size // 512)], active=0)
    blocks[0] = sector.ljust(4 * KIB, b"\0")
    file = "/etc/passwd" if kind == 0x83 else _SYSTEM
    return GuestSeed(f"{name}.raw", seed.size + 2 * MIB, blocks, file)


def _run(name: str, *arguments: str) -> None:
    subprocess.run(
        [need(name, "e2fsprogs xfsprogs btrfs-progs dosfstools mtools"), *arguments],
        check=True,
        capture_output=True,
    )
