"""Network, clock, SELinux, repositories, the Marketplace's thresholds, leftovers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.rules.linux.guests import (
    AZURE_LINUX,
    DEBIAN,
    FLATCAR,
    ORACLE,
    RHEL,
    RHEL6,
    SLES,
    UBUNTU,
    Files,
    Link,
    cloud,
    dpkg,
    enabled,
    grub,
    guest,
    hits,
    kernel,
    memory,
    passes,
    rpm_ndb,
    user,
    waagent,
)
from vhdtool.disk.facts import Signature
from vhdtool.guest.filesystem import Volume
from vhdtool.guest.linux.guest import LinuxGuest
from vhdtool.guest.systems import SystemKind
from vhdtool.guest.tree import Tree
from vhdtool.rules.model import DiskLocation, Hit, Severity
from vhdtool.rules.registry import rules

SCRIPTS = "/etc/sysconfig/network-scripts"
ETH0 = f"{SCRIPTS}/ifcfg-eth0"
DHCP = "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=dhcp\n"


def test_lnx300_hits_missing_settings() -> None:
    hits("LNX300", AZURE_LINUX)


def test_lnx300_passes_with_settings() -> None:
    passes("LNX300", AZURE_LINUX | {"/etc/systemd/networkd.conf": ""})


def test_lnx320_hits_eth0_without_old_names() -> None:
    hits("LNX320", RHEL | grub("root=UUID=1") | {ETH0: DHCP})


def test_lnx320_passes_with_them() -> None:
    passes("LNX320", RHEL | grub("net.ifnames=0") | {ETH0: DHCP})
    passes("LNX320", RHEL | grub("root=UUID=1"))


def test_lnx335_hits_named_cards() -> None:
    path = "/etc/udev/rules.d/70-persistent-net.rules"
    text = '# x\nSUBSYSTEM=="net", ATTR{address}=="00:15:5d:00:00:01", NAME="eth0"\n'
    hits("LNX335", {path: text}, path=path, line=2)


def test_lnx335_passes_empty_rules() -> None:
    passes("LNX335", {"/etc/udev/rules.d/70-persistent-net.rules": "# nothing\n"})


GENERATOR = "/lib/udev/rules.d/75-persistent-net-generator.rules"


def test_lnx336_hits_a_generator() -> None:
    hits("LNX336", {GENERATOR: "x"})


def test_lnx336_passes_a_disabled_one() -> None:
    name = "/etc/udev/rules.d/75-persistent-net-generator.rules"
    passes("LNX336", {GENERATOR: "x", name: Link("/dev/null")})


def test_lnx337_hits_hardware_addresses() -> None:
    hits("LNX337", {ETH0: "HWADDR=00:15:5d:00:00:01\n"}, path=ETH0, line=1)
    netplan = (
        "network:\n  ethernets:\n    a:\n      match:\n        macaddress: '00:15:5d:00:00:01'\n"
    )
    hits("LNX337", {"/etc/netplan/a.yaml": netplan}, line=5)
    keyfile = "[connection]\ntype=ethernet\n[ethernet]\nmac-address=00:15:5D:00:00:01\n"
    hits("LNX337", {"/etc/NetworkManager/system-connections/a.nmconnection": keyfile}, line=4)
    unit = "[Match]\nMACAddress=00:15:5d:00:00:01\n[Network]\nDHCP=yes\n"
    hits("LNX337", {"/etc/systemd/network/a.network": unit}, line=2)


def test_lnx337_passes_names() -> None:
    passes("LNX337", {ETH0: DHCP, "/etc/systemd/network/a.link": "[Match]\nDriver=hv_netvsc\n"})


def test_lnx338_hits_fixed_addresses() -> None:
    hits("LNX338", {ETH0: "BOOTPROTO=none\nIPADDR=10.0.0.4\n"}, path=ETH0, line=2)
    text = "auto eth0\niface eth0 inet static\n  address 10.0.0.4\n"
    hits("LNX338", DEBIAN | {"/etc/network/interfaces": text}, line=3)
    netplan = "network:\n  ethernets:\n    eth0:\n      addresses: [10.0.0.4/24]\n"
    hits("LNX338", {"/etc/netplan/a.yaml": netplan}, line=4)
    keyfile = "[connection]\ntype=ethernet\n[ipv4]\nmethod=manual\naddress1=10.0.0.4/24\n"
    hits("LNX338", {"/etc/NetworkManager/system-connections/a.nmconnection": keyfile}, line=4)
    both: Files = {ETH0: "IPADDR=10.0.0.4\n", f"{SCRIPTS}/ifcfg-eth1": "BOOTPROTO=dhcp\n"}
    hits("LNX338", both, severity=Severity.WARNING)


def test_lnx338_passes_dhcp_and_other_interfaces() -> None:
    passes("LNX338", {ETH0: DHCP, f"{SCRIPTS}/ifcfg-lo": "DEVICE=lo\nIPADDR=127.0.0.1\n"})
    text = "auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n"
    passes("LNX338", DEBIAN | {"/etc/network/interfaces": text})
    container = "[Match]\nKind=bridge\n[Network]\nAddress=192.168.0.1/24\n"
    passes("LNX338", {"/usr/lib/systemd/network/80-x.network": container})
    passes("LNX338", {f"{SCRIPTS}/ifcfg-br0": "TYPE=Bridge\nIPADDR=10.0.0.4\n"})


def test_lnx339_hits_other_contents() -> None:
    hits("LNX339", RHEL | {ETH0: "DEVICE=eth0\nONBOOT=no\nBOOTPROTO=dhcp\n"}, line=2)


def test_lnx339_passes_dhcp() -> None:
    passes("LNX339", RHEL | {ETH0: DHCP})
    passes("LNX339", RHEL)


def test_lnx340_hits_missing_networking() -> None:
    hits("LNX340", RHEL6)


def test_lnx340_passes_with_it_and_later_releases() -> None:
    passes("LNX340", RHEL6 | {"/etc/sysconfig/network": "NETWORKING=yes\n"})
    passes("LNX340", RHEL)


def test_lnx341_hits_networkmanager_on_release_6() -> None:
    hits("LNX341", RHEL6 | rpm_ndb(bash="4.1", NetworkManager="0.8"))


def test_lnx341_passes_later_releases() -> None:
    passes("LNX341", RHEL | rpm_ndb(NetworkManager="1.46"))
    passes("LNX341", RHEL6 | rpm_ndb(bash="4.1"))


def test_lnx342_hits_a_guest_without_network_service() -> None:
    hits("LNX342", RHEL)


def test_lnx342_passes_networkmanager() -> None:
    passes("LNX342", RHEL | enabled("NetworkManager.service"))


def test_lnx343_hits_a_name_by_dhcp() -> None:
    hits("LNX343", SLES | {"/etc/sysconfig/network/dhcp": 'DHCLIENT_SET_HOSTNAME="yes"\n'})


def test_lnx343_passes_no() -> None:
    passes("LNX343", SLES | {"/etc/sysconfig/network/dhcp": 'DHCLIENT_SET_HOSTNAME="no"\n'})


def test_lnx380_hits_a_managed_virtual_function() -> None:
    hits("LNX380", RHEL | enabled("NetworkManager.service"))


def test_lnx380_passes_an_unmanaged_one() -> None:
    rule = 'SUBSYSTEM=="net", DRIVERS=="hv_pci", ACTION=="add", ENV{NM_UNMANAGED}="1"\n'
    files: Files = {"/etc/udev/rules.d/68-azure-sriov-nm-unmanaged.rules": rule}
    passes("LNX380", RHEL | enabled("NetworkManager.service") | files)
    passes("LNX380", DEBIAN)


def test_lnx393_hits_rules_against_azure() -> None:
    path = "/etc/iptables/rules.v4"
    hits("LNX393", {path: "*filter\n-A OUTPUT -d 168.63.129.16/32 -j DROP\n"}, path=path, line=2)
    zone: Files = {"/etc/firewalld/zones/public.xml": '<zone><service name="http"/></zone>'}
    hits("LNX393", zone | enabled("firewalld.service"), says="SSH")


def test_lnx393_passes_the_agents_rule_and_open_zones() -> None:
    own = "-A OUTPUT -d 168.63.129.16/32 -m conntrack --ctstate INVALID,NEW -j DROP\n"
    zone: Files = {"/usr/lib/firewalld/zones/public.xml": '<zone><service name="ssh"/></zone>'}
    passes("LNX393", {"/etc/iptables/rules.v4": own} | zone | enabled("firewalld.service"))


def test_lnx394_hits_proxies_and_private_servers() -> None:
    hits("LNX394", {"/etc/environment": 'http_proxy="http://10.0.0.1:3128"\n'}, line=1)
    hits("LNX394", {"/etc/apt/apt.conf.d/90proxy": 'Acquire::http::Proxy "http://10.0.0.1";\n'})
    hits("LNX394", {"/etc/resolv.conf": "nameserver 192.168.1.1\n"})
    hits("LNX394", waagent("HttpProxy.Host=10.0.0.1\n"))


def test_lnx394_passes_none() -> None:
    passes("LNX394", {"/etc/environment": "PATH=/bin\n", "/etc/yum.conf": "#proxy=http://x\n"})
    passes("LNX394", {"/etc/resolv.conf": Link("/run/systemd/resolve/stub-resolv.conf")})


# --- clock, SELinux, tools


def test_lnx349_hits_wrong_settings() -> None:
    path = "/etc/selinux/config"
    hits("LNX349", RHEL | {path: "SELINUX=enforcing\nSELINUXTYPE=disabled\n"}, path=path, line=2)
    hits("LNX349", RHEL | {path: "SELINUX=enforced\n"}, says="enforced")


def test_lnx349_passes_right_ones() -> None:
    text = "SELINUX=enforcing # or permissive\nSELINUXTYPE=targeted\n"
    policy: Files = {"/etc/selinux/targeted/policy/policy.33": "x"}
    passes("LNX349", RHEL | policy | {"/etc/selinux/config": text})
    passes("LNX349", RHEL | {"/etc/selinux/config": "SELINUX=disabled\nSELINUXTYPE=x\n"})


CHRONY = enabled("chronyd.service")


def test_lnx371_hits_chrony_without_the_hosts_clock() -> None:
    hits("LNX371", RHEL | CHRONY | {"/etc/chrony.conf": "pool 2.rhel.pool.ntp.org iburst\n"})


def test_lnx371_passes_with_it() -> None:
    text = "refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0 stratum 2\n"
    passes("LNX371", RHEL | CHRONY | {"/etc/chrony.conf": text})
    passes("LNX371", RHEL | {"/etc/chrony.conf": ""})


def test_lnx372_hits_two_clocks() -> None:
    hits("LNX372", DEBIAN | CHRONY | enabled("systemd-timesyncd.service", "sysinit.target"))


def test_lnx372_passes_one() -> None:
    passes("LNX372", DEBIAN | CHRONY)


def test_lnx373_hits_a_missing_daemon() -> None:
    hits("LNX373", RHEL)
    hits("LNX373", DEBIAN, severity=Severity.INFO)


def test_lnx373_passes_with_it() -> None:
    passes("LNX373", RHEL | {"/usr/sbin/hypervkvpd": "x"})
    passes("LNX373", UBUNTU | {"/usr/lib/linux-tools/6.8.0-1-azure/hv_kvp_daemon": "x"})


def test_lnx377_hits_old_releases() -> None:
    hits("LNX377", RHEL6)


def test_lnx377_passes_new_ones() -> None:
    passes("LNX377", DEBIAN)
    passes("LNX377", SLES)


def test_lnx378_hits_missing_utilities() -> None:
    hits("LNX378", SLES)


def test_lnx378_passes_with_them_and_without_a_package() -> None:
    passes("LNX378", SLES | {"/usr/sbin/azure-nvme-id": "x"})
    passes("LNX378", UBUNTU)


def test_lnx383_hits_missing_rules() -> None:
    hits("LNX383", DEBIAN)


def test_lnx383_passes_with_them() -> None:
    passes("LNX383", DEBIAN | {"/lib/udev/rules.d/66-azure-storage.rules": "x"})


# --- repositories


def test_lnx384_hits_another_kernel() -> None:
    hits("LNX384", UBUNTU | dpkg(linux_generic="6.8"))


def test_lnx384_passes_the_azure_kernel() -> None:
    passes("LNX384", UBUNTU | dpkg(linux_azure="6.8"))
    passes("LNX384", DEBIAN | dpkg(linux_image="6.1"))


def test_lnx385_hits_a_private_mirror() -> None:
    hits("LNX385", DEBIAN | {"/etc/apt/sources.list": "deb http://mirror.corp/debian x main\n"})


def test_lnx385_passes_debians() -> None:
    passes(
        "LNX385", DEBIAN | {"/etc/apt/sources.list": "deb http://deb.debian.org/debian x main\n"}
    )
    sources = "Types: deb\nURIs: http://deb.debian.org/debian\n"
    passes("LNX385", DEBIAN | {"/etc/apt/sources.list.d/debian.sources": sources})


REPOSITORY = "/etc/yum.repos.d/x.repo"


def test_lnx386_hits_no_repository() -> None:
    hits("LNX386", RHEL | {REPOSITORY: "[a]\nenabled=0\n"})


def test_lnx386_passes_an_enabled_one() -> None:
    passes("LNX386", RHEL | {REPOSITORY: "[a]\nenabled=0\n[rhui-b]\nenabled=1\n"})


def test_lnx387_hits_no_repository() -> None:
    hits("LNX387", SLES)


def test_lnx387_passes_an_enabled_one() -> None:
    passes("LNX387", SLES | {"/etc/zypp/repos.d/x.repo": "[a]\nenabled=1\n"})


def test_lnx388_hits_a_disabled_latest() -> None:
    hits("LNX388", ORACLE | {REPOSITORY: "[ol9_baseos_latest]\nenabled=0\n"})


def test_lnx388_passes_an_enabled_one() -> None:
    passes("LNX388", ORACLE | {REPOSITORY: "[ol9_baseos_latest]\nenabled=1\n"})


def test_lnx389_hits_release_6_5() -> None:
    hits("LNX389", RHEL6 | {"/etc/yum.conf": "[main]\n"})


def test_lnx389_passes_with_caching_and_later() -> None:
    passes("LNX389", RHEL6 | {"/etc/yum.conf": "[main]\nhttp_caching=packages\n"})
    passes("LNX389", RHEL | {"/etc/yum.conf": "[main]\n"})


def test_lnx392_hits_a_used_flatcar() -> None:
    hits("LNX392", FLATCAR | {"/boot/flatcar/": ""})


def test_lnx392_passes_a_fresh_one() -> None:
    passes("LNX392", FLATCAR | {"/boot/flatcar/first_boot": ""})


# --- Marketplace


def test_mkt606_hits_old_openssl() -> None:
    hits("MKT606", DEBIAN | dpkg(openssl="0.9.8o-4"))
    hits("MKT606", DEBIAN | dpkg(openssl="1.1.0l-1"), severity=Severity.INFO)


def test_mkt606_passes_new_ones() -> None:
    passes("MKT606", DEBIAN | dpkg(openssl="3.0.15-1~deb12u1"))
    passes("MKT606", DEBIAN | dpkg(openssl="1:1.0.2k-26"))


def test_mkt607_hits_missing_python() -> None:
    hits("MKT607", DEBIAN)


def test_mkt607_passes_with_python() -> None:
    passes("MKT607", DEBIAN | {"/usr/bin/python3.11": "x"})


def test_mkt610_hits_ghost() -> None:
    hits("MKT610", RHEL | rpm_ndb(glibc="2.17"))
    hits("MKT610", DEBIAN | dpkg(libc6="2.13-38+deb7u6"))


def test_mkt610_passes_corrected_ones() -> None:
    passes("MKT610", DEBIAN | dpkg(libc6="2.13-38+deb7u8"))
    passes("MKT610", DEBIAN | dpkg(libc6="2.36-9+deb12u8"))


def test_mkt612_hits_a_kernel_with_the_fault() -> None:
    hits("MKT612", RHEL | kernel(["a"], version="3.10.0-957.el7.x86_64"))


def test_mkt612_passes_corrected_and_unlisted_ones() -> None:
    passes("MKT612", RHEL | kernel(["a"], version="3.10.0-957.27.2.el7.x86_64"))
    passes("MKT612", RHEL | kernel(["a"], version="5.14.0-427.13.1.el9_4.x86_64"))


def test_mkt618_hits_old_omi() -> None:
    hits("MKT618", DEBIAN | dpkg(omi="1.6.8-0"))


def test_mkt618_passes_new_or_none() -> None:
    passes("MKT618", DEBIAN | dpkg(omi="1.6.8.1"))
    passes("MKT618", DEBIAN | dpkg(bash="5"))


def test_mkt623_hits_other_distributions() -> None:
    hits("MKT623", {"/etc/os-release": "ID=arch\nPRETTY_NAME='Arch Linux'\n"})


def test_mkt623_passes_endorsed_ones() -> None:
    passes("MKT623", UBUNTU)


# --- any system


def test_gen201_hits_a_nameless_linux() -> None:
    hits("GEN201", {"/etc/passwd": "root:x:0:0::/root:/bin/sh\n"})


def test_gen201_passes_a_named_one() -> None:
    passes("GEN201", DEBIAN)


def test_gen212_hits_the_resource_disks_file() -> None:
    hits("GEN212", {"/mnt/DATALOSS_WARNING_README.txt": "x"})


def test_gen212_passes_an_empty_folder() -> None:
    passes("GEN212", {"/mnt/": ""})


def test_gen213_hits_a_zone() -> None:
    hits("GEN213", {"/etc/localtime": Link("/usr/share/zoneinfo/Europe/Berlin")}, says="Berlin")


def test_gen213_passes_utc() -> None:
    passes("GEN213", {"/etc/localtime": Link("../usr/share/zoneinfo/Etc/UTC")})
    passes("GEN213", {})


def test_gen214_hits_tools() -> None:
    hits("GEN214", DEBIAN | enabled("vboxadd.service"))


def test_gen214_passes_conditional_ones() -> None:
    text = "[Unit]\nConditionVirtualization=vmware\n"
    passes("GEN214", DEBIAN | enabled("open-vm-tools.service", text=text))


def test_gen215_hits_extensions() -> None:
    hits("GEN215", {"/var/lib/waagent/Microsoft.X-1.0/HandlerManifest.json": "[]"})


def test_gen215_passes_the_agents_updates() -> None:
    passes("GEN215", {"/var/lib/waagent/WALinuxAgent-2.9.1.1/HandlerManifest.json": "[]"})


def test_gen216_hits_credentials() -> None:
    hits("GEN216", DEBIAN | user() | {"/home/joe/.aws/credentials": "[default]"})
    hits("GEN216", DEBIAN | {"/root/.docker/config.json": '{"auths": {"x": {"auth": "YQ=="}}}'})


def test_gen216_passes_settings_without_secrets() -> None:
    passes("GEN216", DEBIAN | {"/root/.docker/config.json": '{"auths": {}}'})


def test_gen217_hits_names_in_settings() -> None:
    hits("GEN217", cloud("fqdn: web1.example.org\n"))
    hits("GEN217", cloud("preserve_hostname: true\n"))


def test_gen217_passes_the_default() -> None:
    passes("GEN217", cloud("preserve_hostname: false\n"))


def test_gen218_hits_entries() -> None:
    hits("GEN218", DEBIAN | {"/etc/hosts": "127.0.0.1 localhost\n10.0.0.5 build\n"}, line=2)
    hits("GEN218", DEBIAN | {"/etc/hosts": "127.0.1.1 web1\n"}, severity=Severity.INFO)


def test_gen218_passes_the_loopback() -> None:
    text = (
        "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost\nff02::1 ip6-allnodes\n"
    )
    passes("GEN218", DEBIAN | {"/etc/hosts": text})


def run(code: str, **attributes: Any) -> list[Hit]:
    values: dict[str, Any] = {"linux": None, "windows": None, "kind": SystemKind.NONE,
                              "systems": (), "volumes": ()} | attributes  # fmt: skip
    return list(rules()[code].check(SimpleNamespace(**values)))


def test_gen201_hits_what_may_hide_a_system() -> None:
    assert run("GEN201", kind=SystemKind.UNKNOWN)
    assert run("GEN201") == []


def system(place: str) -> SimpleNamespace:
    return SimpleNamespace(kind=SystemKind.LINUX, place=place)


def test_dsk138_hits_two_systems() -> None:
    [hit] = run("DSK138", systems=(system("partition 1"), system("partition 2")))
    assert "linux on partition 1, linux on partition 2" in hit.message


def test_dsk138_passes_one() -> None:
    assert run("DSK138", systems=(system("partition 1"),)) == []


def test_mkt626_hits_a_system() -> None:
    assert len(run("MKT626", systems=(system("partition 1"),))) == 1


def test_mkt626_passes_none() -> None:
    assert run("MKT626") == []


def volume(signature: Signature = Signature.EXT, **attributes: Any) -> SimpleNamespace:
    """Return a volume; `state` is what its file system says of itself."""
    state = attributes.pop("state", Volume("ext4", clean=True))
    values: dict[str, Any] = {"name": "partition 1", "is_unread": False, "is_damaged": False,
                              "reason": None, "partition": SimpleNamespace(offset=1 << 20),
                              "filesystem": SimpleNamespace(volume=state),
                              "signature": signature} | attributes  # fmt: skip
    return SimpleNamespace(**values)


def test_dsk144_hits_an_unread_volume() -> None:
    unread = volume(is_unread=True, reason="UFS is not read")
    [hit] = run("DSK144", volumes=(unread,))
    assert hit.message == "partition 1 was not read: UFS is not read"


def test_dsk144_passes_read_ones() -> None:
    assert run("DSK144", volumes=(volume(),)) == []


def test_dsk129_hits_unclean_file_systems() -> None:
    [hit] = run("DSK129", volumes=(volume(state=Volume("ext4", clean=False)),))
    assert "not unmounted" in hit.message
    assert hit.location == DiskLocation((1 << 20) + 1024, 1024)
    errors = volume(state=Volume("ext4", clean=True, errors=True), partition=None)
    [hit] = run("DSK129", volumes=(errors,))
    assert "errors are noted" in hit.message
    assert hit.location is None


def test_dsk129_passes_clean_ones() -> None:
    assert run("DSK129", volumes=(volume(), volume(filesystem=None))) == []
    xfs = volume(Signature.XFS, state=Volume("XFS", clean=False))
    assert run("DSK129", volumes=(xfs,)) == []


def test_dsk130_hits_a_dirty_log() -> None:
    xfs = volume(Signature.XFS, state=Volume("XFS", clean=False))
    assert len(run("DSK130", volumes=(xfs,))) == 1


def test_dsk130_passes_a_clean_log_and_an_unknown_one() -> None:
    volumes = tuple(volume(Signature.XFS, state=Volume("XFS", clean=c)) for c in (True, None))
    assert run("DSK130", volumes=volumes) == []


def root_with(free: int | None) -> LinuxGuest:
    filesystem = memory(DEBIAN)
    filesystem.volume = Volume("ext4", size=10 << 30, free=free)
    return LinuxGuest(Tree(filesystem))


def test_dsk131_hits_a_full_root() -> None:
    [hit] = rules()["DSK131"].check(root_with(300 << 20))
    assert "300 MiB of 10240 MiB" in hit.message


def test_dsk131_passes_with_room() -> None:
    assert list(rules()["DSK131"].check(root_with(2 << 30))) == []
    assert list(rules()["DSK131"].check(root_with(None))) == []


def test_a_guest_without_files_is_judged_without_a_crash() -> None:
    empty = guest({})
    for rule in rules().values():
        if rule.subject == "linux":
            list(rule.check(empty))
