"""VHD structures against bytes that other programs and plain `struct` made."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import builders
from tests.corpus import corpus_path
from vhdtool.formats.chs import Geometry
from vhdtool.formats.vhd import DiskType, DynamicHeader, Footer, ParentLocator

MIB = builders.MIB


def numbers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(min_value=0, max_value=(1 << bits) - 1)


def blobs(length: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=length, max_size=length)


footers = st.builds(
    Footer,
    cookie=blobs(8),
    features=numbers(32),
    version=numbers(32),
    data_offset=numbers(64),
    timestamp=numbers(32),
    creator_application=blobs(4),
    creator_version=numbers(32),
    creator_host_os=blobs(4),
    original_size=numbers(64),
    current_size=numbers(64),
    geometry=st.builds(Geometry, numbers(16), numbers(8), numbers(8)),
    disk_type=numbers(32),
    checksum=numbers(32),
    unique_id=st.uuids(),
    saved_state=numbers(8),
    reserved=blobs(427),
)
locators = st.builds(ParentLocator, blobs(4), numbers(32), numbers(32), numbers(32), numbers(64))
headers = st.builds(
    DynamicHeader,
    cookie=blobs(8),
    data_offset=numbers(64),
    table_offset=numbers(64),
    version=numbers(32),
    max_table_entries=numbers(32),
    block_size=numbers(32),
    checksum=numbers(32),
    parent_unique_id=st.uuids(),
    parent_timestamp=numbers(32),
    reserved1=numbers(32),
    parent_name_raw=blobs(512),
    locators=st.tuples(*[locators] * 8),
    reserved2=blobs(256),
)


@given(footers)
def test_any_footer_comes_back_from_its_bytes(footer: Footer) -> None:
    assert len(footer.build()) == 512
    assert Footer.parse(footer.build()) == footer
    assert footer.sealed().checksum_ok


@given(headers)
def test_any_dynamic_header_comes_back_from_its_bytes(header: DynamicHeader) -> None:
    assert len(header.build()) == 1024
    assert DynamicHeader.parse(header.build()) == header
    assert header.sealed().checksum_ok


def test_footer_fields_are_where_the_specification_has_them() -> None:
    raw = builders.footer(
        40 * MIB, disk_type=3, data_offset=512, geometry=(963, 5, 17), creator=b"vs  "
    )
    footer = Footer.parse(raw)
    assert footer.is_plausible
    assert footer.build() == raw
    assert (footer.current_size, footer.original_size) == (40 * MIB, 40 * MIB)
    assert footer.geometry == Geometry(963, 5, 17)
    assert footer.disk_type == DiskType.DYNAMIC
    assert footer.creator_application == b"vs  "
    assert footer.unique_id == builders.DISK_ID
    assert footer.timestamp == builders.TIMESTAMP


def test_footer_with_one_flipped_bit_is_not_plausible() -> None:
    raw = bytearray(builders.footer(MIB))
    raw[50] ^= 1
    footer = Footer.parse(bytes(raw))
    assert not footer.checksum_ok
    assert footer.sealed().checksum == footer.computed_checksum != footer.checksum


def test_footer_of_511_bytes_reads_like_one_of_512() -> None:
    raw = builders.footer(MIB)
    assert Footer.parse(raw[:511]) == Footer.parse(raw)


def test_footer_of_510_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="512 bytes, not 510"):
        Footer.parse(bytes(510))


@pytest.mark.parametrize("version", [0x00000001, 0x00010001])
def test_old_tapdisk_checksum_without_the_hidden_byte_is_accepted(version: int) -> None:
    raw = bytearray(builders.footer(MIB, creator=b"tap\0", creator_version=version))
    raw[85] = 1
    assert Footer.parse(bytes(raw)).checksum_ok
    assert Footer.parse(bytes(raw)).hidden


def test_the_tapdisk_exception_is_for_no_other_creator() -> None:
    raw = bytearray(builders.footer(MIB, creator=b"win ", creator_version=1))
    raw[85] = 1
    assert not Footer.parse(bytes(raw)).checksum_ok


@pytest.mark.parametrize("number", [1, 2, 3])
def test_real_footers_collected_by_vhdattach_are_sound(number: int) -> None:
    raw = corpus_path(f"disks/vhdattach/VhdFooter_Parse{number}.footer.bin").read_bytes()
    footer = Footer.parse(raw)
    assert footer.build() == raw
    assert footer.is_plausible


def test_parent_name_is_big_endian_and_ends_at_nul() -> None:
    header = _header("père.vhd\0junk".encode("utf-16-be"))
    assert header.parent_name == "père.vhd"


def test_parent_name_with_a_lone_surrogate_is_decoded_lossily() -> None:
    header = _header(b"\xd8\x00" + "a.vhd".encode("utf-16-be"))
    assert header.parent_name == "\ufffda.vhd"


def test_parent_name_that_fills_its_field_is_read_whole() -> None:
    assert _header(("x" * 256).encode("utf-16-be")).parent_name == "x" * 256


def _header(name: bytes) -> DynamicHeader:
    parent = builders.VhdParent(unique_id=UUID(int=7), name=name)
    raw = builders.dynamic_header(
        table_offset=1536, table_entries=1, block_size=2 * MIB, parent=parent
    )
    header = DynamicHeader.parse(raw)
    assert header.checksum_ok
    assert header.parent_unique_id == UUID(int=7)
    assert not replace(header, block_size=512).checksum_ok
    return header
