"""Virtual disks for Azure: read, check, convert and repair them before they are uploaded."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vhdtool.disk.disk import Disk, Extent, ExtentKind
    from vhdtool.disk.image import Image, open_image
    from vhdtool.rules.model import Finding, Profile, Report, Severity
    from vhdtool.rules.runner import check

__version__ = "0.1.0"

__all__ = [
    "Disk",
    "Extent",
    "ExtentKind",
    "Finding",
    "Image",
    "Profile",
    "Report",
    "Severity",
    "check",
    "open_image",
]

# Loaded on first use: a command that needs none of them must not wait for them.
_HOMES = {
    "Disk": "vhdtool.disk.disk",
    "Extent": "vhdtool.disk.disk",
    "ExtentKind": "vhdtool.disk.disk",
    "Finding": "vhdtool.rules.model",
    "Image": "vhdtool.disk.image",
    "Profile": "vhdtool.rules.model",
    "Report": "vhdtool.rules.model",
    "Severity": "vhdtool.rules.model",
    "check": "vhdtool.rules.runner",
    "open_image": "vhdtool.disk.image",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
