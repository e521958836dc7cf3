"""The Windows server of tests/guests/windows.py on a real disk: GPT, EFI system partition, NTFS.

Its SOFTWARE hive has the 60 MiB of an old installation: classes, as COM registers them, and large
values.
"""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import hives
from tests.guests import windows
from tests.guests.layouts import partition
from tests.guests.tools import cached, run
from tests.native.ntfs_volumes import make_volume, mounted
from vhdtool.guest.tree import Tree
from vhdtool.units import GIB, MIB

if TYPE_CHECKING:
    from vhdtool.guest.memory import MemoryFileSystem, MemoryHive

SIZE = 8 * GIB
SOFTWARE_SIZE = 60 * MIB
CLASSES = 60_000
BLOBS, BLOB = 2_900, 12_000

_ESP = (1 * MIB, 99 * MIB)
_NTFS = (100 * MIB, SIZE - 101 * MIB)
_SECTOR = 512
_BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
_CONFIG = "/Windows/System32/config"


def disk() -> Path:
    """Return a dynamic VHD of 8 GiB; built once, which needs root and /dev/fuse."""
    recipe = (Path(__file__), Path(windows.__file__), Path(hives.__file__))
    return cached("windows.vhd", recipe, _build)


def content(hive: MemoryHive, node: int) -> dict[str, Any]:
    """Return a hive as `write_hive` takes it."""
    keys = {name: content(hive, child) for name, child in hive.subkeys(node)}
    values = {value.name: hives.Typed(value.kind, value.data) for value in hive.values(node)}
    return {**keys, **values}


def machine() -> windows.Machine:
    """Return the server with its hives written into its files."""
    made = windows.server()
    for name in ("SYSTEM", "SOFTWARE", "SAM", "SECURITY"):
        hive = getattr(made, name.lower())
        keys = content(hive, hive.root)
        if name == "SOFTWARE":
            keys["Classes"] = {"CLSID": _classes()}
            keys["Vendor"] = {f"Blob{number:04}": bytes(BLOB) for number in range(BLOBS)}
        data = hives.write_hive(keys)
        assert name != "SOFTWARE" or len(data) >= SOFTWARE_SIZE
        made.files.add(f"{_CONFIG}/{name}", data)
    assert made.system_files is not None
    store = hives.write_hive(content(made.bcd, made.bcd.root))
    made.system_files.add("/EFI/Microsoft/Boot/BCD", store)
    return made


def _build(target: Path) -> None:
    made = machine()
    assert made.system_files is not None
    raw, part = target.with_suffix(".raw"), target.with_suffix(".part")
    try:
        with raw.open("wb") as file:
            file.truncate(SIZE)
        # The numbers by which the boot store names the disk and its partition.
        disk_id, ntfs_id = (
            uuid.UUID(bytes_le=raw_id) for raw_id in (windows.DISK_GUID, windows.PARTITION_GUID)
        )
        partition(
            raw,
            "gpt",
            f"label-id: {disk_id}",
            f"start={_ESP[0] // _SECTOR}, size={_ESP[1] // _SECTOR}, type=U",
            f"start={_NTFS[0] // _SECTOR}, size={_NTFS[1] // _SECTOR}, type={_BASIC_DATA}, "
            f"uuid={ntfs_id}",
        )
        _fill_esp(made.system_files, part)
        _put(part, raw, _ESP[0])
        make_volume(part, _NTFS[1], label="")
        with mounted(part) as root:
            _copy(made.files, root)
        _put(part, raw, _NTFS[0])
        vhd = ("-O", "vpc", "-o", "subformat=dynamic,force_size=on")
        run("qemu-img", "convert", *vhd, raw, target, package="qemu-utils")
    finally:
        raw.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
        part.with_suffix(".mount").rmdir()


def _classes() -> dict[str, Any]:
    """Return the keys of classes, each with the path of its server."""
    server = hives.expand(r"%SystemRoot%\System32\an-ordinary-library.dll")
    return {
        f"{{{uuid.uuid5(uuid.NAMESPACE_OID, str(number))}}}": {
            "": f"Class {number}",
            "InprocServer32": {"": server, "ThreadingModel": "Both"},
        }
        for number in range(CLASSES)
    }


def _copy(files: MemoryFileSystem, folder: Path) -> None:
    tree = Tree(files)
    for path in tree.walk("/"):
        place = folder / path.strip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(tree.read(path, 1 << 30) or b"")


def _fill_esp(files: MemoryFileSystem, part: Path) -> None:
    with part.open("wb") as file:
        file.truncate(_ESP[1])
    run("mkfs.vfat", "-F", "32", part, package="dosfstools")
    with tempfile.TemporaryDirectory() as folder:
        _copy(files, Path(folder))
        run("mcopy", "-s", "-i", part, Path(folder) / "EFI", "::/", package="mtools")


def _put(part: Path, raw: Path, offset: int) -> None:
    """Write a volume into a disk; zeros are left out."""
    where = ("bs=1M", f"seek={offset // MIB}", "conv=notrunc,sparse")
    run("dd", f"if={part}", f"of={raw}", *where, package="coreutils")
