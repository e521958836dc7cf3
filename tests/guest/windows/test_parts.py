"""Small parts of the model: text, times, paths of services, executables."""

from __future__ import annotations

import pytest

from tests.guests.windows import AMD64, ARM64, expand, filetime, pe, server
from vhdtool.guest.windows.boot import find_boot_stores
from vhdtool.guest.windows.pe import file_version, machine
from vhdtool.guest.windows.text import decode, text_lines
from vhdtool.guest.windows.text import filetime as read_filetime


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_text_is_decoded_in_all_encodings_of_windows(encoding: str) -> None:
    assert text_lines("Zürich\r\nb\n".encode(encoding)) == ["Zürich", "b"]


def test_text_ends_lines_at_line_ends_only() -> None:
    assert text_lines(b"a\x0cb\xe2\x80\xa8c\r\nd") == ["a\x0cb\u2028c", "d"]
    assert text_lines(b"") == []
    assert decode(b"\xff") == "\ufffd"


def test_times_are_seconds_since_1970() -> None:
    assert read_filetime(filetime(1_700_000_000)) == 1_700_000_000
    assert read_filetime(bytes(8)) is None
    assert read_filetime(b"short") is None


@pytest.mark.parametrize(
    ("image", "kind", "file"),
    [
        (r"\SystemRoot\System32\drivers\x.sys", 1, "/Windows/System32/drivers/x.sys"),
        (r"System32\drivers\x.sys", 1, "/Windows/System32/drivers/x.sys"),
        (r"\??\C:\Tools\x.sys", 1, "/Tools/x.sys"),
        ("", 1, "/Windows/System32/drivers/probe.sys"),
        ("", 0x10, ""),
        (r'"C:\Program Files\a b\c.exe" -k', 0x10, "/Program Files/a b/c.exe"),
        (r"%SystemRoot%\system32\svchost.exe -k netsvcs", 0x20, "/Windows/system32/svchost.exe"),
        (r"C:\x\y.EXE /run", 0x10, "/x/y.exe"),
    ],
)
def test_files_of_services_are_paths_in_the_guest(image: str, kind: int, file: str) -> None:
    made = server()
    made.system.set(r"ControlSet001\Services\probe", {"Type": kind, "ImagePath": expand(image)})
    assert made.guest().services["probe"].file.lower() == file.lower()


def test_executables_say_their_machine_and_version() -> None:
    assert machine(pe(AMD64)) == "x86-64"
    assert machine(pe(ARM64)) == "aarch64"
    assert machine(pe(0x1234)) is None
    assert machine(b"MZ" + b"\xff" * 62) is None
    assert machine(b"") is None
    assert file_version(pe(AMD64, (10, 0, 20348, 7))) == (10, 0, 20348, 7)
    assert file_version(pe(AMD64)) is None
    assert file_version(pe(AMD64, (1, 2, 3, 4))[:-40]) is None


def test_a_system_volume_that_is_windows_own_is_read_once() -> None:
    made = server()
    made.files.add("/Boot/BCD", b"regf")
    made.files.add("/bootmgr", b"x")
    made.system_files = made.files
    guest = made.guest()
    assert guest.system_volumes == {}
    assert [store.path for store in guest.boot_stores] == ["/Boot/BCD"]


def test_a_user_has_a_hive_where_the_profile_has_one() -> None:
    assert server().guest().user_hive("nobody") is None


def test_without_files_there_is_no_store() -> None:
    assert find_boot_stores({}, None) == ()
