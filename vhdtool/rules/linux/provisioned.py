"""What is left of the machine that an image was made from: the agents' state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.agent import SENTINEL, STATE, extension_folders
from vhdtool.guest.linux.cloudinit import STATE as CLOUD_STATE
from vhdtool.rules.linux.declare import ERROR, GENERALIZED, INFO, MARKETPLACE, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, listed, path_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit

# What the agent clears by itself when it finds that it is another machine.
_CLEARED = re.compile(
    r"(HostingEnvironmentConfig\.xml|Incarnation|partition|Protocol|SharedConfig\.xml"
    r"|WireServerEndpoint|published_hostname|fast_track\.json|initial_goal_state"
    r"|waagent_rsm_update|waagent_initial_update|Extensions\..*\.xml|ExtensionsConfig\..*\.xml"
    r"|GoalState\..*\.xml)$"
)
_KEYS = re.compile(r".*\.prv$|TransportPrivate\.pem$")


@linux_rule("LGN301", "provisioned-sentinel", ERROR, GENERALIZED)
def provisioned_sentinel(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /var/lib/waagent/provisioned is absent.

    ## Why it matters
    The agent takes the file as proof that the machine is set up. Where it provisions, rather than
    cloud-init, it reports success on a new machine without making the user that was asked for: the
    deployment looks good, and nobody can log in.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`. Or delete the file.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/provision/default.py
    - Azure/azure-diskinspect-service reads the same file to tell whether a disk is generalized
    """
    if guest.files.has_name(SENTINEL):
        content = (guest.files.read(SENTINEL) or b"").strip()
        said = f", for machine {quoted(content.decode('utf-8', 'replace'))}" if content else ""
        yield path_hit(f"the agent has provisioned this guest{said}", SENTINEL, None, content)


@linux_rule("LGN302", "agent-state-left", WARNING, GENERALIZED)
def agent_state_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /var/lib/waagent is empty but for the agent's own updates. What the agent clears by itself, and
    what other rules name, is left out here.

    ## Why it matters
    The files describe the machine that the image was made from: its identity, its certificates and
    what was to be run on it.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`. The folder itself stays.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py
    """
    left = [
        name
        for name in guest.files.names(STATE)
        if not (
            _CLEARED.match(name)
            or _KEYS.match(name)
            or name in ("provisioned", "ovf-env.xml", "disable_agent", "waagent-network-setup.py")
            or name.startswith((".", "WALinuxAgent-"))
            or guest.files.exists(f"{STATE}/{name}/HandlerManifest.json")
        )
    ]
    if left:
        yield path_hit(f"{STATE} holds {listed(left)}, expected nothing", STATE)


@linux_rule("LGN303", "agent-private-keys", ERROR, GENERALIZED, MARKETPLACE)
def agent_private_keys(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /var/lib/waagent has no private keys: *.prv, TransportPrivate.pem.

    ## Why it matters
    They decrypt what Azure sends to the machine that the image was made from, protected settings
    and secrets among it. Whoever has the image has the keys.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/common/utils/cryptutil.py and pa/deprovision/default.py
    """
    left = [name for name in guest.files.names(STATE) if _KEYS.match(name)]
    if left:
        yield path_hit(f"private keys are left: {listed(left)}", f"{STATE}/{left[0]}")


@linux_rule("LGN304", "provisioning-data-left", ERROR, GENERALIZED)
def provisioning_data_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    There is no ovf-env.xml of an earlier machine.

    ## Why it matters
    cloud-init looks for it in its seed folder and in the agent's folder, and sets up the new
    machine with the old one's user and name where it gets nothing newer.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`, then `cloud-init clean --logs --seed`.

    ## Source
    - canonical/cloud-init, cloudinit/sources/DataSourceAzure.py: seed, then DVD, then data folder
    """
    for path in (f"{STATE}/ovf-env.xml", f"{CLOUD_STATE}/seed/azure/ovf-env.xml"):
        if guest.files.has_name(path):
            yield path_hit("the provisioning data of an earlier machine is left", path)


@linux_rule("LGN305", "cloud-init-instance", WARNING, GENERALIZED)
def cloud_init_instance(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /var/lib/cloud has no instance, and no marks of what has run once.

    ## Why it matters
    What cloud-init does once per machine it does again for a new one, since that has another id.
    What it does once ever it does not, and the old machine's data and scripts stay in the image.

    ## How to fix
    In the guest: `cloud-init clean --logs`.

    ## Source
    - canonical/cloud-init, cloudinit/cmd/clean.py; semaphores in its state folder
    """
    marks = [f"{CLOUD_STATE}/instance"] if guest.files.has_name(f"{CLOUD_STATE}/instance") else []
    marks += guest.files.paths(f"{CLOUD_STATE}/instances")
    marks += guest.files.paths(f"{CLOUD_STATE}/sem")
    for name in ("instance-id", "previous-instance-id", "set-hostname"):
        path = f"{CLOUD_STATE}/data/{name}"
        marks += [path] if guest.files.has_name(path) else []
    if marks:
        yield path_hit(f"cloud-init has run here: {listed(marks)}", marks[0])


