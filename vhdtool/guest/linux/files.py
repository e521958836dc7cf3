"""Files of a guest as lines with numbers, read once."""

from __future__ import annotations

import fnmatch
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import NodeKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vhdtool.guest.filesystem import Stat
    from vhdtool.guest.tree import Tree

# No configuration file is longer; what is longer is not read in part and taken for the whole.
MOST_TEXT = 4 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: where it stands and what it says, without its end."""

    path: str
    number: int  # from 1
    text: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A key with its value, and the line that sets it."""

    key: str
    value: str
    line: Line


class Files:
    """The files of a tree, with what configuration needs: lines, globs, sizes.

    Every method may raise `GuestError` where the file system cannot be read.
    """

    def __init__(self, tree: Tree) -> None:
        """Read from a tree; texts are kept."""
        self.tree = tree
        self._lines: dict[str, list[Line] | None] = {}

    def exists(self, path: str) -> bool:
        """Whether a path leads to anything, through symbolic links."""
        return self.tree.exists(path)

    def is_link(self, path: str) -> bool:
        """Whether a path is a symbolic link, wherever that leads."""
        stat = self.tree.stat(path, follow=False)
        return stat is not None and stat.kind is NodeKind.SYMLINK

    def has_name(self, path: str) -> bool:
        """Whether there is such a name: a file, a folder, or a link that may lead nowhere."""
        return self.tree.stat(path, follow=False) is not None

    def stat(self, path: str) -> Stat | None:
        """Return what is known of a file; None where there is none."""
        return self.tree.stat(path)

    def size(self, path: str) -> int:
        """Return the size of a regular file in bytes; 0 where there is none."""
        stat = self.tree.stat(path)
        return stat.size if stat is not None and stat.kind is NodeKind.FILE else 0

    def read(self, path: str, most: int = MOST_TEXT) -> bytes | None:
        """Read a regular file whole; None where there is none.

        Raises:
            GuestError: It is longer than `most` bytes, or cannot be read.
        """
        stat = self.tree.stat(path)
        if stat is None or stat.kind is not NodeKind.FILE:
            return None
        if stat.size > most:
            raise GuestError(f"{path} has {stat.size} bytes, of which at most {most} are read")
        return self.tree.read(path, most)

    def text(self, path: str) -> str | None:
        """Read a file as UTF-8 with surrogate escapes; None where there is none."""
        data = self.read(path)
        return None if data is None else data.decode("utf-8", "surrogateescape")

    def lines(self, path: str) -> list[Line]:
        """Return the lines of a file; empty where there is none."""
        return self.lines_or_none(path) or []

    def lines_or_none(self, path: str) -> list[Line] | None:
        """Return the lines of a file; None where there is none."""
        if path not in self._lines:
            text = self.text(path)
            self._lines[path] = (
                None
                if text is None
                else [Line(path, n, line) for n, line in enumerate(text.split("\n"), 1)]
            )
        return self._lines[path]

    def names(self, folder: str) -> list[str]:
        """List a folder, sorted; empty where there is none."""
        return self.tree.names(folder)

    def paths(self, folder: str, pattern: str = "*") -> list[str]:
        """Return the paths in a folder whose names fit a pattern, sorted by name."""
        names = [name for name in self.names(folder) if fnmatch.fnmatchcase(name, pattern)]
        return [posixpath.join(folder, name) for name in names]

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that fit a pattern with wildcards in any of its names, sorted."""
        folders = [""]
        *middle, last = pattern.strip("/").split("/")
        for part in middle:
            folders = [path for folder in folders for path in self._fitting(folder, part)]
        return sorted(path for folder in folders for path in self._fitting(folder, last))

    def _fitting(self, folder: str, part: str) -> list[str]:
        if not any(sign in part for sign in "*?["):
            path = f"{folder}/{part}"
            return [path] if self.has_name(path) else []
        return [
            path
            for path in self.paths(folder or "/", part)
            if not posixpath.basename(path).startswith(".") or part.startswith(".")
        ]

    def first(self, paths: Iterable[str]) -> str | None:
        """Return the first of some paths that leads to anything."""
        return next((path for path in paths if self.exists(path)), None)

    def drop_ins(self, folders: Iterable[str], pattern: str) -> list[str]:
        """Return what fits in folders, the first folder having priority for a name, by name."""
        found: dict[str, str] = {}
        for folder in folders:
            for path in self.paths(folder, pattern):
                found.setdefault(posixpath.basename(path), path)
        return [found[name] for name in sorted(found)]


def uncommented(lines: Iterable[Line], signs: str = "#") -> list[Line]:
    """Return the lines that say something: not empty, not starting with a sign of comments."""
    kept = []
    for line in lines:
        text = line.text.strip()
        if text and text[0] not in signs:
            kept.append(line)
    return kept


def settings(lines: Iterable[Line], signs: str = "#") -> dict[str, Setting]:
    """Read `KEY=value` lines, as shells do for plain values; a later line wins."""
    found = {}
    for line in uncommented(lines, signs):
        key, equals, value = line.text.partition("=")
        if equals:
            key = key.strip().removeprefix("export ").strip()
            found[key] = Setting(key, unquoted(value), line)
    return found


def unquoted(value: str) -> str:
    """Take off quotes, or a comment after a value that has none."""
    value = value.strip()
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        return value[1:end] if end > 0 else value[1:]
    for mark in (" #", "\t#"):
        value = value.split(mark, 1)[0]
    return value.strip()
