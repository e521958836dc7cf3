"""Whether new machines can be made of a Linux guest.

What the agent would have removed is looked for, and what it leaves where it has removed it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.linux.accounts import LOCKED_BY_WAAGENT
from vhdtool.guest.linux.agent import SENTINEL, STATE
from vhdtool.guest.linux.cloudinit import STATE as CLOUD_STATE
from vhdtool.guest.linux.files import Line, settings
from vhdtool.guest.linux.release import Family
from vhdtool.guest.verdict import Evidence, State, Verdict
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vhdtool.guest.linux.files import Files
    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.guest.linux.release import Release

NEUTRAL_NAMES = ("", "localhost", "localhost.localdomain", "localhost4", "(none)")
_FOR, _AGAINST = State.GENERALIZED, State.SPECIALIZED


def read_hostname(files: Files, release: Release | None) -> Line | None:
    """Return the line that names the host, its text only the name; None where no file does."""
    family = Family.OTHER if release is None else release.family
    if family is Family.FREEBSD:
        return _assigned(files, "/etc/rc.conf", "hostname")
    if family is Family.OPENBSD:
        return _first(files, "/etc/myname")
    for path in ("/etc/hostname", "/etc/HOSTNAME"):
        line = _first(files, path)
        if line is not None:
            return line
    old = _assigned(files, "/etc/sysconfig/network", "HOSTNAME")
    return old or (Line("/etc/hostname", 1, "") if files.exists("/etc/hostname") else None)


def _first(files: Files, path: str) -> Line | None:
    for line in files.lines(path):
        text = line.text.strip()
        if text and not text.startswith("#"):
            return Line(path, line.number, text)
    return None


def _assigned(files: Files, path: str, key: str) -> Line | None:
    setting = settings(files.lines(path)).get(key)
    return None if setting is None else Line(path, setting.line.number, setting.value)


def is_neutral(name: str, release: Release | None) -> bool:
    """Whether a host's name is nobody's: what the agent or the distribution's maker leaves."""
    known = "" if release is None else release.id
    return name.lower() in (*NEUTRAL_NAMES, known, f"{known}.localdomain")


def judge(guest: LinuxGuest) -> Verdict:
    """Weigh the evidence.

    - The agent's sentinel is decisive: with it no new machine is provisioned.
    - Without it, a guest of which nothing is left of a machine is generalized; whether it was
      deprovisioned or never started looks the same, and is.
    - What the agent leaves when it deprovisions, beside the sentinel, is a contradiction: the
      guest was started, or restored in part, afterwards.
    - Any other mixture is unclear.
    """
    evidence: list[Evidence] = []
    unread: list[str] = []
    for look in _LOOKS:
        try:
            evidence += look(guest)
        except GuestError as error:
            unread.append(str(error))
    evidence.sort(key=lambda one: (not one.decisive, one.points_to is _FOR))
    names = {one.name for one in evidence}
    state, summary = _decide(guest, evidence, names, unread)
    return Verdict(state, summary, tuple(evidence), tuple(_histories(names)), tuple(unread))


def _decide(
    guest: LinuxGuest, evidence: list[Evidence], names: set[str], unread: list[str]
) -> tuple[State, str]:
    against = [one for one in evidence if one.points_to is _AGAINST]
    strong = [one for one in against if one.name in _TELLING]
    if "provisioned-sentinel" in names:
        if (
            "root-locked-by-waagent" in names
            and not {"human-account", "cloud-init-instance"} & names
        ):
            return State.INCONSISTENT, (
                f"{SENTINEL} is there, though waagent deprovisioned the guest: it was started since"
            )
        return State.SPECIALIZED, f"{SENTINEL} is there: the agent provisions no new machine"
    if guest.release is None and not guest.files.exists("/etc/passwd"):
        return State.UNCLEAR, "no Linux was found"
    if unread:
        return State.UNCLEAR, f"not all could be read: {unread[0]}"
    if not strong:
        return State.GENERALIZED, "nothing is left that belongs to one machine"
    listed = ", ".join(dict.fromkeys(one.name for one in strong))
    if {"root-locked-by-waagent", "neutral-host-name"} <= names:
        return State.UNCLEAR, f"waagent deprovisioned the guest, and left: {listed}"
    if "cloud-init-instance" in names and {"human-account", "host-name"} & names:
        return State.SPECIALIZED, f"it is a machine's: {listed}"
    if {"host-name", "human-account"} <= names:
        return State.SPECIALIZED, f"it is a machine's: {listed}"
    return State.UNCLEAR, f"some of a machine is left: {listed}"


# Evidence against a generalized guest that keeps it from being one.
_TELLING = frozenset(
    ("provisioned-sentinel", "agent-state", "cloud-init-instance", "host-name", "human-account",
     "root-password", "authorized-keys")
)  # fmt: skip


