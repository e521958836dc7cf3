"""Kernels and their modules: what is built in, what is on the disk, what modprobe is told."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import Setting, uncommented

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files, Line

_FOLDERS = ("/lib/modules", "/usr/lib/modules")
_MODPROBE = ("/etc/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d",
             "/lib/modprobe.d")  # fmt: skip
_MODULE_FILE = re.compile(r"(.+)\.ko(?:\.(?:gz|xz|zst|bz2))?$")


class Presence(StrEnum):
    """Where a driver is."""

    BUILT_IN = "built in"
    MODULE = "a module"
    MISSING = "missing"


def module_name(path: str) -> str | None:
    """Return the module that a file holds, `-` as `_`; None of another file."""
    found = _MODULE_FILE.match(posixpath.basename(path))
    return None if found is None else found.group(1).replace("-", "_")


@dataclass(frozen=True)
class Kernel:
    """A kernel by its folder of modules."""

    version: str
    folder: str
    files: Files

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version's first numbers, to compare: (6, 1, 0)."""
        found = re.match(r"\d+(?:\.\d+)*", self.version)
        return tuple(int(part[:9]) for part in found.group().split(".")) if found else ()

    @cached_property
    def built_in(self) -> frozenset[str] | None:
        """The modules in the kernel itself; None where nothing says."""
        lines = self.files.lines_or_none(f"{self.folder}/modules.builtin")
        if lines is None:
            return None
        return frozenset(name for line in lines if (name := module_name(line.text.strip())))

    @cached_property
    def modules(self) -> dict[str, str] | None:
        """The modules on the disk, with their paths below the folder; None without modules.dep."""
        data = self.files.read(f"{self.folder}/modules.dep", 32 << 20)
        if data is None:
            return None
        found = {}
        for text in data.decode("utf-8", "replace").split("\n"):
            path = text.partition(":")[0]
            name = module_name(path)
            if name is not None:
                found[name] = path
        return found

    @cached_property
    def config(self) -> dict[str, str] | None:
        """The options that the kernel was built with; None where no file says."""
        for path in (f"/boot/config-{self.version}", f"{self.folder}/config"):
            lines = self.files.lines_or_none(path)
            if lines is not None:
                pairs = (line.text.partition("=") for line in lines if line.text[:1] == "C")
                return {key: value for key, _, value in pairs}
        return None

    def presence(self, module: str, option: str | None = None) -> Presence | None:
        """Tell where a driver is.

        Args:
            module: Its name, with underscores.
            option: What builds it: `CONFIG_HYPERV`.

        Returns:
            None where neither modules.dep nor the kernel's configuration can tell.
        """
        config = self.config or {}
        if (self.built_in and module in self.built_in) or config.get(option or "") == "y":
            return Presence.BUILT_IN
        if self.modules is None:
            return None
        if module in self.modules:
            return Presence.MODULE
        # without a list of what is built in, a missing file proves nothing
        if self.built_in is None and self.config is None:
            return None
        return Presence.MISSING


def read_kernels(files: Files) -> list[Kernel]:
    """Return the kernels that have a folder of modules, by name."""
    for folder in _FOLDERS:
        found = [
            Kernel(name, f"{folder}/{name}", files)
            for name in files.names(folder)
            if re.match(r"\d+\.\d+", name) and files.tree.is_folder(f"{folder}/{name}")
        ]
        if found:
            return found
    return []


@dataclass(frozen=True)
class Modprobe:
    """What modprobe.d says: modules that may not load by their alias, or not at all."""

    blacklisted: dict[str, Line]
    replaced: dict[str, Setting]  # `install NAME COMMAND`

    def forbids(self, module: str) -> Line | None:
        """Return the line that keeps a module from loading on its own."""
        replaced = self.replaced.get(module)
        if replaced is not None and re.search(r"(?:^|/)(?:true|false)\b", replaced.value):
            return replaced.line
        return self.blacklisted.get(module)


def read_modprobe(files: Files) -> Modprobe:
    """Read modprobe.d: a file in /etc hides the one of the same name elsewhere."""
    blacklisted: dict[str, Line] = {}
    replaced: dict[str, Setting] = {}
    for path in files.drop_ins(_MODPROBE, "*.conf"):
        for line in uncommented(files.lines(path)):
            words = line.text.split()
            if len(words) < 2:
                continue
            name = words[1].replace("-", "_")
            if words[0] == "blacklist":
                blacklisted.setdefault(name, line)
            elif words[0] == "install":
                replaced[name] = Setting(name, " ".join(words[2:]), line)
    return Modprobe(blacklisted, replaced)
