"""Which services start: systemd's links, masks and presets; SysV's links; OpenRC's levels."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import settings, uncommented

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files

LOCAL = "/etc/systemd/system"
FOLDERS = (LOCAL, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_PRESETS = (
    "/etc/systemd/system-preset",
    "/usr/local/lib/systemd/system-preset",
    "/usr/lib/systemd/system-preset",
    "/lib/systemd/system-preset",
)
_SYSV = ("/etc/rc[2345].d", "/etc/rc.d/rc[2345].d", "/etc/init.d/rc[2345].d")


@dataclass(frozen=True, slots=True)
class Unit:
    """What is known of a service.

    Attributes:
        name: `ssh.service`.
        path: Its file, or the script of SysV or OpenRC; None where there is none.
        enabled_by: The link that starts it; None where nothing does.
        masked_by: The link to /dev/null that forbids it.
    """

    name: str
    path: str | None
    enabled_by: str | None
    masked_by: str | None

    @property
    def starts(self) -> bool:
        """Whether it starts with the machine."""
        return self.masked_by is None and self.enabled_by is not None and self.path is not None


class Services:
    """The services of a guest."""

    def __init__(self, files: Files) -> None:
        """Look at links and presets when they are asked for."""
        self._files = files

    def unit(self, name: str) -> Unit:
        """Return what is known of a unit: `sshd.service`."""
        files = self._files
        masked = next(
            (path for folder in FOLDERS if self._is_mask(path := f"{folder}/{name}")), None
        )
        base = name.removesuffix(".service")
        unit = files.first(f"{folder}/{name}" for folder in FOLDERS)
        if unit is None and "@" in name:
            template = re.sub("@.*(?=[.])", "@", name)
            unit = files.first(f"{folder}/{template}" for folder in FOLDERS)
        enabled = self._wanted.get(name)
        if enabled is None and unit is not None and self._presets_apply and self._preset(name):
            enabled = self._preset(name)
        script = unit or files.first((f"/etc/init.d/{base}", f"/etc/rc.d/init.d/{base}"))
        if enabled is None and script is not None:
            enabled = self._scripts.get(base)
        return Unit(name, script, enabled, masked)

    def first_started(self, names: tuple[str, ...]) -> Unit | None:
        """Return the first of some units that starts with the machine."""
        return next((unit for unit in map(self.unit, names) if unit.starts), None)

    def present(self, names: tuple[str, ...]) -> list[Unit]:
        """Return those of some units that are there."""
        return [unit for unit in map(self.unit, names) if unit.path is not None]

    @cached_property
    def wanted_names(self) -> list[str]:
        """The names of all units that links start."""
        return sorted(self._wanted)

    def _is_mask(self, path: str) -> bool:
        target = self._files.tree.read_link(path)
        return target is not None and posixpath.normpath(target) == "/dev/null"

    @cached_property
    def _wanted(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for folder in FOLDERS:
            for name in self._files.names(folder):
                if name.endswith((".wants", ".requires")):
                    for path in self._files.paths(f"{folder}/{name}"):
                        found.setdefault(posixpath.basename(path), path)
        # the names by which units of another name are started: dbus-org..., sshd.service
        for name in self._files.names(LOCAL):
            path = f"{LOCAL}/{name}"
            target = self._files.tree.read_link(path)
            if target is not None and posixpath.basename(target) in found:
                found.setdefault(name, path)
        return found

    @cached_property
    def _scripts(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for pattern in _SYSV:
            for path in self._files.glob(f"{pattern}/S[0-9][0-9]*"):
                found.setdefault(posixpath.basename(path)[3:], path)
        for path in self._files.glob("/etc/runlevels/*/*"):
            found.setdefault(posixpath.basename(path), path)
        return found

    @cached_property
    def _presets_apply(self) -> bool:
        """Whether the next boot is systemd's first, when presets are applied."""
        text = self._files.text("/etc/machine-id")
        return text is None or text.strip() == "uninitialized"

    def _preset(self, name: str) -> str | None:
        """Return the preset file that enables a unit: the first line that fits decides."""
        for path in self._files.drop_ins(_PRESETS, "*.preset"):
            for line in uncommented(self._files.lines(path), "#;"):
                words = line.text.split()
                if len(words) >= 2 and fnmatch.fnmatchcase(name, words[1]):
                    return path if words[0] == "enable" else None
        return None


def read_rc_conf(files: Files) -> dict[str, str]:
    """Read rc.conf of a BSD, with what overrides it."""
    values: dict[str, str] = {}
    for path in ("/etc/rc.conf", "/etc/rc.conf.local"):
        values |= {key: setting.value for key, setting in settings(files.lines(path)).items()}
    return values
