"""GRUB: its configuration as written by grub-mkconfig, its environment, and the legacy one."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vhdtool.guest.linux.cmdline import split

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files, Line

CONFIGS = (
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/efi/EFI/redhat/grub.cfg",
    "/boot/efi/EFI/centos/grub.cfg",
    "/boot/efi/EFI/rocky/grub.cfg",
    "/boot/efi/EFI/almalinux/grub.cfg",
    "/boot/efi/EFI/fedora/grub.cfg",
)
LEGACY = ("/boot/grub/menu.lst", "/boot/grub/grub.conf", "/etc/grub.conf")
ENVIRONMENTS = (
    "/boot/grub/grubenv",
    "/boot/grub2/grubenv",
    "/boot/efi/EFI/redhat/grubenv",
    "/boot/efi/EFI/centos/grubenv",
)
ENVIRONMENT_SIZE = 1024  # bytes, always
_LINUX = ("linux", "linux16", "linuxefi")
_INITRD = ("initrd", "initrd16", "initrdefi")


@dataclass(slots=True)
class MenuEntry:
    """An entry of a boot menu.

    Attributes:
        title: As the menu shows it.
        line: Where it starts; of one with a kernel, the line that loads that.
        kernel: The path as the boot loader reads it; None where the entry loads none.
        initrds: The same of initial RAM disks, in order.
        words: The kernel's parameters.
        id: What `saved_entry` may call it.
        nested: Whether it stands in a submenu.
    """

    title: str
    line: Line
    kernel: str | None = None
    initrds: list[str] = field(default_factory=list)
    words: tuple[str, ...] = ()
    id: str | None = None
    nested: bool = False


@dataclass(frozen=True, slots=True)
class GrubConfig:
    """A grub.cfg: its entries, whether it takes those of the Boot Loader Specification."""

    path: str
    entries: tuple[MenuEntry, ...]
    uses_bls: bool
    default: str | None
    variables: dict[str, str]


def read_grub_config(files: Files) -> GrubConfig | None:
    """Read the configuration that has entries; else one that only points elsewhere; else None."""
    first = None
    for path in CONFIGS:
        if files.tree.is_file(path):
            config = parse(files.lines(path), path)
            if config.entries or config.uses_bls:
                return config
            first = first or config
    return first


def parse(lines: list[Line], path: str) -> GrubConfig:
    """Read menu entries and plain `set` commands; what conditions decide is not followed."""
    entries: list[MenuEntry] = []
    variables: dict[str, str] = {}
    default = None
    uses_bls = False
    blocks: list[str] = []  # what each open brace belongs to
    for line in lines:
        text = line.text.strip()
        if not text or text.startswith("#"):
            continue
        word = text.split(None, 1)[0]
        if word in ("menuentry", "submenu") and text.endswith("{"):
            blocks.append(word)
            if word == "menuentry":
                entries.append(_entry(text, line, nested="submenu" in blocks))
        elif text.endswith("{"):
            blocks.append("function")
        elif text == "}":
            if blocks:
                blocks.pop()
        elif "menuentry" in blocks and entries:
            _load(entries[-1], word, text, line)
        elif word == "blscfg":
            uses_bls = True
        elif word in ("set", "export") and "=" in text:
            name, _, value = text.split(None, 1)[1].partition("=")
            value = value.strip().strip("\"'")
            if name == "default":
                default = default if default is not None and "$" in value else value
            else:
                variables.setdefault(name.strip(), value)
    return GrubConfig(path, tuple(entries), uses_bls, default, variables)


def _entry(text: str, line: Line, *, nested: bool) -> MenuEntry:
    try:
        words = shlex.split(text.rstrip("{").replace("$menuentry_id_option", "--id"))
    except ValueError:
        words = text.split()
    title = words[1] if len(words) > 1 else ""
    known = words[words.index("--id") + 1] if "--id" in words[:-1] else None
    return MenuEntry(title, line, id=known, nested=nested)


def _load(entry: MenuEntry, word: str, text: str, line: Line) -> None:
    words = split(text)
    if word in _LINUX and len(words) > 1:
        entry.kernel, entry.words, entry.line = words[1], words[2:], line
    elif word in _INITRD:
        entry.initrds += words[1:]


def read_environment(files: Files) -> tuple[str, bytes] | None:
    """Return the environment block's path and bytes; None where there is none."""
    for path in ENVIRONMENTS:
        data = files.read(path, 64 << 10)
        if data is not None:
            return path, data
    return None


def environment_values(data: bytes) -> dict[str, str]:
    """Return the variables of an environment block."""
    values = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values[key] = re.sub(r"\\(.)", r"\1", value)
    return values


def choose(config: GrubConfig, saved: str | None) -> MenuEntry | None:
    """Return the entry that starts where nobody touches a key.

    A default in a variable is `saved_entry`; a name that fits no entry means the first, as GRUB
    has it.
    """
    loading = [entry for entry in config.entries if entry.kernel is not None]
    if not loading:
        return None
    wanted = config.default
    if wanted is None or "$" in wanted:
        wanted = saved
    if wanted:
        last = wanted.split(">")[-1]
        named = [one for one in loading if last in (one.title, one.id)]
        if named:
            return named[0]
        top = [entry for entry in config.entries if not entry.nested]
        if last.isdigit() and ">" not in wanted and int(last) < len(top):
            entry = top[int(last)]
            return entry if entry.kernel is not None else loading[0]
    return loading[0]


def read_legacy(files: Files) -> MenuEntry | None:
    """Return the default entry of GRUB 0.97's menu; None where there is none."""
    path = files.first(LEGACY)
    if path is None:
        return None
    entries: list[MenuEntry] = []
    default = 0
    for line in files.lines(path):
        word, _, rest = line.text.strip().partition(" ")
        if word.startswith("default") and not entries:
            number = line.text.strip().removeprefix("default").strip(" =\t")
            default = int(number) if number.isdigit() and len(number) < 6 else 0
        elif word == "title":
            entries.append(MenuEntry(rest.strip(), line))
        elif word == "kernel" and entries:
            words = [one for one in split(rest) if not one.startswith("--")]
            if words:
                entries[-1].kernel = re.sub(r"^\([^)]*\)", "", words[0])
                entries[-1].words, entries[-1].line = tuple(words[1:]), line
        elif word == "initrd" and entries:
            entries[-1].initrds += [re.sub(r"^\([^)]*\)", "", one) for one in split(rest)]
    loading = [entry for entry in entries if entry.kernel is not None]
    if default < len(entries) and entries[default].kernel is not None:
        return entries[default]
    return loading[0] if loading else None
