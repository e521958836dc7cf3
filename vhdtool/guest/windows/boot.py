"""Boot configuration data: the registry hive that Windows' boot manager reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.registry import Registry, open_hive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vhdtool.disk.facts import PartitionFacts
    from vhdtool.guest.registry import Hive, Key
    from vhdtool.guest.tree import Tree

BOOT_MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
EMS_SETTINGS = "{0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9}"
UEFI_STORE, BIOS_STORE = "/EFI/Microsoft/Boot/BCD", "/Boot/BCD"
BIOS_MANAGER = "/bootmgr"
# Elements, by the numbers that their keys are named with.
DEFAULT_OBJECT = 0x23000003
TIMEOUT = 0x25000004
DISPLAY_BOOT_MENU = 0x26000020
BOOT_EMS = 0x16000020
DEVICE = 0x11000001
APPLICATION_PATH = 0x12000002
OS_DEVICE = 0x21000001
RECOVERY_ENABLED = 0x16000009
BOOT_STATUS_POLICY = 0x250000E0
KERNEL_EMS = 0x260000B0
SAFE_BOOT = 0x25000080
NO_INTEGRITY_CHECKS = 0x16000048
TEST_SIGNING = 0x16000049
DEBUG_BOOT = 0x16000010
DEBUG_KERNEL = 0x260000A0
EMS_PORT, EMS_BAUD = 0x15000022, 0x15000023
HYPERVISOR_LAUNCH = 0x250000F0


@dataclass(frozen=True, slots=True)
class BootObject:
    """An object of a store: the boot manager, a loader, settings to inherit."""

    key: Key

    def raw(self, element: int) -> bytes | None:
        """Return the bytes of an element; None where the object has no such element."""
        key = self.key.subkey("Elements")
        key = None if key is None else key.subkey(f"{element:08x}")
        value = None if key is None else key.value("Element")
        return None if value is None else value.data

    def number(self, element: int) -> int | None:
        """Return an integer or a truth value (0 or 1); None where there is none."""
        data = self.raw(element)
        return int.from_bytes(data[:8], "little") if data else None

    def text(self, element: int) -> str | None:
        """Return a string or an object's name; None where there is none."""
        key = self.key.subkey("Elements")
        key = None if key is None else key.subkey(f"{element:08x}")
        return None if key is None else key.text("Element")

    def path(self, element: int) -> str:
        """Write the path of an element's key."""
        return rf"{self.key.path}\Elements\{element:08x}"


@dataclass(frozen=True, slots=True)
class BootStore:
    """A store and where it was found.

    Attributes:
        volume: The name of the volume, "" for the one with Windows.
        path: The file.
        is_uefi: Whether it is where UEFI firmware's boot manager looks.
    """

    registry: Registry
    volume: str
    path: str
    is_uefi: bool

    def object(self, name: str) -> BootObject | None:
        """Return an object by its GUID in braces."""
        key = self.registry.key(rf"Objects\{name}")
        return None if key is None else BootObject(key)

    @property
    def manager(self) -> BootObject | None:
        """The boot manager."""
        return self.object(BOOT_MANAGER)

    @property
    def default(self) -> BootObject | None:
        """The loader that is started unless someone chooses another."""
        name = None if self.manager is None else self.manager.text(DEFAULT_OBJECT)
        return None if name is None else self.object(name)


def find_boot_stores(volumes: Mapping[str, Tree], given: Hive | None) -> tuple[BootStore, ...]:
    """Open the stores of all volumes; `given` is used instead of the first file's content."""
    found = []
    for path, is_uefi in ((UEFI_STORE, True), (BIOS_STORE, False)):
        for name, tree in volumes.items():
            if not tree.is_file(path):
                continue
            hive = given or open_hive(tree, path)
            given = None
            if hive is not None:
                found.append(BootStore(Registry(hive, "BCD"), name, path, is_uefi))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class DeviceId:
    """The partition that a device element names: of a disk by its signature or GUID."""

    disk: bytes
    partition: bytes  # the GUID, or the offset in bytes, 8 bytes
    is_gpt: bool


_PARTITION = 6
_GPT, _MBR = 0, 1


def device_partition(data: bytes | None) -> DeviceId | None:
    """Read a device element that names a partition; None of others: `boot`, `locate`, a file.

    After 16 bytes of options' GUID: the device's type (32 bits), flags, size, then for partitions
    the partition (16 bytes), the disk's type (at 0x24) and its identifier (at 0x28).
    """
    if data is None or len(data) < 0x48:
        return None
    body = data[16:]
    if int.from_bytes(body[:4], "little") != _PARTITION:
        return None
    kind = int.from_bytes(body[0x24:0x28], "little")
    if kind == _GPT:
        return DeviceId(body[0x28:0x38], body[0x10:0x20], is_gpt=True)
    if kind == _MBR:
        return DeviceId(body[0x28:0x2C], body[0x10:0x18], is_gpt=False)
    return None


def partition_ids(layout: PartitionFacts) -> frozenset[DeviceId]:
    """Return the partitions of a disk as device elements name them."""
    table = layout.primary_gpt or layout.backup_gpt
    if table is not None and table.problem is None:
        disk = table.header.disk_guid.bytes_le
        return frozenset(
            DeviceId(disk, entry.unique_guid.bytes_le, is_gpt=True) for entry in table.entries
        )
    if layout.mbr is None:
        return frozenset()
    signature = layout.mbr.disk_signature.to_bytes(4, "little")
    return frozenset(
        DeviceId(signature, partition.offset.to_bytes(8, "little"), is_gpt=False)
        for partition in layout.partitions
        if partition.offset < 1 << 64
    )
