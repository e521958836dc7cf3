"""Registry hives: what every reader offers, and keys, paths and types once above them all.

A hive is keys by number, as a file system is nodes by number. `Registry` resolves paths in any case
and CurrentControlSet, which exists only in a running Windows, through the number in Select.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from vhdtool.errors import FormatError, GuestError
from vhdtool.units import MIB, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.tree import Tree

# The largest hive that is read: SOFTWARE of a server with many roles has about 100 MiB.
HIVE_LIMIT = 256 * MIB
# A log is at most as long as the hive; all of it is written at once.
LOG_SUFFIXES = (".LOG1", ".LOG2", ".LOG")
_CURRENT = "currentcontrolset"


class Kind(IntEnum):
    """The types of values, as winnt.h numbers them."""

    NONE = 0
    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    DWORD_BIG_ENDIAN = 5
    LINK = 6
    MULTI_SZ = 7
    RESOURCE_LIST = 8
    FULL_RESOURCE_DESCRIPTOR = 9
    RESOURCE_REQUIREMENTS_LIST = 10
    QWORD = 11


_TEXTS = frozenset((Kind.SZ, Kind.EXPAND_SZ, Kind.LINK))


@dataclass(frozen=True, slots=True)
class Value:
    """A value as stored: its name ("" for the default value), its type's number, its bytes."""

    name: str
    kind: int
    data: bytes

    @property
    def kind_name(self) -> str:
        """`REG_SZ`; a number that is no type is written in hexadecimal, as regedit does."""
        try:
            return f"REG_{Kind(self.kind).name}"
        except ValueError:
            return f"{self.kind:#x}"

    @property
    def text(self) -> str | None:
        """The text of a string up to its first NUL; None of other types."""
        return _utf16(self.data).split("\0", 1)[0] if self.kind in _TEXTS else None

    @property
    def number(self) -> int | None:
        """The number of a DWORD or QWORD; None of other types and where bytes are missing."""
        if self.kind == Kind.QWORD:
            return int.from_bytes(self.data[:8], "little") if len(self.data) >= 8 else None
        if len(self.data) < 4:
            return None
        if self.kind == Kind.DWORD:
            return int.from_bytes(self.data[:4], "little")
        return int.from_bytes(self.data[:4], "big") if self.kind == Kind.DWORD_BIG_ENDIAN else None

    @property
    def strings(self) -> tuple[str, ...] | None:
        """The strings of a MULTI_SZ, empty ones between others kept; None of other types."""
        if self.kind != Kind.MULTI_SZ:
            return None
        parts = _utf16(self.data).rstrip("\0").split("\0")
        return () if parts == [""] else tuple(parts)

    @property
    def decoded(self) -> str | int | tuple[str, ...] | bytes:
        """The value in Python's type for its own; bytes where that has none, or they are short."""
        for decoded in (self.text, self.number, self.strings):
            if decoded is not None:
                return decoded
        return self.data


class Hive(Protocol):
    """A hive that is read in place. Every method may raise `GuestError`: it is damaged."""

    @property
    def root(self) -> int:
        """The root key."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know: a log that was applied, or is missing. One sentence each."""

    def subkeys(self, node: int) -> list[tuple[str, int]]:
        """Return the names of the keys below a key, and the keys."""

    def values(self, node: int) -> list[Value]:
        """Return the values of a key."""

    def modified(self, node: int) -> int:
        """Return when a key was last written, in seconds since 1970-01-01 UTC."""


class NativeHive:
    """A `Hive` that the native core reads from a hive's bytes and those of its logs."""

    def __init__(self, data: bytes, logs: list[bytes]) -> None:
        """Open a hive, and apply its logs if it is dirty.

        Raises:
            GuestError: It is no hive, or damaged beyond use.
        """
        from vhdtool import _native

        try:
            self._native = _native.Hive.open(data, logs)
        except (FormatError, OSError, ValueError) as error:
            raise GuestError(str(error)) from error
        self.root = self._native.root

    @property
    def notes(self) -> tuple[str, ...]:
        """As `Hive.notes`; what is damaged is told once it was met."""
        return tuple(self._native.notes)

    def subkeys(self, node: int) -> list[tuple[str, int]]:
        """As `Hive.subkeys`."""
        try:
            return self._native.subkeys(node)
        except (FormatError, OSError, ValueError) as error:
            raise GuestError(str(error)) from error

    def values(self, node: int) -> list[Value]:
        """As `Hive.values`."""
        try:
            return [Value(*value) for value in self._native.values(node)]
        except (FormatError, OSError, ValueError) as error:
            raise GuestError(str(error)) from error

    def modified(self, node: int) -> int:
        """As `Hive.modified`."""
        try:
            return self._native.modified(node)
        except (FormatError, OSError, ValueError) as error:
            raise GuestError(str(error)) from error


