"""Values, paths and the current control set, above every reader of hives."""

from __future__ import annotations

import pytest

from vhdtool.errors import GuestError
from vhdtool.guest.memory import MemoryFileSystem, MemoryHive
from vhdtool.guest.registry import HIVE_LIMIT, Kind, Registry, Value, open_hive
from vhdtool.guest.tree import Tree


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        (Value("", Kind.SZ, utf16("Azure\0")), "Azure"),
        (Value("", Kind.SZ, utf16("no end")), "no end"),
        (Value("", Kind.SZ, utf16("one\0rest of the cell")), "one"),
        (Value("", Kind.SZ, utf16("odd") + b"\0"), "odd"),
        (Value("", Kind.SZ, b"\x00\xd8x\0"), "\ufffdx"),
        (Value("", Kind.SZ, b""), ""),
        (Value("", Kind.EXPAND_SZ, utf16("%SystemRoot%\0")), "%SystemRoot%"),
        (Value("", Kind.LINK, utf16("\\Registry")), "\\Registry"),
        (Value("", Kind.DWORD, b"\x3d\x0d\0\0"), 3389),
        (Value("", Kind.DWORD, b"\x3d\x0d"), b"\x3d\x0d"),
        (Value("", Kind.DWORD_BIG_ENDIAN, b"\0\0\x0d\x3d"), 3389),
        (Value("", Kind.QWORD, b"\1" + bytes(6) + b"\x80"), (1 << 63) + 1),
        (Value("", Kind.QWORD, b"\1\0\0\0"), b"\1\0\0\0"),
        (Value("", Kind.MULTI_SZ, utf16("a\0b\0\0")), ("a", "b")),
        (Value("", Kind.MULTI_SZ, utf16("a\0\0b\0\0")), ("a", "", "b")),
        (Value("", Kind.MULTI_SZ, utf16("\0\0")), ()),
        (Value("", Kind.MULTI_SZ, b""), ()),
        (Value("", Kind.BINARY, b"\1\2"), b"\1\2"),
        (Value("", Kind.NONE, b""), b""),
        (Value("", Kind.RESOURCE_LIST, b"\1"), b"\1"),
        (Value("", 0xFFFF0010, b"\1"), b"\1"),
    ],
)
def test_values_are_decoded_by_their_type(value: Value, decoded: object) -> None:
    assert value.decoded == decoded


def test_types_are_named_as_regedit_names_them() -> None:
    assert Value("", Kind.EXPAND_SZ, b"").kind_name == "REG_EXPAND_SZ"
    assert Value("", 0xFFFF0010, b"").kind_name == "0xffff0010"


def system() -> Registry:
    hive = MemoryHive(
        {
            "Select": {"Current": 2, "Default": 1},
            r"ControlSet001\Services\VMBus": {"Start": 4},
            r"ControlSet002\Services\VMBus": {"Start": 0, "": "default"},
        }
    )
    return Registry(hive, "SYSTEM")


def test_paths_are_found_in_any_case_and_told_in_the_hives_own() -> None:
    key = system().key(r"\controlset001\SERVICES\vmbus\\")
    assert key is not None
    assert (key.path, key.name) == (r"ControlSet001\Services\VMBus", "VMBus")
    assert key.number("START") == 4
    assert key.text("") is None


def test_the_current_control_set_is_the_one_that_select_names() -> None:
    registry = system()
    key = registry.key(r"CurrentControlSet\Services\vmbus")
    assert key is not None
    assert key.path == r"ControlSet002\Services\VMBus"
    assert key.text("") == "default"
    assert registry.resolved(r"CURRENTCONTROLSET\Services") == r"ControlSet002\Services"
    assert registry.number(r"CurrentControlSet\Services\vmbus", "Start") == 0


def test_what_is_not_there_is_none() -> None:
    registry = system()
    assert registry.key("Nothing") is None
    assert registry.key(r"Select\Nothing\Below") is None
    assert registry.value("Select", "Nothing") is None
    assert registry.text("Select", "Current") is None
    without = Registry(MemoryHive({"ControlSet001": {}}), "SYSTEM")
    assert without.control_set is None
    assert without.key(r"CurrentControlSet\Services") is None
    assert without.resolved(r"CurrentControlSet\Services") == r"CurrentControlSet\Services"


def test_a_hive_in_memory_is_changed_by_paths() -> None:
    hive = MemoryHive({"A": {"B": {"x": 1, "y": ["p", "q"]}}})
    hive.set(r"a\b", {"X": "text", "C": {"z": b"\1"}}, modified=7)
    registry = Registry(hive, "SOFTWARE")
    key = registry.key(r"A\B")
    assert key is not None
    assert [(value.name, value.decoded) for value in key.values()] == [
        ("X", "text"),
        ("y", ("p", "q")),
    ]
    assert key.modified == 7
    assert [below.path for below in key.subkeys()] == [r"A\B\C"]
    hive.remove(r"A\B", "X")
    hive.remove(r"A\B\C")
    registry = Registry(hive, "SOFTWARE")
    assert registry.value(r"A\B", "x") is None
    assert registry.key(r"A\B\C") is None
    with pytest.raises(GuestError, match="no key 99"):
        hive.values(99)


def test_a_missing_hive_is_none_and_a_huge_one_is_refused() -> None:
    filesystem = MemoryFileSystem({"/SYSTEM": b"regf"}, ignores_case=True)
    tree = Tree(filesystem)
    assert open_hive(tree, "/SAM") is None
    filesystem.folder("/Folder")
    assert open_hive(tree, "/Folder") is None

    with pytest.raises(GuestError, match=r"^/SYSTEM: "):
        open_hive(tree, "/SYSTEM")

    class Huge(MemoryFileSystem):
        def stat(self, node: int):  # type: ignore[no-untyped-def]
            from dataclasses import replace

            stat = super().stat(node)
            return replace(stat, size=HIVE_LIMIT + 1) if node != self.root else stat

    with pytest.raises(GuestError, match="is not read"):
        open_hive(Tree(Huge({"/SYSTEM": b"regf"})), "/SYSTEM")
