"""Registry hives of a guest by the names that people have for them, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vhdtool.errors import GuestError
from vhdtool.guest.registry import Registry, open_hive
from vhdtool.guest.windows.guest import WindowsGuest
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from vhdtool.guest.guest import Guest
    from vhdtool.guest.registry import Key, Value
    from vhdtool.guest.tree import Tree
    from vhdtool.guest.worker import Send

NAMES = ("SYSTEM", "SOFTWARE", "SAM", "SECURITY", "DEFAULT", "BCD")
# A hostile key may have a million of either.
_MOST = 100_000


def show_key(
    hive: str, key: str, value: str | None
) -> tuple[Callable[[Tree, Send], None], Callable[[Guest, Send], None]]:
    """Return what sends a key, or one value of it: from the tree of a volume, and from a guest.

    Args:
        hive: One of NAMES in any case, or the path of a hive in the guest.
        key: Its path from the root of the hive, with backslashes or slashes.
        value: The name of a value, "" for the default one; None for the key as a whole.
    """

    def from_tree(tree: Tree, send: Send) -> None:
        _send(_open(tree, WindowsGuest(tree), hive), hive, key, value, send)

    def from_guest(guest: Guest, send: Send) -> None:
        if guest.tree is None:
            raise GuestError("nothing on the disk can be read as files")
        windows = guest.windows or WindowsGuest(guest.tree)
        _send(_open(guest.tree, windows, hive), hive, key, value, send)

    return from_tree, from_guest


def _open(tree: Tree, windows: WindowsGuest, hive: str) -> Registry | None:
    name = hive.upper()
    if name == "BCD":
        stores = windows.boot_stores
        return stores[0].registry if stores else None
    if name in NAMES:
        return windows.hive(name)
    opened = open_hive(tree, hive)
    return None if opened is None else Registry(opened, hive)


def _send(registry: Registry | None, hive: str, path: str, value: str | None, send: Send) -> None:
    if registry is None:
        raise GuestError(f"the guest has no hive {printable(hive)}")
    send({"gaps": list(registry.hive.notes)})
    key = registry.key(path.replace("/", "\\"))
    if key is None:
        raise GuestError(f"{printable(hive)} has no key {printable(path)}")
    if value is None:
        send(_plain_key(key))
        return
    found = key.value(value)
    if found is None:
        raise GuestError(f"{printable(path)} has no value {printable(value or '(default)')}")
    send({"hive": registry.name, "path": key.path, "value": _plain_value(found)})


def _plain_key(key: Key) -> dict[str, Any]:
    values = key.values()
    subkeys = [child.name for _, child in zip(range(_MOST), key.subkeys(), strict=False)]
    return {
        "hive": key.registry.name,
        "path": key.path,
        "modified": key.modified,
        "subkeys": subkeys,
        "values": [_plain_value(value) for value in values[:_MOST]],
    }


def _plain_value(value: Value) -> dict[str, Any]:
    decoded = value.decoded
    if isinstance(decoded, bytes):
        decoded = decoded.hex()
    elif isinstance(decoded, tuple):
        return {"name": value.name, "type": value.kind_name, "data": list(decoded)}
    return {"name": value.name, "type": value.kind_name, "data": decoded}
