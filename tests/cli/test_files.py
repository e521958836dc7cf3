"""`ls`, `cat`, `stat`, `reg` and `inspect` on real small disks, hostile ones among them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.builders import LINUX_GUID, MIB, patch
from tests.guest.volumes import DEBIAN, ROOT_ID, ext4
from tests.hives import write_hive
from tests.rules.disks import BOOT_CODE, Part, fixed, gpt, mbr

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

    Run = Callable[..., Outcome]

BOOT_ID = "11112222-3333-4444-5555-666677778888"
FSTAB = f"UUID={ROOT_ID} / ext4 defaults 0 1\nUUID={BOOT_ID} /boot ext4 defaults 0 2\n"
LARGE = bytes(range(256)) * 12_000  # more than two pieces


@pytest.fixture(scope="module")
def linux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Linux in two partitions, with files and links that mean no good."""
    folder = tmp_path_factory.mktemp("linux")
    root = ext4(
        folder,
        {
            "/usr/lib/os-release": DEBIAN,
            "/etc/fstab": FSTAB,
            "/etc/hostname": "web1\n",
            "/large": LARGE,
            "/boot": None,
            "/evil/esc\x1b[31m\nred": "x",
            "/evil/latin\udce9": "y",
            "/evil/a..b": "",
        },
        {
            "/etc/os-release": "../usr/lib/os-release",
            "/loop": "loop2",
            "/loop2": "/loop",
            "/escape": "../../../../../../etc/hostname",
            "/absolute": "/etc/hostname",
            "/up": "..",
            "/nowhere": "/missing",
        },
    )
    boot = ext4(folder, {"/vmlinuz-6.1": "kernel"}, uuid_text=BOOT_ID)
    parts = [Part(0x83, 1, 8, root), Part(0x83, 10, 8, boot)]
    return fixed(folder, mbr(parts, active=0, code=BOOT_CODE))


def test_the_tree_of_the_system_has_what_it_mounts(vhdtool: Run, linux: Path) -> None:
    outcome = vhdtool("ls", linux, "/boot")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.split() == ["lost+found", "vmlinuz-6.1"]
    assert vhdtool("cat", linux, "/boot/vmlinuz-6.1").out == "kernel"


@pytest.mark.parametrize(
    "arguments", [("{}:1",), ("--fs", "1", "{}"), ("--fs", "partition 1", "{}")]
)
def test_a_volume_can_be_named(vhdtool: Run, linux: Path, arguments: tuple[str, ...]) -> None:
    words = [word.format(linux) for word in arguments]
    assert vhdtool("ls", *words, "/boot").out == ""
    assert "etc" in vhdtool("ls", *words).out.split()


@pytest.mark.parametrize("named", ["9", "rootvg/rootlv", "\x1b[31m"])
def test_a_volume_that_is_not_there_is_wrong_usage(vhdtool: Run, linux: Path, named: str) -> None:
    outcome = vhdtool("ls", "--fs", named, linux)
    assert outcome.status == 2
    assert "the disk has no volume" in outcome.err
    assert "hint: it has partition 1, partition 2" in outcome.err
    assert "\x1b" not in outcome.err


def test_a_volume_is_named_once(vhdtool: Run, linux: Path) -> None:
    assert vhdtool("ls", "--fs", "2", f"{linux}:1").status == 2


def test_a_file_whose_name_has_a_colon_is_that_file(vhdtool: Run, linux: Path) -> None:
    other = linux.with_name("disk.vhd:2")
    other.write_bytes(linux.read_bytes())
    assert "etc" in vhdtool("ls", other).out.split()
    assert "vmlinuz-6.1" in vhdtool("ls", f"{other}:2").out.split()


@pytest.mark.parametrize(
    "path",
    [
        "/escape",
        "/absolute",
        "/../../../etc/hostname",
        "etc/hostname",
        "//etc/./hostname",
        "/up/etc/hostname",
    ],
)
def test_nothing_leads_out_of_the_guest(vhdtool: Run, linux: Path, path: str) -> None:
    outcome = vhdtool("cat", linux, path)
    assert (outcome.status, outcome.out) == (0, "web1\n")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/loop", "/loop: more than 40 symbolic links"),
        ("/nowhere", "/nowhere: there is no such file in the guest"),
        ("/no\x1b[31m", "/no\\x1b[31m: there is no such file in the guest"),
        ("/etc", "/etc is no regular file but a directory"),
        ("/etc/hostname/more", "/etc/hostname/more: there is no such file in the guest"),
        ("/" + "x/" * 5000, "there is no such file in the guest"),
        ("/" + "../" * 5000, "more than 4096 names"),
    ],
)
def test_what_cannot_be_read_says_why(vhdtool: Run, linux: Path, path: str, reason: str) -> None:
    outcome = vhdtool("cat", linux, path)
    assert (outcome.status, outcome.out) == (3, "")
    assert reason in outcome.err
    assert "\x1b" not in outcome.err


