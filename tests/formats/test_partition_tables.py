"""MBR and GPT structures."""

from __future__ import annotations

import zlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import builders
from vhdtool.formats import gpt, mbr

MIB = builders.MIB


def test_boot_record_fields_are_where_they_belong() -> None:
    raw = builders.mbr_sector([(0x83, 2048, 4096), (0x0C, 8192, 16)], active=1, code=b"\xeb\x63")
    record = mbr.MasterBootRecord.parse(raw)
    assert record.build() == raw
    assert record.has_signature
    assert record.disk_signature == 0x12345678
    assert record.boot_code.startswith(b"\xeb\x63")
    first, second, third, _ = record.entries
    assert (first.type_code, first.first_lba, first.sector_count) == (0x83, 2048, 4096)
    assert (first.status, second.status) == (0, mbr.ACTIVE)
    assert not third.is_used
    assert mbr.type_name(second.type_code) == "FAT32 LBA"


@given(st.binary(min_size=512, max_size=512))
def test_any_sector_comes_back_as_a_boot_record(raw: bytes) -> None:
    assert mbr.MasterBootRecord.parse(raw).build() == raw


def test_protective_record_is_known_by_its_type() -> None:
    protective = mbr.MasterBootRecord.parse(builders.mbr_sector([(0xEE, 1, 0xFFFFFFFF)]))
    assert protective.is_protective
    assert not mbr.MasterBootRecord.parse(builders.mbr_sector([(7, 1, 1)])).is_protective


def test_unknown_types_have_no_name() -> None:
    assert mbr.type_name(0x77) == "unknown"
    assert gpt.type_name(UUID(int=1)) == "unknown"
    assert gpt.type_name(UUID(gpt.EFI_SYSTEM)) == "EFI system"


def test_gpt_header_fields_are_where_the_specification_has_them() -> None:
    raw = builders.gpt_pieces(10 * MIB, [(builders.LINUX_GUID, 2048, 4095, "root")])[512]
    header = gpt.GptHeader.parse(raw)
    assert header.signature == gpt.SIGNATURE
    assert (header.current_lba, header.backup_lba) == (1, 20479)
    assert (header.first_usable_lba, header.last_usable_lba) == (34, 20446)
    assert (header.entries_lba, header.entry_count, header.entry_size) == (2, 128, 128)
    assert header.disk_guid == builders.DISK_ID
    assert gpt.header_crc32_of(raw) == header.header_crc32
    assert header.build() == raw[:92]
    assert header.sealed() == header


@given(st.binary(min_size=92, max_size=92))
def test_any_gpt_header_comes_back_from_its_bytes(raw: bytes) -> None:
    header = gpt.GptHeader.parse(raw)
    assert gpt.GptHeader.parse(header.build()) == header


def test_crc_covers_the_header_size_that_the_header_names() -> None:
    raw = builders.gpt_header(
        current=1,
        backup=99,
        first_usable=34,
        last_usable=60,
        entries_lba=2,
        entries_crc=0,
        header_size=128,
    )
    assert gpt.header_crc32_of(raw) == gpt.GptHeader.parse(raw).header_crc32
    sealed = gpt.GptHeader.parse(raw).sealed().build()
    assert len(sealed) == 128
    assert sealed == raw[:128]


@pytest.mark.parametrize("size", [0, 91, 513, 0xFFFFFFFF])
def test_impossible_header_sizes_have_no_crc(size: int) -> None:
    raw = b"EFI PART".ljust(12, b"\0") + size.to_bytes(4, "little")
    assert gpt.header_crc32_of(raw.ljust(512, b"\0")) is None


@pytest.mark.parametrize(
    ("count", "size", "sound"),
    [
        (128, 128, True),
        (32768, 128, True),
        (32769, 128, False),
        (64, 256, True),
        (128, 192, False),
        (128, 64, False),
        (0xFFFFFFFF, 128, False),
        (1, 0, False),
    ],
)
def test_arrays_are_bounded(count: int, size: int, sound: bool) -> None:
    raw = builders.gpt_header(
        current=1,
        backup=99,
        first_usable=34,
        last_usable=60,
        entries_lba=2,
        entries_crc=zlib.crc32(b""),
        entry_count=count,
        entry_size=size,
    )
    assert gpt.GptHeader.parse(raw).has_sound_array is sound
