"""Looks at all files of a disk in one worker: lists, stats and reads them, and opens the hives."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool.cli.guard import guarded
from vhdtool.disk.image import open_image
from vhdtool.disk.partitions import read_partitions
from vhdtool.errors import GuestError
from vhdtool.guest.engine import NATIVE
from vhdtool.guest.filesystem import NodeKind
from vhdtool.guest.registry import Registry, open_hive
from vhdtool.guest.tree import Tree
from vhdtool.guest.volumes import find_volumes
from vhdtool.guest.worker import work_apart

if TYPE_CHECKING:
    from vhdtool.guest.worker import Send

FILES = 400
KEYS = 2000
PIECE = 64 << 10


def main(path: str) -> int:
    """Walk over the disk; return an exit status."""
    return guarded(lambda: _walk(Path(path)))


def _walk(path: Path) -> int:
    with open_image(path) as image:

        def task(send: Send) -> None:
            volumes, gaps = find_volumes(image, read_partitions(image), NATIVE)
            send(list(gaps))
            for volume in volumes:
                if volume.filesystem is not None:
                    send([volume.name, _look_at_files(Tree(volume.filesystem))])

        for answer in work_apart(task):
            print(answer)
    return 0


def _look_at_files(tree: Tree) -> int:
    """Return how many files were seen; one that cannot be read does not hide the next."""
    seen = 0
    with contextlib.suppress(GuestError):
        for path in tree.walk("/", limit=FILES):
            seen += 1
            with contextlib.suppress(GuestError):
                _look_at(tree, path)
    return seen


def _look_at(tree: Tree, path: str) -> None:
    place = tree.find(path, follow=False)
    if place is None:
        return
    stat = place.filesystem.stat(place.node)
    if stat.kind is NodeKind.SYMLINK:
        tree.read_link(path)
        tree.find(path)
    if stat.kind is not NodeKind.FILE:
        return
    start = place.filesystem.read_at(place.node, 0, PIECE)
    for offset in (stat.size // 2, stat.size - 1, stat.size, (1 << 63) - 1, (1 << 64) - 1):
        if offset >= 0:
            place.filesystem.read_at(place.node, offset, PIECE)
    if start.startswith(b"regf"):
        _look_at_hive(tree, path)


def _look_at_hive(tree: Tree, path: str) -> None:
    hive = open_hive(tree, path)
    if hive is None:
        return
    pending = [Registry(hive, path).root]
    for _ in range(KEYS):
        if not pending:
            return
        key = pending.pop()
        with contextlib.suppress(GuestError):
            pending += list(key.subkeys())
        with contextlib.suppress(GuestError):
            for value in key.values():
                _ = value.text, value.number