def test_large_files_come_whole_and_raw(
    process: Callable[..., subprocess.CompletedProcess[bytes]], linux: Path
) -> None:
    done = process("cat", linux, "/large")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == LARGE
    assert process("cat", "--limit", "1000", linux, "/large").stdout == LARGE[:1000]


def test_a_reader_that_has_enough_ends_it_quietly(linux: Path) -> None:
    command = f"python -m vhdtool cat {linux} /large | head -c 10 | wc -c; echo ${{PIPESTATUS[0]}}"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, check=True, timeout=50, env=environment
    )
    assert done.stdout.split() in ([b"10", b"141"], [b"10", b"0"])
    assert done.stderr == b""


def test_names_are_made_harmless(vhdtool: Run, linux: Path) -> None:
    outcome = vhdtool("ls", linux, "/evil")
    assert outcome.out == "a..b\nesc\\x1b[31m\\x0ared\nlatin\\udce9\n"
    files = json.loads(vhdtool("ls", "--format", "json", linux, "/evil").out)["files"]
    assert [file.get("name_b64") for file in files] == [None, "ZXNjG1szMW0KcmVk", "bGF0aW7p"]


def test_long_lines_are_as_ls_has_them(vhdtool: Run, linux: Path) -> None:
    lines = vhdtool("ls", "-l", linux, "/").out.splitlines()
    by_name = {line.split()[7]: line for line in lines}
    assert by_name["large"].startswith("-rw-r--r-- 1 ")
    assert f" {len(LARGE)} " in by_name["large"]
    assert by_name["absolute"].endswith(" absolute -> /etc/hostname")
    assert by_name["loop"].startswith("lrwxrwxrwx ")
    assert by_name["etc"].startswith("drwxr-xr-x ")
    assert len({line.index("20") for line in lines if "lost+found" not in line}) >= 1


def test_ls_of_a_file_is_one_line(vhdtool: Run, linux: Path) -> None:
    assert vhdtool("ls", linux, "/etc/hostname").out == "hostname\n"


def test_stat_follows_links_when_asked(vhdtool: Run, linux: Path) -> None:
    link = json.loads(vhdtool("stat", "--format", "json", linux, "/etc/os-release").out)
    fields = link["sections"][0]["fields"]
    assert (fields["kind"], fields["target"]) == ("symlink", "../usr/lib/os-release")
    file = json.loads(vhdtool("stat", "-L", "--format", "json", linux, "/etc/os-release").out)
    fields = file["sections"][0]["fields"]
    assert (fields["path"], fields["size"]) == ("/usr/lib/os-release", len(DEBIAN))
    assert (fields["mode"], fields["file_system"]) == ("0644", "ext4")
    assert vhdtool("stat", linux, "/loop").status == 0
    assert vhdtool("stat", "-L", linux, "/loop").status == 3


def test_data_disk_with_several_volumes_asks_which(vhdtool: Run, tmp_path: Path) -> None:
    parts = [Part(0x83, at, 8, ext4(tmp_path, {"/x": str(at)})) for at in (1, 10)]
    disk = fixed(tmp_path, mbr(parts))
    outcome = vhdtool("ls", disk)
    assert outcome.status == 2
    assert "hint: name one with --fs: partition 1, partition 2" in outcome.err
    assert vhdtool("cat", f"{disk}:2", "/x").out == "10"


def test_bare_file_system_needs_no_name(vhdtool: Run, tmp_path: Path) -> None:
    disk = fixed(tmp_path, {0: ext4(tmp_path, {"/x": "bare"})}, size=8 * MIB)
    assert vhdtool("cat", disk, "/x").out == "bare"
    assert vhdtool("cat", "--fs", "disk", disk, "/x").out == "bare"


@pytest.mark.parametrize("command", ["ls", "inspect"])
def test_empty_disk_is_no_guest(vhdtool: Run, tmp_path: Path, command: str) -> None:
    outcome = vhdtool(command, fixed(tmp_path, {}))
    if command == "ls":
        assert outcome.status == 3
        assert "nothing on the disk can be read as files, there are no volumes" in outcome.err
    else:
        assert outcome.status == 0
        assert "none: a data disk" in outcome.out


