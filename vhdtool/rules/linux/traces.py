"""Traces of the build and of earlier use: histories, logs, caches, spools."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.rules.linux.declare import (
    ERROR,
    GENERALIZED,
    INFO,
    MARKETPLACE,
    WARNING,
    linux_rule,
)
from vhdtool.rules.linux.hits import below, filled, listed, path_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit

_HISTORIES = (".bash_history", ".zsh_history", ".sh_history", ".history", ".ash_history",
              ".mysql_history", ".python_history", ".psql_history")  # fmt: skip
_NETWORK_BY_CLOUD_INIT = (
    "/etc/netplan/50-cloud-init.yaml",
    "/etc/network/interfaces.d/50-cloud-init",
    "/etc/network/interfaces.d/50-cloud-init.cfg",
    "/etc/NetworkManager/conf.d/99-cloud-init.conf",
    "/etc/NetworkManager/conf.d/30-cloud-init-ip6-addr-gen-mode.conf",
)


def shell_histories(guest: LinuxGuest) -> list[str]:
    """Return the histories that are not empty."""
    return filled(guest.files, [f"{home}/{name}" for home in guest.homes for name in _HISTORIES])


@linux_rule("LGN308", "cloud-init-network-left", WARNING, GENERALIZED)
def cloud_init_network_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No network configuration is left that cloud-init wrote. One that names a card by its hardware
    address is an error.

    ## Why it matters
    A new machine has another card. cloud-init writes the file anew; until then, and where it does
    not run, the old one counts.

    ## How to fix
    `cloud-init clean --configs network` with version 24.1 or later, or delete the files.

    ## Source
    - canonical/cloud-init, cloudinit/cmd/clean.py and cloudinit/net renderers
    """
    files = guest.files
    paths = [path for path in _NETWORK_BY_CLOUD_INIT if files.exists(path)]
    paths += files.paths("/etc/NetworkManager/system-connections", "cloud-init-*.nmconnection")
    paths += files.paths("/etc/systemd/network", "10-cloud-init-*.network")
    for path in files.paths("/etc/sysconfig/network-scripts", "ifcfg-*"):
        if any("Created by cloud-init" in line.text for line in files.lines(path)[:5]):
            paths.append(path)
    pinned = {one.line.path for one in guest.interfaces if one.mac is not None}
    for path in paths:
        if path in pinned:
            yield path_hit("cloud-init wrote this for one hardware address", path, ERROR)
        else:
            yield path_hit("cloud-init wrote this for an earlier machine", path)


@linux_rule("LGN309", "cloud-init-sshd-settings-left", INFO, GENERALIZED)
def cloud_init_sshd_settings_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/ssh/sshd_config.d/50-cloud-init.conf is absent.

    ## Why it matters
    It allows or forbids passwords as the earlier machine was asked to. cloud-init writes it anew
    only where it is told something about passwords.

    ## How to fix
    `cloud-init clean --configs ssh_config` with version 24.1 or later, or delete the file.

    ## Source
    - canonical/cloud-init, cloudinit/ssh_util.py and cloudinit/cmd/clean.py
    """
    for path in filled(guest.files, ["/etc/ssh/sshd_config.d/50-cloud-init.conf"]):
        yield path_hit("cloud-init wrote this for an earlier machine", path)


@linux_rule("LGN322", "shell-history-left", WARNING, GENERALIZED)
def shell_history_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Histories of shells, databases and Python are empty in the homes of all who can log in.

    ## Why it matters
    They hold commands with what was typed into them, passwords among it. The agent empties root's
    only.

    ## How to fix
    Delete the files as the last thing, with `unset HISTFILE` in the shell that does it.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py
    - microsoft/lisa, test `verify_bash_history_is_empty`
    """
    for path in shell_histories(guest):
        yield path_hit(f"the history has {guest.files.size(path)} bytes, expected none", path)


@linux_rule("LGN335", "build-logs-left", INFO, GENERALIZED, MARKETPLACE)
def build_logs_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    There are no logs of the build: system logs, audit log, journal, installer's logs and answers.

    ## Why it matters
    They tell of the build's network and accounts, and confuse whoever reads the machine's own.

    ## How to fix
    Truncate or delete them as the last thing: `journalctl --rotate --vacuum-time=1s`.

    ## Source
    - Azure Marketplace, "Security recommendations"
    - libguestfs/guestfs-tools, sysprep/sysprep_operation_logfiles.ml
    """
    files = guest.files
    left = filled(
        files,
        [f"/var/log/{name}" for name in ("messages", "syslog", "secure", "auth.log",
                                         "audit/audit.log", "kern.log", "cron")],
    )  # fmt: skip
    left += [path for path in files.paths("/var/log/journal") if files.names(path)]
    left += files.paths("/var/log/anaconda") + files.paths("/var/log/installer")
    left += filled(files, ["/root/anaconda-ks.cfg", "/root/original-ks.cfg", "/root/install.log"])
    if left:
        yield path_hit(f"logs of the build are left: {listed(left)}", left[0])


@linux_rule("LGN336", "crash-data-left", INFO, GENERALIZED)
def crash_data_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    There are no dumps of crashes.

    ## Why it matters
    They hold memory of the machine that the image was made from, and take room.

    ## How to fix
    Delete them.

    ## Source
    - libguestfs/guestfs-tools, sysprep/sysprep_operation_crash_data.ml
    """
    folders = ("/var/crash", "/var/lib/systemd/coredump", "/var/log/dump")
    left = [
        path for path in below(guest.files, folders) if not path.rpartition("/")[2].startswith(".")
    ]
    left = [path for path in left if guest.files.size(path) or guest.files.names(path)]
    if left:
        yield path_hit(f"dumps are left: {listed(left)}", left[0])


