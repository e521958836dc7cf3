"""The verdict on a guest, as rules: what it is, what it was, what cleaned it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.linux.accounts import LOCKED_BY_WAAGENT
from vhdtool.guest.linux.agent import SENTINEL
from vhdtool.guest.linux.cloudinit import STATE as CLOUD_STATE
from vhdtool.guest.verdict import State
from vhdtool.rules.linux.declare import GENERALIZED, INFO, SPECIALIZED, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, listed, path_hit
from vhdtool.rules.model import GuestLocation, Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest


@linux_rule("LGN344", "not-clearly-deprovisioned", INFO, GENERALIZED)
def not_clearly_deprovisioned(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    All evidence together says that the guest is generalized: no sentinel, an empty agent's folder,
    a host name that is nobody's, no cloud-init instance, nobody who can log in.

    ## Why it matters
    Each piece alone may be harmless. Where they disagree, somebody should look.

    ## How to fix
    See the rules that name the pieces. `vhdtool inspect` lists the evidence for and against.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py
    - Azure/azure-diskinspect-service, manifests/linux/genspec
    """
    verdict = guest.verdict
    if verdict.state in (State.UNCLEAR, State.INCONSISTENT):
        first = next(iter(verdict.contrary), None)
        location = None if first is None else GuestLocation(first.path, first.line)
        yield Hit(f"the guest is {verdict.state}: {verdict.summary}", location)


@linux_rule("LGN314", "root-locked-by-waagent", INFO, GENERALIZED)
def root_locked_by_waagent(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The first line of /etc/shadow is not the one that `waagent -deprovision` writes for root.

    ## Why it matters
    Nothing is wrong with it. It proves that the guest was deprovisioned at some time, perhaps
    before it was started again.

    ## How to fix
    Nothing needs to be done.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/common/osutil/default.py, del_root_password
    """
    for password in guest.passwords:
        if password.line.number == 1 and password.line.text.strip() == LOCKED_BY_WAAGENT:
            yield line_hit("waagent -deprovision has locked root here", password.line)


@linux_rule("LGN345", "sysprepped-but-not-deprovisioned", INFO, GENERALIZED)
def sysprepped_but_not_deprovisioned(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    A guest without machine id, SSH host keys and logs has no state of the Azure agents either.

    ## Why it matters
    virt-sysprep and its like clean the former and know nothing of the latter: such an image looks
    clean, and its machines are not provisioned.

    ## How to fix
    Empty /var/lib/waagent and run `cloud-init clean`, besides.

    ## Source
    - libguestfs/guestfs-tools, sysprep: no operation touches /var/lib/waagent or /var/lib/cloud
    """
    marks = [path for path in (SENTINEL, f"{CLOUD_STATE}/instance") if guest.files.has_name(path)]
    cleaned = not guest.machine_id and not guest.host_keys and not guest.is_bsd
    if marks and cleaned and guest.machine_id is not None:
        yield path_hit(
            f"the guest has neither machine id nor host keys, yet {listed(marks)} is left", marks[0]
        )


@linux_rule("LGN347", "provisioning-on-in-specialized", WARNING, SPECIALIZED)
def provisioning_on_in_specialized(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    A guest that is to stay as it is has the agent's provisioning off, or was provisioned already.

    ## Why it matters
    An agent that provisions may change the host's name and make new SSH host keys.

    ## How to fix
    Set `Provisioning.Agent=disabled` in waagent.conf, and disable cloud-init where it is not
    wanted.

    ## Source
    - Azure, "Disable or remove the Linux agent" and "Disable provisioning"
    """
    config = guest.agent_config
    if config is None or guest.agent_program is None or guest.files.has_name(SENTINEL):
        return
    agent = config.get("Provisioning.Agent")
    if config.text("Provisioning.Agent", "auto") in ("disabled", "cloud-init"):
        return
    if not config.is_on("Provisioning.Enabled", default=True):
        return
    message = "the agent may provision this guest anew: Provisioning.Agent is "
    if agent is None:
        yield path_hit(f"{message}not set, expected disabled", config.path)
    else:
        yield line_hit(f"{message}{agent.value}, expected disabled", agent.line)


@linux_rule("LGN346", "no-agent-image-not-clean", WARNING, GENERALIZED)
def no_agent_image_not_clean(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    A guest without waagent and cloud-init has neither SSH host keys nor people's accounts, which
    nothing would replace.

    ## Why it matters
    All machines made of it share the keys, and everyone who knows the builder's password is in.

    ## How to fix
    Delete the keys and the accounts, and add a unit that makes keys and reports ready.

    ## Source
    - Azure, "Creating generalized images without a provisioning agent"
    """
    if guest.agent_program is not None or guest.cloud_init_program is not None or guest.is_bsd:
        return
    if guest.host_keys:
        yield path_hit("no agent replaces this host key", guest.host_keys[0])
    for account in guest.people:
        yield line_hit(f"no agent removes the account {account.name}", account.line)
