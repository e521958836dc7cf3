"""The SSH server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.release import Family
from vhdtool.rules.linux.declare import ERROR, MARKETPLACE, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, path_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit, Severity

_PROGRAMS = ("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd")
UNITS = ("sshd.service", "ssh.service", "ssh.socket", "sshd.socket", "sshd", "ssh")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LEAST, MOST = 30, 235  # seconds, by the Marketplace's test


@linux_rule("LNX345", "no-ssh-server", ERROR)
def no_ssh_server(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    sshd is installed and starts with the machine, by its service or its socket.

    ## Why it matters
    SSH is how one gets into a Linux machine in Azure.

    ## How to fix
    Install openssh-server, and `systemctl enable sshd` (`ssh` on Debian and Ubuntu).

    ## Source
    - Azure, "Prepare Linux for imaging"; Azure Marketplace, certification FAQ
    """
    program = guest.files.first(_PROGRAMS)
    if program is None:
        yield path_hit("sshd is not installed", _PROGRAMS[0])
        return
    if guest.is_of(Family.FLATCAR) or guest.is_bsd or guest.starts(*UNITS) is not None:
        return
    for name in UNITS:
        unit = guest.services.unit(name)
        if unit.masked_by is not None:
            yield path_hit(f"{name} is masked, expected it to start", unit.masked_by)
            return
    present = guest.services.present(UNITS)
    where = program if not present else present[0].path or program
    yield path_hit("sshd does not start with the machine", where)


@linux_rule("LNX346", "client-alive-interval", WARNING)
def client_alive_interval(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    sshd's ClientAliveInterval is set, to 30 to 235 seconds. Azure advises 180.

    ## Why it matters
    Azure's load balancers end connections that are silent for four minutes.

    ## How to fix
    `ClientAliveInterval 180` in /etc/ssh/sshd_config, before any Match.

    ## Source
    - Azure, "Prepare Linux for imaging"; Azure Marketplace, certification test 46
    """
    yield from alive_interval(guest)


def alive_interval(guest: LinuxGuest, severity: Severity | None = None) -> Iterator[Hit]:
    """Hit an interval that is not set, or out of the range that the Marketplace takes."""
    config = guest.ssh
    if config.path is None or guest.files.first(_PROGRAMS) is None:
        return
    setting = config.get("ClientAliveInterval")
    if setting is None:
        yield path_hit(
            f"ClientAliveInterval is not set, expected {LEAST} to {MOST} seconds",
            config.path,
            severity,
        )
        return
    seconds = duration(setting.value)
    if seconds is None or not LEAST <= seconds <= MOST:
        yield line_hit(
            f"ClientAliveInterval is {quoted(setting.value)}, expected {LEAST} to {MOST} seconds",
            setting.line,
            severity,
        )


def duration(text: str) -> int | None:
    """Read a time as sshd does, `2m30s`, in seconds; None where it is none."""
    parts = re.findall(r"(\d{1,9})([smhdw]?)", text.lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.lower():
        return None
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


@linux_rule("MKT608", "marketplace-client-alive-interval", ERROR, MARKETPLACE)
def marketplace_client_alive_interval(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    What LNX346 checks, as a condition of certification.

    ## Why it matters
    The Marketplace refuses images whose ClientAliveInterval is not between 30 and 235 seconds.

    ## How to fix
    See LNX346.

    ## Source
    - Azure Marketplace, certification test 46
    """
    yield from alive_interval(guest)
