"""How a guest starts: the loader that decides, its default entry, that entry's files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.linux import grub, loaders
from vhdtool.guest.linux.cmdline import CommandLine, split
from vhdtool.guest.linux.files import settings

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files, Line
    from vhdtool.guest.linux.grub import GrubConfig, MenuEntry

_KERNEL_NAME = re.compile(r"(?:vmlinuz|vmlinux|bzImage|Image|linux|kernel)-(?=\d)(.+?)(?:\.efi)?$")


@dataclass(frozen=True, slots=True)
class Boot:
    """What starts by default.

    Attributes:
        loader: `GRUB`, `GRUB with BLS`, `GRUB 0.97`, `systemd-boot`, `unified kernel`,
            `extlinux`.
        entry: The default entry.
        kernel: The kernel's path in the guest; None where it is not there.
        initrds: The initial RAM disks as the entry names them, each with its path or None.
    """

    loader: str
    entry: MenuEntry
    kernel: str | None
    initrds: tuple[tuple[str, str | None], ...]

    @property
    def command_line(self) -> CommandLine:
        """The kernel's parameters, all variables replaced."""
        return CommandLine(self.entry.words, self.entry.line)

    @property
    def kernel_version(self) -> str | None:
        """The kernel's version by its file's name; None where the name has none."""
        if self.loader == "unified kernel":
            return self.entry.id
        found = _KERNEL_NAME.match(posixpath.basename(self.entry.kernel or ""))
        return None if found is None else found.group(1)


def read_boot(files: Files, config: GrubConfig | None, variables: dict[str, str]) -> Boot | None:
    """Find the default entry; None where no loader's configuration is there or has one."""
    for loader, read in _LOADERS:
        entry = read(files, config, variables)
        if entry is not None:
            kernel = find_boot_file(files, entry.kernel or "")
            initrds = tuple((name, find_boot_file(files, name)) for name in entry.initrds)
            return Boot(loader, entry, kernel, initrds)
    return None


def _grub(files: Files, config: GrubConfig | None, variables: dict[str, str]) -> MenuEntry | None:
    return None if config is None else grub.choose(config, _saved(variables))


def _saved(variables: dict[str, str]) -> str | None:
    return variables.get("next_entry") or variables.get("saved_entry")


def _bls(files: Files, config: GrubConfig | None, variables: dict[str, str]) -> MenuEntry | None:
    if config is None or not config.uses_bls:
        return None
    known = {**config.variables, **variables}
    entries = loaders.read_bls(files, variables=known)
    saved = _saved(variables)
    named = [entry for entry in entries if saved and saved in (entry.id, entry.title)]
    if named:
        return named[0]
    if saved is not None and saved.isdigit() and int(saved) < len(entries):
        return entries[int(saved)]
    return entries[0] if entries else None


_Reader = Callable[["Files", "GrubConfig | None", dict[str, str]], "MenuEntry | None"]
_LOADERS: tuple[tuple[str, _Reader], ...] = (
    ("GRUB with BLS", _bls),
    ("GRUB", _grub),
    ("systemd-boot", lambda files, *_: loaders.read_systemd_boot(files)),
    ("unified kernel", lambda files, *_: loaders.read_unified_kernel(files)),
    ("extlinux", lambda files, *_: loaders.read_extlinux(files)),
    ("GRUB 0.97", lambda files, *_: grub.read_legacy(files)),
)


def find_boot_file(files: Files, name: str) -> str | None:
    """Return the path of a file that a loader names, which starts at its own file system.

    GRUB may put a device in front: `($root)/vmlinuz`, and a subvolume: `/@/boot/vmlinuz`.
    """
    path = "/" + re.sub(r"^(\([^)]*\)|\$\w+)", "", name).lstrip("/")
    if "$" in path or path == "/":
        return None
    below = path.partition("/boot/")[2]
    candidates = [path, f"/boot{path}", f"/boot/{below}" if below else "", f"/boot/efi{path}",
                  f"/efi{path}"]  # fmt: skip
    return next((one for one in candidates if one and files.tree.is_file(one)), None)


def default_parameters(files: Files) -> CommandLine | None:
    """Return what /etc/default/grub, or /etc/kernel/cmdline, gives to kernels of the future."""
    paths = ["/etc/default/grub", *files.paths("/etc/default/grub.d", "*.cfg")]
    words: tuple[str, ...] = ()
    line: Line | None = None
    for key in ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"):
        for path in reversed(paths):
            setting = settings(files.lines(path)).get(key)
            if setting is not None:
                words += split(setting.value)
                line = line or setting.line
                break
    if line is None:
        for found in files.lines("/etc/kernel/cmdline"):
            return CommandLine(split(found.text), found)
        return None
    return CommandLine(words, line)
