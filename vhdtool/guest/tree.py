"""Paths in a guest: symbolic links, mounts and `..`, resolved once above every file system.

Nothing leads out of the guest: an absolute link starts at the guest's root, and `..` ends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import NodeKind
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.filesystem import FileSystem, Stat

MAX_LINKS = 40  # as Linux has it
MAX_NAMES = 4096
# What a rule may read of one file unless it asks for more.
READ_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A node and how it was reached: the folders from the root down, each with its file system."""

    filesystem: FileSystem
    node: int
    names: tuple[bytes, ...] = ()
    parents: tuple[tuple[FileSystem, int], ...] = ()

    @property
    def path(self) -> str:
        """The path without symbolic links, decoded with surrogate escapes."""
        return "/" + b"/".join(self.names).decode("utf-8", "surrogateescape")


class Tree:
    """The files of a guest as the guest sees them: one root and what is mounted in it."""

    def __init__(self, root: FileSystem) -> None:
        """Start with the root file system; `mount` adds others."""
        self.root = root
        self._mounts: dict[tuple[int, int], tuple[FileSystem, int]] = {}
        self.mounts: list[tuple[str, FileSystem]] = [("/", root)]

    def mount(self, path: str, filesystem: FileSystem, node: int | None = None) -> bool:
        """Mount a file system (or a folder of it, `node`) on a folder; False if there is none."""
        place = self.find(path)
        if place is None or place.filesystem.stat(place.node).kind is not NodeKind.DIRECTORY:
            return False
        target = filesystem.root if node is None else node
        self._mounts[id(place.filesystem), place.node] = filesystem, target
        self.mounts.append((place.path, filesystem))
        return True

    def find(self, path: str, *, follow: bool = True) -> Place | None:
        """Resolve a path; None where there is no such file.

        Args:
            path: Absolute, with slashes; taken from the root if it is not.
            follow: Whether a symbolic link at the end is followed.

        Raises:
            GuestError: A loop of links, or a damaged file system.
        """
        wanted = path.encode("utf-8", "surrogateescape").split(b"/")
        names = [name for name in reversed(wanted) if name not in (b"", b".")]
        place = Place(self.root, self.root.root)
        links = steps = 0
        while names:
            steps += 1
            if steps > MAX_NAMES:
                raise GuestError(f"{printable(path)}: the path has more than {MAX_NAMES} names")
            name = names.pop()
            if name == b"..":
                place = _above(place)
                continue
            found = self._step(place, name)
            if found is None:
                return None
            if (names or follow) and found.filesystem.stat(found.node).kind is NodeKind.SYMLINK:
                links += 1
                if links > MAX_LINKS:
                    raise GuestError(f"{printable(path)}: more than {MAX_LINKS} symbolic links")
                target = found.filesystem.read_link(found.node)
                if target.startswith(b"/"):
                    place = Place(self.root, self.root.root)
                names += [part for part in reversed(target.split(b"/")) if part not in (b"", b".")]
                continue
            place = found
        return place

    def _step(self, place: Place, name: bytes) -> Place | None:
        """Go down one name, and through what is mounted there."""
        filesystem = place.filesystem
        if filesystem.stat(place.node).kind is not NodeKind.DIRECTORY:
            return None
        node = filesystem.lookup(place.node, name)
        if node is None:
            return None
        parents = (*place.parents, (filesystem, place.node))
        filesystem, node = self._mounts.get((id(filesystem), node), (filesystem, node))
        return Place(filesystem, node, (*place.names, name), parents)

    def exists(self, path: str) -> bool:
        """Whether a path leads to anything."""
        return self.find(path) is not None

    def stat(self, path: str, *, follow: bool = True) -> Stat | None:
        """Return what is known of a file, None where there is none."""
        place = self.find(path, follow=follow)
        return None if place is None else place.filesystem.stat(place.node)

    def is_file(self, path: str) -> bool:
        """Whether a path leads to a regular file."""
        stat = self.stat(path)
        return stat is not None and stat.kind is NodeKind.FILE

    def is_folder(self, path: str) -> bool:
        """Whether a path leads to a directory."""
        stat = self.stat(path)
        return stat is not None and stat.kind is NodeKind.DIRECTORY

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes | None:
        """Read the first `limit` bytes of a regular file; None where there is none."""
        place = self.find(path)
        if place is None or place.filesystem.stat(place.node).kind is not NodeKind.FILE:
            return None
        return place.filesystem.read_at(place.node, 0, limit)

    def text(self, path: str, limit: int = READ_LIMIT) -> str | None:
        """Read a regular file as UTF-8 with surrogate escapes; None where there is none."""
        data = self.read(path, limit)
        return None if data is None else data.decode("utf-8", "surrogateescape")

    def names(self, path: str) -> list[str]:
        """List a directory, sorted; empty where there is none."""
        place = self.find(path)
        if place is None or place.filesystem.stat(place.node).kind is not NodeKind.DIRECTORY:
            return []
        entries = place.filesystem.entries(place.node)
        return sorted(entry.name.decode("utf-8", "surrogateescape") for entry in entries)

    def read_link(self, path: str) -> str | None:
        """Return the target of a symbolic link; None where there is none."""
        place = self.find(path, follow=False)
        if place is None or place.filesystem.stat(place.node).kind is not NodeKind.SYMLINK:
            return None
        return place.filesystem.read_link(place.node).decode("utf-8", "surrogateescape")

    def walk(self, path: str, limit: int = 100_000) -> Iterator[str]:
        """Yield the paths of all files below a folder, links not followed, at most `limit`."""
        pending = [path.rstrip("/")]
        seen: set[tuple[int, int]] = set()
        while pending:
            folder = pending.pop()
            place = self.find(folder or "/", follow=False)
            if place is None or (id(place.filesystem), place.node) in seen:
                continue
            seen.add((id(place.filesystem), place.node))
            for name in self.names(folder or "/"):
                child = f"{folder}/{name}"
                stat = self.stat(child, follow=False)
                if stat is None:
                    continue
                limit -= 1
                if limit < 0:
                    raise GuestError(f"{printable(path)}: too many files to look at")
                if stat.kind is NodeKind.DIRECTORY:
                    pending.append(child)
                else:
                    yield child


def _above(place: Place) -> Place:
    """Return the folder that holds a place; of the root the root."""
    if not place.parents:
        return place
    filesystem, node = place.parents[-1]
    return Place(filesystem, node, place.names[:-1], place.parents[:-1])
