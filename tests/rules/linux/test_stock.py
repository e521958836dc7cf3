"""Distributions as they are installed have no findings but true ones.

Debian's tree is made of its packages, fetched from its mirror; the others of the settings that
their packages ship.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rules.linux import stock
from tests.rules.linux.debian import fetch, install, unpack
from tests.rules.linux.guests import ROOT_DEVICE, Files, Node, guest, judge
from vhdtool.guest.linux.guest import Device, LinuxGuest
from vhdtool.guest.verdict import State
from vhdtool.rules.model import Profile, Subject
from vhdtool.rules.registry import rules
from vhdtool.rules.running import is_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEVICES = (
    ROOT_DEVICE,
    Device("FAT32", uuid="0F3E-1A2B", label="UEFI"),
    Device("ext4", label="cloudimg-rootfs"),
    Device("ext4", label="BOOT"),
)
PROFILES = (Profile.GEN1, Profile.GEN2, Profile.GENERALIZED, Profile.MARKETPLACE)
# What stock installations lack of what Azure's pages ask for.
NO_INTERVAL = {"LNX346": "warning", "MKT608": "error"}
NO_PARAMETERS = {"LNX318": "warning", "LNX319": "warning"}
NO_NVME_TIME_OUT = {"LNX376": "warning"}


def found(linux: LinuxGuest) -> dict[str, str]:
    """Return the codes of what all rules find, for a generalized image of either generation."""
    codes = {}
    for rule in rules().values():
        if rule.subject in (Subject.LINUX, Subject.GUEST) and is_for(rule, PROFILES):
            for hit in judge(rule.code, linux):
                codes[rule.code] = str(hit.severity or rule.severity)
    return codes


STOCK: dict[str, tuple[Callable[[], Files], dict[str, str]]] = {
    "Ubuntu 24.04": (
        stock.ubuntu,
        {
            "LGN324": "info",
            "LNX321": "info",
            "LNX373": "warning",
            **NO_INTERVAL,
            **NO_NVME_TIME_OUT,
        },
    ),
    "RHEL 9": (
        stock.rhel,
        {
            "LNX311": "warning",
            "LNX316": "warning",
            "LNX330": "info",
            "LNX371": "warning",
            "LNX380": "warning",
            "LNX382": "info",
            "LNX386": "info",
            **NO_PARAMETERS,
            **NO_INTERVAL,
            **NO_NVME_TIME_OUT,
        },
    ),
    "SLES 15": (
        stock.sles,
        {"LNX343": "warning", "LNX344": "error", "LNX387": "info", **NO_INTERVAL},
    ),
    "Azure Linux 3": (stock.azure_linux, {}),
    "Alpine 3.20": (
        stock.alpine,
        {
            "LNX321": "info",
            "LNX371": "warning",
            "LNX373": "info",
            "MKT623": "info",
            **NO_PARAMETERS,
            **NO_INTERVAL,
            **NO_NVME_TIME_OUT,
        },
    ),
}


@pytest.mark.parametrize("name", STOCK)
def test_stock_installations(name: str) -> None:
    make, expected = STOCK[name]
    linux = guest(make(), DEVICES)
    assert found(linux) == expected
    assert linux.verdict.state is State.GENERALIZED


DEBIAN = {
    "LNX316": "warning",
    "LNX321": "info",
    "LNX330": "info",
    "LNX357": "warning",
    "LNX371": "warning",
    "LNX373": "info",
    "MKT611": "error",
    **NO_PARAMETERS,
    **NO_INTERVAL,
    **NO_NVME_TIME_OUT,
}


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder: Path = tmp_path_factory.mktemp("debian")
    return install(unpack(fetch(folder)))


@pytest.mark.timeout(180)
def test_debian_of_its_own_packages(debian: Files) -> None:
    linux = guest(debian, DEVICES)
    assert found(linux) == DEBIAN
    assert linux.release is not None
    assert linux.release.version == "12"
    assert linux.verdict.state is State.GENERALIZED
    assert linux.cloud_init_version == "22.4.2"
    assert linux.starts("walinuxagent.service")


USED: Files = {
    "/var/lib/waagent/provisioned": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    "/var/lib/waagent/ovf-env.xml": "<Environment/>",
    "/var/lib/waagent/TransportPrivate.pem": "key",
    "/var/lib/cloud/data/previous-hostname": "web1",
    "/etc/hostname": "web1\n",
    "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "/etc/ssh/ssh_host_ed25519_key": Node("key", 0o600),
    "/root/.bash_history": "waagent -version\n",
    "/var/log/waagent.log": "a line\n",
}


def test_a_used_debian_has_each_leftover_named(debian: Files) -> None:
    linux = guest(debian | USED, DEVICES)
    added = {code for code in found(linux) if code not in DEBIAN}
    expected = {"GEN202", "GEN219", "LGN301", "LGN303", "LGN304", "LGN311", "LGN313", "LGN322",
                "LGN323", "LGN324", "MKT616"}  # fmt: skip
    assert added == expected
    assert linux.verdict.state is State.SPECIALIZED
    assert linux.verdict.histories == ("captured-machine",)
