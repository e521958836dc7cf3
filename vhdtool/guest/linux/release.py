"""Which distribution a guest runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import settings

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files


class Family(StrEnum):
    """Distributions that keep their configuration in the same places."""

    DEBIAN = "debian"  # and Ubuntu
    REDHAT = "rhel"  # Red Hat Enterprise Linux, CentOS, Rocky, AlmaLinux, Oracle, Fedora
    SUSE = "suse"  # SLES, openSUSE
    AZURE_LINUX = "azurelinux"  # and CBL-Mariner before it
    ALPINE = "alpine"
    ARCH = "arch"
    FLATCAR = "flatcar"  # and CoreOS
    FREEBSD = "freebsd"
    OPENBSD = "openbsd"
    OTHER = "other"


_FAMILIES = {
    "debian": Family.DEBIAN,
    "ubuntu": Family.DEBIAN,
    "rhel": Family.REDHAT,
    "centos": Family.REDHAT,
    "rocky": Family.REDHAT,
    "almalinux": Family.REDHAT,
    "ol": Family.REDHAT,
    "fedora": Family.REDHAT,
    "sles": Family.SUSE,
    "sles_sap": Family.SUSE,
    "sled": Family.SUSE,
    "suse": Family.SUSE,
    "opensuse": Family.SUSE,
    "opensuse-leap": Family.SUSE,
    "opensuse-tumbleweed": Family.SUSE,
    "azurelinux": Family.AZURE_LINUX,
    "mariner": Family.AZURE_LINUX,
    "alpine": Family.ALPINE,
    "arch": Family.ARCH,
    "flatcar": Family.FLATCAR,
    "coreos": Family.FLATCAR,
    "freebsd": Family.FREEBSD,
    "openbsd": Family.OPENBSD,
}
# What was there before os-release: a file and what its first line starts with.
_OLD_FILES = (
    ("/etc/oracle-release", "ol", "Oracle Linux"),
    ("/etc/centos-release", "centos", "CentOS"),
    ("/etc/redhat-release", "rhel", ""),
    ("/etc/SuSE-release", "sles", ""),
    ("/etc/alpine-release", "alpine", "Alpine Linux"),
    ("/etc/debian_version", "debian", "Debian"),
)


@dataclass(frozen=True, slots=True)
class Release:
    """A distribution and its version.

    Attributes:
        id: `debian`, `ubuntu`, `rhel`, `ol`, `sles`, ... as os-release has it, lower case.
        family: Whose habits it has.
        version: `12`, `24.04`, `9.4`; "" where the system does not say (Arch).
        name: What people call it, with the version.
        path: The file that says so.
    """

    id: str
    family: Family
    version: str
    name: str
    path: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version as numbers, to compare: (24, 4)."""
        return tuple(int(part) for part in re.findall(r"\d{1,9}", self.version))

    def before(self, *numbers: int) -> bool:
        """Whether the version is known and lower."""
        return bool(self.numbers) and self.numbers < numbers

    @property
    def is_bsd(self) -> bool:
        """Whether this is no Linux at all."""
        return self.family in (Family.FREEBSD, Family.OPENBSD)


def read_release(files: Files) -> Release | None:
    """Tell the distribution; None where nothing does."""
    if files.exists("/bin/freebsd-version"):
        return _freebsd(files)
    if files.exists("/bsd") and (files.exists("/etc/installurl") or files.exists("/etc/myname")):
        return Release("openbsd", Family.OPENBSD, "", "OpenBSD", "/bsd")
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        lines = files.lines_or_none(path)
        if lines is None:
            continue
        values = {key: setting.value for key, setting in settings(lines).items()}
        if values.get("ID"):
            return _by_os_release(values, path)
    return _by_old_files(files)


def _by_os_release(values: dict[str, str], path: str) -> Release:
    known = values["ID"].lower()
    version = values.get("VERSION_ID", "")
    likes = [known, *values.get("ID_LIKE", "").lower().split()]
    family = next((_FAMILIES[like] for like in likes if like in _FAMILIES), Family.OTHER)
    name = values.get("PRETTY_NAME") or f"{values.get('NAME', known)} {version}".strip()
    return Release(known, family, version, name, path)


def _by_old_files(files: Files) -> Release | None:
    for path, known, wanted in _OLD_FILES:
        lines = files.lines_or_none(path)
        if lines is None:
            continue
        first = lines[0].text.strip()
        found = re.search(r"\d+(\.\d+)*", first)
        version = found.group() if found else ""
        name = first if re.search(r"[A-Za-z]", first) else f"{wanted or known} {first}".strip()
        return Release(known, _FAMILIES[known], version, name, path)
    return None


def _freebsd(files: Files) -> Release:
    path = "/bin/freebsd-version"
    found = re.search(r'USERLAND_VERSION="?([\d.]+)', files.text(path) or "")
    version = found.group(1) if found else ""
    return Release("freebsd", Family.FREEBSD, version, f"FreeBSD {version}".strip(), path)
