"""What belongs to one machine and would be shared by all that are made of the image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import settings, uncommented
from vhdtool.guest.linux.network import ifcfg_paths
from vhdtool.guest.linux.release import Family
from vhdtool.guest.linux.verdict import NEUTRAL_NAMES
from vhdtool.rules.linux.declare import ERROR, GENERALIZED, INFO, WARNING, linux_rule
from vhdtool.rules.linux.hits import below, filled, line_hit, listed, path_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit, Severity


@linux_rule("LGN311", "machine-id-left", WARNING, GENERALIZED)
def machine_id_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/machine-id is absent, empty or `uninitialized`.

    ## Why it matters
    Machines with the same id ask DHCP for the same address, mix their journals, and count as one
    in whatever manages them.

    ## How to fix
    `truncate -s 0 /etc/machine-id`, or `cloud-init clean --machine-id`. Do not delete the file
    where /etc is read-only.

    ## Source
    - systemd, machine-id(5); canonical/cloud-init, cloudinit/cmd/clean.py
    """
    known = guest.machine_id
    if known is not None and re.fullmatch(r"[0-9a-f]{32}", known):
        yield path_hit(
            f"the machine's id is {known}, expected none", "/etc/machine-id", None, known.encode()
        )


@linux_rule("LGN312", "dbus-machine-id-left", INFO, GENERALIZED)
def dbus_machine_id_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /var/lib/dbus/machine-id is a symbolic link, or absent.

    ## Why it matters
    A file keeps its id when /etc/machine-id gets a new one.

    ## How to fix
    `ln -sf /etc/machine-id /var/lib/dbus/machine-id`

    ## Source
    - dbus-uuidgen(1); libguestfs/guestfs-tools, sysprep/sysprep_operation_machine_id.ml
    """
    path = "/var/lib/dbus/machine-id"
    if not guest.files.is_link(path):
        text = (guest.files.text(path) or "").strip()
        if re.fullmatch(r"[0-9a-f]{32}", text):
            yield path_hit(f"D-Bus keeps the id {text} in a file of its own", path)


@linux_rule("LGN313", "ssh-host-keys-left", ERROR, GENERALIZED)
def ssh_host_keys_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/ssh has no host keys. Where cloud-init or the agent makes new ones for each machine this
    is only a warning.

    ## Why it matters
    Machines that share host keys can be impersonated by whoever has one of them, or the image.

    ## How to fix
    `rm /etc/ssh/ssh_host_*key*`, provided that something makes new ones: cloud-init, the agent, or
    a unit such as sshd-keygen.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py and pa/provision/default.py
    - canonical/cloud-init, cloudinit/config/cc_ssh.py: `ssh_deletekeys` is true by default
    """
    if not guest.host_keys:
        return
    replaced_by = _replaces_host_keys(guest)
    severity = WARNING if replaced_by else None
    by = f"; {replaced_by} replaces them" if replaced_by else ", and nothing replaces them"
    yield path_hit(
        f"host keys are left: {listed(guest.host_keys)}{by}", guest.host_keys[0], severity
    )


def _replaces_host_keys(guest: LinuxGuest) -> str | None:
    """Return who makes new host keys when the machine is another one."""
    if guest.cloud_init_program is not None and guest.cloud_config is not None:
        deletes = guest.cloud_config.get("ssh_deletekeys")
        modules = guest.cloud_config.modules("init")
        if (deletes is None or deletes.value is not False) and (
            modules is None or "ssh" in modules
        ):
            return "cloud-init"
    config = guest.agent_config
    if guest.agent_program is None or config is None:
        return None
    provisions = config.text("Provisioning.Agent", "auto") in ("auto", "waagent")
    if provisions and config.is_on("Provisioning.RegenerateSshHostKeyPair", default=False):
        return "the agent"
    return None


