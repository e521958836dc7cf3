"""A tree of every kind of file, and the comparison of what was read with what is really there."""

from __future__ import annotations

import os
import random
import socket
import stat
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import NodeKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vhdtool.guest.filesystem import FileSystem

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
_KINDS = {
    stat.S_IFREG: NodeKind.FILE,
    stat.S_IFDIR: NodeKind.DIRECTORY,
    stat.S_IFLNK: NodeKind.SYMLINK,
    stat.S_IFCHR: NodeKind.CHARACTER_DEVICE,
    stat.S_IFBLK: NodeKind.BLOCK_DEVICE,
    stat.S_IFIFO: NodeKind.FIFO,
    stat.S_IFSOCK: NodeKind.SOCKET,
}
_PIECE = 4 * MIB


def make_tree(root: Path, *, big: int = 2 * GIB + 5 * MIB) -> Path:
    """Fill a folder with more than 1,500 entries; `big` is the size of a sparse file."""
    random.seed(7)
    root.mkdir(exist_ok=True)
    many = root / "many"
    many.mkdir()
    for number in range(1000):
        (many / f"name-{number:04}").write_bytes(random.randbytes(number % 200))
    mixed = root / "mixed"
    mixed.mkdir()
    for number in range(600):
        size = random.choice((0, 1, 59, 60, 61, 150, 1023, 1024, 4096, 4097, 70_000))
        (mixed / f"{number}.bin").write_bytes(random.randbytes(size))
        os.utime(mixed / f"{number}.bin", (1, 1_000_000_000 + number * 12_345))
    deep = root
    for number in range(40):
        deep = deep / f"level-{number}"
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("here\n")
    names = root / "names"
    names.mkdir()
    for number in range(60):
        (names / (f"{number:02}-" + "x" * 252)).touch()
    for raw in (
        b"\xff\xfe-not-utf8",
        b"caf\xc3\xa9",
        b"new\nline",
        b" space ",
        b"back\\slash",
        b"\x01",
    ):
        (names / os.fsdecode(raw)).write_bytes(raw)
    links = root / "links"
    links.mkdir()
    for length in (1, 30, 59, 60, 61, 120, 500, 1000):
        (links / f"to-{length}").symlink_to("t" * length)
    (links / "absolute").symlink_to("/names")
    (links / "up").symlink_to("../../../../etc/passwd")
    for number in range(20):
        os.link(mixed / "5.bin", links / f"hard-{number}")
    _special_files(root / "special")
    _sparse_files(root / "sparse", big)
    os.setxattr(mixed / "7.bin", "user.note", b"n" * 900)
    os.setxattr(mixed / "8.bin", "user.note", b"small")
    for number, mode in enumerate((0o4755, 0o2711, 0o1777, 0o000, 0o640)):
        path = mixed / f"{number}.bin"
        if os.getuid() == 0:
            os.chown(path, 70_000 + number, 100_000 + number)
        path.chmod(mode)
    os.utime(mixed / "1.bin", (1, -86_400))
    return root


def _special_files(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(folder, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    if os.getuid() == 0:
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(folder / "disk", stat.S_IFBLK | 0o660, os.makedev(259, 300))


def _sparse_files(folder: Path, big: int) -> None:
    folder.mkdir()
    with (folder / "big").open("wb") as file:
        for place in (0, 100 * MIB, big - 10_000):
            file.seek(place)
            file.write(random.randbytes(10_000))
    with (folder / "comb").open("wb") as file:
        for tooth in range(700):
            file.seek(tooth * 128 * KIB)
            file.write(random.randbytes(5000))
    with (folder / "hole").open("wb") as file:
        file.truncate(3 * MIB + 1)


def differences(
    filesystem: FileSystem, root: Path, *, facts: bool = True, least: int = 1_500
) -> Iterator[str]:
    """Yield how a file system differs from a folder, entry by entry and byte by byte.

    Without `facts` only kinds, sizes, permissions and content count.
    """
    pending = [(filesystem.root, root)]
    seen = 0
    while pending:
        node, folder = pending.pop()
        there = {os.fsencode(name.name): name for name in os.scandir(folder)}
        try:
            here = {entry.name: entry.node for entry in filesystem.entries(node)}
        except GuestError as error:
            yield f"{folder}: {error}"
            continue
        for name in (b"lost+found",) if folder == root else ():
            there.pop(name, None)
            here.pop(name, None)
        for name in sorted(there.keys() ^ here.keys()):
            yield f"{folder}: {name!r} is {'missing' if name in there else 'too many'}"
        for name in sorted(there.keys() & here.keys()):
            seen += 1
            if filesystem.lookup(node, name) != here[name]:
                yield f"{folder}: lookup of {name!r}"
            path = folder / os.fsdecode(name)
            yield from compare_node(filesystem, here[name], path, facts=facts)
            if stat.S_ISDIR(path.lstat().st_mode):
                pending.append((here[name], path))
    if seen < least:
        yield f"only {seen} entries were compared"


def compare_node(
    filesystem: FileSystem, node: int, path: Path, *, facts: bool = True
) -> Iterator[str]:
    """Yield how one file or folder differs from a real one."""
    real, found = path.lstat(), filesystem.stat(node)
    bits = 0o7777 if facts else 0o777
    expected = [_KINDS[stat.S_IFMT(real.st_mode)], real.st_mode & bits]
    actual: list[object] = [found.kind, found.mode & bits]
    if found.kind is not NodeKind.DIRECTORY:
        expected.append(real.st_size)
        actual.append(found.size)
        if facts:
            expected.append(real.st_nlink)
            actual.append(found.links)
    if facts:
        expected += [real.st_uid, real.st_gid, real.st_mtime_ns // 10**9]
        actual += [found.uid, found.gid, found.modified]
    if expected != actual:
        yield f"{path}: {actual}, expected {expected}"
    elif found.kind is NodeKind.SYMLINK and filesystem.read_link(node) != os.fsencode(
        path.readlink()
    ):
        yield f"{path}: the link leads to {filesystem.read_link(node)!r}"
    elif found.kind is NodeKind.FILE:
        with path.open("rb") as file:
            for place, length in _pieces(file.fileno(), found.size):
                file.seek(place)
                if filesystem.read_at(node, place, length) != file.read(length):
                    yield f"{path}: other bytes from {place} on"
                    break


def _pieces(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the pieces to compare: all of a file, of a huge one what is around its data."""
    if size <= 256 * MIB:
        yield from ((place, _PIECE) for place in range(0, size, _PIECE))
        return
    place = 0
    while place < size:
        start = os.lseek(handle, place, os.SEEK_DATA)
        place = os.lseek(handle, start, os.SEEK_HOLE)
        yield max(0, start - MIB), place - start + 2 * MIB
