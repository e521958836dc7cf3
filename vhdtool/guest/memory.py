"""File systems and hives that are made in memory, for tests of rules and users of the library."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import Entry, NodeKind, Stat, Volume
from vhdtool.guest.registry import Kind, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    # What a key holds: keys below it (a mapping), or values of the type that fits. A `Value` gives
    # type and bytes itself; its name is not used.
    Content = Mapping[str, "Content"] | int | str | bytes | list[str] | Value

_ROOT = 1


@dataclass(slots=True)
class _Node:
    stat: Stat
    data: bytes = b""  # of a file its bytes, of a symbolic link its target
    children: dict[bytes, int] = field(default_factory=dict)


class MemoryFileSystem:
    """A `FileSystem` of files that are given: `MemoryFileSystem({"/etc/hostname": "web1"})`."""

    def __init__(
        self,
        files: dict[str, str | bytes] | None = None,
        *,
        ignores_case: bool = False,
        volume: Volume | None = None,
    ) -> None:
        """Make the files, and their folders; text is UTF-8."""
        self.ignores_case = ignores_case
        self.volume = volume or Volume("memory")
        self.root = self.top_level = _ROOT
        self._nodes = {_ROOT: _Node(Stat(NodeKind.DIRECTORY, mode=0o755, inode=_ROOT))}
        for path, data in (files or {}).items():
            self.add(path, data)

    def add(
        self,
        path: str,
        data: str | bytes = b"",
        *,
        kind: NodeKind = NodeKind.FILE,
        mode: int | None = None,
        uid: int = 0,
        gid: int = 0,
        modified: int = 0,
    ) -> None:
        """Make one node and the folders above it, or replace what is there."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        folders, name = self._split(path)
        parent = self._nodes[_ROOT]
        for folder in folders:
            parent = self._nodes[self._child(parent, folder, _Node(_folder()))]
        if mode is None:
            mode = {NodeKind.FILE: 0o644, NodeKind.SYMLINK: 0o777}.get(kind, 0o755)
        stat = Stat(kind, len(raw), mode, uid, gid, modified=modified)
        number = self._child(parent, name, _Node(stat))
        old = self._nodes[number]
        self._nodes[number] = _Node(replace(stat, inode=number), raw, old.children)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        self.add(path, target, kind=NodeKind.SYMLINK)

    def folder(self, path: str, *, mode: int = 0o755) -> None:
        """Make a folder, which may stay empty."""
        self.add(path, kind=NodeKind.DIRECTORY, mode=mode)

    def remove(self, path: str) -> None:
        """Remove a name."""
        folders, name = self._split(path)
        parent = self._nodes[_ROOT]
        for folder in folders:
            parent = self._nodes[parent.children[self._key(folder, parent)]]
        del parent.children[self._key(name, parent)]

    def lookup(self, directory: int, name: bytes) -> int | None:
        """As `FileSystem.lookup`."""
        node = self._node(directory)
        return node.children.get(self._key(name, node))

    def entries(self, directory: int) -> Iterator[Entry]:
        """As `FileSystem.entries`."""
        for name, node in self._node(directory).children.items():
            yield Entry(name, node)

    def stat(self, node: int) -> Stat:
        """As `FileSystem.stat`."""
        return self._node(node).stat

    def read_at(self, node: int, offset: int, length: int) -> bytes:
        """As `FileSystem.read_at`."""
        return self._node(node).data[offset : offset + length]

    def read_link(self, node: int) -> bytes:
        """As `FileSystem.read_link`."""
        return self._node(node).data

    def _node(self, number: int) -> _Node:
        if number not in self._nodes:
            raise GuestError(f"there is no node {number}")
        return self._nodes[number]

    def _split(self, path: str) -> tuple[list[bytes], bytes]:
        names = [name for name in path.encode("utf-8", "surrogateescape").split(b"/") if name]
        if not names:
            raise ValueError(f"not a path below the root: {path!r}")
        return names[:-1], names[-1]

    def _key(self, name: bytes, parent: _Node) -> bytes:
        """Return the name under which a directory has `name`, in its own case."""
        if self.ignores_case and name not in parent.children:
            lowered = name.lower()
            return next((known for known in parent.children if known.lower() == lowered), name)
        return name

    def _child(self, parent: _Node, name: bytes, made: _Node) -> int:
        number = parent.children.get(self._key(name, parent))
        if number is None:
            number = len(self._nodes) + _ROOT
            self._nodes[number] = replace(made, stat=replace(made.stat, inode=number))
            parent.children[name] = number
        return number


def _folder() -> Stat:
    return Stat(NodeKind.DIRECTORY, mode=0o755)


@dataclass(slots=True)
class _Key:
    children: dict[str, int] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    modified: int = 0


class MemoryHive:
    r"""A `Hive` of keys and values that are given.

    `MemoryHive({r"ControlSet001\Services\vmbus": {"Start": 0}, "Select": {"Current": 1}})`
    """

    def __init__(
        self, content: Mapping[str, Content] | None = None, *, notes: tuple[str, ...] = ()
    ) -> None:
        """Make the keys: a mapping is a key, whose name may be a path, all else a value."""
        self.root = _ROOT
        self.notes = notes
        self._keys = {_ROOT: _Key()}
        self._fill(_ROOT, content or {})

    def set(self, path: str, content: Mapping[str, Content], *, modified: int = 0) -> None:
        """Make a key, and those above it, or add to one."""
        node = self._make(_ROOT, path)
        self._keys[node].modified = modified
        self._fill(node, content)

    def remove(self, path: str, value: str | None = None) -> None:
        """Remove a key with all below it, or one value of it."""
        above, _, name = path.rpartition("\\")
        if value is not None:
            values = self._keys[self._make(_ROOT, path)].values
            del values[_own(values, value)]
        else:
            children = self._keys[self._make(_ROOT, above)].children
            del children[_own(children, name)]

    def subkeys(self, node: int) -> list[tuple[str, int]]:
        """As `Hive.subkeys`."""
        return list(self._key(node).children.items())

    def values(self, node: int) -> list[Value]:
        """As `Hive.values`."""
        return list(self._key(node).values.values())

    def modified(self, node: int) -> int:
        """As `Hive.modified`."""
        return self._key(node).modified

    def _key(self, node: int) -> _Key:
        if node not in self._keys:
            raise GuestError(f"there is no key {node}")
        return self._keys[node]

    def _make(self, node: int, path: str) -> int:
        for name in filter(None, path.split("\\")):
            children = self._keys[node].children
            node = children.setdefault(_own(children, name), len(self._keys) + _ROOT)
            self._keys.setdefault(node, _Key())
        return node

    def _fill(self, node: int, content: Mapping[str, Content]) -> None:
        values = self._keys[node].values
        for name, item in content.items():
            if isinstance(item, int | str | bytes | list | Value):
                values[_own(values, name)] = _value(name, item)
            else:
                self._fill(self._make(node, name), item)


def _own(names: Mapping[str, object], name: str) -> str:
    """Return a name as a mapping has it, in whatever case."""
    return next((known for known in names if known.lower() == name.lower()), name)


def _value(name: str, item: int | str | bytes | list[str] | Value) -> Value:
    match item:
        case Value():
            return replace(item, name=name)
        case int():
            return Value(name, Kind.DWORD, item.to_bytes(4, "little"))
        case str():
            return Value(name, Kind.SZ, f"{item}\0".encode("utf-16-le"))
        case list():
            text = "".join(f"{part}\0" for part in item)
            return Value(name, Kind.MULTI_SZ, f"{text}\0".encode("utf-16-le"))
        case _:
            return Value(name, Kind.BINARY, item)
