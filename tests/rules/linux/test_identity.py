"""What belongs to one machine, who can log in, and traces of the build."""

from __future__ import annotations

from tests.rules.linux.guests import (
    AGENT,
    CLOUD_INIT,
    DEBIAN,
    RHEL,
    SLES,
    UBUNTU,
    Files,
    Link,
    Node,
    cloud,
    hits,
    passes,
    user,
    waagent,
)
from vhdtool.rules.model import Severity

ID = "0123456789abcdef0123456789abcdef"
HASH = "$6$salt$hash"


def test_lgn311_hits_a_machine_id() -> None:
    hits("LGN311", DEBIAN | {"/etc/machine-id": f"{ID}\n"}, says=ID)


def test_lgn311_passes_empty_and_uninitialized() -> None:
    passes("LGN311", DEBIAN | {"/etc/machine-id": ""})
    passes("LGN311", DEBIAN | {"/etc/machine-id": "uninitialized\n"})


def test_lgn312_hits_a_file() -> None:
    hits("LGN312", DEBIAN | {"/var/lib/dbus/machine-id": f"{ID}\n"})


def test_lgn312_passes_a_link() -> None:
    passes("LGN312", {"/etc/machine-id": ID, "/var/lib/dbus/machine-id": Link("/etc/machine-id")})


def test_lgn313_hits_host_keys() -> None:
    keys: Files = {"/etc/ssh/ssh_host_rsa_key": "key", "/etc/ssh/ssh_host_rsa_key.pub": "key"}
    hits("LGN313", DEBIAN | keys, says="nothing replaces them")
    hits("LGN313", DEBIAN | keys | cloud("users: [default]\n"), severity=Severity.WARNING)
    hits("LGN313", DEBIAN | keys | cloud("ssh_deletekeys: false\n"))
    settings = "Provisioning.Agent=auto\nProvisioning.RegenerateSshHostKeyPair=y\n"
    hits("LGN313", DEBIAN | keys | waagent(settings), severity=Severity.WARNING)


def test_lgn313_passes_without_keys() -> None:
    passes("LGN313", DEBIAN | {"/etc/ssh/sshd_config": ""})


def test_lgn315_hits_a_password_of_root() -> None:
    hits("LGN315", {"/etc/shadow": f"root:{HASH}:1::::::\n"}, line=1, path="/etc/shadow")
    hits("LGN315", {"/etc/shadow": "root::1::::::\n"}, says="needs none")


def test_lgn315_passes_locked_roots() -> None:
    for field in ("*", "!", "!!", "*LOCK*", f"!{HASH}"):
        passes("LGN315", {"/etc/shadow": f"root:{field}:1::::::\n"})


def test_lgn316_hits_people() -> None:
    hits("LGN316", DEBIAN | user("azureuser"), says="azureuser", line=2)


def test_lgn316_passes_system_accounts() -> None:
    passes("LGN316", DEBIAN | user("daemon", 999))
    passes("LGN316", DEBIAN | user("nobody", 65534))


def test_lgn317_hits_rights() -> None:
    path = "/etc/sudoers.d/90-cloud-init-users"
    hits("LGN317", {path: "# made by cloud-init\njoe ALL=(ALL) NOPASSWD:ALL\n"}, path=path, line=2)


def test_lgn317_passes_other_files() -> None:
    passes("LGN317", {"/etc/sudoers.d/README": "# ALL\n"})


def test_lgn318_hits_a_password() -> None:
    hits("LGN318", DEBIAN | user(field=HASH), says="joe", line=2)


def test_lgn318_passes_locked_accounts() -> None:
    passes("LGN318", DEBIAN | user(field=f"!{HASH}"))
    passes("LGN318", DEBIAN | user(field=""))


def test_lgn319_hits_an_empty_field() -> None:
    hits("LGN319", DEBIAN | user(field=""), line=2)


def test_lgn319_passes_accounts_without_a_shell() -> None:
    files = DEBIAN | user(field="")
    files["/etc/passwd"] = "joe:x:1000:1000::/home/joe:/usr/sbin/nologin\n"
    passes("LGN319", files)


