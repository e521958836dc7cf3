"""Azure's VM agent, and what provisioning and extensions leave behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.guest.windows.services import Service

HANDLER_STATE = r"Microsoft\Windows Azure\HandlerState"
_FOLDER = re.compile(r"GuestAgent_(\d+(?:\.\d+){1,3})(?:_.*)?", re.IGNORECASE)
# Files that Azure's provisioning writes; the first is in Microsoft's own test for generalization.
PROVISIONING_FILES = (
    "/Windows/Panther/WaSetup.xml",
    "/Windows/Panther/WaSetup.log",
    "/Windows/Panther/VmAgentInstaller.xml",
    "/AzureData/CustomData.bin",
)


@dataclass(frozen=True, slots=True)
class Agent:
    """What there is of the agent.

    Attributes:
        folders: `/WindowsAzure/GuestAgent_*` with the versions in their names, newest first.
        services: RdAgent and WindowsAzureGuestAgent, those of them that there are.
        provisioned: Files that a provisioning in Azure left.
        has_logs: Whether `/WindowsAzure/Logs` is there, which the agent makes when it runs.
        extensions: `/Packages/Plugins/NAME/VERSION`.
    """

    folders: tuple[tuple[str, tuple[int, ...]], ...] = ()
    services: tuple[Service, ...] = ()
    provisioned: tuple[str, ...] = ()
    has_logs: bool = False
    extensions: tuple[str, ...] = ()

    @property
    def version(self) -> tuple[int, ...] | None:
        """The newest version by the folders' names."""
        return self.folders[0][1] if self.folders else None

    @property
    def is_installed(self) -> bool:
        """Whether both services are there."""
        return len(self.services) == 2


def read_agent(guest: WindowsGuest) -> Agent:
    """Collect what is known of the agent."""
    tree = guest.tree
    folders = []
    for name in tree.names("/WindowsAzure"):
        match = _FOLDER.fullmatch(name)
        if match is not None:
            version = tuple(int(part[:9]) for part in match[1].split("."))
            folders.append((f"/WindowsAzure/{name}", version))
    folders.sort(key=lambda folder: folder[1], reverse=True)
    services = [guest.services.get(name) for name in ("rdagent", "windowsazureguestagent")]
    plugins = [
        f"/Packages/Plugins/{name}"
        for name in tree.names("/Packages/Plugins")
        if tree.is_folder(f"/Packages/Plugins/{name}")
    ]
    return Agent(
        tuple(folders),
        tuple(service for service in services if service is not None),
        tuple(path for path in PROVISIONING_FILES if tree.is_file(path)),
        tree.is_folder("/WindowsAzure/Logs"),
        tuple(plugins),
    )
