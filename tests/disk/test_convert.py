"""What is written: the same disk, in the right place, whole or not at all."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import shutil
import struct
import subprocess
import threading
import time
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import (
    GIB,
    LINUX_GUID,
    MIB,
    SECTOR,
    VhdParent,
    flatten,
    footer,
    gpt_pieces,
    patch,
    pattern,
    relative_locator,
    seal,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from vhdtool import _native
from vhdtool.disk.convert import Conversion, Target, convert, convert_in_place
from vhdtool.disk.facts import ImageFormat
from vhdtool.disk.image import open_image
from vhdtool.disk.journal import find_journal, journal_path
from vhdtool.errors import (
    ConfigError,
    CorruptImage,
    NotAnImage,
    OutputError,
    UnsupportedImage,
)
from vhdtool.formats.chs import geometry_for
from vhdtool.formats.vhd import VHD_EPOCH, Footer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 8 * MIB
IDENTITY = UUID("00112233-4455-6677-8899-aabbccddeeff")
PARTITIONS = [(LINUX_GUID, 2048, 4095, "root")]
DATA = {2048 * SECTOR: pattern(3 * MIB), 7 * MIB: pattern(SECTOR, 9)}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(flatten(SIZE, {**gpt_pieces(SIZE, PARTITIONS), **DATA}))
    return path


@pytest.fixture
def unaligned(tmp_path: Path) -> Path:
    size = SIZE + 5 * SECTOR
    path = tmp_path / "unaligned.raw"
    path.write_bytes(flatten(size, {**gpt_pieces(size, PARTITIONS), **DATA}))
    return path


def sgdisk_says(disk: Path) -> str:
    tool = shutil.which("sgdisk") or shutil.which("sgdisk", path="/usr/sbin:/sbin")
    if tool is None:
        pytest.skip("sgdisk is not installed")
    return subprocess.run([tool, "-v", disk], capture_output=True, text=True, check=True).stdout


def qemu_compare(a: Path, b: Path, b_format: str) -> None:
    """Let qemu-img judge; VHD sizes are told, since it takes ours from the geometry."""
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    options = f"driver={b_format},file.driver=file,file.filename={b}"
    if b_format == "vpc":
        options += ",force_size_calc=current_size"
    subprocess.run(
        [
            "qemu-img",
            "compare",
            "--image-opts",
            f"driver=raw,file.driver=file,file.filename={a}",
            options,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def test_a_fixed_vhd_is_the_disk_and_a_footer(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vhd"
    done = convert(raw, out, unique_id=IDENTITY, timestamp=7)
    data = out.read_bytes()
    made = Footer.parse(data[SIZE:])
    assert data[:SIZE] == raw.read_bytes()
    assert len(data) == SIZE + SECTOR
    assert made.is_plausible
    assert (made.creator_application, made.creator_host_os) == (b"vht ", b"Wi2k")
    assert (made.features, made.version, made.data_offset) == (2, 0x10000, 2**64 - 1)
    assert (made.current_size, made.original_size, made.disk_type) == (SIZE, SIZE, 2)
    assert (made.unique_id, made.timestamp) == (IDENTITY, 7)
    assert made.geometry == geometry_for(SIZE)
    assert made.saved_state == 0
    assert not any(made.reserved)
    assert done == Conversion(out, Target.FIXED, SIZE, SIZE, done.written_bytes)


def test_two_disks_do_not_get_the_same_identity(raw: Path, tmp_path: Path) -> None:
    identities = set()
    for name in ("a.vhd", "b.vhd"):
        convert(raw, tmp_path / name)
        identities.add(Footer.parse((tmp_path / name).read_bytes()[-SECTOR:]).unique_id)
    assert len(identities) == 2


@pytest.mark.parametrize("target", ["fixed", "dynamic"])
def test_the_same_disk_gives_the_same_bytes(raw: Path, tmp_path: Path, target: str) -> None:
    first, second = tmp_path / "first.vhd", tmp_path / "second.vhd"
    for out, threads in ((first, 1), (second, 4)):
        convert(raw, out, target=target, unique_id=IDENTITY, timestamp=1, threads=threads)
    assert first.read_bytes() == second.read_bytes()


def test_source_date_epoch_sets_the_time(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(VHD_EPOCH + 1234))
    convert(raw, tmp_path / "out.vhd")
    assert Footer.parse((tmp_path / "out.vhd").read_bytes()[-SECTOR:]).timestamp == 1234


@pytest.mark.parametrize("target", ["fixed", "dynamic", "raw"])
@pytest.mark.parametrize("verify", [False, True])
def test_qemu_sees_the_same_disk(raw: Path, tmp_path: Path, target: str, verify: bool) -> None:
    out = tmp_path / "out"
    convert(raw, out, target=target, verify=verify)
    if target == "dynamic":
        qemu_compare(raw, out, "vpc")
    elif target == "raw":
        qemu_compare(raw, out, "raw")
    else:
        assert out.read_bytes()[:SIZE] == raw.read_bytes()


@pytest.mark.parametrize("target", ["fixed", "dynamic"])
@pytest.mark.parametrize("verify", [False, True])
def test_growing_moves_the_gpt_backup(
    unaligned: Path, tmp_path: Path, target: str, verify: bool
) -> None:
    before = unaligned.read_bytes()
    out, back = tmp_path / "out.vhd", tmp_path / "back.raw"
    done = convert(unaligned, out, target=target, verify=verify)
    assert (done.source_size, done.size) == (SIZE + 5 * SECTOR, SIZE + MIB)
    assert any("grown" in note for note in done.notes)
    convert(out, back, target="raw")
    assert back.stat().st_size == SIZE + MIB
    assert "No problems found" in sgdisk_says(back)
    assert back.read_bytes()[34 * SECTOR : SIZE] == before[34 * SECTOR : SIZE]
    assert unaligned.read_bytes() == before, "the source changed"


def test_an_aligned_disk_does_not_grow(raw: Path, tmp_path: Path) -> None:
    assert convert(raw, tmp_path / "out.vhd").size == SIZE


def test_a_disk_that_does_not_grow_is_copied_as_it_is(tmp_path: Path) -> None:
    broken = flatten(SIZE, {SECTOR: b"EFI PART".ljust(SECTOR, b"?")})
    source, out = tmp_path / "broken.raw", tmp_path / "out.vhd"
    source.write_bytes(broken)
    convert(source, out)
    assert out.read_bytes()[:SIZE] == broken


def test_a_broken_table_of_a_growing_disk_is_told_and_kept(tmp_path: Path) -> None:
    broken = flatten(SIZE + SECTOR, {SECTOR: b"EFI PART".ljust(SECTOR, b"?")})
    source, out = tmp_path / "broken.raw", tmp_path / "out.vhd"
    source.write_bytes(broken)
    done = convert(source, out)
    assert any("it was copied as it is" in note for note in done.notes)
    assert out.read_bytes()[: len(broken)] == broken


@pytest.mark.parametrize(
    ("align", "size"), [(1, SIZE + SECTOR), (4096, SIZE + 4096), (None, SIZE + MIB)]
)
def test_alignment_is_as_asked(tmp_path: Path, align: int | None, size: int) -> None:
    source = tmp_path / "disk.raw"
    source.write_bytes(bytes(SIZE + 100))
    out = tmp_path / "out.vhd"
    assert convert(source, out, align=align).size == size
    assert out.stat().st_size == size + SECTOR


def test_a_raw_target_has_the_size_of_the_disk_to_the_byte(tmp_path: Path) -> None:
    source = tmp_path / "disk.raw"
    source.write_bytes(pattern(SIZE + 100))
    convert(source, tmp_path / "out.raw", target="raw")
    assert (tmp_path / "out.raw").read_bytes() == source.read_bytes()


def test_an_alignment_of_odd_bytes_is_refused(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot align to 1000 bytes"):
        convert(raw, tmp_path / "out.vhd", align=1000)


extents = st.lists(
    st.tuples(st.integers(0, 11999), st.integers(1, 5000), st.integers(0, 255)), max_size=8
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(layout=extents, sectors=st.integers(1, 12000))
def test_any_disk_survives_dynamic_fixed_and_raw(
    tmp_path: Path, layout: list[tuple[int, int, int]], sectors: int
) -> None:
    disk = bytearray(sectors * SECTOR)
    for start, count, seed in layout:
        piece = pattern(count * SECTOR, seed) if seed else bytes(count * SECTOR)
        first = start % sectors * SECTOR
        disk[first : first + len(piece)] = piece[: len(disk) - first]
    paths = [tmp_path / name for name in ("a.raw", "b.vhd", "c.vhd", "d.raw")]
    paths[0].write_bytes(disk)
    for source, out, target in zip(paths, paths[1:], ("dynamic", "fixed", "raw"), strict=False):
        convert(source, out, target=target, align=1, replace=True, verify=True)
    assert paths[-1].read_bytes() == disk
    qemu_compare(paths[0], paths[1], "vpc")


def test_a_dynamic_vhd_stores_only_blocks_with_data(tmp_path: Path) -> None:
    source, out = tmp_path / "disk.raw", tmp_path / "out.vhd"
    with source.open("wb") as file:
        file.truncate(100 * GIB)
        file.seek(50 * GIB)
        file.write(b"x" * SECTOR)
    convert(source, out, target="dynamic")
    assert out.stat().st_size < 3 * MIB
    with open_image(out) as image:
        assert image.size == 100 * GIB
        assert image.read_at(50 * GIB, SECTOR) == b"x" * SECTOR


def test_output_is_sparse(tmp_path: Path) -> None:
    source, out = tmp_path / "disk.raw", tmp_path / "out.vhd"
    with source.open("wb") as file:
        file.truncate(10 * GIB)
    convert(source, out)
    assert out.stat().st_size == 10 * GIB + SECTOR
    assert out.stat().st_blocks * 512 < MIB


def test_a_chain_is_merged(tmp_path: Path) -> None:
    write_vhd(tmp_path / "base.vhd", SIZE, {0: pattern(4096), MIB: pattern(SECTOR, 2)})
    parent = VhdParent(locators=relative_locator(".\\base.vhd"))
    pieces = {SECTOR: pattern(SECTOR, 5)}
    child = write_vhd(tmp_path / "child.vhd", SIZE, pieces, parent=parent, unique_id=IDENTITY).path
    convert(child, tmp_path / "flat.vhd")
    expected = flatten(
        SIZE, {0: pattern(4096), MIB: pattern(SECTOR, 2), SECTOR: pattern(SECTOR, 5)}
    )
    assert (tmp_path / "flat.vhd").read_bytes()[:SIZE] == expected


def test_sectors_of_4096_bytes_are_refused_for_a_vhd_with_the_reason(tmp_path: Path) -> None:
    source = write_vhdx(tmp_path / "disk.vhdx", SIZE, {}, sector_size=4096).path
    with pytest.raises(UnsupportedImage, match="sectors of 4096 bytes"):
        convert(source, tmp_path / "out.vhd")
    assert not (tmp_path / "out.vhd").exists()
    assert convert(source, tmp_path / "out.raw", target="raw").size == SIZE


def test_a_dynamic_vhd_past_its_limit_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "disk.raw"
    with source.open("wb") as file:
        file.truncate(2041 * GIB)
    with pytest.raises(ConfigError, match="at most 2190433320960 bytes"):
        convert(source, tmp_path / "out.vhd", target="dynamic")
    assert convert(source, tmp_path / "fixed.vhd").size == 2041 * GIB


def test_an_existing_file_stays_without_replace(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vhd"
    out.write_text("precious")
    with pytest.raises(OutputError, match="exists") as caught:
        convert(raw, out)
    assert caught.value.exit_code == 4
    assert out.read_text() == "precious"
    convert(raw, out, replace=True)
    assert out.stat().st_size == SIZE + SECTOR


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("another block", "lies over block 0"),
        ("the header", "lies over a header or table"),
        ("the table", "lies over a header or table"),
        ("the footer", "lies past the end of the data"),
    ],
)
@pytest.mark.parametrize("kind", ["vhd", "vhdx"])
def test_blocks_that_share_bytes_are_refused(
    tmp_path: Path, kind: str, place: str, words: str
) -> None:
    pieces = {0: pattern(SECTOR), 2 * MIB: pattern(SECTOR, 2)}
    path = tmp_path / f"disk.{kind}"
    if kind == "vhd":
        vhd = write_vhd(path, SIZE, pieces)
        end = vhd.footer_offset - 2 * MIB
        starts = {"another block": vhd.blocks[0], "the header": SECTOR, "the table": 1536}
        entry = struct.pack(">I", starts.get(place, end) // SECTOR)
        patch(path, vhd.table_offset + 4, entry)
    else:
        vhdx = write_vhdx(path, SIZE, pieces)
        starts = {"another block": vhdx.blocks[0], "the header": 2 * MIB, "the table": 3 * MIB}
        start = starts.get(place, vhdx.end)
        patch(path, vhdx.bat_offset + 8 * vhdx.bat_index[2], struct.pack("<Q", start | 6))
    with pytest.raises(CorruptImage, match=words):
        convert(path, tmp_path / "out.vhd")
    packed = tmp_path / "disk.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    with pytest.raises(CorruptImage, match=words):
        convert(packed, tmp_path / "out.vhd")
    assert set(tmp_path.iterdir()) == {path, packed}


def test_a_table_that_claims_too_many_entries_overlaps_nothing(tmp_path: Path) -> None:
    """Entries that the disk does not need are not looked at."""
    layout = write_vhd(tmp_path / "disk.vhd", SIZE, DATA)
    header = bytearray(layout.path.read_bytes()[512:1536])
    header[28:32] = b"\xff\xff\xff\xff"
    patch(layout.path, 512, seal(bytes(header), 36))
    convert(layout.path, tmp_path / "out.raw", target="raw")
    assert (tmp_path / "out.raw").read_bytes() == flatten(SIZE, DATA)


def test_a_dynamic_vhd_without_footers_is_not_taken_for_a_raw_disk(tmp_path: Path) -> None:
    lost = bytes(SECTOR)
    path = write_vhd(tmp_path / "disk.vhd", SIZE, DATA, copy=lost, tail=lost).path
    packed = tmp_path / "disk.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    before = path.read_bytes()
    for source in (path, packed):
        with pytest.raises(CorruptImage, match="both footers are lost"):
            convert(source, tmp_path / "out.vhd")
    with pytest.raises(CorruptImage, match="both footers are lost"):
        convert_in_place(path)
    assert path.read_bytes() == before
    assert set(tmp_path.iterdir()) == {path, packed}


def test_a_parent_that_changed_since_is_told(tmp_path: Path) -> None:
    base = write_vhd(tmp_path / "base.vhd", SIZE, DATA).path
    parent = VhdParent(timestamp=1000, locators=relative_locator("base.vhd"))
    child = write_vhd(tmp_path / "child.vhd", SIZE, {}, parent=parent, unique_id=IDENTITY).path
    os.utime(base, (VHD_EPOCH + 1000,) * 2)
    assert convert(child, tmp_path / "a.vhd").notes == ()
    os.utime(base, (VHD_EPOCH + 4600,) * 2)
    (note,) = convert(child, tmp_path / "b.vhd").notes
    assert f"{base} was last changed at 2000-01-01T01:16:40+00:00" in note
    assert "has 2000-01-01T00:16:40+00:00 for it" in note


def test_the_source_is_no_destination(raw: Path, tmp_path: Path) -> None:
    before = raw.read_bytes()
    link = tmp_path / "link.vhd"
    link.symlink_to(raw)
    hard = tmp_path / "hard.vhd"
    hard.hardlink_to(raw)
    for out in (raw, link, hard):
        for replace in (False, True):
            with pytest.raises(ConfigError, match="is the source"):
                convert(raw, out, replace=replace)
    assert raw.read_bytes() == before


def test_a_compressed_source_is_no_destination(tmp_path: Path) -> None:
    source = tmp_path / "disk.raw.gz"
    source.write_bytes(gzip.compress(bytes(SIZE)))
    with pytest.raises(ConfigError, match="is the source"):
        convert(source, source, replace=True)


def test_a_parent_is_no_destination(tmp_path: Path) -> None:
    base = write_vhd(tmp_path / "base.vhd", SIZE, {}).path
    parent = VhdParent(locators=relative_locator(".\\base.vhd"))
    child = write_vhd(tmp_path / "child.vhd", SIZE, {}, parent=parent, unique_id=IDENTITY).path
    with pytest.raises(ConfigError, match="a parent of the source"):
        convert(child, base, replace=True)


def test_a_folder_or_device_is_no_destination(raw: Path, tmp_path: Path) -> None:
    for out in (tmp_path, "/dev/null"):
        with pytest.raises(OutputError, match="no regular file"):
            convert(raw, out, replace=True)
    with pytest.raises(OutputError, match="no such folder"):
        convert(raw, tmp_path / "missing" / "out.vhd")


def test_a_failing_read_leaves_nothing(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "disk.vhd", SIZE, DATA)
    patch(layout.path, layout.table_offset + 4, b"\x7f\xff\xff\x00")
    before = set(tmp_path.iterdir())
    with pytest.raises(CorruptImage):
        convert(layout.path, tmp_path / "out.vhd")
    assert set(tmp_path.iterdir()) == before


def test_an_image_between_two_states_is_refused(raw: Path, tmp_path: Path) -> None:
    journal_path(raw).write_text("left by an interrupted repair")
    with pytest.raises(CorruptImage, match="interrupted") as caught:
        convert(raw, tmp_path / "out.vhd")
    assert caught.value.hint is not None
    assert "repair" in caught.value.hint


def test_verification_finds_what_the_storage_lost(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "verify", lambda *_: 2 * MIB)
    before = set(tmp_path.iterdir())
    with pytest.raises(OutputError, match="verification failed"):
        convert(raw, tmp_path / "out.vhd", verify=True)
    assert set(tmp_path.iterdir()) == before


def test_a_full_disk_is_told_with_what_was_needed(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, f"cannot write {tmp_path}: No space left on device")

    monkeypatch.setattr(_native, "copy_flat", refuse)
    with pytest.raises(OutputError, match=r"No space left on device.*were free"):
        convert(raw, tmp_path / "out.vhd")
    assert not (tmp_path / "out.vhd").exists()


def test_a_cancelled_conversion_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "disk.raw"
    with source.open("wb") as file:
        for _ in range(64):
            file.write(pattern(4 * MIB))
    job = _native.Job()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            convert(source, tmp_path / "out.vhd", job=job, threads=1)
        except BaseException as error:  # noqa: BLE001 - judged below
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not job.done and thread.is_alive():
        time.sleep(0.001)
    job.cancel()
    thread.join(20)
    assert [type(error) for error in failures] == [KeyboardInterrupt]
    assert set(tmp_path.iterdir()) == {source}


# --- streams -------------------------------------------------------------------------------------


def zstd(data: bytes) -> bytes:
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    return subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True).stdout


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zstd": zstd,
}


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("kind", ["raw", "fixed", "dynamic", "vhdx"])
def test_compressed_sources_give_what_the_image_gives(
    raw: Path, tmp_path: Path, compression: str, kind: str
) -> None:
    image = raw
    if kind == "vhdx":
        image = write_vhdx(
            tmp_path / "disk.vhdx", SIZE, {**gpt_pieces(SIZE, PARTITIONS), **DATA}
        ).path
    elif kind != "raw":
        image = tmp_path / "disk.vhd"
        convert(raw, image, target=kind)
    source = tmp_path / "any.name"
    source.write_bytes(COMPRESSORS[compression](image.read_bytes()))
    before = set(tmp_path.iterdir())
    for target in ("fixed", "dynamic", "raw"):
        plain, out = tmp_path / "plain", tmp_path / "out"
        for origin, path in ((raw, plain), (source, out)):
            convert(
                origin,
                path,
                target=target,
                unique_id=IDENTITY,
                timestamp=1,
                replace=True,
                verify=True,
            )
        assert out.read_bytes() == plain.read_bytes()
    assert set(tmp_path.iterdir()) == {*before, plain, out}


def test_a_stream_that_grows_takes_its_gpt_backup_along(unaligned: Path, tmp_path: Path) -> None:
    source = tmp_path / "disk.raw.gz"
    source.write_bytes(gzip.compress(unaligned.read_bytes(), 1))
    convert(source, tmp_path / "out.vhd", verify=True)
    convert(tmp_path / "out.vhd", tmp_path / "back.raw", target="raw")
    assert "No problems found" in sgdisk_says(tmp_path / "back.raw")


def test_a_cut_compressed_source_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "disk.raw.gz"
    source.write_bytes(gzip.compress(pattern(SIZE), 1)[:-100])
    with pytest.raises(OSError, match="cannot read"):
        convert(source, tmp_path / "out.vhd")
    assert set(tmp_path.iterdir()) == {source}


@pytest.mark.parametrize("compression", ["xz", "zstd"])
def test_a_stream_that_takes_much_memory_to_unpack_is_unsupported(
    tmp_path: Path, compression: str
) -> None:
    source = tmp_path / "disk.packed"
    if compression == "xz":
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 192 * MIB}]
        source.write_bytes(lzma.compress(pattern(MIB), filters=filters))
    else:
        # A frame header (RFC 8878, 3.1.1) with a window of 256 MiB, and an empty last block.
        source.write_bytes(b"\x28\xb5\x2f\xfd" + bytes([0x00, 18 << 3, 0x01, 0x00, 0x00]))
    with pytest.raises(UnsupportedImage, match="unpacking takes more than 136 MiB") as caught:
        convert(source, tmp_path / "out.vhd")
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == [source]


def test_the_highest_levels_are_unpacked(tmp_path: Path) -> None:
    source, data = tmp_path / "disk.packed", pattern(MIB)
    source.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
    convert(source, tmp_path / "a.raw", target="raw")
    done = subprocess.run(["zstd", "-q", "--ultra", "-22"], input=data, capture_output=True)
    source.write_bytes(done.stdout)
    convert(source, tmp_path / "b.raw", target="raw")
    assert (tmp_path / "a.raw").read_bytes() == (tmp_path / "b.raw").read_bytes() == data


def test_the_size_of_a_stream_is_checked(tmp_path: Path) -> None:
    source, out = tmp_path / "disk.raw.gz", tmp_path / "out.vhd"
    source.write_bytes(gzip.compress(bytes(SIZE)))
    with pytest.raises(CorruptImage, match="expected 9437184 bytes"):
        convert(source, out, size=SIZE + MIB)
    with pytest.raises(CorruptImage, match="expected 4194304 bytes"):
        convert(source, out, size=SIZE // 2)
    assert convert(source, out, size=SIZE).size == SIZE


def test_the_size_of_an_image_is_not_asked_for(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--size is for streams"):
        convert(raw, tmp_path / "out.vhd", size=SIZE)


def test_an_image_compressed_twice_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "disk.gz.gz"
    source.write_bytes(gzip.compress(gzip.compress(bytes(SIZE))))
    with pytest.raises(UnsupportedImage, match="gzip") as caught:
        convert(source, tmp_path / "out.vhd")
    assert caught.value.path == source
    assert set(tmp_path.iterdir()) == {source}


def test_an_empty_stream_is_no_image(tmp_path: Path) -> None:
    source = tmp_path / "nothing.gz"
    source.write_bytes(gzip.compress(b""))
    with pytest.raises(NotAnImage, match="nothing came"):
        convert(source, tmp_path / "out.vhd")


def test_a_child_inside_a_stream_finds_its_parent_beside_the_source(tmp_path: Path) -> None:
    source_folder = tmp_path / "source"
    source_folder.mkdir()
    write_vhd(source_folder / "base.vhd", SIZE, {0: pattern(4096)})
    parent = VhdParent(locators=relative_locator(".\\base.vhd"))
    child = write_vhd(source_folder / "child.vhd", SIZE, {}, parent=parent, unique_id=IDENTITY)
    packed = source_folder / "child.vhd.gz"
    packed.write_bytes(gzip.compress(child.path.read_bytes(), 1))
    convert(packed, tmp_path / "out.vhd")
    assert (tmp_path / "out.vhd").read_bytes()[:4096] == pattern(4096)


def test_a_vmdk_in_several_files_is_no_stream(tmp_path: Path, raw: Path) -> None:
    pytest.importorskip("pyvmdk")
    path = tmp_path / "disk.vmdk"
    options = ["-O", "vmdk", "-o", "subformat=monolithicFlat"]
    subprocess.run(["qemu-img", "convert", "-f", "raw", *options, raw, path], check=True)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UnsupportedImage, match=r"packed: a VMDK whose data is in other files"):
        convert(packed, tmp_path / "out.vhd")
    assert not list(tmp_path.glob(".*"))


# --- in place ------------------------------------------------------------------------------------


def test_a_raw_disk_becomes_a_fixed_vhd_in_place(unaligned: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.vhd"
    convert(unaligned, elsewhere, unique_id=IDENTITY, timestamp=1)
    done = convert_in_place(unaligned, unique_id=IDENTITY, timestamp=1)
    assert done.size == SIZE + MIB
    assert unaligned.read_bytes() == elsewhere.read_bytes()
    assert find_journal(unaligned) is None
    with open_image(unaligned) as image:
        assert image.format is ImageFormat.VHD_FIXED


@pytest.mark.parametrize("kind", ["fixed", "dynamic", "empty"])
def test_only_a_raw_disk_changes_in_place(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "disk"
    if kind == "fixed":
        write_fixed_vhd(path, SIZE)
    elif kind == "dynamic":
        write_vhd(path, SIZE, {})
    else:
        path.touch()
    before = path.read_bytes()
    with pytest.raises(UnsupportedImage, match="only a raw disk"):
        convert_in_place(path)
    assert path.read_bytes() == before


def test_a_fixed_vhd_inside_a_stream_loses_its_old_footer(tmp_path: Path) -> None:
    source = tmp_path / "disk.vhd.gz"
    source.write_bytes(gzip.compress(pattern(SIZE) + footer(SIZE), 1))
    convert(source, tmp_path / "out.raw", target="raw")
    assert (tmp_path / "out.raw").read_bytes() == pattern(SIZE)