def _histories(names: set[str]) -> Iterator[str]:
    if {"provisioned-sentinel", "agent-state"} & names:
        yield "captured-machine"
    if "cloud-init-instance" in names:
        yield "cloud-init-instance"
    if "root-locked-by-waagent" in names:
        yield "waagent-deprovisioned"
    if "provisioned-sentinel" in names and "root-locked-by-waagent" in names:
        yield "started-after-deprovisioning"


def _sentinel(guest: LinuxGuest) -> Iterator[Evidence]:
    if guest.files.has_name(SENTINEL):
        content = (guest.files.text(SENTINEL) or "").strip()
        said = f" for machine {printable(content[:64])}" if content else ""
        yield Evidence(
            "provisioned-sentinel", _AGAINST, f"the agent has provisioned this guest{said}",
            SENTINEL, 1, decisive=True,
        )  # fmt: skip
    else:
        yield Evidence("no-provisioned-sentinel", _FOR, "the agent's sentinel is absent", SENTINEL)


def _agent_state(guest: LinuxGuest) -> Iterator[Evidence]:
    names = [name for name in guest.files.names(STATE) if f"{STATE}/{name}" != SENTINEL]
    # what packages put there before any machine runs
    names = [
        name for name in names if not re.match(r"WALinuxAgent-|\.|waagent-network-setup", name)
    ]
    if names:
        shown = ", ".join(printable(name) for name in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield Evidence("agent-state", _AGAINST, f"the agent's folder holds {shown}{more}", STATE)
    elif guest.files.exists(STATE):
        yield Evidence("no-agent-state", _FOR, "the agent's folder is empty", STATE)


def _instance(guest: LinuxGuest) -> Iterator[Evidence]:
    link = f"{CLOUD_STATE}/instance"
    instances = guest.files.names(f"{CLOUD_STATE}/instances")
    if guest.files.has_name(link) or instances:
        target = guest.files.tree.read_link(link) or ""
        known = target.rstrip("/").rpartition("/")[2] or ", ".join(instances[:2])
        yield Evidence(
            "cloud-init-instance", _AGAINST,
            f"cloud-init has set up instance {printable(known)}",
            link if guest.files.has_name(link) else f"{CLOUD_STATE}/instances",
        )  # fmt: skip
    elif guest.cloud_init_program is not None:
        yield Evidence("no-cloud-init-instance", _FOR, "cloud-init has set up no instance", link)


def _hostname(guest: LinuxGuest) -> Iterator[Evidence]:
    line = guest.hostname
    name = "" if line is None else line.text
    path = "/etc/hostname" if line is None else line.path
    number = None if line is None else line.number
    if is_neutral(name, guest.release):
        said = f"the host's name is {printable(name)}" if name else "the host has no name"
        yield Evidence("neutral-host-name", _FOR, said, path, number)
    else:
        yield Evidence("host-name", _AGAINST, f"the host's name is {printable(name)}", path, number)


def _root(guest: LinuxGuest) -> Iterator[Evidence]:
    for password in guest.passwords:
        if password.name != "root":
            continue
        if password.line.text.strip() == LOCKED_BY_WAAGENT and password.line.number == 1:
            yield Evidence(
                "root-locked-by-waagent", _FOR,
                "root is locked by the line that waagent -deprovision writes",
                password.line.path, 1,
            )  # fmt: skip
        elif password.is_usable:
            yield Evidence(
                "root-password", _AGAINST, "root has a password", password.line.path,
                password.line.number,
            )  # fmt: skip


def _people(guest: LinuxGuest) -> Iterator[Evidence]:
    hashes = {one.name for one in guest.passwords if one.is_usable}
    keys = {line.path.rpartition("/.ssh/")[0] for line in guest.authorized_keys()}
    for account in guest.people:
        how = []
        if account.name in hashes:
            how.append("a password")
        if account.home.rstrip("/") in keys:
            how.append("a key")
        if how:
            yield Evidence(
                "human-account", _AGAINST,
                f"{printable(account.name)} can log in with {' and '.join(how)}",
                account.line.path, account.line.number,
            )  # fmt: skip
    if "/root" in keys:
        yield Evidence(
            "authorized-keys", _AGAINST, "root can log in with a key",
            "/root/.ssh/authorized_keys",
        )  # fmt: skip


def _machine_id(guest: LinuxGuest) -> Iterator[Evidence]:
    known = guest.machine_id
    if known is not None and re.fullmatch(r"[0-9a-f]{32}", known):
        yield Evidence("machine-id", _AGAINST, f"the machine's id is {known}", "/etc/machine-id", 1)
    elif known is not None:
        yield Evidence("no-machine-id", _FOR, "the machine has no id", "/etc/machine-id")


def _host_keys(guest: LinuxGuest) -> Iterator[Evidence]:
    for path in guest.host_keys[:1]:
        yield Evidence("ssh-host-keys", _AGAINST, "sshd has keys of its own", path)


_LOOKS: tuple[Callable[[LinuxGuest], Iterator[Evidence]], ...] = (
    _sentinel,
    _agent_state,
    _instance,
    _hostname,
    _root,
    _people,
    _machine_id,
    _host_keys,
)
