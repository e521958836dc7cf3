"""Databases of packages, and how versions compare."""

from __future__ import annotations

import sqlite3
import struct
from typing import TYPE_CHECKING

import pytest

from tests.rules.linux.guests import Files, dpkg, guest, rpm_ndb
from vhdtool.errors import GuestError
from vhdtool.guest.linux.packages import compare_versions
from vhdtool.guest.linux.rpmdb import header

if TYPE_CHECKING:
    from pathlib import Path

NAME, VERSION, RELEASE, EPOCH, ARCH = 1000, 1001, 1002, 1003, 1022


def rpm_header(name: str, version: str, epoch: int | None = None) -> bytes:
    store, entries = b"", []
    for tag, text in ((NAME, name), (VERSION, version), (RELEASE, "1.el9"), (ARCH, "x86_64")):
        entries.append((tag, 6, len(store), 1))
        store += text.encode() + b"\0"
    if epoch is not None:
        store += bytes(-len(store) % 4)
        entries.append((EPOCH, 4, len(store), 1))
        store += struct.pack(">I", epoch)
    head = struct.pack(">II", len(entries), len(store))
    return head + b"".join(struct.pack(">IIII", *entry) for entry in entries) + store


def sqlite(folder: Path, *blobs: bytes, wal: bool = False) -> bytes:
    path = folder / "rpmdb.sqlite"
    with sqlite3.connect(path) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        connection.executemany(
            "INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in blobs]
        )
    connection.close()
    return path.read_bytes()


def berkeley(*values: bytes, order: str = "<", size: int = 512) -> bytes:
    """Return a hash of Berkeley DB: short values on its page, long ones on further pages."""
    meta = struct.pack(f"{order}QIIII", 0, 0, 0x061561, 9, size).ljust(size, b"\0")
    items, further = [], []
    for value in values:
        items.append(b"\1key")
        if len(value) < 100:
            items.append(b"\1" + value)
            continue
        first = 2 + len(further)
        items.append(struct.pack(f"{order}B3xII", 3, first, len(value)))
        pieces = [value[at : at + size - 26] for at in range(0, len(value), size - 26)]
        for index, piece in enumerate(pieces):
            following = first + index + 1 if index + 1 < len(pieces) else 0
            head = struct.pack(
                f"{order}QIIIHHBB", 0, first + index, 0, following, 1, len(piece), 0, 7
            )
            further.append((head + piece).ljust(size, b"\0"))
    offsets, end, body = [], size, b""
    for item in items:
        end -= len(item)
        offsets.append(end)
        body = item + body
    head = struct.pack(f"{order}QIIIHHBB", 0, 1, 0, 0, len(items), end, 1, 13)
    head += struct.pack(f"{order}{len(offsets)}H", *offsets)
    page = head.ljust(end, b"\0") + body
    return meta + page + b"".join(further)


def versions(files: Files) -> dict[str, str]:
    packages = guest(files).packages
    assert packages is not None
    return {name: one.version for name, one in packages.by_name.items()}


def test_dpkg_counts_what_is_installed_only() -> None:
    removed = "\nPackage: ssh\nStatus: deinstall ok config-files\nVersion: 1\n"
    files: Files = {
        "/var/lib/dpkg/status": str(dpkg(bash="5.2-1")["/var/lib/dpkg/status"]) + removed
    }
    assert versions(files) == {"bash": "5.2-1"}


def test_apk_and_pacman() -> None:
    assert versions({"/lib/apk/db/installed": "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\n"}) == {
        "musl": "1.2.5-r0"
    }
    assert versions({"/var/lib/pacman/local/linux-headers-6.9.1-1/desc": "x"}) == {
        "linux-headers": "6.9.1-1"
    }


@pytest.mark.parametrize("wal", [False, True])
def test_rpm_in_sqlite(tmp_path: Path, wal: bool) -> None:
    data = sqlite(tmp_path, rpm_header("bash", "5.1"), rpm_header("grub2", "2.06", 1), wal=wal)
    files: Files = {"/var/lib/rpm/rpmdb.sqlite": data}
    assert versions(files) == {"bash": "5.1-1.el9", "grub2": "1:2.06-1.el9"}


def test_rpm_in_ndb() -> None:
    assert versions(rpm_ndb(bash="5.1", glibc="2.38")) == {"bash": "5.1-1", "glibc": "2.38-1"}


@pytest.mark.parametrize("order", ["<", ">"])
def test_rpm_in_berkeley_db(order: str) -> None:
    short, long = rpm_header("bash", "5.1"), rpm_header("x" * 900, "1.0")
    data = berkeley(b"\1\0\0\0", short, long, order=order)
    assert versions({"/var/lib/rpm/Packages": data}) == {
        "bash": "5.1-1.el9",
        "x" * 900: "1.0-1.el9",
    }


def test_changes_that_are_not_applied_are_told(tmp_path: Path) -> None:
    path = "/var/lib/rpm/rpmdb.sqlite"
    files: Files = {path: sqlite(tmp_path, rpm_header("bash", "5.1")), f"{path}-wal": "x"}
    with pytest.raises(GuestError, match="not read"):
        versions(files)


def endless(folder: Path) -> bytes:
    """Return a database whose packages never end."""
    path = folder / "endless.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE VIEW Packages AS WITH RECURSIVE n(blob) AS "
            "(SELECT x'00' UNION ALL SELECT blob FROM n) SELECT blob FROM n"
        )
    connection.close()
    return path.read_bytes()


def test_damaged_databases_are_told(tmp_path: Path) -> None:
    good = rpm_header("bash", "5.1")
    cycle = bytearray(berkeley(rpm_header("x" * 900, "1.0")))
    struct.pack_into("<I", cycle, 2 * 512 + 16, 2)  # the first page of the value follows itself
    struct.pack_into("<H", cycle, 2 * 512 + 22, 0)  # and holds nothing
    for path, data in {
        "/var/lib/rpm/rpmdb.sqlite": b"SQLite format 3\0" + bytes(100),
        "/usr/lib/sysimage/rpm/rpmdb.sqlite": endless(tmp_path),
        "/usr/lib/sysimage/rpm/Packages.db": b"RpmP" + struct.pack("<III", 0, 1, 1) + bytes(64),
        "/var/lib/rpm/Packages": bytes(cycle),
        "/usr/share/rpm/Packages": berkeley(good[: len(good) // 2].ljust(120, b"\xff")),
    }.items():
        with pytest.raises(GuestError, match="is damaged"):
            versions({path: data})


def test_a_header_that_lies_is_refused() -> None:
    for head in (b"\xff" * 16, struct.pack(">II", 1, 1 << 30), b"", rpm_header("a", "1")[:40]):
        with pytest.raises((ValueError, struct.error)):
            header(head)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0^git1"),
        ("2.0", "1:1.0"),
        ("2.2.53", "2.2.53.1"),
        ("1.0a", "1.0b"),
        ("3.10.0-957.el7", "3.10.0-957.21.3.el7"),
        ("2.13-38+deb7u6", "2.13-38+deb7u7"),
    ],
)
def test_versions_compare_as_package_managers_do(less: str, more: str) -> None:
    assert compare_versions(less, more) < 0
    assert compare_versions(more, less) > 0
    assert compare_versions(less, less) == 0
