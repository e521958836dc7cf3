"""A Linux guest: every fact that rules look at, read when it is asked for and kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.linux import (
    accounts,
    agent,
    architecture,
    boot,
    cloudinit,
    fstab,
    grub,
    kernels,
    network,
    packages,
    release,
    services,
    ssh,
    verdict,
)
from vhdtool.guest.linux.files import Files, uncommented
from vhdtool.guest.linux.initramfs import initramfs_names
from vhdtool.guest.linux.kernels import module_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vhdtool.guest.linux.accounts import Account, Password
    from vhdtool.guest.linux.agent import AgentConfig
    from vhdtool.guest.linux.boot import Boot
    from vhdtool.guest.linux.cloudinit import CloudConfig
    from vhdtool.guest.linux.cmdline import CommandLine
    from vhdtool.guest.linux.files import Line, Setting
    from vhdtool.guest.linux.fstab import Mount
    from vhdtool.guest.linux.grub import GrubConfig
    from vhdtool.guest.linux.kernels import Kernel, Modprobe
    from vhdtool.guest.linux.network import Interface
    from vhdtool.guest.linux.packages import Packages
    from vhdtool.guest.linux.release import Family, Release
    from vhdtool.guest.linux.services import Unit
    from vhdtool.guest.linux.ssh import SshConfig
    from vhdtool.guest.tree import Tree
    from vhdtool.guest.verdict import Verdict

_MOST_INITRAMFS = 512 << 20


@dataclass(frozen=True, slots=True)
class Device:
    """Something on the disk that a guest can name: a partition, a logical volume.

    Attributes:
        kind: The file system's kind as `Volume.kind` has it, `swap`, or "" where none is known.
        uuid: The file system's, as the system's tools print it.
        label: The file system's.
        partition_uuid: The partition's, of a GPT or as Linux makes it from an MBR's signature.
        partition_label: The partition's name.
        mapped: The names of a logical volume: `/dev/vg/root`, `/dev/mapper/vg-root`.
        size: Bytes.
        free: Bytes that the file system has free; None where that is not known.
    """

    kind: str = ""
    uuid: str = ""
    label: str = ""
    partition_uuid: str = ""
    partition_label: str = ""
    mapped: tuple[str, ...] = ()
    size: int = 0
    free: int | None = None

    def answers(self, tag: str, value: str) -> bool:
        """Whether `UUID=value` and the like mean this device."""
        own = {
            "UUID": self.uuid,
            "LABEL": self.label,
            "PARTUUID": self.partition_uuid,
            "PARTLABEL": self.partition_label,
        }[tag]
        if tag.endswith("UUID"):
            return own != "" and own.lower() == value.lower()
        return own != "" and own == value


class LinuxGuest:
    """The facts of a Linux or BSD guest.

    A property raises `GuestError` where what it needs cannot be read; it is None, or empty, where
    the guest has no such thing.
    """

    def __init__(self, tree: Tree, devices: Sequence[Device] | None = None) -> None:
        """Look at a tree.

        Args:
            tree: The guest's files, with what its fstab mounts.
            devices: What the disk has, all of it; None where that is not known.
        """
        self.tree = tree
        self.files = Files(tree)
        self.devices = None if devices is None else tuple(devices)

    def has_device(self, tag: str, value: str) -> bool | None:
        """Whether the disk has what `UUID=...` names; None where its devices are not known."""
        if self.devices is None:
            return None
        return any(device.answers(tag, value) for device in self.devices)

    # --- what it is

    @cached_property
    def release(self) -> Release | None:
        """The distribution; None where no file tells."""
        return release.read_release(self.files)

    def is_of(self, *families: Family) -> bool:
        """Whether the distribution is of one of some families."""
        return self.release is not None and self.release.family in families

    @property
    def is_bsd(self) -> bool:
        """Whether this is no Linux."""
        return self.release is not None and self.release.is_bsd

    @cached_property
    def architecture(self) -> architecture.Program | None:
        """What its programs run on; None where none was found."""
        return architecture.read_architecture(self.files)

    @cached_property
    def machine_id(self) -> str | None:
        """What /etc/machine-id holds, without blanks; None where there is none."""
        text = self.files.text("/etc/machine-id")
        return None if text is None else text.strip()

    @cached_property
    def hostname(self) -> Line | None:
        """The line that names the host; None where no file does."""
        return verdict.read_hostname(self.files, self.release)

    @cached_property
    def packages(self) -> Packages | None:
        """The installed packages; None where no database is known."""
        return packages.read_packages(self.files)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether new machines can be made of it."""
        return verdict.judge(self)

    # --- boot

    @cached_property
    def fstab(self) -> list[Mount]:
        """What /etc/fstab mounts."""
        return fstab.read_fstab(self.files)

    @cached_property
    def grub(self) -> GrubConfig | None:
        """GRUB 2's configuration."""
        return grub.read_grub_config(self.files)

    @cached_property
    def grub_environment(self) -> tuple[str, bytes] | None:
        """The path and the bytes of GRUB's environment block."""
        return grub.read_environment(self.files)

    @cached_property
    def boot(self) -> Boot | None:
        """What starts by default; None where no loader's configuration is there."""
        block = self.grub_environment
        values = {} if block is None else grub.environment_values(block[1])
        return boot.read_boot(self.files, self.grub, values)

    @cached_property
    def command_line(self) -> CommandLine | None:
        """The parameters of the kernel that starts by default."""
        return None if self.boot is None else self.boot.command_line

    @cached_property
    def future_parameters(self) -> CommandLine | None:
        """The parameters that a newly installed kernel will get."""
        return boot.default_parameters(self.files)

    @cached_property
    def kernels(self) -> list[Kernel]:
        """The kernels that have modules."""
        return kernels.read_kernels(self.files)

    @cached_property
    def kernel(self) -> Kernel | None:
        """The kernel that starts by default; where no entry names one, the only one."""
        version = None if self.boot is None else self.boot.kernel_version
        if version is None:
            return self.kernels[0] if len(self.kernels) == 1 else None
        return next((kernel for kernel in self.kernels if kernel.version == version), None)

    @cached_property
    def modprobe(self) -> Modprobe:
        """What modprobe is told."""
        return kernels.read_modprobe(self.files)

    @cached_property
    def initramfs(self) -> tuple[str, frozenset[str]] | None:
        """The default entry's initial RAM disk and the modules in it; None where it has none.

        Raises:
            GuestError: It is compressed in a way that is not read, or damaged.
        """
        if self.boot is None or not self.boot.initrds:
            return None
        modules: set[str] = set()
        for named, path in self.boot.initrds:
            if path is None:
                raise GuestError(f"the initial RAM disk {named} is not there")
            if self.boot.loader == "unified kernel":
                raise GuestError(f"the initial RAM disk in {path} is not read")
            try:
                names = initramfs_names(self.files.read(path, _MOST_INITRAMFS) or b"")
            except GuestError as error:
                raise GuestError(f"{path}: {error}") from error
            modules.update(name for one in names if (name := module_name(one)) is not None)
        return self.boot.initrds[-1][1] or "", frozenset(modules)

    # --- services, agents, network

    @cached_property
    def services(self) -> services.Services:
        """The services."""
        return services.Services(self.files)

    def starts(self, *names: str) -> Unit | None:
        """Return the first of some units that starts with the machine; None where none does."""
        return self.services.first_started(names)

    @cached_property
    def rc_conf(self) -> dict[str, str]:
        """rc.conf of a BSD."""
        return services.read_rc_conf(self.files)

    @cached_property
    def ssh(self) -> SshConfig:
        """How sshd is configured."""
        return ssh.read_ssh_config(self.files)

    @cached_property
    def host_keys(self) -> list[str]:
        """The paths of sshd's keys."""
        return ssh.host_keys(self.files)

    @cached_property
    def agent_program(self) -> str | None:
        """The path of waagent; None where it is not installed."""
        return agent.agent_program(self.files)

    @cached_property
    def agent_config(self) -> AgentConfig | None:
        """waagent.conf; None where there is none."""
        return agent.read_agent_config(self.files, self.release)

    @cached_property
    def agent_version(self) -> Setting | None:
        """The agent's version by its source."""
        return agent.read_agent_version(self.files)

    @cached_property
    def cloud_init_program(self) -> str | None:
        """The path of cloud-init; None where it is not installed."""
        return cloudinit.cloud_init_program(self.files)

    @cached_property
    def cloud_config(self) -> CloudConfig | None:
        """cloud-init's settings; None where there are none."""
        return cloudinit.read_cloud_config(self.files)

    @cached_property
    def cloud_init_version(self) -> str | None:
        """cloud-init's version by its source; else by its package."""
        known = cloudinit.read_cloud_init_version(self.files)
        if known is None and self.packages is not None:
            return self.packages.version(*cloudinit.PACKAGES)
        return known

    @cached_property
    def interfaces(self) -> list[Interface]:
        """What is configured for network interfaces."""
        return network.read_interfaces(self.files, self.release)

    # --- accounts

    @cached_property
    def accounts(self) -> list[Account]:
        """The lines of passwd."""
        return accounts.read_accounts(self.files)

    @cached_property
    def passwords(self) -> list[Password]:
        """The lines of shadow, or master.passwd."""
        return accounts.read_passwords(self.files, self.release)

    @cached_property
    def people(self) -> list[Account]:
        """The accounts of people."""
        return accounts.people(self.accounts, accounts.first_user_id(self.files))

    @cached_property
    def homes(self) -> list[str]:
        """The home folders of root and of people."""
        return accounts.homes(self.files, self.accounts)

    @cached_property
    def sudoers(self) -> list[Line]:
        """The lines of sudoers and its folder."""
        return accounts.read_sudoers(self.files, self.release)

    def authorized_keys(self) -> list[Line]:
        """Return the lines of keys that may log in, of everyone.

        The line that cloud-init gives root only tells to log in as another user.
        """
        lines = []
        for home in self.homes:
            for name in ("authorized_keys", "authorized_keys2"):
                found = uncommented(self.files.lines(f"{home}/.ssh/{name}"))
                lines += [line for line in found if "Please login as the user" not in line.text]
        return lines
