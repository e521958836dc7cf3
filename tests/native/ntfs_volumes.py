"""NTFS volumes made by mkntfs and filled by ntfs-3g, and what ntfs-3g then sees in them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.builders import GIB, KIB, MIB
from vhdtool import _native
from vhdtool.guest.filesystem import NodeKind
from vhdtool.guest.native import NativeFileSystem

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPRESSED = 0x800
SYMLINK = 0xA000000C
MOUNT_POINT = 0xA0000003
TIME = 1_600_000_000


def tool(name: str, package: str = "ntfs-3g") -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed (apt-get install {package})")
    return found


def make_volume(path: Path, size: int, *, cluster: int = 4096, label: str = "Größe") -> Path:
    """Make an empty volume."""
    with path.open("wb") as file:
        file.truncate(size)
    command = [tool("mkntfs"), "-F", "-Q", "-q", "-c", str(cluster), "-L", label, str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


@contextlib.contextmanager
def mounted(volume: Path, options: str = "compression,streams_interface=xattr") -> Iterator[Path]:
    """Mount a volume by ntfs-3g, or skip the test where that cannot be."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or os.geteuid() != 0:
        pytest.skip("ntfs-3g cannot mount here: no /dev/fuse, or not root")
    folder = volume.with_suffix(".mount")
    folder.mkdir(exist_ok=True)
    command = [tool("ntfs-3g"), "-o", f"no_detach,{options}", str(volume), str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as driver:
        while not folder.is_mount():
            if driver.poll() is not None:
                pytest.skip(f"ntfs-3g cannot mount here: {driver.communicate()[1].strip()}")
            time.sleep(0.02)
        try:
            yield folder
        finally:
            # It ends when everything is written.
            subprocess.run(["umount", folder], check=True)
            driver.communicate(timeout=60)


def set_reparse(path: str | bytes | Path, tag: int, data: bytes) -> None:
    os.setxattr(path, "system.ntfs_reparse_data", struct.pack("<IHH", tag, len(data), 0) + data)


def link_data(target: str, *, flags: int | None = None) -> bytes:
    """Return the data of a symbolic link (with flags) or of a junction."""
    name = target.encode("utf-16-le")
    fields = struct.pack("<HHHH", 0, len(name), len(name), 0)
    return fields + (b"" if flags is None else struct.pack("<I", flags)) + name


def noise(length: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(length)


def fill(root: Path, *, compression: bool) -> None:
    """Make a tree of more than 1,500 entries with everything that NTFS stores in its own way."""
    top = os.fsencode(root)
    names = [b"short", b"n" * 255, "é€ß".encode(), "\U0001f600 \U00010348".encode() * 10]
    names += [b"CON", b"a b", b"lone\xed\xa0\xbd", b"\xed\xbf\xbf", b".hidden", b"x."]
    for depth in range(12):
        folder = top + b"/deep" + b"/level" * depth
        Path(os.fsdecode(folder)).mkdir()
        for name in names:
            with open(folder + b"/" + name, "wb") as file:  # noqa: PTH123 - bytes
                file.write(noise(depth * 97 + len(name), depth))
    many = root / "many"
    many.mkdir()
    for number in range(2000):
        (many / f"{'name' * (number % 13)}-{number * 7919 % 2000:04}.txt").write_text(str(number))
    for number in range(0, 2000, 3):
        (many / f"{'name' * (number % 13)}-{number * 7919 % 2000:04}.txt").unlink()
    for number, length in enumerate([0, 1, 500, 900, 4095, 4096, 4097, 70_000, 3 * MIB + 5]):
        (root / f"size-{number}").write_bytes(noise(length, number))
    for number in range(40):
        os.link(root / "size-5", root / f"{'link' * 50}-{number}")
    sparse(root / "sparse")
    fragmented(root)
    os.setxattr(root / "size-2", "user.stream", noise(20_000, 1))
    if compression:
        compressed(root / "compressed")
    for path in sorted(root.rglob("*")):
        os.utime(path, (TIME, TIME + len(path.name)))


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        for offset in (0, 5 * MIB + 17, GIB, 2 * GIB - 4):
            file.seek(offset)
            file.write(b"here")


def fragmented(root: Path) -> None:
    """Write a file with so many holes that its runs need several file records."""
    with (root / "pieces").open("wb") as file:
        for turn in range(3000):
            file.seek(turn * 12 * KIB)
            file.write(noise(4096, turn))


def scatter(root: Path) -> None:
    """Fill a volume, free every second file, and write one file and many names into the gaps."""
    (root / "small").mkdir()
    number = 0
    with contextlib.suppress(OSError):
        for number in range(100_000):
            (root / "small" / f"{number:06}").write_bytes(noise(3000, number))
    for odd in range(1, number, 2):
        (root / "small" / f"{odd:06}").unlink()
    with contextlib.suppress(OSError):
        for turn in range(number):
            (root / f"{'name' * 20}{turn}").touch()
    with contextlib.suppress(OSError), (root / "scattered").open("wb", buffering=0) as file:
        for turn in range(number):
            file.write(noise(3000, turn))


def compressed(folder: Path) -> None:
    folder.mkdir()
    os.setxattr(folder, "system.ntfs_attrib_be", struct.pack(">I", COMPRESSED | 0x10))
    text = b"".join(b"line %d of a log that packs well\r\n" % number for number in range(30_000))
    contents = {
        "text": text,
        "noise": noise(300_000, 5),
        "zeros": bytes(500_000),
        "mixed": text[:70_000] + noise(70_000, 6) + bytes(200_000) + text[:123] + noise(40_000, 7),
        "runs": b"".join(bytes([number % 256]) * number for number in range(1500)),
        "small": b"resident",
        "unit": text[: 64 * KIB],
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    with (folder / "holes").open("wb") as file:
        for offset in (0, 3 * MIB + 5, 40 * MIB):
            file.seek(offset)
            file.write(text[:50_000])


@dataclass(frozen=True)
class Seen:
    """What a reader says of one path."""

    directory: bool
    size: int
    links: int
    modified: int
    digest: str


def digest(read: object, size: int, big: int = 64 * MIB) -> str:
    """Digest a file; of a big one what lies around its ends and every 128 MiB."""
    sums = hashlib.sha256()
    if size <= big:
        pieces = [(offset, MIB) for offset in range(0, size, MIB)]
    else:
        pieces = [(offset, 64 * KIB) for offset in range(0, size, 128 * MIB)]
        pieces += [(5 * MIB, 64 * KIB), (size - 5000, 5000)]
    for offset, length in pieces:
        sums.update(read(offset, length))  # type: ignore[operator]
    return sums.hexdigest()


def seen_by_ntfs3g(root: Path) -> dict[bytes, Seen]:
    found = {}
    top = os.fsencode(root)
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)  # noqa: PTH118 - bytes
            stat = os.lstat(path)
            directory = name in folders
            sums = ""
            if not directory:
                handle = os.open(path, os.O_RDONLY)
                sums = digest(
                    lambda offset, length, handle=handle: os.pread(handle, length, offset),
                    stat.st_size,
                )
                os.close(handle)
            found[path[len(top) :]] = Seen(
                directory,
                0 if directory else stat.st_size,
                1 if directory else stat.st_nlink,
                stat.st_mtime_ns // 10**9,
                sums,
            )
    return found


def seen_by_us(filesystem: NativeFileSystem) -> dict[bytes, Seen]:
    found = {}
    pending = [(b"", filesystem.root)]
    while pending:
        folder, directory = pending.pop()
        for entry in filesystem.entries(directory):
            assert filesystem.lookup(directory, entry.name) == entry.node
            stat = filesystem.stat(entry.node)
            path = folder + b"/" + entry.name
            assert path not in found
            sums = ""
            if stat.kind is NodeKind.DIRECTORY:
                pending.append((path, entry.node))
            else:
                sums = digest(
                    lambda offset, length, node=entry.node: filesystem.read_at(
                        node, offset, length
                    ),
                    stat.size,
                )
            is_directory = stat.kind is NodeKind.DIRECTORY
            found[path] = Seen(is_directory, stat.size, stat.links, stat.modified, sums)
    return found


def open_volume(path: Path, offset: int = 0) -> NativeFileSystem:
    file = _native.File(path)
    return NativeFileSystem(_native.Disk.flat(file, offset, file.size - offset))
