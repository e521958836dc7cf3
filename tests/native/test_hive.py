"""Registry hives: what a writer put in, what hivex sees, what Windows made of a dirty one."""

from __future__ import annotations

import json
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.corpus import unpack
from tests.hives import (
    BASE_BLOCK,
    PAGE,
    REG_NONE,
    WRITTEN,
    Typed,
    expand,
    log_entries,
    log_entry,
    old_log,
    qword,
    seal,
    spoil,
    typed,
    write_hive,
)
from vhdtool import _native
from vhdtool.errors import CorruptImage, UnsupportedImage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"
# Prints a hive as hivex sees it: [path, modified, [[name, type, data in hexadecimal]...]] a line.
WITNESS = """
import hivex, json, sys
hive = hivex.Hivex(sys.argv[1])
pending = [(hive.root(), [])]
while pending:
    node, path = pending.pop()
    values = []
    for value in hive.node_values(node):
        kind, data = hive.value_value(value)
        values.append([hive.value_key(value), kind, data.hex()])
    print(json.dumps([path, hive.node_timestamp(node), sorted(values)]))
    for child in hive.node_children(node):
        pending.append((child, path + [hive.node_name(child)]))
"""

Content = dict[tuple[str, ...], tuple[int, list[tuple[str, int, bytes]]]]


def content(hive: _native.Hive) -> Content:
    """Walk a hive: seconds and values of every key by its path."""
    found: Content = {}
    pending: list[tuple[int, tuple[str, ...]]] = [(hive.root, ())]
    while pending:
        node, path = pending.pop()
        assert path not in found
        found[path] = hive.modified(node), sorted(hive.values(node))
        pending += [(child, (*path, name)) for name, child in hive.subkeys(node)]
    return found


def expected(keys: Mapping[str, object], path: tuple[str, ...] = ()) -> Content:
    """Return what `content` must say of a hive that was written from a dict."""
    values = {name: typed(value) for name, value in keys.items() if not isinstance(value, dict)}
    listed = sorted((name, value.kind, value.data) for name, value in values.items())
    found: Content = {path: (WRITTEN, listed)}
    for name, value in keys.items():
        if isinstance(value, dict):
            found |= expected(value, (*path, name))
    return found