@linux_rule("LGN306", "reported-ready-marker", WARNING, GENERALIZED)
def reported_ready_marker(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /var/lib/cloud/data/reported_ready is absent.

    ## Why it matters
    cloud-init keeps it on machines that were started before they had an owner, and takes a machine
    with it for one of those.

    ## How to fix
    In the guest: `cloud-init clean --logs`.

    ## Source
    - canonical/cloud-init, cloudinit/sources/DataSourceAzure.py, REPORTED_READY_MARKER_FILE
    """
    path = f"{CLOUD_STATE}/data/reported_ready"
    if guest.files.has_name(path):
        yield path_hit(
            "the mark of a machine that was started before it had an owner is left", path
        )


@linux_rule("LGN307", "cloud-init-logs", INFO, GENERALIZED)
def cloud_init_logs(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    cloud-init's logs are absent or empty.

    ## Why it matters
    They tell of the machine that the image was made from, and confuse whoever reads the new one's.

    ## How to fix
    In the guest: `cloud-init clean --logs`.

    ## Source
    - canonical/cloud-init, cloudinit/cmd/clean.py
    """
    for path in ("/var/log/cloud-init.log", "/var/log/cloud-init-output.log"):
        size = guest.files.size(path)
        if size:
            yield path_hit(f"the log has {size} bytes, expected none", path)


@linux_rule("LGN310", "cloud-init-mounts", INFO, GENERALIZED)
def cloud_init_mounts(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/fstab has no lines that cloud-init wrote.

    ## Why it matters
    Nothing breaks: they have `nofail`, and cloud-init writes them anew. They show that the image
    was a machine.

    ## How to fix
    Remove the lines with `comment=cloudconfig`.

    ## Source
    - canonical/cloud-init, cloudinit/config/cc_mounts.py
    """
    for mount in guest.fstab:
        if mount.by_cloud_init:
            yield line_hit(f"cloud-init has mounted {quoted(mount.device)} here", mount.line)


@linux_rule("LGN323", "agent-logs", INFO, GENERALIZED)
def agent_logs(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The agent's logs are absent or empty: /var/log/waagent.log*, /var/log/azure.

    ## Why it matters
    They tell of the machine that the image was made from.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py
    """
    left = [
        path for path in guest.files.paths("/var/log", "waagent.log*") if guest.files.size(path)
    ]
    left += guest.files.paths("/var/log/azure")
    if left:
        yield path_hit(f"logs of the agent are left: {listed(left)}", left[0])


@linux_rule("LGN328", "agent-network-units", INFO, GENERALIZED)
def agent_network_units(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The units that the agent makes for its firewall rules and limits are absent.

    ## Why it matters
    Nothing breaks: the agent makes them anew. They show that the image was a machine.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/ga/persist_firewall_rules.py and
    pa/deprovision/default.py
    """
    names = ("10-Slice.conf", "11-CPUAccounting.conf", "12-CPUQuota.conf",
             "13-MemoryAccounting.conf")  # fmt: skip
    paths = [f"{STATE}/waagent-network-setup.py"]
    for folder in ("/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system"):
        for service in ("waagent", "walinuxagent"):
            paths.append(f"{folder}/{service}-network-setup.service")
            paths += [f"{folder}/{service}.service.d/{name}" for name in names]
        paths.append(f"{folder}/azure-walinuxagent-logcollector.slice")
    left = [path for path in paths if guest.files.has_name(path)]
    if left:
        yield path_hit(f"units that the agent made are left: {listed(left)}", left[0])


@linux_rule("LGN343", "extension-state", WARNING, GENERALIZED)
def extension_state(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No extension's settings or states are left in /var/lib/waagent.

    ## Why it matters
    An extension that finds its old sequence number takes new settings for old ones and does
    nothing; the settings themselves may hold what was secret.

    ## How to fix
    Remove the extensions from the machine, then `waagent -deprovision+user -force`.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/ga/exthandlers.py; Azure, "Generalize a virtual machine"
    """
    for folder in extension_folders(guest.files):
        left = [
            *guest.files.paths(f"{folder}/config", "*.settings"),
            *guest.files.paths(f"{folder}/status", "*.status"),
            *([f"{folder}/mrseq"] if guest.files.exists(f"{folder}/mrseq") else []),
        ]
        if left:
            yield path_hit(f"an extension's state is left: {listed(left)}", left[0])


@linux_rule("LGN351", "agent-disabled-by-marker", ERROR)
def agent_disabled_by_marker(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /var/lib/waagent/disable_agent is absent.

    ## Why it matters
    With it the agent does nothing: no extensions, no reports. It is written on machines that were
    deployed with ProvisionGuestAgent=false.

    ## How to fix
    Delete the file, or deprovision.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/provision/default.py, handle_provision_guest_agent
    """
    path = f"{STATE}/disable_agent"
    if guest.files.has_name(path):
        yield path_hit("the agent is disabled by a file of an earlier deployment", path)


@linux_rule("LGN352", "old-goal-state", INFO, GENERALIZED)
def old_goal_state(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /var/lib/waagent has no goal state of an earlier machine.

    ## Why it matters
    Little: the agent clears these files when it finds that it is another machine. They show that
    the image was not deprovisioned.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py, run_changed_unique_id
    """
    left = [name for name in guest.files.names(STATE) if _CLEARED.match(name)]
    if left:
        yield path_hit(f"the goal state of a machine is left: {listed(left)}", STATE)


@linux_rule("LGN348", "image-builder-leftovers", INFO, GENERALIZED)
def image_builder_leftovers(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /tmp/DeprovisioningScript.sh of Azure Image Builder is absent.

    ## Why it matters
    Little: the script runs last, and is only of use there. One that is still there may not have
    run to its end.

    ## How to fix
    Delete it, and see whether the guest is deprovisioned.

    ## Source
    - Azure, "Troubleshoot Azure VM Image Builder": the script's place and purpose
    """
    path = "/tmp/DeprovisioningScript.sh"
    if guest.files.exists(path):
        yield path_hit("a script of Azure Image Builder is left", path)
