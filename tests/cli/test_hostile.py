"""Guests that mean no good, on real disks: every command ends, and prints nothing that acts."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builders import MIB
from tests.guest.volumes import DEBIAN, ext4
from tests.hives import BASE_BLOCK, write_hive
from tests.native.conftest import need
from tests.rules.disks import BOOT_CODE, Part, fixed, mbr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Run = Callable[..., Outcome]

ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
RED = "\x1b[31m"
SYSTEM = {"/usr/lib/os-release": DEBIAN, "/etc/fstab": "", "/etc/passwd": "root:x:0:0::/:/bin/sh\n"}
LARGEST = (1 << 63) - 1  # 8 EiB but for a byte


def disk(folder: Path, volume: bytes) -> Path:
    return fixed(folder, mbr([Part(0x83, 1, 8, volume)], active=0, code=BOOT_CODE))


def changed(folder: Path, volume: bytes, *commands: str) -> bytes:
    """Return a volume after what debugfs did to it."""
    path = folder / "volume"
    path.write_bytes(volume)
    debugfs = [need("debugfs", "e2fsprogs"), "-w", "-f", "-", str(path)]
    lines = "".join(f"{command}\n" for command in commands)
    done = subprocess.run(debugfs, input=lines, capture_output=True, text=True, check=True)
    assert not [line for line in done.stderr.splitlines()[1:] if line], done.stderr
    return path.read_bytes()


def test_a_folder_that_is_below_itself_ends(vhdtool: Run, tmp_path: Path) -> None:
    files = SYSTEM | {"/a/b/file": "x", "/etc/ssh/sshd_config.d/one.conf": "Port 22\n"}
    volume = changed(
        tmp_path,
        ext4(tmp_path, files),
        "link /a /a/b/up",
        "link / /a/root",
        "link /etc/ssh/sshd_config.d /etc/ssh/sshd_config.d/again.conf",
        "link /usr /usr/lib/modules",
    )
    image = disk(tmp_path, volume)
    assert vhdtool("check", image).status in (0, 1)
    assert vhdtool("inspect", image).status == 0
    assert vhdtool("ls", image, "/a/b/up/b/up/b").out.split() == ["file", "up"]
    assert vhdtool("cat", image, "/a/root/a/root/a/b/file").out == "x"
    outcome = vhdtool("cat", image, "/a/b/up" * 1000 + "/file")
    assert outcome.status == 3


@pytest.mark.parametrize("blocks", [(1 << 32) - 1, LARGEST // 4096])
def test_a_file_that_claims_the_most_is_read_as_far_as_wanted(
    vhdtool: Run, tmp_path: Path, blocks: int
) -> None:
    size = blocks * 4096
    files = SYSTEM | {"/huge": "start"}
    commands = [f"sif {name} size {size}" for name in ("/huge", "/etc/passwd", "/etc/fstab")]
    image = disk(tmp_path, changed(tmp_path, ext4(tmp_path, files), *commands))
    assert f" {size} " in vhdtool("ls", "-l", image, "/").out
    assert vhdtool("check", image).status in (0, 1, 3)
    assert vhdtool("inspect", image).status in (0, 3)
    command = [sys.executable, "-m", "vhdtool", "cat", str(image), "/huge"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(3 * MIB) == b"start".ljust(3 * MIB, b"\0")
        process.stdout.close()
        assert process.wait(50) in (0, 141)
        said = process.stderr.read().decode().splitlines()
        assert all(line.startswith("vhdtool: /etc/fstab") for line in said)


@pytest.mark.parametrize("form", ["text", "json", "sarif", "junit", "github"])
def test_names_that_act_on_a_terminal_are_made_harmless(
    vhdtool: Run, tmp_path: Path, form: str
) -> None:
    files = {
        "/usr/lib/os-release": f'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="De{RED}bian\u202e"\n',
        "/etc/hostname": f"web{RED}1\n",
        "/etc/fstab": f"/dev/sdb1 /mnt/{RED}x ext4 defaults 0 2\n/dev/sdc1 / ext4 {RED} 0 1\n",
        "/etc/passwd": f"root:x:0:0::/:/bin/sh\nad{RED}min:x:1000:1000::/home/\r\x07:/bin/sh\n",
        "/etc/shadow": f"root:$6$a$b:1::::::\nad{RED}min:$6$a$b:1::::::\n",
        "/etc/ssh/sshd_config": f"PermitRootLogin yes{RED}\nPort {RED}\n",
        f"/etc/ssh/ssh_host_{RED}_key": "x",
        "/etc/waagent.conf": f"Provisioning.Enabled=n{RED}\n",
        f"/home/x{RED}/.ssh/authorized_keys": f"ssh-rsa AAAA me{RED}@home\n",
        f"/boot/vmlinuz-6{RED}": "kernel",
        "/boot/grub/grub.cfg": f"linux /boot/vmlinuz-6{RED} root=/dev/sda1 quiet {RED}\n",
    }
    image = disk(tmp_path, ext4(tmp_path, files, {f"/li{RED}nk": f"{RED}\n"}, label=f"ro{RED}ot"))
    options = ["--profile", "marketplace"]
    outcomes = [vhdtool("check", "--format", form, *options, image)]
    if form in ("text", "json"):
        outcomes += [vhdtool("inspect", "--format", form, image)]
        outcomes += [vhdtool("ls", "--format", form, image, path) for path in ("/", "/boot")]
        outcomes += [vhdtool("stat", "--format", form, image, f"/li{RED}nk")]
    for outcome in outcomes:
        assert outcome.status in (0, 1)
        assert not ACTS.search(outcome.out + outcome.err)


def test_hives_that_go_in_circles_end(vhdtool: Run, tmp_path: Path) -> None:
    tree = {"Select": {"Current": 1}, "ControlSet001": {"Services": {"vmbus": {"Start": 0}}}}
    hive = bytearray(write_hive(tree))
    places = [hive.index(b"nk", hive.index(name) - 80) for name in (b"ControlSet001", b"Services")]
    inside = hive.index(b"lh", places[1]) + 4
    struct.pack_into("<I", hive, inside, places[0] - 4 - BASE_BLOCK)
    damaged = bytes(hive)
    files: dict[str, str | bytes | None] = {"/Windows/System32/config/SYSTEM": damaged}
    image = disk(tmp_path, ext4(tmp_path, {**files, "/x": damaged}))
    for key in ("", "ControlSet001", "ControlSet001/Services"):
        assert vhdtool("reg", image, "/x", key).status in (0, 3)
    below = "ControlSet001/Services/" * 200
    assert vhdtool("reg", image, "SYSTEM", below).status in (0, 3)
    assert vhdtool("check", image).status in (0, 1, 3)
    assert vhdtool("inspect", image).status in (0, 3)