@linux_rule("LGN337", "package-caches-left", INFO, GENERALIZED)
def package_caches_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Package managers have no downloaded packages, and no id of one machine.

    ## Why it matters
    The packages take room; the ids count machines.

    ## How to fix
    `apt-get clean`, `dnf clean all`, `zypper clean --all`; delete /var/lib/zypp/AnonymousUniqueId
    and /var/lib/yum/uuid.

    ## Source
    - libguestfs/guestfs-tools, sysprep operations package-manager-cache and yum-uuid
    """
    files = guest.files
    left = files.paths("/var/cache/apt/archives", "*.deb")
    left += files.glob("/var/cache/dnf/*/packages/*.rpm")
    left += files.glob("/var/cache/yum/*/*/*/packages/*.rpm")
    left += files.glob("/var/cache/zypp/packages/*/*.rpm")
    left += files.glob("/var/cache/zypp/packages/*/*/*.rpm")
    left += files.paths("/var/cache/pacman/pkg", "*.pkg.tar.*")
    left += files.paths("/var/cache/tdnf", "*.rpm")
    left += filled(files, ["/var/lib/yum/uuid", "/var/lib/zypp/AnonymousUniqueId"])
    if left:
        yield path_hit(f"package managers keep {listed(left)}", left[0])


@linux_rule("LGN338", "account-backups-left", INFO, GENERALIZED)
def account_backups_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The backups that account tools make (/etc/shadow- and the like) hold no password.

    ## Why it matters
    A hash that was removed from /etc/shadow may still stand there.

    ## How to fix
    Delete /etc/passwd-, shadow-, group-, gshadow-, subuid- and subgid-.

    ## Source
    - libguestfs/guestfs-tools, sysprep/sysprep_operation_passwd_backups.ml
    - Narrower than the catalogue: without a hash, a backup is what every distribution ships.
    """
    for name in ("shadow-", "gshadow-"):
        for line in guest.files.lines(f"/etc/{name}"):
            field = f"{line.text}::".split(":")[1]
            if re.match(r"\$|_|[A-Za-z0-9./]{13}$", field):
                yield path_hit("a backup holds a password", line.path)
                break


@linux_rule("LGN339", "spools-left", INFO, GENERALIZED)
def spools_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    There is no mail, and there are no jobs of users.

    ## Why it matters
    Jobs run on every machine that is made of the image.

    ## How to fix
    Delete what is not meant to be there.

    ## Source
    - libguestfs/guestfs-tools, sysprep operations mail-spool and cron-spool
    """
    files = guest.files
    paths = below(
        files, ("/var/spool/mail", "/var/mail", "/var/spool/cron", "/var/spool/cron/crontabs",
                "/var/spool/cron/tabs", "/var/spool/at", "/var/spool/cron/atjobs")
    )  # fmt: skip
    left = [path for path in filled(files, paths) if not path.rpartition("/")[2].startswith(".")]
    if left:
        yield path_hit(f"mail or jobs are left: {listed(left)}", left[0])


@linux_rule("LGN342", "temporary-files-left", INFO, GENERALIZED)
def temporary_files_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /tmp and /var/tmp are empty but for the hidden folders of the system's own sockets.

    ## Why it matters
    Little: they take room, and what a build leaves may be secret.

    ## How to fix
    Empty the folders.

    ## Source
    - libguestfs/guestfs-tools, sysprep/sysprep_operation_tmp_files.ml
    """
    left = [
        path
        for path in below(guest.files, ("/tmp", "/var/tmp"))
        if not re.match(
            r"\.|systemd-private-|snap-private-tmp|lost\+found", path.rpartition("/")[2]
        )
    ]
    if left:
        yield path_hit(f"temporary files are left: {listed(left)}", left[0])


@linux_rule("LGN349", "login-records-left", INFO, GENERALIZED)
def login_records_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Records of logins are empty: wtmp, btmp, lastlog.

    ## Why it matters
    They tell who was on the machine that the image was made from, and from where.

    ## How to fix
    `truncate -s 0 /var/log/wtmp /var/log/btmp /var/log/lastlog`

    ## Source
    - libguestfs/guestfs-tools, sysprep/sysprep_operation_utmp.ml and _logfiles.ml
    """
    names = ("wtmp", "btmp", "lastlog", "wtmp.db", "lastlog2/lastlog2.db")
    left = filled(guest.files, [f"/var/log/{name}" for name in names])
    if left:
        yield path_hit(f"records of logins are left: {listed(left)}", left[0])
