"""Where Windows' recovery partition lies."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.builders import ESP_GUID
from tests.rules.disks import BASIC_DATA_GUID, Part, fat32, fixed, gpt, hit, hits, ntfs

if TYPE_CHECKING:
    from pathlib import Path

RECOVERY_GUID = uuid.UUID("DE94BBA4-06D1-4D40-A16A-BFD50179D6AC")
ESP = Part(ESP_GUID, 1, 8, fat32())


def test_win457_hits_a_recovery_partition_at_the_end(tmp_path: Path) -> None:
    windows = Part(BASIC_DATA_GUID, 9, 30, ntfs())
    recovery = Part(RECOVERY_GUID, 40, 8, ntfs())
    found = hit(fixed(tmp_path, gpt([ESP, windows, recovery])), "WIN457")
    assert "lies behind partition 2" in found.hit.message


def test_win457_passes_one_before_windows(tmp_path: Path) -> None:
    recovery = Part(RECOVERY_GUID, 9, 8, ntfs())
    windows = Part(BASIC_DATA_GUID, 18, 30, ntfs())
    assert hits(fixed(tmp_path, gpt([ESP, recovery, windows])), "WIN457") == []
