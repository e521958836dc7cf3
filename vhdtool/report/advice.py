"""What to do next about a report, said only where it is true."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from vhdtool.disk.facts import ImageFormat
from vhdtool.rules.model import Severity
from vhdtool.units import MIB, SECTOR_SIZE

if TYPE_CHECKING:
    from vhdtool.disk.facts import DiskFacts
    from vhdtool.rules.model import Report

# Errors that a disk which can be read is rid of as a fixed VHD of enough whole MiB: those about the
# container, not about what it holds.
MENDED_BY_CONVERT = frozenset(
    (
        "VHD001",
        "VHD002",
        "VHD003",
        "VHD004",
        "VHD005",
        "VHD007",
        "VHD024",
        "VHD036",
        "VHD038",
        "VHD040",
        "VHD041",
    )
)
_STREAMS = (ImageFormat.GZIP, ImageFormat.XZ, ImageFormat.ZSTD)
_SMALLEST_UPLOAD = 20 * MIB


def convert_advice(report: Report) -> str | None:
    """Say what `vhdtool convert` makes of an image that is no VHD that Azure takes.

    None where it would not help, or could not read the image.
    """
    errors = {
        finding.rule.code for finding in report.findings if finding.severity is Severity.ERROR
    }
    facts = report.facts
    if facts is None or not errors & MENDED_BY_CONVERT or not _is_convertible(facts):
        return None
    path = str(report.path)
    image = shlex.quote(path) if path.isprintable() else "IMAGE"
    small = facts.virtual_size is not None and facts.virtual_size < _SMALLEST_UPLOAD
    command = f"vhdtool convert {'--align 20MiB ' if small else ''}{image} OUT.vhd"
    what = "the raw or VHD disk in it" if facts.format in _STREAMS else "it"
    rest = "; other errors stay" if errors - MENDED_BY_CONVERT else ""
    return f"`{command}` writes {what} as a fixed VHD of whole MiB{rest}"


def _is_convertible(facts: DiskFacts) -> bool:
    if facts.format in _STREAMS:
        return True
    return (
        facts.open_error is None and facts.sector_size == SECTOR_SIZE and bool(facts.virtual_size)
    )