def test_lgn320_hits_keys() -> None:
    path = "/root/.ssh/authorized_keys"
    hits("LGN320", DEBIAN | {path: "# mine\nssh-ed25519 AAAA me\n"}, path=path, line=2)


def test_lgn320_passes_cloud_inits_line_and_empty_files() -> None:
    line = 'no-pty,command="echo \'Please login as the user \\"joe\\"...\'" ssh-rsa AAAA me\n'
    passes("LGN320", DEBIAN | {"/root/.ssh/authorized_keys": line})
    passes("LGN320", DEBIAN | {"/root/.ssh/authorized_keys": ""})


def test_lgn321_hits_private_keys_and_known_hosts() -> None:
    files: Files = {"/root/.ssh/id_ed25519": "key", "/root/.ssh/known_hosts": "host key"}
    hits("LGN321", DEBIAN | files, count=2)


def test_lgn321_passes_public_keys() -> None:
    passes("LGN321", DEBIAN | {"/root/.ssh/id_ed25519.pub": "key"})


def test_lgn324_hits_a_name() -> None:
    hits("LGN324", DEBIAN | {"/etc/hostname": "web1\n"}, says="web1", line=1)
    hits("LGN324", UBUNTU | {"/etc/hostname": "ubuntu\n"}, severity=Severity.INFO)
    hits("LGN324", {"/etc/sysconfig/network": "NETWORKING=yes\nHOSTNAME=web1\n"}, line=2)


def test_lgn324_passes_localhost() -> None:
    passes("LGN324", DEBIAN | {"/etc/hostname": "localhost.localdomain\n"})
    passes("LGN324", DEBIAN | {"/etc/hostname": "\n"})


def test_lgn325_hits_fixed_names() -> None:
    path = "/etc/sysconfig/network-scripts/ifcfg-eth0"
    hits("LGN325", {path: "DHCP_HOSTNAME=web1\n"}, path=path, line=1)
    hits("LGN325", {"/etc/dhcp/dhclient.conf": 'send host-name "web1";\n'})
    hits("LGN325", {"/etc/sysconfig/network/dhcp": 'DHCLIENT_HOSTNAME_OPTION="web1"\n'})


def test_lgn325_passes_the_machines_own() -> None:
    passes("LGN325", {"/etc/dhcp/dhclient.conf": "send host-name = gethostname();\n"})
    passes("LGN325", {"/etc/sysconfig/network/dhcp": 'DHCLIENT_HOSTNAME_OPTION="AUTO"\n'})


def test_lgn326_hits_leases() -> None:
    hits("LGN326", {"/var/lib/dhcp/dhclient.eth0.leases": "lease {}"})
    hits("LGN326", {"/var/lib/NetworkManager/internal-1-eth0.lease": "ADDRESS=10.0.0.4"})


def test_lgn326_passes_empty_folders() -> None:
    passes("LGN326", {"/var/lib/dhcp/": "", "/var/lib/dhcp/dhclient.leases": ""})


def test_lgn327_hits_a_file_with_servers() -> None:
    hits("LGN327", {"/etc/resolv.conf": "search x\nnameserver 10.0.0.1\n"}, line=2)


def test_lgn327_passes_a_link() -> None:
    files: Files = {"/etc/resolv.conf": Link("../run/systemd/resolve/stub-resolv.conf")}
    passes("LGN327", files)


def test_lgn331_hits_a_seed() -> None:
    hits("LGN331", {"/var/lib/systemd/random-seed": b"\1" * 512})


def test_lgn331_passes_without_it() -> None:
    passes("LGN331", {"/var/lib/systemd/": ""})


def test_lgn332_hits_names() -> None:
    hits("LGN332", {"/etc/nvme/hostnqn": "nqn.2014-08.org.nvmexpress:uuid:1\n"})
    hits("LGN332", {"/etc/iscsi/initiatorname.iscsi": "InitiatorName=iqn.1993-08.org.debian:1\n"})


def test_lgn332_passes_what_is_to_be_made() -> None:
    passes("LGN332", {"/etc/iscsi/initiatorname.iscsi": "GenerateName=yes\n"})


def test_lgn333_hits_a_subscription() -> None:
    hits("LGN333", RHEL | {"/etc/pki/consumer/key.pem": "key"})


