"""A real Debian on three kinds of disks, as a machine that ran, and as what it becomes for capture.

Built by tests/guests/debian.py: the first run takes minutes, and needs root and a mirror.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.guests import debian
from tests.native.trees import compare_node
from vhdtool.cli.app import run
from vhdtool.disk.image import open_image
from vhdtool.disk.partitions import read_partitions
from vhdtool.guest.guest import find_guest
from vhdtool.rules.model import GuestLocation, Profile, Subject
from vhdtool.rules.runner import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from vhdtool.guest.tree import Tree
    from vhdtool.rules.model import Report

pytestmark = pytest.mark.timeout(1800)

# What is wrong with Debian's own packages and our settings of them, by the rules.
SETTINGS = [
    ("LNX330", "/etc/default/grub"),  # GRUB_TIMEOUT=0
    ("LNX346", "/etc/ssh/sshd_config"),
    ("LNX357", "/etc/waagent.conf"),
    ("LNX368", "/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg"),
    ("LNX371", "/etc/chrony/chrony.conf"),
    ("LNX373", "/usr/sbin/hv_kvp_daemon"),
]
# A dynamic disk; LVM on an OS disk, which Azure advises against; an unsigned GRUB; no time-out of
# NVMe, which is asked of generation 2 only.
OF_DISKS = {
    "mbr-ext4": [("VHD003", "")],
    "gpt-lvm-xfs": [
        ("VHD003", ""),
        ("DSK119", ""),
        ("GEN208", "/boot/efi/EFI/BOOT/BOOTX64.EFI"),
        ("LNX376", "/boot/grub/grub.cfg"),
    ],
    "gpt-btrfs": [("VHD003", "")],
}
# What neither waagent nor cloud-init removes.
FORGOTTEN = [
    ("LGN308", "/etc/network/interfaces.d/50-cloud-init"),
    ("LGN312", "/var/lib/dbus/machine-id"),
    ("LGN317", "/etc/sudoers.d/90-cloud-init-users"),
    ("LGN331", "/var/lib/systemd/random-seed"),
]
# What cloud-init removes.
OF_CLOUD_INIT = [
    ("LGN305", "/var/lib/cloud/instance"),
    ("LGN307", "/var/log/cloud-init-output.log"),
    ("LGN307", "/var/log/cloud-init.log"),
    ("LGN311", "/etc/machine-id"),
]
# What waagent removes.
OF_WAAGENT = [
    ("GEN202", "/var/lib/waagent/provisioned"),
    ("GEN219", "/var/lib/waagent/provisioned"),
    ("LGN301", "/var/lib/waagent/provisioned"),
    ("LGN302", "/var/lib/waagent"),
    ("LGN303", "/var/lib/waagent/TransportPrivate.pem"),
    ("LGN304", "/var/lib/waagent/ovf-env.xml"),
    ("LGN313", "/etc/ssh/ssh_host_ecdsa_key"),
    ("LGN316", "/etc/passwd"),
    ("LGN320", "/home/azureuser/.ssh/authorized_keys"),
    ("LGN322", "/home/azureuser/.bash_history"),
    ("LGN322", "/root/.bash_history"),
    ("LGN323", "/var/log/waagent.log"),
    ("LGN324", "/etc/hostname"),
    ("LGN326", "/var/lib/dhcp/dhclient.eth0.leases"),
    ("LGN327", "/etc/resolv.conf"),
    ("LGN352", "/var/lib/waagent"),
]
DEPROVISIONED = ("LGN314", "/etc/shadow")
LEFT = {
    "captured": [*FORGOTTEN, *OF_CLOUD_INIT, *OF_WAAGENT],
    "deprovisioned": [
        *FORGOTTEN,
        *OF_CLOUD_INIT,
        DEPROVISIONED,
        ("LGN344", "/var/lib/cloud/instance"),
    ],
    "cleaned": [*FORGOTTEN, DEPROVISIONED],
}
VERDICTS = {
    "captured": ("specialized", ["captured-machine", "cloud-init-instance"]),
    "deprovisioned": ("unclear", ["cloud-init-instance", "waagent-deprovisioned"]),
    "cleaned": ("generalized", ["waagent-deprovisioned"]),
}

every_state = pytest.mark.parametrize("state", debian.STATES)
every_layout = pytest.mark.parametrize("layout", debian.LAYOUTS)


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., bytes]:
    """Run a command that must succeed; return what it prints."""

    def answer(*arguments: str | Path) -> bytes:
        capfdbinary.readouterr()
        status = run([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        assert status == 0, err.decode()
        return out

    return answer


def judged(state: str, layout: str, profile: Profile = Profile.GENERALIZED) -> Report:
    report = check(debian.disk(state, layout).path, profiles=[profile])
    assert report.failures == ()
    assert report.guest is not None
    assert report.guest.gaps == ()
    return report


def places(report: Report) -> Iterator[tuple[str, str]]:
    for finding in report.findings:
        place = finding.hit.location
        yield finding.rule.code, place.path if isinstance(place, GuestLocation) else ""


@every_layout
@every_state
def test_what_is_wrong_is_found_and_nothing_else(state: str, layout: str) -> None:
    expected = [*SETTINGS, *OF_DISKS[layout], *LEFT[state]]
    assert sorted(places(judged(state, layout))) == sorted(expected)


@every_layout
def test_a_machine_that_stays_one_may_have_all_that_is_its_own(layout: str) -> None:
    found = list(places(judged("captured", layout, Profile.SPECIALIZED)))
    provisioned = ("GEN219", "/var/lib/waagent/provisioned")
    assert sorted(found) == sorted([*SETTINGS, *OF_DISKS[layout], provisioned])


@every_state
def test_findings_are_the_same_on_every_disk(state: str) -> None:
    own = {code for findings in OF_DISKS.values() for code, _ in findings}
    said = [
        [
            (finding.rule.code, finding.severity, finding.hit)
            for finding in judged(state, layout).findings
            if finding.rule.subject in (Subject.LINUX, Subject.GUEST)
            and finding.rule.code not in own
        ]
        for layout in debian.LAYOUTS
    ]
    assert said[0] == said[1] == said[2]


@every_layout
@every_state
def test_the_verdict_is_of_what_was_done(
    state: str, layout: str, command: Callable[..., bytes]
) -> None:
    known = json.loads(command("inspect", "--format", "json", debian.disk(state, layout).path))
    assert (known["verdict"]["state"], known["verdict"]["histories"]) == VERDICTS[state]
    assert known["verdict"]["unread"] == known["gaps"] == []
    assert known["product"] == "Debian GNU/Linux 12 (bookworm)"
    assert known["architecture"] == "x86_64"
    tree = debian.tree(state)
    assert known["kernels"] == [path.name for path in (tree / "lib/modules").iterdir()]
    assert known["host_name"] == (tree / "etc/hostname").read_text().strip()
    assert known["firmware"] == (["UEFI"] if layout == "gpt-lvm-xfs" else ["BIOS"])
    people = {"azureuser"} if state == "captured" else set()
    assert {name for name, *_ in known["accounts"]} == {"root", *people}
    assert [name for name, *_ in known["agents"]] == ["waagent", "cloud-init"]
    mounted = {path for volume in known["volumes"] for path in volume["mounted"]}
    own = {"gpt-lvm-xfs": {"/boot/efi"}, "gpt-btrfs": {"/home"}}
    assert mounted == {"/", *own.get(layout, set())}


@every_layout
def test_every_file_is_as_in_the_tree_that_it_was_made_of(layout: str) -> None:
    reference = debian.disk("captured", layout)
    with open_image(reference.path) as image:
        guest = find_guest(image, read_partitions(image))
        assert guest.tree is not None
        folders = [""]
        entries = 0
        for folder in folders:
            names, wrong = compared(guest.tree, reference, folder)
            assert wrong == []
            entries += len(names)
            folders += [
                path
                for path in (f"{folder}/{name}".strip("/") for name in names)
                if path != "boot/efi" and guest.tree.is_folder(f"/{path}")
                and not (reference.tree / path).is_symlink()
            ]  # fmt: skip
    assert entries > 18_000


def compared(tree: Tree, reference: debian.Reference, folder: str) -> tuple[list[str], list[str]]:
    """Compare a folder with the real one: return the names in it, and what differs."""
    real = reference.tree / folder
    place = tree.find(f"/{folder}", follow=False)
    assert place is not None
    wrong = list(compare_node(place.filesystem, place.node, real)) if folder else []
    nodes = {os.fsdecode(one.name): one.node for one in place.filesystem.entries(place.node)}
    if not folder:
        nodes.pop("lost+found", None)
    names = {name.name for name in os.scandir(real)}
    wrong += [f"{folder}: {name!r}" for name in nodes.keys() ^ names]
    for name in nodes.keys() & names:
        own = reference.own.get(f"{folder}/{name}")
        if own is not None:
            if place.filesystem.read_at(nodes[name], 0, len(own) + 1) != own:
                wrong.append(f"{folder}/{name}")
        elif (real / name).is_symlink() or not (real / name).is_dir():
            wrong += compare_node(place.filesystem, nodes[name], real / name)
    return sorted(names), wrong


@every_layout
def test_commands_show_what_the_tree_has(layout: str, command: Callable[..., bytes]) -> None:
    reference = debian.disk("captured", layout)
    etc = reference.tree / "etc"
    folders = [path for path in sorted(etc.iterdir()) if path.is_dir() and not path.is_symlink()]
    for folder in (etc, *folders[::4]):
        path = f"/{folder.relative_to(reference.tree)}"
        listed = json.loads(command("ls", "--format", "json", reference.path, path))["files"]
        assert {row["name"] for row in listed} == {name.name for name in folder.iterdir()}
        for row in listed:
            assert facts(row) == expected(folder / row["name"], reference)
    files = [path for path in sorted(etc.rglob("*")) if path.is_file() and not path.is_symlink()]
    for file in files if layout == "mbr-ext4" else files[::20]:
        name = str(file.relative_to(reference.tree))
        said = command("cat", reference.path, f"/{name}")
        assert said == reference.own.get(name, file.read_bytes()), name
    for file in files[::20]:
        path = f"/{file.relative_to(reference.tree)}"
        shown = json.loads(command("stat", "--format", "json", reference.path, path))
        row = shown["sections"][0]["fields"]
        assert row["path"] == path
        assert facts({**row, "mode": int(row["mode"], 8), "target": None}) == expected(
            file, reference
        )


def facts(row: dict[str, Any]) -> list[Any]:
    size = None if row["kind"] == "directory" else row["size"]
    return [row["mode"], row["uid"], row["gid"], size, row["target"]]


def expected(path: Path, reference: debian.Reference) -> list[Any]:
    real = path.lstat()
    own = reference.own.get(str(path.relative_to(reference.tree)))
    size = real.st_size if own is None else len(own)
    target = str(path.readlink()) if path.is_symlink() else None
    is_folder = path.is_dir() and not path.is_symlink()
    return [real.st_mode & 0o7777, real.st_uid, real.st_gid, None if is_folder else size, target]