@linux_rule("LGN324", "host-name-not-reset", WARNING, GENERALIZED)
def host_name_not_reset(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The host's name is localhost, localhost.localdomain or none. The distribution's own name, as
    its image makers leave it, is only worth a line.

    ## Why it matters
    `waagent -deprovision` resets the name. Another name shows that this has not been done, or that
    the machine was named again, and is what new machines bear until they are provisioned.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`, or write localhost.localdomain to
    /etc/hostname.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py, reset_hostname
    - Azure/azure-diskinspect-service reads the same file to tell whether a disk is generalized
    """
    line = guest.hostname
    if line is None or line.text.lower() in NEUTRAL_NAMES:
        return
    own = guest.release is not None and line.text.lower() == guest.release.id
    yield line_hit(
        f"the host's name is {quoted(line.text)}, expected localhost.localdomain",
        line,
        INFO if own else None,
    )


@linux_rule("LGN325", "dhcp-host-name", INFO, GENERALIZED)
def dhcp_host_name(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No DHCP client is told a fixed host name to send.

    ## Why it matters
    All machines that are made of the image ask for an address under the same name.

    ## How to fix
    Remove DHCP_HOSTNAME from ifcfg files, `send host-name` from dhclient.conf, and set
    DHCLIENT_HOSTNAME_OPTION to AUTO.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/common/osutil/default.py, set_dhcp_hostname
    """
    for path in ifcfg_paths(guest.files):
        setting = settings(guest.files.lines(path)).get("DHCP_HOSTNAME")
        if setting is not None and setting.value.lower() not in NEUTRAL_NAMES:
            yield line_hit(f"DHCP is told the name {quoted(setting.value)}", setting.line)
    option = settings(guest.files.lines("/etc/sysconfig/network/dhcp")).get(
        "DHCLIENT_HOSTNAME_OPTION"
    )
    if option is not None and option.value.lower() not in ("auto", *NEUTRAL_NAMES):
        yield line_hit(f"DHCP is told the name {quoted(option.value)}", option.line)
    for path in ("/etc/dhcp/dhclient.conf", "/etc/dhclient.conf"):
        for line in uncommented(guest.files.lines(path)):
            found = re.match(r'\s*(?:send|supersede)\s+host-name\s+"([^"]*)"', line.text)
            if found and found.group(1).lower() not in NEUTRAL_NAMES:
                yield line_hit(f"DHCP is told the name {quoted(found.group(1))}", line)


@linux_rule("LGN326", "dhcp-leases-left", WARNING, GENERALIZED)
def dhcp_leases_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    There are no leases of DHCP clients.

    ## Why it matters
    A client asks for the address of the machine that the image was made from, and uses it for a
    while where it gets no answer.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py, del_dhcp_lease
    - libguestfs/guestfs-tools, sysprep/sysprep_operation_dhcp_client_state.ml
    """
    files = guest.files
    paths = below(files, ("/var/lib/dhclient", "/var/lib/dhcp", "/var/lib/dhcpcd"))
    paths += files.paths("/var/lib/dhcp3")
    for pattern in ("dhclient-*.lease", "internal-*.lease"):
        paths += files.paths("/var/lib/NetworkManager", pattern)
    paths += files.paths("/var/db", "dhclient.leases.*")
    left = filled(files, [path for path in paths if "lease" in path.rpartition("/")[2]])
    if left:
        yield path_hit(f"leases are left: {listed(left)}", left[0])


@linux_rule("LGN327", "static-resolv-conf-left", INFO, GENERALIZED)
def static_resolv_conf_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/resolv.conf names no name servers, or is a symbolic link to what names them at run time.

    ## Why it matters
    The servers are those of the network that the image was made in.

    ## How to fix
    Delete the file where a DHCP client writes it.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py, del_resolv
    """
    path = "/etc/resolv.conf"
    if guest.files.is_link(path):
        return
    servers = [line for line in guest.files.lines(path) if line.text.startswith("nameserver")]
    if servers:
        yield line_hit(f"{quoted(servers[0].text)} is written down, expected no file", servers[0])


@linux_rule("LGN331", "random-seed-left", INFO, GENERALIZED)
def random_seed_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    There is no random seed of an earlier machine.

    ## Why it matters
    A seed that machines share is none. The kernel counts it for nothing since systemd knows of
    images, so that little depends on it.

    ## How to fix
    Delete the file.

    ## Source
    - systemd, systemd-random-seed.service(8) and its notes on images that are used again
    """
    paths = ["/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed",
             "/var/lib/random-seed", "/var/lib/misc/random-seed"]  # fmt: skip
    paths += [f"{folder}/loader/random-seed" for folder in ("/boot/efi", "/efi", "/boot")]
    for path in filled(guest.files, paths):
        yield path_hit("the random seed of an earlier machine is left", path)


@linux_rule("LGN332", "storage-host-names-left", INFO, GENERALIZED)
def storage_host_names_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    There are no names by which one machine is known to NVMe and iSCSI targets.

    ## Why it matters
    Targets take machines with the same name for one, and give them the same disks.

    ## How to fix
    Delete /etc/nvme/hostnqn and /etc/nvme/hostid, and write a new name to
    /etc/iscsi/initiatorname.iscsi at first boot.

    ## Source
    - nvme-cli, nvme-gen-hostnqn(1); open-iscsi, README: each initiator has a name of its own
    """
    for path in filled(guest.files, ["/etc/nvme/hostnqn", "/etc/nvme/hostid"]):
        yield path_hit("the name of this host for NVMe is fixed", path)
    for line in uncommented(guest.files.lines("/etc/iscsi/initiatorname.iscsi")):
        if line.text.strip().startswith("InitiatorName=iqn"):
            yield line_hit("the name of this host for iSCSI is fixed", line)


@linux_rule("LGN333", "red-hat-subscription-left", WARNING, GENERALIZED)
def red_hat_subscription_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    A guest of Red Hat's family has no certificates of a subscription.

    ## Why it matters
    Machines that are made of the image count as one, and share its entitlements and its keys.

    ## How to fix
    `subscription-manager unregister` and `subscription-manager clean`.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine": unregister before deprovisioning
    - libguestfs/guestfs-tools, sysprep/sysprep_operation_rhn_systemid.ml and _rhsm
    """
    if not guest.is_of(Family.REDHAT):
        return
    files = guest.files
    left = files.paths("/etc/pki/consumer", "*.pem") + files.paths("/etc/pki/entitlement", "*.pem")
    left += filled(files, ["/etc/sysconfig/rhn/systemid"])
    if left:
        yield path_hit(f"a subscription is left: {listed(left)}", left[0])


@linux_rule("LGN334", "suse-registration-left", WARNING, GENERALIZED)
def suse_registration_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    A guest of SUSE's family has no credentials of a registration.

    ## Why it matters
    Machines that are made of the image count as one, and share its password for updates.

    ## How to fix
    `SUSEConnect --cleanup`, or `registercloudguest --clean` on images with a subscription in Azure.

    ## Source
    - SUSE/connect, README: `--cleanup` removes SCCcredentials and the services
    - Azure, "Prepare a SLES or openSUSE virtual machine"
    """
    if not guest.is_of(Family.SUSE):
        return
    left = filled(guest.files, ["/etc/zypp/credentials.d/SCCcredentials", "/etc/SUSEConnect"])
    if left:
        yield path_hit(f"a registration is left: {listed(left)}", left[0])


@linux_rule("LGN340", "directory-membership-left", WARNING, GENERALIZED)
def directory_membership_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The guest is no member of a domain or of a configuration management: no Kerberos host keys, no
    secrets of Samba, no IPA client, no certificates of Puppet, no caches of SSSD.

    ## Why it matters
    The keys are one machine's. Others with them disturb it, and can pass for it.

    ## How to fix
    Leave the domain (`realm leave`, `ipa-client-install --uninstall`), and delete what is left.

    ## Source
    - libguestfs/guestfs-tools, sysprep operations kerberos-hostkeytab, samba-db-log, ipa-client,
    puppet-data-log, sssd-db-log
    """
    files = guest.files
    left = filled(files, ["/etc/krb5.keytab", "/var/lib/samba/private/secrets.tdb"])
    left += files.paths("/var/lib/ipa-client/sysrestore")
    left += files.paths("/var/lib/sss/db", "*.ldb")
    for folder in ("/var/lib/puppet/ssl", "/etc/puppetlabs/puppet/ssl", "/etc/puppet/ssl"):
        left += files.paths(f"{folder}/private_keys")
    if left:
        yield path_hit(f"a membership is left: {listed(left)}", left[0])


@linux_rule("LGN341", "lvm-devices-file", ERROR, GENERALIZED)
def lvm_devices_file(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/lvm/devices/system.devices is absent where the root is on LVM. Where it is not, or where
    the file names devices by what stays the same in Azure, this is only worth a line.

    ## Why it matters
    LVM uses only the devices in the file, by their serial numbers on the machine it was written
    on: in Azure the volume group is not found, and the machine does not start.

    ## How to fix
    Delete the file: all devices are used then. `vgimportdevices` at first boot makes a new one.

    ## Source
    - lvmdevices(8); libguestfs/guestfs-tools, sysprep/sysprep_operation_lvm_system_devices.ml
    """
    path = "/etc/lvm/devices/system.devices"
    entries = [line for line in uncommented(guest.files.lines(path)) if "IDTYPE=" in line.text]
    if not entries:
        return
    # by a partition table's or file system's name, the device is found wherever it is
    portable = all(
        re.search(r"IDTYPE=(lvmlv_uuid|crypt_uuid|mpath_uuid)", one.text) for one in entries
    )
    on_lvm = any(
        mount.point == "/"
        and re.match(r"/dev/(mapper/|\w+/)", mount.device) is not None
        and not mount.device.startswith("/dev/disk/")
        for mount in guest.fstab
    )
    severity: Severity | None = None if on_lvm and not portable else INFO
    yield line_hit(
        f"LVM may only use devices of the build machine: {quoted(entries[0].text)}",
        entries[0],
        severity,
    )


@linux_rule("LGN350", "networkmanager-state-left", WARNING, GENERALIZED)
def networkmanager_state_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    NetworkManager has no secret key of an earlier machine.

    ## Why it matters
    From the key it makes the identifiers that it gives to DHCP and to IPv6: machines with the same
    key ask for the same addresses.

    ## How to fix
    Delete /var/lib/NetworkManager/secret_key.

    ## Source
    - NetworkManager.conf(5) and NetworkManager, `/var/lib/NetworkManager/secret_key`
    - libguestfs/guestfs-tools, sysprep/sysprep_operation_net_nmconn.ml
    """
    for path in filled(guest.files, ["/var/lib/NetworkManager/secret_key"]):
        yield path_hit("NetworkManager's secret key is left", path)


@linux_rule("LGN353", "sshd-keygen-suppressed", INFO, GENERALIZED)
def sshd_keygen_suppressed(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where a drop-in keeps sshd-keygen from making host keys while cloud-init is active, cloud-init
    has its `ssh` module.

    ## Why it matters
    Otherwise nobody makes host keys, and sshd does not start.

    ## How to fix
    Put `ssh` back into `cloud_init_modules`, or delete the drop-in.

    ## Source
    - canonical/cloud-init, systemd/disable-sshd-keygen-if-cloud-init-active.conf
    """
    name = "sshd-keygen@.service.d/disable-sshd-keygen-if-cloud-init-active.conf"
    path = guest.files.first(
        f"{folder}/{name}" for folder in ("/etc/systemd/system", "/usr/lib/systemd/system")
    )
    config = guest.cloud_config
    if path is None or config is None or guest.host_keys:
        return
    modules = config.modules("init")
    if modules is not None and "ssh" not in modules:
        yield path_hit(
            "sshd-keygen leaves host keys to cloud-init, whose module ssh is not in use", path
        )
