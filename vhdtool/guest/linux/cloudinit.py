"""cloud-init: its settings merged as it merges them, and what it left behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.linux.yaml import Item, read_yaml

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files

MAIN = "/etc/cloud/cloud.cfg"
FOLDER = "/etc/cloud/cloud.cfg.d"
STATE = "/var/lib/cloud"
DISABLED = "/etc/cloud/cloud-init.disabled"
PACKAGES = ("cloud-init", "cloud-init-base")
_PROGRAMS = ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init", "/usr/sbin/cloud-init")


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """The merged settings: cloud.cfg under the files of cloud.cfg.d, the last of which wins.

    Attributes:
        root: The merged settings.
        files: What was read, the winner of conflicts first.
    """

    root: Item
    files: tuple[str, ...]

    def get(self, *keys: str) -> Item | None:
        """Return what a path of keys leads to; None where one is missing."""
        return self.root.get(*keys)

    def modules(self, stage: str) -> list[str] | None:
        """Return the modules of a stage (`init`, `config`, `final`), `_` for `-`; None if unset."""
        item = self.get(f"cloud_{stage}_modules")
        if item is None or not isinstance(item.value, list):
            return None
        names = []
        for one in item.value:
            # a module may stand alone, or in a list with how often it runs
            found = one.texts
            if found:
                names.append(found[0].replace("-", "_"))
        return names


def read_cloud_config(files: Files) -> CloudConfig | None:
    """Merge the settings; None where there are none.

    Raises:
        GuestError: A file is no YAML: cloud-init would ignore it, with a warning in its log.
    """
    paths = [path for path in reversed(files.paths(FOLDER, "*.cfg")) if files.tree.is_file(path)]
    merged: Item | None = None
    used = []
    for path in [*paths, MAIN]:
        item = read_yaml(files, path)
        if item is not None and isinstance(item.value, dict):
            used.append(path)
            merged = item if merged is None else _under(merged, item)
    return None if merged is None else CloudConfig(merged, tuple(used))


def _under(winner: Item, other: Item) -> Item:
    """Merge as cloud-init does by default: dicts into each other, else the winner's value."""
    if not isinstance(winner.value, dict) or not isinstance(other.value, dict):
        return winner
    values = dict(winner.value)
    for key, item in other.value.items():
        values[key] = _under(values[key], item) if key in values else item
    return Item(values, winner.line, winner.path)


def cloud_init_program(files: Files) -> str | None:
    """Return the path of cloud-init's program; None where there is none."""
    return files.first(_PROGRAMS)


def read_cloud_init_version(files: Files) -> str | None:
    """Return the version as its own source says; None where that is not found."""
    roots = ("/usr/lib/python3/dist-packages", *files.glob("/usr/lib/python3.*/site-packages"))
    for root in roots:
        for line in files.lines(f"{root}/cloudinit/version.py"):
            found = re.match(r"_?_?(?:PACKAGED_)?VERSION_?_?\s*=\s*['\"](\d[\w.]*)", line.text)
            if found:
                return found.group(1)
    return None


def datasources(config: CloudConfig | None) -> Item | None:
    """Return the list of data sources that is asked; None where cloud-init's own holds."""
    item = None if config is None else config.get("datasource_list")
    return item if item is not None and isinstance(item.value, list) else None