def test_damaged_file_system_is_named(vhdtool: Run, linux: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk.vhd"
    disk.write_bytes(linux.read_bytes())
    patch(disk, 10 * MIB + 1024 + 24, b"\xff\xff\xff\xff")  # log of the block size
    outcome = vhdtool("ls", disk, "/boot")
    assert outcome.status == 0
    assert "partition 2 (ext2/3/4) cannot be read" in outcome.err
    assert vhdtool("inspect", disk).status == 3


def test_image_that_is_none_is_an_error(vhdtool: Run, tmp_path: Path) -> None:
    for command in ("ls", "inspect"):
        assert vhdtool(command, tmp_path / "gone.vhd").status == 3


# --- reg

SYSTEM = {
    "Select": {"Current": 1},
    "Setup": {"SetupType": 2, "CmdLine": "oobe\\windeploy.exe", "": "default"},
    "ControlSet001": {"Control": {"List": ["one", "two\x1b[31m"], "Raw": b"\x01\xff"}},
}


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hives on a volume, which need not be NTFS to be read when it is named."""
    folder = tmp_path_factory.mktemp("windows")
    hive = write_hive(SYSTEM)
    content = ext4(
        folder, {"/Windows/System32/config/SYSTEM": hive, "/other.dat": hive, "/bad": "x"}
    )
    return fixed(folder, mbr([Part(0x83, 1, 8, content)]))


def test_a_value_alone_is_printed_as_it_is(vhdtool: Run, windows: Path) -> None:
    image = f"{windows}:1"
    assert vhdtool("reg", image, "SYSTEM", "Setup", "CmdLine").out == "oobe\\windeploy.exe\n"
    assert vhdtool("reg", image, "system", "setup", "setuptype").out == "2\n"
    assert vhdtool("reg", image, "SYSTEM", "Setup", "").out == "default\n"
    control = r"CurrentControlSet\Control"
    assert vhdtool("reg", image, "SYSTEM", control, "List").out == "one\ntwo\\x1b[31m\n"
    assert vhdtool("reg", image, "SYSTEM", "CurrentControlSet/Control", "Raw").out == "01ff\n"


def test_a_key_shows_its_values_and_its_subkeys(vhdtool: Run, windows: Path) -> None:
    shown = vhdtool("reg", windows, "/other.dat").out
    assert "Setup\\" in shown
    lines = vhdtool("reg", windows, "/other.dat", "Setup").out.splitlines()
    assert lines[0].startswith("/other.dat\\Setup  (")
    assert "  SetupType  REG_DWORD  2 (0x2)" in lines
    answer = json.loads(vhdtool("reg", "--format", "json", windows, "/other.dat", "Setup").out)
    assert answer["path"] == "Setup"
    assert {"name": "CmdLine", "type": "REG_SZ", "data": "oobe\\windeploy.exe"} in answer["values"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("SOFTWARE",), "the guest has no hive SOFTWARE"),
        (("BCD",), "the guest has no hive BCD"),
        (("/nope",), "the guest has no hive /nope"),
        (("/other.dat", "No\x1b"), "/other.dat has no key No\\x1b"),
        (("/other.dat", "Setup", "No"), "Setup has no value No"),
        (("/bad",), ""),
    ],
)
def test_hives_keys_and_values_that_are_not_there(
    vhdtool: Run, windows: Path, words: tuple[str, ...], reason: str
) -> None:
    outcome = vhdtool("reg", windows, *words)
    assert (outcome.status, outcome.out) == (3, "")
    assert reason in outcome.err
    assert "\x1b" not in outcome.err


# --- inspect


def test_inspect_tells_the_system_its_volumes_and_a_verdict(vhdtool: Run, linux: Path) -> None:
    outcome = vhdtool("inspect", linux)
    assert outcome.status == 0
    for text in ("Debian GNU/Linux 12 (bookworm)", "web1", "firmware    BIOS", "verdict", "/boot"):
        assert text in outcome.out
    answer = json.loads(vhdtool("inspect", "--format", "json", linux).out)
    assert (answer["system"], answer["name"], answer["version"]) == ("linux", "debian", "12")
    assert (answer["firmware"], answer["generations"]) == (["BIOS"], [1])
    assert answer["verdict"]["state"] in ("specialized", "unclear")
    assert [(one["name"], one["mounted"]) for one in answer["volumes"]] == [
        ("partition 1", ["/"]),
        ("partition 2", ["/boot"]),
    ]
    assert answer["gaps"] == []


def test_inspect_of_gpt_without_loader_says_none(vhdtool: Run, tmp_path: Path) -> None:
    content = ext4(tmp_path, {"/usr/lib/os-release": DEBIAN, "/etc/passwd": ""})
    disk = fixed(tmp_path, gpt([Part(LINUX_GUID, 1, 8, content)]))
    answer = json.loads(vhdtool("inspect", "--format", "json", disk).out)
    assert (answer["firmware"], answer["generations"]) == ([], [])
