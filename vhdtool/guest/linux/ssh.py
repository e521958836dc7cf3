"""How sshd is configured: the first value of a keyword wins, outside of Match blocks."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.linux.files import Setting, unquoted

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files

_MOST_DEPTH = 16  # as sshd has it
_MOST_FILES = 256
MAIN = "/etc/ssh/sshd_config"
DEFAULTS = "/usr/etc/ssh/sshd_config"  # openSUSE's, where there is no other


@dataclass(slots=True)
class SshConfig:
    """What sshd does for every connection.

    Attributes:
        path: The main file; None where there is none.
        values: The deciding setting by keyword, lower case.
        repeated: Settings that come too late to count.
        malformed: Lines with a keyword and nothing else.
    """

    path: str | None = None
    values: dict[str, Setting] = field(default_factory=dict)
    repeated: list[Setting] = field(default_factory=list)
    malformed: list[Setting] = field(default_factory=list)
    read: int = 0

    def get(self, keyword: str) -> Setting | None:
        """Return the setting of a keyword in any case; None where the default holds."""
        return self.values.get(keyword.lower())


def read_ssh_config(files: Files) -> SshConfig:
    """Read sshd_config with what it includes.

    Raises:
        GuestError: Files include each other without end.
    """
    main = files.first((MAIN, DEFAULTS))
    config = SshConfig(main)
    if main is not None:
        _read(files, main, config, always=True, depth=0)
    return config


def _read(files: Files, path: str, config: SshConfig, *, always: bool, depth: int) -> None:
    config.read += 1
    if depth > _MOST_DEPTH or config.read > _MOST_FILES:
        raise GuestError(f"{path}: too many files of sshd's configuration include each other")
    applies = always
    for line in files.lines(path):
        text = line.text.strip()
        if not text or text.startswith("#"):
            continue
        keyword, value = _split(text)
        setting = Setting(keyword, value, line)
        if keyword == "match":
            applies = always and value.lower() == "all"
        elif keyword == "include":
            for pattern in value.split():
                absolute = posixpath.join("/etc/ssh", pattern)
                for included in files.glob(absolute):
                    if files.tree.is_file(included):
                        _read(files, included, config, always=applies, depth=depth + 1)
        elif applies:
            _take(config, setting)


def _split(text: str) -> tuple[str, str]:
    """Split a line into its keyword, lower case, and the rest: `Port 22`, `Port=22`."""
    for index, sign in enumerate(text):
        if sign in " \t=":
            return text[:index].lower(), unquoted(text[index:].lstrip(" \t=").strip())
    return text.lower(), ""


# Keywords that may come more than once.
_LISTS = frozenset(
    ("port", "listenaddress", "hostkey", "hostcertificate", "acceptenv", "setenv", "subsystem",
     "allowusers", "allowgroups", "denyusers", "denygroups", "authenticationmethods",
     "permitopen", "permitlisten", "logverbose")
)  # fmt: skip


def _take(config: SshConfig, setting: Setting) -> None:
    if setting.value == "":
        config.malformed.append(setting)
    elif setting.key not in config.values:
        config.values[setting.key] = setting
    elif setting.key not in _LISTS:
        config.repeated.append(setting)


def host_keys(files: Files) -> list[str]:
    """Return the paths of host keys, private and public."""
    return files.glob("/etc/ssh/ssh_host_*key*")
