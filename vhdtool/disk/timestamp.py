"""Times as a VHD has them: seconds since 2000-01-01 UTC, in 32 bits."""

from __future__ import annotations

import os
import time

from vhdtool.errors import ConfigError
from vhdtool.formats.vhd import VHD_EPOCH

_MAX = 0xFFFF_FFFF


def now() -> int:
    """Return the current time, or that of SOURCE_DATE_EPOCH, which makes builds reproducible.

    Raises:
        ConfigError: SOURCE_DATE_EPOCH is no time.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch:
        return parse_timestamp(epoch, name="SOURCE_DATE_EPOCH")
    return max(0, int(time.time()) - VHD_EPOCH)


def iso(timestamp: int) -> str:
    """Write seconds since 2000-01-01 UTC as ISO 8601; a file's time may be past any calendar."""
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(VHD_EPOCH + timestamp, UTC).isoformat()
    except (OverflowError, OSError, ValueError):
        return f"{timestamp} seconds after 2000-01-01"


def parse_timestamp(text: str, *, name: str = "--timestamp") -> int:
    """Read seconds of Unix time, or ISO 8601 as in `2026-01-31T12:00:00Z` (UTC without a zone).

    Raises:
        ConfigError: The text is no time, or one that a VHD cannot hold.
    """
    try:
        seconds = int(text)
    except ValueError:
        seconds = _iso_seconds(text, name)
    if not 0 <= seconds - VHD_EPOCH <= _MAX:
        raise ConfigError(f"{name}: a VHD holds times from 2000 to 2136, not {text!r}")
    return seconds - VHD_EPOCH


def _iso_seconds(text: str, name: str) -> int:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{name}: not a time: {text!r}",
            hint="write seconds of Unix time or ISO 8601, such as 2026-01-31T12:00:00Z",
        ) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
