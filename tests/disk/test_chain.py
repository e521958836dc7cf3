"""Differencing disks: what they read, and where their parents may come from."""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.builders import (
    DISK_ID,
    KIB,
    MIB,
    VhdParent,
    flatten,
    patch,
    pattern,
    relative_locator,
    seal,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from tests.corpus import unpack
from vhdtool.disk.collect import collect_facts
from vhdtool.disk.image import open_image
from vhdtool.errors import CorruptImage, ParentMismatch, ParentNotFound

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 4 * MIB
BASE = {0: pattern(2 * MIB)}
CHILD = {512: pattern(512, 7), 3 * MIB: pattern(1024, 8)}
EXPECTED = flatten(SIZE, CHILD, flatten(SIZE, BASE))


def make_child(path: Path, locators: dict[bytes, bytes] | None = None, name: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parent = VhdParent(name=name.encode("utf-16-be"), locators=locators or {})
    return write_vhd(path, SIZE, CHILD, parent=parent, unique_id=uuid.UUID(int=2)).path


def make_base(path: Path, unique_id: uuid.UUID = DISK_ID) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_vhd(path, SIZE, BASE, unique_id=unique_id).path


def reads_through(child: Path, base: Path, **options: object) -> bool:
    with open_image(child, **options) as image:  # type: ignore[arg-type]
        assert image.parent is not None
        assert image.parent.path.samefile(base)
        return image.read_at(0, SIZE) == EXPECTED


# --- what is read


def test_sectors_come_from_the_child_where_its_bit_is_set_else_from_the_parent(
    tmp_path: Path,
) -> None:
    base = make_base(tmp_path / "base.vhd")
    assert reads_through(make_child(tmp_path / "c.vhd", relative_locator(".\\base.vhd")), base)


def test_three_levels_with_partial_bitmaps_and_different_block_sizes(tmp_path: Path) -> None:
    size = 6 * MIB
    layers = [
        {0: pattern(3 * MIB)},
        {512 * KIB: pattern(1024, 2), 5 * MIB: pattern(512, 3)},
        {512 * KIB + 512: pattern(512, 4), 2 * MIB - 512: pattern(1024, 5)},
    ]
    expected = b""
    for level, (pieces, block) in enumerate(
        zip(layers, (2 * MIB, 512 * KIB, 4 * KIB), strict=True)
    ):
        parent = VhdParent(uuid.UUID(int=level), locators=relative_locator(f"{level - 1}.vhd"))
        write_vhd(
            tmp_path / f"{level}.vhd",
            size,
            pieces,
            block_size=block,
            parent=parent if level else None,
            unique_id=uuid.UUID(int=level + 1),
        )
        expected = flatten(size, pieces, expected)
    with open_image(tmp_path / "2.vhd") as image:
        assert image.read_at(0, size) == expected
        position = 0
        for extent in image.extents():
            assert extent.offset == position
            position += extent.length
            if extent.kind:
                assert expected[extent.offset : position].count(0) == extent.length
        assert position == size


def test_zeros_written_in_a_child_hide_the_parents_data(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base.vhd")
    parent = VhdParent(locators=relative_locator("base.vhd"))
    child = write_vhd(tmp_path / "c.vhd", SIZE, {0: bytes(2 * MIB)}, parent=parent).path
    with open_image(child) as image:
        assert image.read_at(0, SIZE) == bytes(SIZE)
    assert base.exists()


@pytest.mark.parametrize("parent_size", [MIB, 2 * SIZE])
def test_parent_of_another_size_is_clipped_or_followed_by_zeros(
    tmp_path: Path, parent_size: int
) -> None:
    data = pattern(parent_size)
    write_fixed_vhd(tmp_path / "base.vhd", parent_size, {0: data})
    parent = VhdParent(locators=relative_locator("base.vhd"))
    child = write_vhd(tmp_path / "c.vhd", SIZE, {512: bytes(512)}, parent=parent).path
    with open_image(child) as image:
        assert image.read_at(0, SIZE) == flatten(SIZE, {512: bytes(512)}, data)


def test_vhdx_child_reads_partial_blocks_from_its_parent(tmp_path: Path) -> None:
    write_vhdx(tmp_path / "base.vhdx", SIZE, BASE)
    locator = {"parent_linkage": f"{{{DISK_ID}}}", "relative_path": ".\\base.vhdx"}
    child = write_vhdx(
        tmp_path / "c.vhdx", SIZE, CHILD, parent=locator, data_write_guid=uuid.uuid4()
    ).path
    with open_image(child) as image:
        assert image.read_at(0, SIZE) == EXPECTED


def test_vhdx_child_may_name_its_parent_by_the_second_linkage(tmp_path: Path) -> None:
    write_vhdx(tmp_path / "base.vhdx", SIZE, BASE)
    locator = {
        "parent_linkage": f"{{{uuid.uuid4()}}}",
        "parent_linkage2": f"{{{DISK_ID}}}",
        "absolute_win32_path": "D:\\vms\\BASE.vhdx",
    }
    child = write_vhdx(tmp_path / "c.vhdx", SIZE, CHILD, parent=locator).path
    with open_image(child) as image:
        assert image.read_at(0, SIZE) == EXPECTED


def test_vhdx_child_with_a_linkage_that_is_no_guid_finds_no_parent(tmp_path: Path) -> None:
    write_vhdx(tmp_path / "base.vhdx", SIZE, BASE)
    locator = {"parent_linkage": "junk", "relative_path": "base.vhdx"}
    child = write_vhdx(tmp_path / "c.vhdx", SIZE, CHILD, parent=locator).path
    with pytest.raises(ParentMismatch):
        open_image(child)


# --- names and where they lead


@pytest.mark.parametrize(
    ("code", "name", "encoding"),
    [
        (b"W2ru", ".\\base.vhd", "utf-16-le"),
        (b"W2ru", "base.vhd", "utf-16-le"),
        (b"W2ru", "BASE.VHD", "utf-16-le"),
        (b"W2ru", ".\\base.vhd\0", "utf-16-le"),
        (b"W2ku", "C:\\Users\\Someone\\base.vhd", "utf-16-le"),
        (b"W2ku", "C:base.vhd", "utf-16-le"),
        (b"W2ku", "\\\\server\\share\\base.vhd", "utf-16-le"),
        (b"W2ku", "\\\\?\\Volume{5e0bd954}\\vms\\base.vhd", "utf-16-le"),
        (b"MacX", "file://localhost/Users/x/base.vhd", "utf-8"),
        (b"MacX", "file:///Users/x/b%61se.vhd", "utf-8"),
    ],
)
def test_parent_is_found_by_each_locator(
    tmp_path: Path, code: bytes, name: str, encoding: str
) -> None:
    base = make_base(tmp_path / "base.vhd")
    child = make_child(tmp_path / "c.vhd", {code: name.encode(encoding)})
    assert reads_through(child, base)


@pytest.mark.parametrize("name", ["base.vhd", "C:\\vms\\base.vhd", "c:/vms/Base.VHD"])
def test_parent_is_found_by_the_headers_name(tmp_path: Path, name: str) -> None:
    base = make_base(tmp_path / "base.vhd")
    assert reads_through(make_child(tmp_path / "c.vhd", name=name), base)


def test_locators_are_tried_in_order_relative_first(tmp_path: Path) -> None:
    locators = {b"W2ku": "C:\\a.vhd".encode("utf-16-le")} | relative_locator("r.vhd")
    child = make_child(tmp_path / "c.vhd", locators, name="h.vhd")
    for name in ("h.vhd", "a.vhd", "r.vhd"):
        assert reads_through(child, make_base(tmp_path / name))


def test_deprecated_and_unknown_locators_are_ignored(tmp_path: Path) -> None:
    make_base(tmp_path / "base.vhd")
    locators = {b"Wi2r": b"base.vhd", b"Mac ": b"base.vhd", b"junk": b"\xff" * 600}
    with pytest.raises(ParentNotFound):
        open_image(make_child(tmp_path / "c.vhd", locators))


def test_names_are_relative_to_the_child_not_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_base(tmp_path / "vms" / "base.vhd")
    make_child(tmp_path / "vms" / "c.vhd", relative_locator("base.vhd"))
    make_base(tmp_path / "elsewhere" / "base.vhd")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert reads_through(tmp_path / "vms" / "c.vhd", base)
    monkeypatch.chdir(tmp_path / "vms")
    with open_image("c.vhd") as image:
        assert image.read_at(0, SIZE) == EXPECTED


def test_relative_name_may_lead_below_the_childs_folder(tmp_path: Path) -> None:
    base = make_base(tmp_path / "Parents" / "Old" / "base.vhd")
    child = make_child(tmp_path / "c.vhd", relative_locator(".\\parents\\old\\BASE.vhd"))
    assert reads_through(child, base)


def test_parent_dir_is_searched_after_the_childs_folder(tmp_path: Path) -> None:
    child = make_child(tmp_path / "vms" / "c.vhd", relative_locator("..\\x\\base.vhd"))
    base = make_base(tmp_path / "parents" / "BASE.VHD")
    options = {"parent_dirs": [tmp_path / "nothing", str(tmp_path / "parents")]}
    assert reads_through(child, base, **options)
    nearer = make_base(tmp_path / "vms" / "base.vhd")
    assert reads_through(child, nearer, **options)


@pytest.mark.parametrize("name", ["..\\base.vhd", ".\\..\\base.vhd", "a\\..\\..\\base.vhd"])
def test_relative_name_may_leave_the_childs_folder_only_for_a_named_one(
    tmp_path: Path, name: str
) -> None:
    base = make_base(tmp_path / "base.vhd")
    child = make_child(tmp_path / "vms" / "c.vhd", relative_locator(name))
    with pytest.raises(ParentNotFound):
        open_image(child)
    assert reads_through(child, base, parent_dirs=[tmp_path])


def test_absolute_names_are_never_followed(tmp_path: Path) -> None:
    base = make_base(tmp_path / "elsewhere" / "base.vhd")
    child = make_child(tmp_path / "vms" / "c.vhd", {b"W2ku": str(base).encode("utf-16-le")})
    with pytest.raises(ParentNotFound):
        open_image(child)


def test_symbolic_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    base = make_base(tmp_path / "elsewhere" / "base.vhd")
    child = make_child(tmp_path / "vms" / "c.vhd", relative_locator("base.vhd"))
    (tmp_path / "vms" / "base.vhd").symlink_to(base)
    with pytest.raises(ParentNotFound):
        open_image(child)
    assert reads_through(child, base, parent_dirs=[tmp_path / "elsewhere"])


def test_symbolic_link_to_a_folder_is_not_followed_out(tmp_path: Path) -> None:
    make_base(tmp_path / "elsewhere" / "base.vhd")
    child = make_child(tmp_path / "vms" / "c.vhd", relative_locator("sub\\base.vhd"))
    (tmp_path / "vms" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ParentNotFound):
        open_image(child)


def test_child_opened_through_a_link_finds_the_parent_beside_the_real_file(
    tmp_path: Path,
) -> None:
    base = make_base(tmp_path / "vms" / "base.vhd")
    child = make_child(tmp_path / "vms" / "c.vhd", relative_locator("base.vhd"))
    link = tmp_path / "link.vhd"
    link.symlink_to(child)
    assert reads_through(link, base)


def test_explicit_parent_is_for_the_first_image_only(tmp_path: Path) -> None:
    make_base(tmp_path / "bottom.vhd", uuid.UUID(int=5))
    (tmp_path / "elsewhere").mkdir()
    middle = write_vhd(
        tmp_path / "elsewhere" / "middle.vhd",
        SIZE,
        {},
        parent=VhdParent(uuid.UUID(int=5), locators=relative_locator("bottom.vhd")),
        unique_id=DISK_ID,
    ).path
    child = make_child(tmp_path / "c.vhd", relative_locator("gone.vhd"))
    with pytest.raises(ParentNotFound, match=r"bottom\.vhd"):
        open_image(child, parent=middle)
    with open_image(child, parent=middle, parent_dirs=[tmp_path]) as image:
        assert image.read_at(0, SIZE) == EXPECTED


# --- refusals


def test_missing_parent_names_what_was_looked_for_and_where(tmp_path: Path) -> None:
    child = make_child(tmp_path / "c.vhd", relative_locator(".\\sub\\base.vhd"), name="h.vhd")
    with pytest.raises(ParentNotFound) as caught:
        open_image(child, parent_dirs=[tmp_path / "more"])
    text = str(caught.value)
    for part in (".\\sub\\base.vhd", "h.vhd", str(DISK_ID), str(tmp_path / "sub" / "base.vhd")):
        assert part in text
    assert str(tmp_path / "more" / "h.vhd") in text
    assert "--parent-dir" in (caught.value.hint or "")


def test_wrong_parent_is_refused_with_both_identifiers(tmp_path: Path) -> None:
    other = uuid.uuid4()
    make_base(tmp_path / "base.vhd", other)
    child = make_child(tmp_path / "c.vhd", relative_locator("base.vhd"))
    with pytest.raises(ParentMismatch) as caught:
        open_image(child)
    assert str(other) in str(caught.value)
    assert str(DISK_ID) in str(caught.value)
    facts = collect_facts(child).vhd
    assert facts is not None
    assert facts.parent is not None
    assert (facts.parent.path, facts.parent.found_unique_id) == (None, other)


def test_right_parent_is_found_behind_a_wrong_one_of_the_same_name(tmp_path: Path) -> None:
    make_base(tmp_path / "base.vhd", uuid.uuid4())
    base = make_base(tmp_path / "right" / "base.vhd")
    child = make_child(tmp_path / "c.vhd", relative_locator("base.vhd"))
    assert reads_through(child, base, parent_dirs=[tmp_path / "right"])


def test_explicit_parent_with_a_wrong_identifier_is_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "other.vhd", uuid.uuid4())
    child = make_child(tmp_path / "c.vhd")
    with pytest.raises(ParentMismatch):
        open_image(child, parent=base)


def test_explicit_parent_that_does_not_exist_is_told(tmp_path: Path) -> None:
    child = make_child(tmp_path / "c.vhd")
    with pytest.raises(ParentMismatch, match=r"none\.vhd cannot be the parent"):
        open_image(child, parent=tmp_path / "none.vhd")


def test_raw_file_is_no_parent_of_a_vhd(tmp_path: Path) -> None:
    (tmp_path / "base.vhd").write_bytes(pattern(SIZE))
    child = make_child(tmp_path / "c.vhd", relative_locator("base.vhd"))
    with pytest.raises(ParentMismatch, match="no identifier"):
        open_image(child)


def test_disk_that_is_its_own_parent_is_refused(tmp_path: Path) -> None:
    parent = VhdParent(uuid.UUID(int=2), locators=relative_locator("c.vhd"))
    child = write_vhd(tmp_path / "c.vhd", SIZE, {}, parent=parent, unique_id=uuid.UUID(int=2)).path
    with pytest.raises(CorruptImage, match="ancestor of itself"):
        open_image(child)


def test_loop_of_two_disks_is_refused(tmp_path: Path) -> None:
    for own, other in ((1, 2), (2, 1)):
        parent = VhdParent(uuid.UUID(int=other), locators=relative_locator(f"{other}.vhd"))
        write_vhd(tmp_path / f"{own}.vhd", SIZE, {}, parent=parent, unique_id=uuid.UUID(int=own))
    with pytest.raises(CorruptImage, match="ancestor of itself"):
        open_image(tmp_path / "1.vhd")


def test_long_chain_is_read(tmp_path: Path) -> None:
    depth = 200
    expected = b""
    for level in range(depth):
        parent = VhdParent(uuid.UUID(int=level), locators=relative_locator(f"{level - 1}.vhd"))
        pieces = {level * 512: pattern(512, level + 1)}
        write_vhd(
            tmp_path / f"{level}.vhd",
            MIB,
            pieces,
            block_size=512 * KIB,
            parent=parent if level else None,
            unique_id=uuid.UUID(int=level + 1),
        )
        expected = flatten(MIB, pieces, expected)
    with open_image(tmp_path / f"{depth - 1}.vhd") as image:
        assert image.read_at(0, MIB) == expected


def test_damaged_grandparent_is_named(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base.vhd")
    child = make_child(tmp_path / "c.vhd", relative_locator("base.vhd"))
    patch(base, 512 + 36, b"\0\0\0\0")
    with pytest.raises(CorruptImage) as caught:
        open_image(child)
    assert caught.value.path == base
    assert str(base) in (collect_facts(child).open_error or "")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\xd8b\x00a\x00s\x00e\x00",
        "a\x1b[2Jb\nc.vhd".encode("utf-16-le"),
        ("x" * 5000).encode("utf-16-le"),
        "..".encode("utf-16-le"),
        "\\\\\\".encode("utf-16-le"),
        "base.vhd\\..\\..\\..\\etc\\passwd".encode("utf-16-le"),
        b"\xff",
    ],
)
def test_hostile_names_are_refused_in_printable_words(tmp_path: Path, raw: bytes) -> None:
    child = make_child(tmp_path / "c.vhd", {b"W2ru": raw})
    with pytest.raises(ParentNotFound) as caught:
        open_image(child)
    assert str(caught.value).isprintable()


def test_locator_outside_the_file_is_ignored(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base.vhd")
    child = make_child(tmp_path / "c.vhd", relative_locator("wrong.vhd"), name="base.vhd")
    header = bytearray(child.read_bytes()[512:1536])
    header[576 + 16 : 576 + 24] = b"\xff" * 8
    patch(child, 512, seal(bytes(header), 36))
    assert reads_through(child, base)


def test_timestamp_of_the_parent_is_a_fact(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base.vhd")
    os.utime(base, (946684800 + 1234, 946684800 + 1234))
    child = make_child(tmp_path / "c.vhd", relative_locator("base.vhd"))
    facts = collect_facts(child).vhd
    assert facts is not None
    assert facts.parent is not None
    assert facts.parent.found_timestamp == 1234
    assert facts.parent.timestamp != 1234
    assert facts.parent.error is None


def test_corpus_child_follows_its_own_locator(tmp_path: Path) -> None:
    child = unpack("disks/go-vhd/win8-child.vhd.xz", tmp_path)
    base = unpack("disks/go-vhd/win8.vhd", tmp_path)
    with open_image(child) as image:
        assert image.parent is not None
        assert image.parent.path == base
    shutil.move(base, tmp_path / "WIN8.VHD")
    with open_image(child) as image:
        assert image.size == 40 * MIB
