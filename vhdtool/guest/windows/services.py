"""Services and drivers of the current control set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from vhdtool.guest.registry import Kind

if TYPE_CHECKING:
    from vhdtool.guest.registry import Key, Registry

SERVICES = r"CurrentControlSet\Services"
_PROGRAM = ".exe"


class Start(IntEnum):
    """When a service is started."""

    BOOT = 0
    SYSTEM = 1
    AUTOMATIC = 2
    MANUAL = 3
    DISABLED = 4


@dataclass(frozen=True, slots=True)
class Service:
    """A service or driver.

    Attributes:
        key: Its key, whose name is the service's.
        start: When it is started, None where the value is missing.
        kind: The bits of its type: 1 and 2 are drivers.
        image: The path of its file as stored, "" where none is.
    """

    key: Key
    start: int | None
    kind: int | None
    image: str

    @property
    def name(self) -> str:
        """The service's name, in the registry's case."""
        return self.key.name

    @property
    def is_driver(self) -> bool:
        """Whether it runs in the kernel."""
        return self.kind is not None and bool(self.kind & 3)

    @property
    def file(self) -> str:
        """The path of its file below the volume's root, with slashes; "" where none is known.

        Drivers without a path are `System32/drivers/NAME.sys`.
        """
        image = self.image.strip()
        if not image:
            return f"/Windows/System32/drivers/{self.name}.sys" if self.is_driver else ""
        if image.startswith('"'):
            image = image[1:].partition('"')[0]
        elif not self.is_driver:
            end = image.lower().find(_PROGRAM)
            image = image if end < 0 else image[: end + len(_PROGRAM)]
        path = image.replace("\\", "/").removeprefix("/??/")
        lowered = path.lower()
        for root in ("%systemroot%/", "/systemroot/", "%windir%/"):
            if lowered.startswith(root):
                return f"/Windows/{path[len(root) :]}"
        if path[1:2] == ":":
            return path[2:]
        return path if path.startswith("/") else f"/Windows/{path}"


def read_services(system: Registry | None) -> dict[str, Service]:
    """Return the services by lower-case name; empty where there is no hive."""
    root = None if system is None else system.key(SERVICES)
    if root is None:
        return {}
    return {key.name.lower(): _service(key) for key in root.subkeys()}


def _service(key: Key) -> Service:
    image = key.value("ImagePath")
    is_text = image is not None and image.kind in (Kind.SZ, Kind.EXPAND_SZ)
    return Service(
        key,
        key.number("Start"),
        key.number("Type"),
        (image.text or "") if image is not None and is_text else "",
    )
