from __future__ import annotations

import pytest

from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import NodeKind
from vhdtool.guest.memory import MemoryFileSystem
from vhdtool.guest.tree import Tree


@pytest.fixture
def files() -> MemoryFileSystem:
    return MemoryFileSystem({"/etc/hostname": "web1\n", "/usr/lib/os-release": "ID=debian\n"})


def test_files_are_read_and_listed(files: MemoryFileSystem) -> None:
    tree = Tree(files)
    assert tree.text("/etc/hostname") == "web1\n"
    assert tree.read("/etc/hostname", 3) == b"web"
    assert tree.names("/") == ["etc", "usr"]
    assert tree.is_folder("/etc")
    assert tree.is_file("//etc/./hostname")
    assert not tree.exists("/etc/hostname/more")
    assert tree.read("/etc") is None
    assert tree.names("/nowhere") == []


def test_links_are_followed_inside_the_root_only(files: MemoryFileSystem) -> None:
    files.link("/etc/os-release", "../usr/lib/os-release")
    files.link("/etc/absolute", "/usr/lib/os-release")
    files.link("/etc/escape", "../../../../etc/hostname")
    tree = Tree(files)
    assert tree.text("/etc/os-release") == "ID=debian\n"
    assert tree.text("/etc/absolute") == "ID=debian\n"
    assert tree.text("/etc/escape") == "web1\n"
    assert tree.text("/../../etc/hostname") == "web1\n"
    assert tree.read_link("/etc/absolute") == "/usr/lib/os-release"
    stat = tree.stat("/etc/absolute", follow=False)
    assert stat is not None
    assert stat.kind is NodeKind.SYMLINK


def test_dot_dot_after_a_link_is_the_folder_of_its_target(files: MemoryFileSystem) -> None:
    files.link("/lib", "usr/lib")
    files.add("/usr/here", "yes")
    assert Tree(files).text("/lib/../here") == "yes"


def test_loops_of_links_are_an_error(files: MemoryFileSystem) -> None:
    files.link("/a", "b")
    files.link("/b", "a")
    with pytest.raises(GuestError, match="more than 40 symbolic links"):
        Tree(files).find("/a")


def test_links_that_multiply_names_end(files: MemoryFileSystem) -> None:
    files.link("/x", "/".join(["etc/.."] * 2000))
    files.link("/y", "/".join(["x"] * 1))
    with pytest.raises(GuestError, match="names"):
        Tree(files).find("/y/y/y/y/y")


def test_mounts_cover_folders_and_dot_dot_leaves_them(files: MemoryFileSystem) -> None:
    files.add("/boot/under", "hidden")
    boot = MemoryFileSystem({"/grub/grub.cfg": "set timeout=0\n"})
    boot.link("/etc-link", "/etc/hostname")
    tree = Tree(files)
    assert tree.mount("/boot", boot)
    assert not tree.mount("/srv", boot)
    assert tree.names("/boot") == ["etc-link", "grub"]
    assert tree.text("/boot/grub/../../etc/hostname") == "web1\n"
    assert tree.text("/boot/etc-link") == "web1\n"
    place = tree.find("/boot/grub/grub.cfg")
    assert place is not None
    assert place.path == "/boot/grub/grub.cfg"


def test_case_is_ignored_where_the_file_system_does() -> None:
    tree = Tree(MemoryFileSystem({"/Windows/System32/config/SYSTEM": b"regf"}, ignores_case=True))
    assert tree.read("/windows/system32/CONFIG/system") == b"regf"


def test_walk_ends_and_does_not_follow_links(files: MemoryFileSystem) -> None:
    files.link("/etc/up", "/")
    tree = Tree(files)
    assert sorted(tree.walk("/")) == ["/etc/hostname", "/etc/up", "/usr/lib/os-release"]
    with pytest.raises(GuestError, match="too many files"):
        list(tree.walk("/", limit=1))


def test_names_that_are_not_utf8_survive() -> None:
    files = MemoryFileSystem()
    files.add(b"/caf\xe9".decode("utf-8", "surrogateescape"), "x")
    tree = Tree(files)
    (name,) = tree.names("/")
    assert tree.text(f"/{name}") == "x"