class Registry:
    """A hive with paths: backslashes, any case, CurrentControlSet through Select."""

    def __init__(self, hive: Hive, name: str) -> None:
        """Wrap a hive; `name` is what findings call it: SYSTEM, SOFTWARE, SAM, BCD."""
        self.hive = hive
        self.name = name
        self._children: dict[int, dict[str, tuple[str, int]]] = {}
        self._values: dict[int, dict[str, Value]] = {}

    @property
    def root(self) -> Key:
        """The root key, whose path is empty."""
        return Key(self, self.hive.root, "")

    def key(self, path: str) -> Key | None:
        """Return the key at a path below the root; None where there is none."""
        names = [name for name in path.split("\\") if name]
        if names and names[0].lower() == _CURRENT:
            current = self.control_set
            if current is None:
                return None
            names[0] = current
        key: Key | None = self.root
        for name in names:
            if key is None:
                return None
            key = key.subkey(name)
        return key

    def value(self, path: str, name: str) -> Value | None:
        """Return a value of the key at a path; None where there is none."""
        key = self.key(path)
        return None if key is None else key.value(name)

    def number(self, path: str, name: str) -> int | None:
        """Return the number of a value; None where there is none, or it is of another type."""
        value = self.value(path, name)
        return None if value is None else value.number

    def text(self, path: str, name: str) -> str | None:
        """Return the text of a value; None where there is none, or it is of another type."""
        value = self.value(path, name)
        return None if value is None else value.text

    @property
    def control_set(self) -> str | None:
        """The name of the control set that Windows starts with, of a SYSTEM hive."""
        number = self.number("Select", "Current")
        return None if number is None else f"ControlSet{number:03}"

    def resolved(self, path: str) -> str:
        """Write a path with the control set that CurrentControlSet stands for."""
        first, separator, rest = path.partition("\\")
        if first.lower() == _CURRENT and self.control_set is not None:
            return f"{self.control_set}{separator}{rest}"
        return path

    def children(self, node: int) -> dict[str, tuple[str, int]]:
        """The keys below a key by their lower-case names; of equal names the first."""
        found = self._children.get(node)
        if found is None:
            found = {}
            for name, child in self.hive.subkeys(node):
                found.setdefault(name.lower(), (name, child))
            self._children[node] = found
        return found

    def values_of(self, node: int) -> dict[str, Value]:
        """The values of a key by their lower-case names; of equal names the first."""
        found = self._values.get(node)
        if found is None:
            found = {}
            for value in self.hive.values(node):
                found.setdefault(value.name.lower(), value)
            self._values[node] = found
        return found


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a registry and the path that it was found at, in the names' own case."""

    registry: Registry
    node: int
    path: str

    @property
    def name(self) -> str:
        """The last name of the path."""
        return self.path.rpartition("\\")[2]

    @property
    def modified(self) -> int:
        """When the key was last written, in seconds since 1970-01-01 UTC."""
        return self.registry.hive.modified(self.node)

    def subkey(self, name: str) -> Key | None:
        """Return the key of that name right below; None where there is none."""
        found = self.registry.children(self.node).get(name.lower())
        if found is None:
            return None
        return Key(self.registry, found[1], f"{self.path}\\{found[0]}".lstrip("\\"))

    def subkeys(self) -> Iterator[Key]:
        """Yield the keys right below, in the hive's order."""
        for name, node in self.registry.children(self.node).values():
            yield Key(self.registry, node, f"{self.path}\\{name}".lstrip("\\"))

    def value(self, name: str) -> Value | None:
        """Return a value; "" is the default value; None where there is none."""
        return self.registry.values_of(self.node).get(name.lower())

    def values(self) -> list[Value]:
        """Return the values, in the hive's order."""
        return list(self.registry.values_of(self.node).values())

    def number(self, name: str) -> int | None:
        """Return the number of a value; None where there is none, or it is of another type."""
        value = self.value(name)
        return None if value is None else value.number

    def text(self, name: str) -> str | None:
        """Return the text of a value; None where there is none, or it is of another type."""
        value = self.value(name)
        return None if value is None else value.text


def open_hive(tree: Tree, path: str) -> Hive | None:
    """Read a hive and its transaction logs from a guest; None where there is no such file.

    Raises:
        GuestError: It is no hive, damaged beyond use, or larger than what is read.
    """
    stat = tree.stat(path)
    if stat is None:
        return None
    if stat.size > HIVE_LIMIT:
        raise GuestError(f"{path}: the hive has {human_size(stat.size)}, which is not read")
    data = tree.read(path, HIVE_LIMIT)
    if data is None:
        return None
    logs = [tree.read(path + suffix, HIVE_LIMIT) for suffix in LOG_SUFFIXES]
    try:
        return NativeHive(data, [log for log in logs if log])
    except GuestError as error:
        raise GuestError(f"{path}: {error}") from error


def _utf16(data: bytes) -> str:
    return data[: len(data) & ~1].decode("utf-16-le", "replace")