def test_lgn333_passes_without_one() -> None:
    passes("LGN333", RHEL | {"/etc/pki/consumer/": ""})


def test_lgn334_hits_a_registration() -> None:
    hits("LGN334", SLES | {"/etc/zypp/credentials.d/SCCcredentials": "username=SCC_1\n"})


def test_lgn334_passes_without_one() -> None:
    passes("LGN334", SLES | {"/etc/zypp/credentials.d/": ""})


def test_lgn340_hits_memberships() -> None:
    hits("LGN340", RHEL | {"/etc/krb5.keytab": "keys"})
    hits("LGN340", RHEL | {"/var/lib/sss/db/cache_example.org.ldb": "x"})


def test_lgn340_passes_folders_of_packages() -> None:
    passes("LGN340", RHEL | {"/var/lib/sss/db/": "", "/etc/krb5.conf": "[libdefaults]"})


def test_lgn341_hits_devices_of_the_build() -> None:
    line = "IDTYPE=sys_wwid IDNAME=naa.6002 DEVNAME=/dev/sda2 PVID=a PART=2\n"
    files: Files = {"/etc/lvm/devices/system.devices": f"# LVM\n{line}"}
    root: Files = {"/etc/fstab": "/dev/mapper/rhel-root / xfs defaults 0 0\n"}
    hits("LGN341", RHEL | files | root, line=2)
    hits("LGN341", RHEL | files, severity=Severity.INFO)


def test_lgn341_passes_without_entries() -> None:
    passes("LGN341", RHEL | {"/etc/lvm/devices/system.devices": "# LVM uses devices listed here\n"})


def test_lgn350_hits_a_secret_key() -> None:
    hits("LGN350", {"/var/lib/NetworkManager/secret_key": b"nm-v2:secret"})


def test_lgn350_passes_without_it() -> None:
    passes("LGN350", {"/var/lib/NetworkManager/": ""})


def test_lgn353_hits_keys_that_nobody_makes() -> None:
    name = "sshd-keygen@.service.d/disable-sshd-keygen-if-cloud-init-active.conf"
    files: Files = {f"/etc/systemd/system/{name}": "[Unit]"}
    hits("LGN353", files | cloud("cloud_init_modules: [users-groups]\n"))


def test_lgn353_passes_with_the_module() -> None:
    name = "sshd-keygen@.service.d/disable-sshd-keygen-if-cloud-init-active.conf"
    files: Files = {f"/etc/systemd/system/{name}": "[Unit]"}
    passes("LGN353", files | cloud("cloud_init_modules: [users-groups, ssh]\n"))


# --- sudo and sshd's files


def test_lnx344_hits_the_targets_password() -> None:
    text = "Defaults targetpw   # ask for the password of the target user\nALL ALL=(ALL) ALL\n"
    hits("LNX344", SLES | {"/etc/sudoers": text}, count=2, line=1, path="/etc/sudoers")


def test_lnx344_passes_usual_sudoers() -> None:
    text = (
        "Defaults env_reset\nDefaults !targetpw\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n"
    )
    passes("LNX344", DEBIAN | {"/etc/sudoers": text, "/etc/sudoers.d/x~": "Defaults targetpw\n"})


def test_lnx347_hits_a_writable_folder() -> None:
    hits("LNX347", RHEL | {"/var/empty/sshd/": Node(mode=0o777)}, says="0777")


def test_lnx347_passes_a_closed_one() -> None:
    passes("LNX347", RHEL | {"/var/empty/sshd/": Node(mode=0o711)})


def test_lnx348_hits_an_open_key() -> None:
    hits("LNX348", DEBIAN | {"/etc/ssh/ssh_host_rsa_key": Node("key", 0o644)})


def test_lnx348_passes_closed_keys() -> None:
    passes("LNX348", DEBIAN | {"/etc/ssh/ssh_host_rsa_key": Node("key", 0o600)})
    passes("LNX348", RHEL | {"/etc/ssh/ssh_host_rsa_key": Node("key", 0o640, gid=995)})
    passes("LNX348", DEBIAN | {"/etc/ssh/ssh_host_rsa_key.pub": Node("key", 0o644)})


# --- traces


