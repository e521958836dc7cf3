"""Who can log in: passwords, keys, sudo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import uncommented
from vhdtool.guest.linux.release import Family
from vhdtool.rules.linux.declare import (
    ERROR,
    GENERALIZED,
    MARKETPLACE,
    WARNING,
    linux_rule,
)
from vhdtool.rules.linux.hits import filled, line_hit, path_hit, quoted
from vhdtool.rules.model import GuestLocation, Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.files import Line
    from vhdtool.guest.linux.guest import LinuxGuest

_KEY_NAMES = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk")


@linux_rule("LGN315", "root-password", ERROR, GENERALIZED, MARKETPLACE)
def root_password(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Root has no password that fits: the field starts with `!` or `*`.

    ## Why it matters
    Everyone who knows the builder's password is root on every machine made of the image.

    ## How to fix
    `passwd -l root`, or `waagent -deprovision` with Provisioning.DeleteRootPassword=y.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/common/osutil/default.py, del_root_password
    - microsoft/lisa, test `verify_no_pre_exist_users`
    """
    for password in guest.passwords:
        if password.name == "root" and (password.is_usable or password.is_empty):
            how = "no password, and needs none" if password.is_empty else "a password"
            yield _secret_hit(f"root has {how}, expected a locked account", password.line)


def _secret_hit(message: str, line: Line) -> Hit:
    """Hit a line without showing the hash in it."""
    return Hit(message, GuestLocation(line.path, line.number))


@linux_rule("LGN316", "people-left", WARNING, GENERALIZED)
def people_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    There are no accounts of people: with a number from UID_MIN, a shell and a home.

    ## Why it matters
    The user that a new machine is asked for is added to them. Their homes and rights stay.

    ## How to fix
    In the guest: `waagent -deprovision+user -force`, or `userdel -r NAME`. The agent deletes only
    the user that it made, and only while /var/lib/waagent/ovf-env.xml is there.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/deprovision/default.py, del_user
    """
    for account in guest.people:
        yield line_hit(f"the account {quoted(account.name)} is left", account.line)


@linux_rule("LGN317", "sudo-rights-left", WARNING, GENERALIZED)
def sudo_rights_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The files that the agents write for users they make (/etc/sudoers.d/waagent and
    90-cloud-init-users) give rights to nobody.

    ## Why it matters
    Whoever makes an account of the same name on a new machine gets the old one's rights.

    ## How to fix
    Delete the files.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/common/osutil/default.py, conf_sudoer
    - canonical/cloud-init, cloudinit/distros: ci_sudoers_fn
    """
    for folder in ("/etc/sudoers.d", "/usr/local/etc/sudoers.d"):
        for name in ("waagent", "90-cloud-init-users"):
            for line in uncommented(guest.files.lines(f"{folder}/{name}")):
                if "ALL" in line.text and not line.text.startswith("Defaults"):
                    yield line_hit(f"rights are left: {quoted(line.text)}", line)


