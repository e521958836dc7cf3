"""Which Windows an installation is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.windows.pe import machine

if TYPE_CHECKING:
    from vhdtool.guest.windows.guest import WindowsGuest

CURRENT_VERSION = r"Microsoft\Windows NT\CurrentVersion"
ENVIRONMENT = r"CurrentControlSet\Control\Session Manager\Environment"
PRODUCT_OPTIONS = r"CurrentControlSet\Control\ProductOptions"
# The first builds of releases.
VISTA, WINDOWS_7, WINDOWS_8, WINDOWS_8_1, WINDOWS_10 = 6000, 7600, 9200, 9600, 10240
SERVER_2016, SERVER_2019, SERVER_2022, WINDOWS_11, SERVER_2025 = 14393, 17763, 20348, 22000, 26100
_SERVERS = (
    (SERVER_2025, "2025"),
    (SERVER_2022, "2022"),
    (SERVER_2019, "2019"),
    (SERVER_2016, "2016"),
    (WINDOWS_8_1, "2012 R2"),
    (WINDOWS_8, "2012"),
    (WINDOWS_7, "2008 R2"),
    (VISTA, "2008"),
)
_PROCESSORS = {"amd64": "x86-64", "arm64": "aarch64", "x86": "i686", "arm": "arm"}
_KERNEL_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Product:
    """What the registry and the kernel's file say of the system.

    Attributes:
        name: `Windows Server 2022 Datacenter`; of Windows 11 not the `Windows 10` that is stored.
        edition: `ServerDatacenter`, `Professional`, ...
        build: 20348; None where it is missing or no number.
        revision: The update build revision (UBR) after the build's dot.
        release: `21H2`, `1809`; "" before Windows 10.
        installation: `Server`, `Server Core`, `Client`, `Nano Server`.
        kind: `WinNT` (client), `ServerNT`, `LanmanNT` (domain controller).
        architecture: Of the kernel's file, or what the environment says where that is not there.
        lab: Branch and date of the build.
    """

    name: str = ""
    edition: str = ""
    build: int | None = None
    revision: int | None = None
    release: str = ""
    installation: str = ""
    kind: str = ""
    architecture: str | None = None
    lab: str = ""

    @property
    def is_server(self) -> bool | None:
        """Whether it is a server; None where nothing says so."""
        if self.kind:
            return self.kind.lower() != "winnt"
        return self.installation.lower() != "client" if self.installation else None

    @property
    def server_release(self) -> str | None:
        """`2022` for a server of that release; None for clients and unknown builds."""
        if not self.is_server or self.build is None:
            return None
        return next((name for first, name in _SERVERS if self.build >= first), None)

    @property
    def version(self) -> str:
        """`10.0.20348.2227` without the leading part: `20348.2227`."""
        if self.build is None:
            return ""
        return f"{self.build}" if self.revision is None else f"{self.build}.{self.revision}"


def read_product(guest: WindowsGuest) -> Product:
    """Collect what is known of the product."""
    software, system = guest.software, guest.system
    key = None if software is None else software.key(CURRENT_VERSION)
    texts = {
        name: (key.text(name) or "") if key is not None else ""
        for name in (
            "ProductName",
            "EditionID",
            "CurrentBuild",
            "InstallationType",
            "DisplayVersion",
            "ReleaseId",
            "BuildLabEx",
            "BuildLab",
        )
    }
    build = texts["CurrentBuild"]
    number = int(build) if build.isascii() and build.isdigit() and len(build) < 10 else None
    kind = None if system is None else system.text(PRODUCT_OPTIONS, "ProductType")
    return Product(
        _name(texts["ProductName"], number, kind),
        texts["EditionID"],
        number,
        None if key is None else key.number("UBR"),
        texts["DisplayVersion"] or texts["ReleaseId"],
        texts["InstallationType"],
        kind or "",
        _architecture(guest),
        texts["BuildLabEx"] or texts["BuildLab"],
    )


def _name(stored: str, build: int | None, kind: str | None) -> str:
    """Windows 11 still calls itself Windows 10 in the registry."""
    is_client = kind is None or kind.lower() == "winnt"
    if build is not None and build >= WINDOWS_11 and is_client:
        return stored.replace("Windows 10", "Windows 11", 1)
    return stored


def _architecture(guest: WindowsGuest) -> str | None:
    head = guest.tree.read(guest.path("System32/ntoskrnl.exe"), _KERNEL_HEAD)
    known = None if head is None else machine(head)
    if known is not None or guest.system is None:
        return known
    stored = guest.system.text(ENVIRONMENT, "PROCESSOR_ARCHITECTURE") or ""
    return _PROCESSORS.get(stored.lower())
