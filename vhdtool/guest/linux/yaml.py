"""YAML of configuration files, as plain values with their lines, from hostile disks.

Nodes are composed and turned into values here, so that aliases and merge keys cannot make more of
them than the file has room for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vhdtool.errors import GuestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.files import Files

MOST_BYTES = 256 << 10
_MOST_NODES = 50_000
_TRUE = frozenset(("true", "yes", "on", "y"))
_FALSE = frozenset(("false", "no", "off", "n"))


@dataclass(frozen=True, slots=True)
class Item:
    """A value with the line, from 1, where it starts: a text, a dict of items, or a list of them.

    Attributes:
        value: `str`, `bool`, `None`, `dict[str, Item]` or `list[Item]`; numbers stay text.
        line: Where it, or its key, stands.
        path: The file.
    """

    value: Any
    line: int
    path: str

    def get(self, *keys: str) -> Item | None:
        """Go down a path of keys; None where one is missing."""
        item: Item | None = self
        for key in keys:
            if item is None or not isinstance(item.value, dict):
                return None
            item = item.value.get(key)
        return item

    @property
    def texts(self) -> list[str]:
        """The texts of a list, or the one that a text is."""
        if isinstance(self.value, str):
            return [self.value]
        if not isinstance(self.value, list):
            return []
        return [one.value for one in self.value if isinstance(one.value, str)]

    def pairs(self) -> Iterator[tuple[str, Item]]:
        """Yield the keys and values of a dict; nothing of anything else."""
        if isinstance(self.value, dict):
            yield from self.value.items()


def read_yaml(files: Files, path: str) -> Item | None:
    """Read the first document of a file; None where there is no file, or nothing in it.

    Raises:
        GuestError: The file is no YAML, or too large or deep to be configuration.
    """
    import yaml

    data = files.read(path, MOST_BYTES)
    if data is None:
        return None
    try:
        node = yaml.compose(data.decode("utf-8", "replace"), Loader=yaml.SafeLoader)
        return None if node is None else _Converter(path).item(node)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise GuestError(f"{path} is not read as YAML: {reason}") from error


class _Converter:
    def __init__(self, path: str) -> None:
        self._path = path
        self._left = _MOST_NODES

    def item(self, node: Any) -> Item:
        """Convert a node and what it holds; every visit counts, of aliases too."""
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {_MOST_NODES} values")
        return Item(self._value(node), node.start_mark.line + 1, self._path)

    def _value(self, node: Any) -> Any:
        if node.id == "scalar":
            return _scalar(node)
        if node.id == "sequence":
            return [self.item(child) for child in node.value]
        found: dict[str, Item] = {}
        merged: dict[str, Item] = {}
        for key, value in node.value:
            if key.id != "scalar":
                continue
            if key.tag == "tag:yaml.org,2002:merge":
                for source in value.value if value.id == "sequence" else [value]:
                    merged = {**dict(self.item(source).pairs()), **merged}
                continue
            item = self.item(value)
            found[key.value] = Item(item.value, key.start_mark.line + 1, self._path)
        return {**merged, **found}


def _scalar(node: Any) -> str | bool | None:
    text: str = node.value
    if node.tag == "tag:yaml.org,2002:bool":
        lowered = text.lower()
        return lowered in _TRUE if lowered in _TRUE | _FALSE else text
    return None if node.tag == "tag:yaml.org,2002:null" else text