def seen_by_hivex(path: Path) -> Content:
    """Walk a hive with hivex, or skip the test."""
    probe = subprocess.run([SYSTEM_PYTHON, "-c", "import hivex"], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip("hivex is not installed (apt-get install python3-hivex)")
    command = [SYSTEM_PYTHON, "-c", WITNESS, path]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found: Content = {}
    for line in lines:
        names, filetime, values = json.loads(line)
        seconds = filetime // 10**7 - 11_644_473_600
        listed = sorted((name, kind, bytes.fromhex(data)) for name, kind, data in values)
        found[tuple(names)] = seconds, listed
    return found


def open_hive(data: bytes, *logs: bytes) -> _native.Hive:
    return _native.Hive.open(data, list(logs))


TREE: dict[str, object] = {
    "": "default",
    "Types": {
        "none": Typed(REG_NONE, b""),
        "sz": "text",
        "expand": expand(r"%SystemRoot%\x"),
        "binary": b"\0\1\2\3\4",
        "dword": 0xDEADBEEF,
        "big endian": Typed(5, b"\0\0\0\7"),
        "link": Typed(6, "\\Registry".encode("utf-16-le")),
        "multi": ["one", "", "three"],
        "resources": Typed(8, bytes(100)),
        "descriptor": Typed(9, bytes(16)),
        "requirements": Typed(10, bytes(48)),
        "qword": qword(1 << 60),
        "unknown": Typed(0xFFFF0012, b"property"),
        "short": b"abc",
        "four": b"abcd",
        "empty": b"",
    },
    "Big": {f"{length}": bytes([length % 251]) * length for length in (16344, 16345, 40000, 2**20)},
    "Names": {"Größe": {"ÿ": 1}, "名前": {"値": "値"}, "\U0001f600": {}, "n" * 255: {"v" * 300: 1}},
    "Broken": {"\ud800 alone": {"\udfff": 1}},
    "Deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"end": "here"}}}}}}}},
    "Many": {f"Key{number}": {"Number": number} for number in range(2500)},
}


@pytest.mark.parametrize("lists", ["lf", "lh", "li"])
@pytest.mark.parametrize("list_length", [400, 5000])
def test_what_was_written_is_read(lists: str, list_length: int) -> None:
    hive = open_hive(write_hive(TREE, lists=lists, list_length=list_length))
    assert content(hive) == expected(TREE)
    assert hive.notes == []


def test_long_values_of_old_hives_are_in_one_cell() -> None:
    hive = open_hive(write_hive(TREE, minor=3))
    assert content(hive) == expected(TREE)


def test_keys_have_their_times() -> None:
    hive = open_hive(write_hive({"A": {"B": {}}}, modified={"A\\B": -5, "": 7}))
    seconds = {path: modified for path, (modified, _) in content(hive).items()}
    assert seconds == {(): 7, ("A",): WRITTEN, ("A", "B"): -5}


def test_the_writer_is_understood_by_hivex(tmp_path: Path) -> None:
    """Without names that are no Unicode, and long data whose last cell is full: hivex cuts it."""
    tree = {name: value for name, value in TREE.items() if name not in ("Broken", "Big")}
    tree["Big"] = {f"{length}": bytes([length % 251]) * length for length in (16349, 40000, 2**20)}
    path = tmp_path / "hive"
    path.write_bytes(write_hive(tree))
    assert seen_by_hivex(path) == expected(tree)


@pytest.mark.parametrize(
    "name",
    [
        "hives/hivex/minimal",
        "hives/plaso/SOFTWARE.xz",
        "hives/plaso/SYSTEM.xz",
        "hives/plaso/100_sub_keys.hiv",
        "hives/regipy/BCD.xz",
        "hives/regipy/SAM.xz",
        "hives/regipy/SYSTEM_2.xz",
        "hives/yarp/NewDirtyHive1/RecoveredHive_Windows10.xz",
    ],
)
def test_hives_of_windows_are_as_hivex_sees_them(tmp_path: Path, name: str) -> None:
    path = unpack(name, tmp_path)
    hive = open_hive(path.read_bytes())
    assert content(hive) == seen_by_hivex(path)
    assert all("dirty" in note for note in hive.notes)


def test_a_damaged_list_of_subkeys_is_told(tmp_path: Path) -> None:
    hive = open_hive(unpack("hives/plaso/corrupt_sub_key_list.hiv", tmp_path).read_bytes())
    assert len(hive.subkeys(hive.root)) == 99
    assert any("99 of 100 keys" in note for note in hive.notes)


def test_logs_of_windows_are_applied_as_windows_does(tmp_path: Path) -> None:
    folder = "hives/yarp/NewDirtyHive1"
    names = ["NewDirtyHive", "NewDirtyHive.LOG1", "NewDirtyHive.LOG2", "RecoveredHive_Windows10"]
    data = [unpack(f"{folder}/{name}.xz", tmp_path).read_bytes() for name in names]
    recovered = content(open_hive(data[3]))
    assert content(open_hive(data[0], data[1], data[2])) == recovered
    assert content(open_hive(data[0], data[2], data[1])) == recovered
    assert {path[0] for path in recovered if path} == {"Key3"}
    dirty = open_hive(data[0])
    assert {name for name, _ in dirty.subkeys(dirty.root)} == {"Key1", "Key2"}
    assert any("it has no logs" in note for note in dirty.notes)
    # The first log alone ends where the second goes on; the second alone does not fit.
    assert content(open_hive(data[0], data[1])) != recovered
    assert any("do not fit" in note for note in open_hive(data[0], data[2]).notes)


STATES = [
    write_hive({"Setup": {"Stage": stage, "Text": "x" * 4000 * stage}}, size=64 * 1024)
    for stage in range(5)
]


def stage(hive: _native.Hive) -> int:
    ((_, setup),) = hive.subkeys(hive.root)
    return next(data[0] for name, _, data in hive.values(setup) if name == "Stage")


def test_entries_are_applied_in_order_from_both_logs() -> None:
    one = log_entries(STATES[:3], first=1)
    two = log_entries(STATES[2:], first=3)
    hive = open_hive(spoil(STATES[0]), two, one)
    assert stage(hive) == 4
    assert any("4 log entries up to number 4" in note for note in hive.notes)
    assert content(hive) == content(open_hive(STATES[4]))


def test_a_clean_hive_is_read_without_its_logs() -> None:
    hive = open_hive(STATES[0], log_entries(STATES, first=1))
    assert stage(hive) == 0
    assert hive.notes == []


def test_entries_that_were_applied_are_not_applied_again() -> None:
    hive = spoil(seal(STATES[2][:4] + struct.pack("<II", 3, 3) + STATES[2][12:]))
    assert stage(open_hive(hive, log_entries(STATES, first=1))) == 4


def test_replay_stops_at_a_gap_and_at_a_damaged_entry() -> None:
    log = log_entries(STATES, first=1)
    broken = log.index(b"HvLE", log.index(b"HvLE", 600) + 512)
    log = log[: broken + 600] + b"\xaa\x55" + log[broken + 602 :]
    assert stage(open_hive(spoil(STATES[0]), log)) == 2
    gap = log_entries(STATES[:2], first=1) + log_entry(STATES[2], STATES[3], 3)
    assert stage(open_hive(spoil(STATES[0]), gap)) == 1
    late = open_hive(spoil(STATES[0]), log_entries(STATES, first=2))
    assert stage(late) == 0
    assert any("do not fit" in note for note in late.notes)


def test_a_hive_with_a_wrong_checksum_takes_what_its_logs_have() -> None:
    logs = log_entries(STATES[:3], first=1), log_entries(STATES[2:], first=3)
    hive = open_hive(spoil(STATES[0], checksum=True), *logs)
    assert stage(hive) == 4
    assert any("wrong checksum" in note for note in hive.notes)
    alone = open_hive(spoil(STATES[0], checksum=True))
    assert stage(alone) == 0
    assert any("no logs" in note for note in alone.notes)


def test_a_hive_grows_by_its_log() -> None:
    small, large = write_hive({"Setup": {"Stage": 1}}), write_hive(TREE | {"Setup": {"Stage": 2}})
    grown = open_hive(spoil(small), log_entries([small, large], first=1))
    assert content(grown) == expected(TREE | {"Setup": {"Stage": 2}})


def test_a_log_of_windows_7_is_applied() -> None:
    log = old_log(STATES[0], STATES[3], sequence=2)
    hive = open_hive(spoil(STATES[0]), b"", log)
    assert stage(hive) == 3
    assert any("dirty pages" in note for note in hive.notes)
    other = seal(log[:12] + bytes(8) + log[20:])  # of another time
    assert stage(open_hive(spoil(STATES[0]), other)) == 0


def test_what_is_no_hive_is_refused() -> None:
    for data in (b"", b"regf", bytes(8192), b"\xff" * 8192):
        with pytest.raises(CorruptImage, match="registry hive"):
            open_hive(data)
    with pytest.raises(CorruptImage, match="registry key"):
        open_hive(seal(STATES[0][:36] + b"\xf0\xff\xff\x7f" + STATES[0][40:]))
    with pytest.raises(UnsupportedImage, match=r"version 1\.1"):
        open_hive(seal(STATES[0][:24] + struct.pack("<I", 1) + STATES[0][28:]))


def test_nodes_that_are_no_keys_are_refused() -> None:
    hive = open_hive(STATES[0])
    for node in (0, 7, hive.root + 1, 1 << 20, 1 << 40):
        with pytest.raises((CorruptImage, ValueError)):
            hive.subkeys(node)


def key_place(data: bytes, name: bytes) -> int:
    """Return the offset of a key's cell in the file, by its name in Latin-1."""
    at = 0
    while True:
        at = data.index(b"nk", at + 1)
        if data[at + 76 : at + 76 + len(name)] == name:
            return at - 4


def patched(data: bytes, offset: int, field: bytes) -> bytes:
    return data[:offset] + field + data[offset + len(field) :]


def test_a_circle_of_keys_ends() -> None:
    data = write_hive({"A": {"B": {"C": {}}}})
    a, b = (key_place(data, name) for name in (b"A", b"B"))
    lists = [data.index(b"lh", place) for place in (a, b)]
    above = patched(data, data.index(b"lh\1\0", b) + 4, struct.pack("<I", a - BASE_BLOCK))
    for list_place in lists:
        spoiled = patched(data, list_place + 4, struct.pack("<I", a - BASE_BLOCK))
        hive = open_hive(spoiled)
        assert len(content(hive)) <= 4
    hive = open_hive(above)
    assert len(content(hive)) <= 4
    assert any("no key below it" in note for note in hive.notes)


def test_lies_of_counts_and_sizes_are_told() -> None:
    data = write_hive({"Key": {"Value": b"long enough to need a cell", "Other": 1}})
    key = key_place(data, b"Key") + 4
    value = data.index(b"Value") - 20
    lies = {
        "holds 3 of": patched(data, key + 36, struct.pack("<I", 0x7FFFFFFF)),
        "of its": patched(data, value + 4, struct.pack("<I", 100_000)),
        "is cut off": patched(data, value + 2, struct.pack("<H", 60_000)),
        "bytes in a field of 4": patched(data, value + 4, struct.pack("<I", 0x80000400)),
        "no value": patched(data, value + 8, struct.pack("<I", 0x7FFFFFF8)),
        "of which": patched(data, value + 4, struct.pack("<I", 0x7FFFFFFF)),
        "no hive bins": patched(data, BASE_BLOCK + 8, struct.pack("<I", 12)),
    }
    for words, spoiled in lies.items():
        if words == "no hive bins":
            with pytest.raises(CorruptImage):
                open_hive(spoiled)
            continue
        hive = open_hive(spoiled)
        content(hive)
        assert any(words in note for note in hive.notes), (words, hive.notes)


def test_a_hive_that_was_cut_off_is_told() -> None:
    data = write_hive(TREE)
    hive = open_hive(data[: len(data) // 2 // PAGE * PAGE])
    content(hive)
    assert any("of its" in note and "hive bins" in note for note in hive.notes)
