"""Boot entries of other makers: the Boot Loader Specification, unified kernels, extlinux."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.linux.cmdline import split
from vhdtool.guest.linux.files import Line, uncommented
from vhdtool.guest.linux.grub import MenuEntry

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files

BLS_FOLDER = "/boot/loader/entries"
ESP_FOLDERS = ("/boot/efi", "/efi", "/boot")
_EXTLINUX = ("/boot/extlinux.conf", "/boot/extlinux/extlinux.conf", "/extlinux.conf",
             "/boot/syslinux/syslinux.cfg", "/syslinux/syslinux.cfg")  # fmt: skip
_MOST_SECTIONS = 96
_MOST_SECTION = 64 << 10


def read_bls(
    files: Files, folder: str = BLS_FOLDER, variables: dict[str, str] | None = None
) -> list[MenuEntry]:
    """Return the entries of a folder, the newest version first, variables replaced."""
    entries = []
    for path in sorted(files.paths(folder, "*.conf"), key=_version_key, reverse=True):
        entry = MenuEntry("", Line(path, 1, ""), id=path.rpartition("/")[2].removesuffix(".conf"))
        for line in uncommented(files.lines(path)):
            key, _, value = line.text.strip().partition(" ")
            value = value.strip()
            if key == "title":
                entry.title = value
            elif key in ("linux", "efi", "uki"):
                entry.kernel = value
            elif key == "initrd":
                # tuned and others add variables that are empty unless they are set
                entry.initrds += [one for one in value.split() if not one.startswith("$")]
            elif key == "options":
                entry.words += split(_expanded(value, variables or {}))
                entry.line = line
        if entry.kernel is not None:
            entries.append(entry)
    return entries


def _expanded(text: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get(found.group(1), ""), text)


def _version_key(path: str) -> list[tuple[int, int, str]]:
    """Order like rpm's: digits as numbers, and numbers over letters."""
    parts = re.findall(r"\d+|[A-Za-z]+", path.rpartition("/")[2].removesuffix(".conf"))
    return [(1, int(part[:18]), "") if part.isdigit() else (0, 0, part) for part in parts]


def read_systemd_boot(files: Files) -> MenuEntry | None:
    """Return systemd-boot's default entry; None where it has none."""
    for folder in ESP_FOLDERS:
        entries = read_bls(files, f"{folder}/loader/entries")
        if not files.tree.is_file(f"{folder}/loader/loader.conf") and not entries:
            continue
        wanted = ""
        for line in uncommented(files.lines(f"{folder}/loader/loader.conf")):
            key, _, value = line.text.strip().partition(" ")
            if key == "default":
                wanted = value.strip().removesuffix(".conf")
        for entry in entries:
            # an asterisk may stand for a part of the name
            pattern = ".*".join(re.escape(part) for part in wanted.split("*"))
            if wanted and re.fullmatch(pattern, entry.id or ""):
                return entry
        if entries:
            return entries[0]
    return None


def read_unified_kernel(files: Files) -> MenuEntry | None:
    """Return the newest unified kernel image in the EFI system partition; None where none is."""
    for folder in ESP_FOLDERS:
        paths = files.glob(f"{folder}/EFI/Linux/*.efi")
        for path in sorted(paths, key=_version_key, reverse=True):
            sections = pe_sections(files, path)
            text = _section(files, path, sections, ".cmdline")
            if ".linux" in sections:
                line = Line(path, 1, text)
                version = _section(files, path, sections, ".uname")
                return MenuEntry(path, line, path, [path], split(text), id=version or None)
    return None


def unified_initrd(files: Files, path: str, most: int) -> bytes | None:
    """Return the initial RAM disk in a unified kernel image; None where it has none.

    Raises:
        GuestError: It has more than `most` bytes, or is cut off.
    """
    section = pe_sections(files, path).get(".initrd")
    place = files.tree.find(path)
    if section is None or place is None:
        return None
    offset, length = section
    data = place.filesystem.read_at(place.node, offset, length) if length <= most else b""
    if len(data) < length:
        raise GuestError(f"{path}: the section .initrd has {length} bytes, {len(data)} are read")
    return data


def pe_sections(files: Files, path: str) -> dict[str, tuple[int, int]]:
    """Return the sections of a PE file: offset and length in bytes; empty of another file."""
    place = files.tree.find(path)
    if place is None:
        return {}
    head = place.filesystem.read_at(place.node, 0, 4096)
    if head[:2] != b"MZ" or len(head) < 64:
        return {}
    start = struct.unpack_from("<I", head, 60)[0]
    header = place.filesystem.read_at(place.node, start, 24)
    if len(header) < 24 or header[:4] != b"PE\0\0":
        return {}
    count, optional = (
        struct.unpack_from("<H", header, 6)[0],
        struct.unpack_from("<H", header, 20)[0],
    )
    count = min(count, _MOST_SECTIONS)
    table = place.filesystem.read_at(place.node, start + 24 + optional, 40 * count)
    sections = {}
    for offset in range(0, len(table) - 39, 40):
        name = table[offset : offset + 8].rstrip(b"\0").decode("ascii", "replace")
        size, _, stored, where = struct.unpack_from("<IIII", table, offset + 8)
        sections[name] = where, min(size, stored)
    return sections


def _section(files: Files, path: str, sections: dict[str, tuple[int, int]], name: str) -> str:
    if name not in sections:
        return ""
    offset, length = sections[name]
    place = files.tree.find(path)
    if place is None or length > _MOST_SECTION:
        raise GuestError(f"{path}: the section {name} has {length} bytes")
    data = place.filesystem.read_at(place.node, offset, length)
    return data.rstrip(b"\0\n").decode("utf-8", "surrogateescape")


def read_extlinux(files: Files) -> MenuEntry | None:
    """Return the default entry of extlinux or syslinux; None where there is none."""
    path = files.first(_EXTLINUX)
    if path is None:
        return None
    wanted = None
    entries: list[MenuEntry] = []
    for line in uncommented(files.lines(path)):
        key, _, value = line.text.strip().partition(" ")
        key, value = key.upper(), value.strip()
        if key in ("DEFAULT", "ONTIMEOUT"):
            wanted = wanted or value
        elif key == "LABEL":
            entries.append(MenuEntry(value, line, id=value))
        elif entries:
            entry = entries[-1]
            if key in ("KERNEL", "LINUX"):
                entry.kernel = value
            elif key == "INITRD":
                entry.initrds += value.split(",")
            elif key == "APPEND":
                entry.words, entry.line = split(value), line
    loading = [entry for entry in entries if entry.kernel is not None]
    named = [entry for entry in loading if entry.id == wanted]
    return next(iter(named or loading), None)
