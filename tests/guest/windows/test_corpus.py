"""Facts from real hives: they are sensible, and no rule fails on them."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

import pytest

from tests.corpus import corpus_path
from vhdtool.guest.memory import MemoryFileSystem
from vhdtool.guest.registry import NativeHive, Registry
from vhdtool.guest.tree import Tree
from vhdtool.guest.verdict import State
from vhdtool.guest.windows.boot import OS_DEVICE, device_partition
from vhdtool.guest.windows.guest import WindowsGuest
from vhdtool.rules.registry import rules

if TYPE_CHECKING:
    from vhdtool.guest.registry import Hive


def hive(name: str) -> Hive:
    return NativeHive(lzma.decompress(corpus_path(f"hives/{name}.xz").read_bytes()), [])


def guest(**hives: str) -> WindowsGuest:
    files = MemoryFileSystem(ignores_case=True)
    files.folder("/Windows/System32/drivers")
    if "BCD" in hives:
        files.add("/EFI/Microsoft/Boot/BCD", b"regf")
    return WindowsGuest(Tree(files), hives={name: hive(path) for name, path in hives.items()})


@pytest.fixture(scope="module")
def windows_7() -> WindowsGuest:
    return guest(SYSTEM="plaso/SYSTEM", SOFTWARE="plaso/SOFTWARE")


@pytest.fixture(scope="module")
def windows_8_1() -> WindowsGuest:
    return guest(SYSTEM="regipy/SYSTEM_2", SAM="regipy/SAM", BCD="regipy/BCD")


def test_the_product_is_known(windows_7: WindowsGuest) -> None:
    product = windows_7.product
    assert product.name == "Windows 7 Ultimate"
    assert (product.edition, product.build, product.installation) == ("Ultimate", 7601, "Client")
    assert product.architecture == "i686"
    assert product.is_server is False
    assert windows_7.computer_name == "WKS-WIN732BITA"


def test_a_machine_that_was_never_sealed_is_not_generalized(windows_7: WindowsGuest) -> None:
    sysprep = windows_7.sysprep
    assert sysprep.generalization_state == 7
    assert (sysprep.setup_type, sysprep.command, sysprep.is_armed) == (0, "", False)
    verdict = windows_7.verdict
    assert verdict.state is State.SPECIALIZED
    assert verdict.histories == ()


def test_services_have_their_start_values(windows_7: WindowsGuest) -> None:
    services = windows_7.services
    assert len(services) > 400
    assert services["vmbus"].start == 0
    assert services["vmbus"].file == "/Windows/system32/drivers/vmbus.sys"
    assert services["storvsc"].file == "/Windows/system32/drivers/storvsc.sys"
    assert services["dhcp"].file == "/Windows/system32/svchost.exe"


def test_the_network_is_known(windows_7: WindowsGuest) -> None:
    static = [one for one in windows_7.network.interfaces if one.uses_dhcp is False]
    assert static
    assert ("10.3.58.4",) in [one.name_servers for one in static]
    assert len(windows_7.network.rules) > 100
    assert windows_7.network.proxy is None
    assert windows_7.membership.domain == "shieldbase.local"


def test_what_rules_find_on_windows_7_is_true(windows_7: WindowsGuest) -> None:
    for code, words in (
        ("WIN401", "RealTimeIsUniversal is not set"),
        ("WIN412", "static name servers 10.3.58.4"),
        ("WIN413", "Start of storvsc is 3"),
        ("WIN422", "UserAuthentication is 0"),
        ("WIN447", "mfewfpk"),
        ("WIN441", "Windows 7 Ultimate"),
    ):
        messages = [one.message for one in rules()[code].check(windows_7)]
        assert any(words in message for message in messages), (code, messages)
    for code in ("WIN409", "WIN410", "WIN411", "WIN420", "WIN421", "WIN426", "WIN460", "WIN464"):
        assert list(rules()[code].check(windows_7)) == [], code


def test_accounts_are_names_and_flags(windows_8_1: WindowsGuest) -> None:
    accounts = windows_8_1.accounts
    assert accounts is not None
    assert [(account.name, account.rid) for account in accounts] == [
        ("Administrator", 500),
        ("Guest", 501),
        ("Preston", 1000),
    ]
    assert [account.is_enabled for account in accounts] == [False, False, True]


def test_the_boot_store_is_read(windows_8_1: WindowsGuest) -> None:
    (store,) = windows_8_1.boot_stores
    assert store.is_uefi
    loader = store.default
    assert loader is not None
    assert loader.text(0x12000004) == "Windows 10"
    device = device_partition(loader.raw(OS_DEVICE))
    assert device is not None
    assert device.is_gpt
    assert device.partition.hex() == "382c0f8eeae4ba47b7fc9d8c74dccf0b"


def test_no_rule_fails_on_real_hives(windows_7: WindowsGuest, windows_8_1: WindowsGuest) -> None:
    for one in (windows_7, windows_8_1):
        for rule in rules().values():
            if rule.subject.value == "windows":
                list(rule.check(one))


@pytest.mark.parametrize("name", ["SYSTEM", "SOFTWARE", "SAM"])
def test_hives_in_each_others_places_fail_no_rule(name: str) -> None:
    for path in ("plaso/SYSTEM", "regipy/BCD", "regipy/SAM"):
        one = guest(**{name: path})
        for rule in rules().values():
            if rule.subject.value == "windows":
                list(rule.check(one))


def test_registries_of_real_hives_resolve_the_control_set() -> None:
    registry = Registry(hive("plaso/SYSTEM"), "SYSTEM")
    assert registry.control_set == "ControlSet001"
    key = registry.key(r"currentcontrolset\services\TCPIP\parameters")
    assert key is not None
    assert key.path == r"ControlSet001\services\Tcpip\Parameters"
    assert key.modified > 1_300_000_000
