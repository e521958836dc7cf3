"""Partitions against the ends of the virtual disk."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

from tests.builders import (
    LINUX_GUID,
    MIB,
    SECTOR,
    gpt_entries,
    gpt_header,
    gpt_pieces,
    mbr_pieces,
    mbr_sector,
)
from tests.rules.disks import SIZE, SWAP_GUID, Part, fixed, gpt, hit, hits, mbr
from vhdtool.disk.collect import collect_facts
from vhdtool.rules.model import DiskLocation, Profile, Severity
from vhdtool.rules.runner import check_facts

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from tests.builders import Pieces

LAST = SIZE // SECTOR - 1


def test_dsk113_hits_an_mbr_partition_past_the_end(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, mbr([Part(0x83, 1, 40), Part(0x07, 41, 24)])), "DSK113")
    assert found.hit.message == (
        "partition 2 (NTFS, exFAT or HPFS) ends at byte 68157440, 1048576 bytes (1 MiB) past the"
        " end of the disk at byte 67108864"
    )
    assert found.hit.location == DiskLocation(462, 16)
    assert found.severity is Severity.ERROR


def test_dsk113_hits_a_gpt_partition_past_the_end(tmp_path: Path) -> None:
    parts = [Part(LINUX_GUID, 1, 64, name="ro\x1bot")]
    found = hit(fixed(tmp_path, gpt(parts)), "DSK113")
    assert found.hit.message.startswith('partition 1 (Linux, "ro\\x1bot") ends at byte 68157440')
    assert found.hit.location == DiskLocation(1024, 128)


def test_dsk113_hits_a_partition_that_ends_before_it_starts(tmp_path: Path) -> None:
    pieces = gpt_pieces(SIZE, [(LINUX_GUID, 4096, 2048, "")])
    assert hit(fixed(tmp_path, pieces), "DSK113").hit.message == (
        "partition 1 (Linux) ends before it starts at byte 2097152"
    )


def test_dsk113_hits_a_usable_range_past_the_end(tmp_path: Path) -> None:
    """The partitions are inside; what was cut off is free space."""
    pieces = {at: data for at, data in gpt([Part(LINUX_GUID, 1, 8)]).items() if at < SIZE - MIB}
    found = hit(fixed(tmp_path, pieces, size=SIZE - MIB), "DSK113")
    assert found.hit.message == (
        f"the GPT header's last usable LBA is {LAST - 33}, expected one below the disk's last LBA"
        f" {LAST - 2048}"
    )
    assert found.hit.location == DiskLocation(SECTOR + 48, 8)


def test_dsk113_hits_a_chain_that_runs_in_a_circle(tmp_path: Path) -> None:
    loop = mbr_sector([(0x83, 64, 64), (0x05, 0, 1000)], signature=0)
    pieces = {0: mbr_sector([(0x0F, 64, 10000)]), 64 * SECTOR: loop}
    found = hit(fixed(tmp_path, pieces), "DSK113")
    assert found.hit.message == "the chain of boot records runs in a circle"
    assert found.hit.location == DiskLocation(64 * SECTOR, SECTOR)


def test_dsk113_passes_partitions_up_to_the_end(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, mbr([Part(0x83, 1, 63)])), "DSK113") == []
    assert hits(fixed(tmp_path, gpt([Part(LINUX_GUID, 1, 62)])), "DSK113") == []
    protective = {0: mbr_sector([(0xEE, 1, 0xFFFFFFFF)])}
    assert hits(fixed(tmp_path, gpt([Part(LINUX_GUID, 1, 62)]) | protective), "DSK113") == []
    logical = mbr_pieces([(0x83, 2048, 2048)], [(0x83, 8192, 2048), (0x82, 16384, 2048)])
    assert hits(fixed(tmp_path, logical), "DSK113") == []


def full_table(kind: uuid.UUID, first: int, last: int) -> Pieces:
    """Return a disk whose 32768 entries all say the same."""
    array = gpt_entries([(kind, first, last, "\x1b" * 36)] * 32768, 32768)
    common = {"first_usable": 34, "last_usable": LAST - 33, "entry_count": 32768}
    crc = zlib.crc32(array)
    return {
        0: mbr_sector([(0xEE, 1, LAST)]),
        SECTOR: gpt_header(current=1, backup=LAST, entries_lba=2, entries_crc=crc, **common),
        1024: array,
        LAST * SECTOR: gpt_header(current=LAST, backup=1, entries_lba=2, entries_crc=crc, **common),
    }


def test_hostile_tables_give_a_few_findings_and_a_count(tmp_path: Path) -> None:
    facts = collect_facts(fixed(tmp_path, full_table(SWAP_GUID, (1 << 64) - 1, 3)))
    start = time.perf_counter()
    report = check_facts(facts, profiles=tuple(Profile))
    # The aim is 30 ms on a quiet machine; ten times that is broken on any.
    assert time.perf_counter() - start < 0.3
    assert report.failures == ()
    messages = [found.hit.message for found in report.findings if found.rule.code == "DSK113"]
    assert len(messages) == 17
    assert messages[0].startswith("further partitions outside the disk of 67108864 bytes (64 MiB)")


def test_hostile_ends_break_no_rule(tmp_path: Path) -> None:
    huge = (1 << 64) - 1
    for first, last in ((0, huge), (huge, huge), (huge, 0), (0, 0), (1, 2048)):
        report = check_facts(
            collect_facts(
                fixed(tmp_path, gpt_pieces(SIZE, [(LINUX_GUID, first, last, "x")] * 128))
            ),
            profiles=tuple(Profile),
        )
        assert report.failures == ()
        assert len(report.findings) < 60


def test_overlapping_partitions_break_no_rule(tmp_path: Path) -> None:
    """No rule of the catalogue speaks of them; extended partitions overlap their logical ones."""
    pieces = gpt([Part(LINUX_GUID, 1, 40), Part(LINUX_GUID, 20, 40), Part(LINUX_GUID, 1, 60)])
    report = check_facts(collect_facts(fixed(tmp_path, pieces)), profiles=(Profile.DATA_DISK,))
    assert (report.findings, report.failures) == ((), ())
