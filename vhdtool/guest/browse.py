"""Files of a disk, looked at in a worker: what the commands `ls`, `cat`, `stat` and `reg` do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.partitions import read_partitions
from vhdtool.errors import ConfigError, GuestError
from vhdtool.guest.engine import NATIVE
from vhdtool.guest.filesystem import NodeKind
from vhdtool.guest.guest import find_guest
from vhdtool.guest.tree import Tree
from vhdtool.guest.volumes import find_volumes
from vhdtool.guest.worker import work_apart
from vhdtool.text import printable
from vhdtool.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from vhdtool.disk.image import Image
    from vhdtool.guest.engine import Engine
    from vhdtool.guest.guest import Guest
    from vhdtool.guest.tree import Place
    from vhdtool.guest.worker import Limits, Send

_PIECE = MIB
_BATCH = 1000


def browse(
    image: Image,
    volume: str | None,
    action: Callable[[Tree, Send], None],
    limits: Limits | None = None,
    engine: Engine = NATIVE,
) -> Iterator[Any]:
    """Run `action(tree, send)` in a worker and yield what it sends.

    Args:
        image: The disk, open.
        volume: The name of the volume to look at, or the number of a partition; None for the tree
            of the system on the disk, or the only volume with files.
        action: What to do with the tree.
        limits: What the worker may take.
        engine: What opens file systems.

    Raises:
        ConfigError: There is no such volume, or no one tree.
        GuestError: It cannot be read.
    """

    def task(send: Send) -> None:
        if volume is not None:
            action(_volume_tree(image, volume, engine), send)
            return
        guest = find_guest(image, read_partitions(image), engine)
        send({"gaps": list(guest.gaps)})
        action(_guest_tree(guest), send)

    yield from work_apart(task, limits)


def browse_guest(
    image: Image,
    action: Callable[[Guest, Send], None],
    limits: Limits | None = None,
    engine: Engine = NATIVE,
) -> Iterator[Any]:
    """Find the guest on a disk, run `action(guest, send)` in a worker, yield what it sends."""

    def task(send: Send) -> None:
        action(find_guest(image, read_partitions(image), engine), send)

    yield from work_apart(task, limits)


def _volume_tree(image: Image, name: str, engine: Engine) -> Tree:
    volumes, _ = find_volumes(image, read_partitions(image), engine)
    names = [volume.name for volume in volumes]
    for volume in volumes:
        if name in (volume.name, volume.name.removeprefix("partition ")):
            if volume.filesystem is None:
                raise GuestError(f"{volume.name}: {volume.reason}")
            return Tree(volume.filesystem)
    known = ", ".join(names)
    hint = f"it has {known}" if known else "it has no volumes"
    raise ConfigError(f"the disk has no volume {printable(name)!r}", hint=hint)


def _guest_tree(guest: Guest) -> Tree:
    if guest.tree is not None:
        return guest.tree
    readable = [volume.name for volume in guest.volumes if volume.filesystem is not None]
    if readable:
        raise ConfigError(
            "no operating system was found, and several volumes have files",
            hint=f"name one with --fs: {', '.join(readable)}",
        )
    reasons = [f"{volume.name}: {volume.reason}" for volume in guest.volumes]
    raise GuestError(
        "nothing on the disk can be read as files"
        + (f": {'; '.join(reasons[:8])}" if reasons else ", there are no volumes")
    )


def list_folder(path: str) -> Callable[[Tree, Send], None]:
    """Send the rows of a folder, or of one file, in batches, sorted by name.

    A row is name, kind, size, mode, uid, gid, links, modified, inode, target of a link.
    """

    def action(tree: Tree, send: Send) -> None:
        place = _place(tree, path)
        if place.filesystem.stat(place.node).kind is not NodeKind.DIRECTORY:
            place = _place(tree, path, follow=False)
            send([_row(place.path.rpartition("/")[2] or "/", place)])
            return
        folder = place.path.rstrip("/")
        names = tree.names(place.path)
        for start in range(0, len(names), _BATCH):
            rows = []
            for name in names[start : start + _BATCH]:
                child = tree.find(f"{folder}/{name}", follow=False)
                if child is not None:
                    rows.append(_row(name, child))
            send(rows)

    return action


def describe_file(path: str, *, follow: bool) -> Callable[[Tree, Send], None]:
    """Send what is known of one file: its path without links, its volume, its row."""

    def action(tree: Tree, send: Send) -> None:
        place = _place(tree, path, follow=follow)
        kind = place.filesystem.volume.kind
        send([place.path, kind, _row(place.path.rpartition("/")[2] or "/", place)])

    return action


def copy_file(path: str, limit: int | None) -> Callable[[Tree, Send], None]:
    """Send the bytes of a regular file in pieces, at most `limit` of them."""

    def action(tree: Tree, send: Send) -> None:
        place = _place(tree, path)
        stat = place.filesystem.stat(place.node)
        if stat.kind is not NodeKind.FILE:
            raise GuestError(f"{printable(path)} is no regular file but a {stat.kind}")
        end = stat.size if limit is None else min(limit, stat.size)
        offset = 0
        while offset < end:
            piece = place.filesystem.read_at(place.node, offset, min(_PIECE, end - offset))
            if not piece:
                raise GuestError(f"{printable(path)} ends at byte {offset}, expected {stat.size}")
            send(piece)
            offset += len(piece)

    return action


def _place(tree: Tree, path: str, *, follow: bool = True) -> Place:
    place = tree.find(path, follow=follow)
    if place is None:
        raise GuestError(f"{printable(path)}: there is no such file in the guest")
    return place


def _row(name: str, place: Place) -> list[Any]:
    stat = place.filesystem.stat(place.node)
    target = None
    if stat.kind is NodeKind.SYMLINK:
        target = place.filesystem.read_link(place.node).decode("utf-8", "surrogateescape")
    numbers = (stat.size, stat.mode, stat.uid, stat.gid, stat.links, stat.modified, stat.inode)
    return [name, str(stat.kind), *numbers, target]