@linux_rule("LGN318", "password-hash", ERROR, GENERALIZED, MARKETPLACE)
def password_hash(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No account but root, which LGN315 looks at, has a password: no field of /etc/shadow without
    `!` and `*`.

    ## Why it matters
    A password in an image is a default password, which certification refuses and attackers share.

    ## How to fix
    `passwd -l NAME`, or delete the account.

    ## Source
    - microsoft/lisa, test `verify_no_pre_exist_users`
    - Azure Marketplace, "Security recommendations" and certification policy 200.3
    """
    for password in guest.passwords:
        if password.name != "root" and password.is_usable:
            yield _secret_hit(
                f"the account {quoted(password.name)} has a password, expected none", password.line
            )


@linux_rule("LGN319", "empty-password", ERROR, MARKETPLACE)
def empty_password(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No account that can log in, root aside, which LGN315 looks at, has an empty password field.

    ## Why it matters
    An empty field asks for no password at all.

    ## How to fix
    `passwd -l NAME`.

    ## Source
    - Azure Marketplace, "Security recommendations"; shadow(5)
    """
    able = {account.name for account in guest.accounts if account.can_log_in}
    for password in guest.passwords:
        if password.name != "root" and password.is_empty and password.name in able:
            yield line_hit(
                f"the account {quoted(password.name)} needs no password, expected a locked one",
                password.line,
            )


@linux_rule("LGN320", "authorized-keys-left", ERROR, GENERALIZED, MARKETPLACE)
def authorized_keys_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No home has an authorized_keys with keys. The line by which cloud-init tells root to log in as
    another user does not count.

    ## Why it matters
    Whoever has the key gets into every machine made of the image.

    ## How to fix
    Delete the files.

    ## Source
    - microsoft/lisa, test `verify_no_pre_exist_users` and its neighbours
    - Azure Marketplace, "Security recommendations"
    """
    seen = set()
    for line in guest.authorized_keys():
        if line.path not in seen:
            seen.add(line.path)
            yield line_hit("a key is left that may log in", line)


@linux_rule("LGN321", "user-ssh-files-left", WARNING, GENERALIZED, MARKETPLACE)
def user_ssh_files_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No home has known_hosts or private keys of SSH.

    ## Why it matters
    The keys get their owner into other machines; known_hosts says which.

    ## How to fix
    Delete the files.

    ## Source
    - Azure Marketplace, "Security recommendations"
    - libguestfs/guestfs-tools, sysprep/sysprep_operation_ssh_userdir.ml
    """
    for home in guest.homes:
        names = ("known_hosts", "known_hosts.old", *_KEY_NAMES)
        for path in filled(guest.files, [f"{home}/.ssh/{name}" for name in names]):
            what = "a private key" if path.rpartition("/")[2] in _KEY_NAMES else "a list of hosts"
            yield path_hit(f"{what} is left", path)


@linux_rule("LNX344", "sudo-asks-for-target-password", ERROR)
def sudo_asks_for_target_password(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    sudoers has no `Defaults targetpw`, and not `ALL ALL=(ALL) ALL`, which goes with it.

    ## Why it matters
    sudo then asks for root's password, which nobody has in Azure: the agent's user cannot become
    root. Without targetpw the other line makes everybody root.

    ## How to fix
    Put a `#` before both lines.

    ## Source
    - Azure, "Prepare a SLES or openSUSE virtual machine"
    - microsoft/lisa, azure_image_standard.py
    """
    for line in guest.sudoers:
        if re.match(r"\s*Defaults\s+(?:[^!#]*[\s,])?targetpw\b", line.text):
            yield line_hit("sudo asks for the password of root, expected the user's own", line)
        elif re.match(r"\s*ALL\s+ALL\s*=\s*\(ALL(:ALL)?\)\s+ALL\b", line.text):
            yield line_hit("everybody may do everything by sudo", line)


@linux_rule("LNX347", "sshd-empty-folder", WARNING)
def sshd_empty_folder(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The folder that sshd locks itself into belongs to root and is not writable by others. It is
    /var/empty/sshd or /usr/share/empty.sshd for Red Hat's family, /var/lib/empty for SUSE's.

    ## Why it matters
    sshd does not start otherwise.

    ## How to fix
    `chown root:root` and `chmod 755` the folder (711 where the distribution has that).

    ## Source
    - Azure, "SSH connection to a Linux VM fails due to permission and ownership issues"
    - openssh, sshd.c: "must be owned by root and not group or world-writable"
    """
    for path in ("/var/empty/sshd", "/usr/share/empty.sshd", "/var/lib/empty"):
        stat = guest.files.stat(path)
        if stat is None or (path == "/var/lib/empty" and not guest.is_of(Family.SUSE)):
            continue
        if stat.uid != 0 or stat.mode & 0o022:
            yield path_hit(
                f"the folder belongs to user {stat.uid} with mode {stat.mode:04o}, "
                "expected root and no writing by others",
                path,
            )


@linux_rule("LNX348", "host-key-permissions", WARNING)
def host_key_permissions(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    sshd's private host keys belong to root and are open to nobody else but, in Red Hat's family,
    the group ssh_keys.

    ## Why it matters
    sshd does not use a key that others can read, and does not start without any.

    ## How to fix
    `chmod 600 /etc/ssh/ssh_host_*_key`.

    ## Source
    - openssh, sshd(8) and authfile.c, sshkey_perm_ok: a key of its own user may have no bits of
    mode 077. Red Hat's patch lets group ssh_keys read.
    """
    for path in guest.host_keys:
        stat = guest.files.stat(path)
        if stat is None or not path.endswith("_key"):
            continue
        allowed = 0o040 if guest.is_of(Family.REDHAT) and stat.gid != 0 else 0
        if stat.uid != 0 or stat.mode & 0o077 & ~allowed:
            yield path_hit(
                f"the private key belongs to user {stat.uid} with mode {stat.mode:04o}, "
                "expected root and 0600",
                path,
            )
