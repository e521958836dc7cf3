"""VHDX structures against bytes that plain `struct` made."""

from __future__ import annotations

import struct
import uuid

import pytest

from tests import builders
from vhdtool.formats import vhdx

MIB = builders.MIB


def test_header_fields_are_where_the_specification_has_them() -> None:
    guid = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
    raw = builders.vhdx_header(7, log_guid=guid, log_length=MIB, log_offset=3 * MIB)
    header = vhdx.Header.parse(raw)
    assert header.signature == b"head"
    assert header.sequence_number == 7
    assert header.log_guid == guid
    assert header.data_write_guid == builders.DISK_ID
    assert (header.log_version, header.version) == (0, 1)
    assert (header.log_length, header.log_offset) == (MIB, 3 * MIB)
    assert vhdx.checksum_of(raw) == header.checksum


def test_checksum_covers_the_reserved_bytes_too() -> None:
    raw = bytearray(builders.vhdx_header(1))
    raw[4095] ^= 1
    assert vhdx.checksum_of(bytes(raw)) != vhdx.Header.parse(bytes(raw)).checksum


def test_file_identifier_names_the_creator() -> None:
    raw = (b"vhdxfile" + "Microsoft Windows".encode("utf-16-le")).ljust(520, b"\0")
    assert vhdx.FileIdentifier.parse(raw).creator == "Microsoft Windows"


def test_region_table_reads_its_entries() -> None:
    raw = builders.region_table([(builders.BAT_GUID, 3 * MIB, MIB, 1), (uuid.uuid4(), MIB, 5, 0)])
    table = vhdx.RegionTable.parse(raw)
    assert table.entry_count == 2
    assert table.entries[0] == vhdx.RegionEntry(vhdx.BAT_REGION, 3 * MIB, MIB, required=True)
    assert not table.entries[1].required
    assert vhdx.checksum_of(raw) == table.checksum


def test_region_table_that_claims_four_billion_entries_yields_what_fits() -> None:
    raw = bytearray(builders.region_table([]))
    raw[8:12] = b"\xff\xff\xff\xff"
    table = vhdx.RegionTable.parse(bytes(raw))
    assert table.entry_count == 0xFFFFFFFF
    assert len(table.entries) == 2047


def test_metadata_table_reads_flags_and_places() -> None:
    raw = builders.metadata_region([(builders.VIRTUAL_SIZE, bytes(8), 6)])
    entry = vhdx.MetadataTable.parse(raw).entries[0]
    assert entry == vhdx.MetadataEntry(vhdx.VIRTUAL_DISK_SIZE, 65536, 8, 6)
    assert entry.is_required
    assert not entry.is_user


def test_file_parameters_have_two_flags() -> None:
    parse = vhdx.FileParameters.parse
    assert parse(struct.pack("<II", MIB, 1)) == vhdx.FileParameters(MIB, True, False)
    assert parse(struct.pack("<II", MIB, 2)) == vhdx.FileParameters(MIB, False, True)


def test_parent_locator_reads_keys_and_values() -> None:
    entries = {"parent_linkage": "{guid}", "relative_path": ".\\bäse.vhdx"}
    item = vhdx.ParentLocatorItem.parse(builders.locator_item(entries))
    assert dict(item.entries) == entries
    assert item.locator_type == vhdx.VHDX_LOCATOR_TYPE


def test_parent_locator_with_many_long_strings_stays_small() -> None:
    # 65535 entries of 64 KiB each, all in the same bytes: 8 GiB if it were believed.
    entry = struct.pack("<IIHH", 20, 20, 65534, 65534)
    raw = struct.pack("<16sHH", bytes(16), 0, 65535) + entry * 5500
    item = vhdx.ParentLocatorItem.parse(raw)
    assert sum(len(key) + len(value) for key, value in item.entries) < 8 * MIB


@pytest.mark.parametrize(
    ("structure", "size"),
    [
        (vhdx.FileIdentifier, 520),
        (vhdx.Header, 4096),
        (vhdx.RegionTable, 65536),
        (vhdx.MetadataTable, 65536),
        (vhdx.FileParameters, 8),
        (vhdx.ParentLocatorItem, 20),
    ],
)
def test_only_too_short_input_is_refused(structure: type, size: int) -> None:
    structure.parse(bytes(size))
    structure.parse(b"\xff" * size)
    with pytest.raises(ValueError, match=f"has {size} bytes, not {size - 1}"):
        structure.parse(bytes(size - 1))
