"""A Windows installation: its files, its hives, and what they say, each read when first asked."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vhdtool.guest.registry import Registry, open_hive
from vhdtool.guest.windows.accounts import Account, read_accounts
from vhdtool.guest.windows.agent import Agent, read_agent
from vhdtool.guest.windows.boot import BootStore, find_boot_stores
from vhdtool.guest.windows.membership import Membership, read_membership
from vhdtool.guest.windows.network import Network, read_network
from vhdtool.guest.windows.product import Product, read_product
from vhdtool.guest.windows.roles import Role, find_roles
from vhdtool.guest.windows.services import Service, read_services
from vhdtool.guest.windows.sysprep import Sysprep, read_sysprep
from vhdtool.guest.windows.text import text_lines
from vhdtool.guest.windows.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vhdtool.guest.registry import Hive
    from vhdtool.guest.tree import Tree
    from vhdtool.guest.verdict import Verdict
    from vhdtool.guest.windows.boot import DeviceId

# What a rule may read of one log.
LOG_LIMIT = 16 << 20


class WindowsGuest:
    """A Windows installation on a volume.

    Every property may raise `GuestError`: a hive or the file system is damaged. A hive that is not
    there is None, and so is whatever is only known from it.
    """

    def __init__(
        self,
        tree: Tree,
        *,
        windows: str = "/Windows",
        hives: Mapping[str, Hive] | None = None,
        system_volumes: Mapping[str, Tree] | None = None,
        partitions: frozenset[DeviceId] | None = None,
    ) -> None:
        """Take a volume with a Windows folder.

        Args:
            tree: The volume: `/Windows` is its folder, whatever drive letter it has.
            windows: Where the folder is.
            hives: Hives to use instead of those of the files, by name: SYSTEM, SOFTWARE, SAM,
                SECURITY, BCD, and "NTUSER name" for a user.
            system_volumes: The other volumes of the disk that may hold boot files, by a name to
                show: the EFI system partition, the one marked active.
            partitions: Those of the disk, as boot data names them; None where they are unknown.
        """
        self.tree = tree
        self.windows = windows
        others = (system_volumes or {}).items()
        self.system_volumes = {name: own for name, own in others if own.root is not tree.root}
        self.partitions = partitions
        self._given = {name.upper(): hive for name, hive in (hives or {}).items()}
        self._opened: dict[str, Registry | None] = {}

    def path(self, below: str) -> str:
        """Write the path of a file below the Windows folder."""
        return f"{self.windows}/{below}"

    def lines(self, path: str) -> list[str] | None:
        """Read a text file of Windows, in whichever encoding it is; None where there is none."""
        data = self.tree.read(path, LOG_LIMIT)
        return None if data is None else text_lines(data)

    def hive(self, name: str) -> Registry | None:
        """Return a hive of the machine by its name; None where there is no such file."""
        name = name.upper()
        return self._open(name, self.path(f"System32/config/{name}"))

    def user_hive(self, user: str) -> Registry | None:
        """Return the hive of a user's profile, HKEY_CURRENT_USER; None where there is none."""
        return self._open(f"NTUSER {user}".upper(), f"/Users/{user}/NTUSER.DAT")

    def _open(self, name: str, path: str) -> Registry | None:
        if name not in self._opened:
            hive = self._given.get(name) or open_hive(self.tree, path)
            self._opened[name] = None if hive is None else Registry(hive, name)
        return self._opened[name]

    @property
    def system(self) -> Registry | None:
        r"""The hive of HKEY_LOCAL_MACHINE\SYSTEM."""
        return self.hive("SYSTEM")

    @property
    def software(self) -> Registry | None:
        r"""The hive of HKEY_LOCAL_MACHINE\SOFTWARE."""
        return self.hive("SOFTWARE")

    @cached_property
    def boot_stores(self) -> tuple[BootStore, ...]:
        """The stores of boot configuration data (BCD), those for UEFI first."""
        volumes = {"": self.tree, **self.system_volumes}
        return find_boot_stores(volumes, self._given.get("BCD"))

    @cached_property
    def product(self) -> Product:
        """Which Windows this is."""
        return read_product(self)

    @cached_property
    def services(self) -> dict[str, Service]:
        """Services and drivers of the current control set, by lower-case name."""
        return read_services(self.system)

    @cached_property
    def sysprep(self) -> Sysprep:
        """How far Setup and Sysprep have come."""
        return read_sysprep(self)

    @cached_property
    def network(self) -> Network:
        """Interfaces, proxy and firewall."""
        return read_network(self)

    @cached_property
    def accounts(self) -> tuple[Account, ...] | None:
        """Local accounts: names and flags, never what could open one. None without SAM."""
        return read_accounts(self.hive("SAM"))

    @cached_property
    def agent(self) -> Agent:
        """Azure's VM agent, and what provisioning leaves behind."""
        return read_agent(self)

    @cached_property
    def roles(self) -> dict[str, Role]:
        """Server roles and features that are there, by the names of Server Manager."""
        return find_roles(self)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the guest is ready for new machines."""
        return judge(self)

    @property
    def computer_name(self) -> str | None:
        """The name that the machine has, or gets at its next start."""
        key = r"CurrentControlSet\Control\ComputerName\ComputerName"
        return None if self.system is None else self.system.text(key, "ComputerName")

    @cached_property
    def membership(self) -> Membership:
        """Domain, Entra and management."""
        return read_membership(self)
