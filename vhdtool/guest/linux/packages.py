"""Installed packages, by the database of whichever package manager."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.linux.rpmdb import read_rpm_headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vhdtool.guest.linux.files import Files

_DPKG = "/var/lib/dpkg/status"
_APK = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_PACMAN = "/var/lib/pacman/local"
_MOST_DATABASE = 64 << 20
_VERSION_PARTS = re.compile(r"\d+|[a-zA-Z]+|~|\^")


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package; the version with its epoch and release, as its manager writes it."""

    name: str
    version: str
    architecture: str = ""


@dataclass(frozen=True)
class Packages:
    """The installed packages by name.

    Attributes:
        path: The database.
        manager: `dpkg`, `rpm`, `apk`, `pacman`.
        by_name: The packages; of several versions the one that comes last.
    """

    path: str
    manager: str
    by_name: dict[str, Package]

    def version(self, *names: str) -> str | None:
        """Return the version of the first of some packages that is installed."""
        return next((self.by_name[name].version for name in names if name in self.by_name), None)

    def has(self, *names: str) -> bool:
        """Whether one of some packages is installed."""
        return any(name in self.by_name for name in names)


def read_packages(files: Files) -> Packages | None:
    """Read the database; None where there is none that is known.

    Raises:
        GuestError: It is damaged, or of a kind that is not read.
    """
    if files.tree.is_file(_DPKG) and files.size(_DPKG):
        return _collect(_DPKG, "dpkg", _dpkg(files))
    rpm = read_rpm_headers(files)
    if rpm is not None:
        path, found = rpm
        return _collect(path, "rpm", (Package(*one) for one in found))
    for path in _APK:
        if files.tree.is_file(path):
            return _collect(path, "apk", _apk(files, path))
    if files.tree.is_folder(_PACMAN):
        return _collect(_PACMAN, "pacman", _pacman(files))
    return None


def _collect(path: str, manager: str, packages: Iterable[Package]) -> Packages:
    return Packages(path, manager, {one.name: one for one in packages})


def _dpkg(files: Files) -> Iterable[Package]:
    data = files.read(_DPKG, _MOST_DATABASE) or b""
    for block in data.decode("utf-8", "replace").split("\n\n"):
        fields = {}
        for line in block.split("\n"):
            key, colon, value = line.partition(":")
            if colon and key in ("Package", "Status", "Version", "Architecture"):
                fields[key] = value.strip()
        if fields.get("Status", "").endswith(" installed") and "Package" in fields:
            yield Package(
                fields["Package"], fields.get("Version", ""), fields.get("Architecture", "")
            )


def _apk(files: Files, path: str) -> Iterable[Package]:
    data = files.read(path, _MOST_DATABASE) or b""
    for block in data.decode("utf-8", "replace").split("\n\n"):
        fields = {line[:1]: line[2:] for line in block.split("\n") if line[1:2] == ":"}
        if "P" in fields:
            yield Package(fields["P"], fields.get("V", ""), fields.get("A", ""))


def _pacman(files: Files) -> Iterable[Package]:
    for name in files.names(_PACMAN):
        parts = name.rsplit("-", 2)
        if len(parts) == 3:
            yield Package(parts[0], f"{parts[1]}-{parts[2]}")


def compare_versions(one: str, other: str) -> int:
    """Compare two versions as package managers do: below 0, 0 or above 0.

    Epochs decide first; then runs of digits by value and of letters by the alphabet; `~` comes
    before everything, `^` after.
    """
    epoch, version = _epoch(one)
    other_epoch, other_version = _epoch(other)
    if epoch != other_epoch:
        return 1 if epoch > other_epoch else -1
    left, right = _key(version), _key(other_version)
    return (left > right) - (left < right)


def _epoch(version: str) -> tuple[int, str]:
    epoch, colon, rest = version.partition(":")
    return (int(epoch[:9]), rest) if colon and epoch.isdigit() else (0, version)


def _key(version: str) -> list[tuple[int, int, str]]:
    parts: list[tuple[int, int, str]] = []
    for part in _VERSION_PARTS.findall(version):
        if part == "~":
            parts.append((-1, 0, ""))
        elif part.isdigit():
            parts.append((3, int(part[:18]), ""))
        else:
            parts.append((1 if part == "^" else 2, 0, part))
    return [*parts, (0, 0, "")]
