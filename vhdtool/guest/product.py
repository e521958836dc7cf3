"""What a system calls itself, by the one file that says so."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.systems import SystemKind
from vhdtool.guest.tree import Tree
from vhdtool.text import printable
from vhdtool.units import KIB

if TYPE_CHECKING:
    from vhdtool.guest.systems import System

_LIMIT = 64 * KIB
_RELEASES = ("/etc/os-release", "/usr/lib/os-release")
_OLD_RELEASES = ("/etc/redhat-release", "/etc/SuSE-release", "/etc/alpine-release")
_MOST_CHARACTERS = 80


def product(system: System, tree: Tree | None = None) -> str:
    """Name a system: `Debian GNU/Linux 12 (bookworm)`; its kind where it has no name.

    Args:
        system: The system.
        tree: Its files with what it mounts, where that is known; else those of its root alone.
    """
    if system.kind is SystemKind.LINUX and system.root is not None:
        return printable(_linux(tree or Tree(system.root)))[:_MOST_CHARACTERS]
    if system.kind is SystemKind.BSD and system.volume.partition is not None:
        return f"a BSD ({system.volume.partition.type_name})"
    return {SystemKind.WINDOWS: "Windows"}.get(system.kind, "a BSD")


def _linux(tree: Tree) -> str:
    for path in _RELEASES:
        name = _pretty_name(_text(tree, path))
        if name:
            return name
    for path in _OLD_RELEASES:
        lines = _text(tree, path).splitlines()
        if lines and lines[0].strip():
            return lines[0].strip()
    return "Linux"


def _text(tree: Tree, path: str) -> str:
    try:
        return tree.text(path, _LIMIT) or ""
    except GuestError:
        return ""


def _pretty_name(text: str) -> str:
    """Return PRETTY_NAME of an os-release file, "" where it has none (os-release(5))."""
    for line in text.splitlines():
        key, _, value = line.strip().partition("=")
        if key == "PRETTY_NAME":
            try:
                return " ".join(shlex.split(value)).strip()
            except ValueError:  # a quote that is not closed
                return value.strip("\"' ")
    return ""
