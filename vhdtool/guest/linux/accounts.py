"""Accounts of a guest: passwd, shadow, sudoers and what users keep in their homes."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import uncommented

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files, Line
    from vhdtool.guest.linux.release import Release

LOCKED_BY_WAAGENT = "root:*LOCK*:14600::::::"
_NO_LOGIN = ("nologin", "false", "sync", "shutdown", "halt", "git-shell")
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Account:
    """A line of passwd; `uid` is None where that is no number."""

    name: str
    uid: int | None
    home: str
    shell: str
    line: Line

    @property
    def can_log_in(self) -> bool:
        """Whether the shell is one; an empty field stands for /bin/sh."""
        return posixpath.basename(self.shell) not in _NO_LOGIN


@dataclass(frozen=True, slots=True)
class Password:
    """A line of shadow or, on BSD, of master.passwd: the account and its second field."""

    name: str
    field: str
    line: Line

    @property
    def is_usable(self) -> bool:
        """Whether some password fits: a hash that nothing locks."""
        return self.field not in ("", "x") and not any(sign in self.field for sign in "*!")

    @property
    def is_empty(self) -> bool:
        """Whether no password is asked for."""
        return self.field == ""


def read_accounts(files: Files) -> list[Account]:
    """Return the lines of /etc/passwd that have all fields."""
    accounts = []
    for line in uncommented(files.lines("/etc/passwd")):
        fields = line.text.strip().split(":")
        if len(fields) >= 7 and fields[0][:1] not in "+-":
            uid = int(fields[2]) if fields[2].isascii() and fields[2].isdigit() else None
            accounts.append(Account(fields[0], uid, fields[5], fields[6], line))
    return accounts


def read_passwords(files: Files, release: Release | None) -> list[Password]:
    """Return the lines of the file of password hashes."""
    bsd = release is not None and release.is_bsd
    path = "/etc/master.passwd" if bsd else "/etc/shadow"
    passwords = []
    for line in uncommented(files.lines(path)):
        fields = line.text.strip().split(":")
        if len(fields) >= 2 and fields[0][:1] not in "+-":
            passwords.append(Password(fields[0], fields[1], line))
    return passwords


def first_user_id(files: Files) -> int:
    """Return the first number of people's accounts, by /etc/login.defs; else 1000."""
    for path in ("/etc/login.defs", "/usr/etc/login.defs"):
        for line in uncommented(files.lines(path)):
            words = line.text.split()
            if words[0] == "UID_MIN" and len(words) > 1 and words[1].isdigit():
                return int(words[1])
    return 1000


def people(accounts: list[Account], first: int) -> list[Account]:
    """Return the accounts of people: not the system's, with a shell and a home."""
    return [
        one
        for one in accounts
        if one.uid is not None
        and first <= one.uid < _NOBODY
        and one.name != "nobody"
        and one.can_log_in
        and one.home not in ("", "/", "/nonexistent", "/dev/null")
    ]


def homes(files: Files, accounts: list[Account]) -> list[str]:
    """Return the folders of root, of all who can log in, and those in /home; each once."""
    named = [one.home for one in accounts if one.can_log_in and one.home.startswith("/")]
    found = ["/root", *named, *files.paths("/home")]
    unique = dict.fromkeys(posixpath.normpath(path) for path in found)
    return [path for path in unique if path not in ("/", "/home") and files.tree.is_folder(path)]


def read_sudoers(files: Files, release: Release | None) -> list[Line]:
    """Return the lines of sudoers and of the files that it includes by habit."""
    local = "/usr/local/etc" if release is not None and release.is_bsd else "/etc"
    main = files.first((f"{local}/sudoers", "/usr/etc/sudoers"))
    lines = [] if main is None else list(uncommented(files.lines(main)))
    for path in files.drop_ins((f"{local}/sudoers.d", "/usr/etc/sudoers.d"), "*"):
        name = posixpath.basename(path)
        if "." not in name and not name.endswith("~"):  # as sudo does
            lines += uncommented(files.lines(path))
    return lines