def test_lgn308_hits_network_settings_of_cloud_init() -> None:
    path = "/etc/netplan/50-cloud-init.yaml"
    hits("LGN308", {path: "network: {ethernets: {eth0: {dhcp4: true}}}\n"})
    pinned = "network:\n  ethernets:\n    eth0:\n      match: {macaddress: '00:0d:3a:00:00:01'}\n"
    hits("LGN308", {path: pinned}, severity=Severity.ERROR)


def test_lgn308_passes_other_settings() -> None:
    passes("LGN308", {"/etc/netplan/01-netcfg.yaml": "network: {version: 2}\n"})


def test_lgn309_hits_sshd_settings_of_cloud_init() -> None:
    hits("LGN309", {"/etc/ssh/sshd_config.d/50-cloud-init.conf": "PasswordAuthentication yes\n"})


def test_lgn309_passes_other_settings() -> None:
    passes("LGN309", {"/etc/ssh/sshd_config.d/10-mine.conf": "Port 22\n"})


def test_lgn322_hits_histories() -> None:
    hits("LGN322", DEBIAN | user() | {"/home/joe/.bash_history": "ls\n"}, says="3 bytes")


def test_lgn322_passes_empty_ones() -> None:
    passes("LGN322", DEBIAN | {"/root/.bash_history": ""})


def test_mkt603_hits_a_large_history() -> None:
    hits("MKT603", DEBIAN | {"/root/.bash_history": "x" * 1025}, says="1025 bytes")


def test_mkt603_passes_a_small_one() -> None:
    passes("MKT603", DEBIAN | {"/root/.bash_history": "x" * 1024})


def test_lgn335_hits_logs() -> None:
    hits("LGN335", {"/var/log/auth.log": "x", "/root/anaconda-ks.cfg": "install"})


def test_lgn335_passes_empty_logs() -> None:
    passes("LGN335", {"/var/log/syslog": "", "/var/log/journal/": "", "/var/log/dpkg.log": "x"})


def test_lgn336_hits_dumps() -> None:
    hits("LGN336", {"/var/crash/127.0.0.1-2024/vmcore": "core"})


def test_lgn336_passes_without_dumps() -> None:
    passes("LGN336", {"/var/crash/": "", "/var/lib/systemd/coredump/": ""})


def test_lgn337_hits_caches() -> None:
    hits("LGN337", {"/var/cache/apt/archives/bash_5_amd64.deb": "x"})
    hits("LGN337", {"/var/lib/zypp/AnonymousUniqueId": "x"})


def test_lgn337_passes_empty_caches() -> None:
    passes("LGN337", {"/var/cache/apt/archives/lock": "", "/var/cache/apt/archives/partial/": ""})


def test_lgn338_hits_a_hash_in_a_backup() -> None:
    hits("LGN338", {"/etc/shadow-": f"root:*:1::::::\njoe:{HASH}:1::::::\n"}, path="/etc/shadow-")


def test_lgn338_passes_backups_without_one() -> None:
    passes("LGN338", {"/etc/shadow-": "root:*:1::::::\ndaemon:*:1::::::\n", "/etc/passwd-": "x"})


def test_lgn339_hits_mail_and_jobs() -> None:
    files: Files = {"/var/mail/root": "From", "/var/spool/cron/crontabs/joe": "* * * * * x"}
    hits("LGN339", files)


def test_lgn339_passes_empty_spools() -> None:
    passes("LGN339", {"/var/spool/mail/joe": "", "/var/spool/cron/": "", "/var/spool/at/.SEQ": "0"})


def test_lgn342_hits_temporary_files() -> None:
    hits("LGN342", {"/tmp/install.sh": "x"})


def test_lgn342_passes_the_systems_own() -> None:
    passes("LGN342", {"/tmp/.X11-unix/": "", "/var/tmp/systemd-private-1-chrony.service/": ""})


def test_lgn349_hits_records() -> None:
    hits("LGN349", {"/var/log/wtmp": b"\2" * 384})


def test_lgn349_passes_empty_records() -> None:
    passes("LGN349", {"/var/log/wtmp": "", "/var/log/lastlog": ""})


def test_agents_do_not_hide_each_other() -> None:
    passes("LGN346", DEBIAN | AGENT | CLOUD_INIT | {"/etc/ssh/ssh_host_rsa_key": "key"})
