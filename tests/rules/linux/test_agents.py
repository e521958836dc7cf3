"""waagent, cloud-init and sshd."""

from __future__ import annotations

import pytest

from tests.rules.linux.guests import (
    AGENT,
    CLOUD_INIT,
    DEBIAN,
    RHEL,
    UBUNTU,
    Files,
    Link,
    cloud,
    dpkg,
    enabled,
    grub,
    guest,
    hits,
    judge,
    passes,
    waagent,
)
from vhdtool.errors import GuestError
from vhdtool.rules.linux.sshd import duration
from vhdtool.rules.model import Severity

SSHD: Files = {"/usr/sbin/sshd": "program"}
VERSION_FILE = "/usr/lib/python3/dist-packages/azurelinuxagent/common/version.py"


def test_lnx350_hits_a_guest_without_agents() -> None:
    hits("LNX350", DEBIAN)


def test_lnx350_passes_with_either() -> None:
    passes("LNX350", DEBIAN | AGENT)
    passes("LNX350", DEBIAN | CLOUD_INIT)


def test_lnx351_hits_a_service_that_does_not_start() -> None:
    unit: Files = {"/lib/systemd/system/walinuxagent.service": "[Unit]"}
    hits("LNX351", DEBIAN | AGENT | unit, path="/lib/systemd/system/walinuxagent.service")
    masked: Files = {"/etc/systemd/system/walinuxagent.service": Link("/dev/null")}
    hits("LNX351", DEBIAN | AGENT | unit | masked, says="masked")
    hits("LNX351", DEBIAN | AGENT, says="no service")


def test_lnx351_passes_started_services() -> None:
    passes("LNX351", DEBIAN | AGENT | enabled("walinuxagent.service"))
    passes("LNX351", {**AGENT, "/etc/init.d/waagent": "", "/etc/runlevels/default/waagent": ""})
    passes("LNX351", {**AGENT, "/etc/rc.d/init.d/waagent": "", "/etc/rc.d/rc3.d/S85waagent": ""})


def test_lnx351_passes_presets_of_a_first_boot() -> None:
    files: Files = {
        "/usr/lib/systemd/system/waagent.service": "[Unit]",
        "/usr/lib/systemd/system-preset/90-azure.preset": "disable x*\nenable waagent.service\n",
    }
    passes("LNX351", RHEL | AGENT | files)
    hits("LNX351", RHEL | AGENT | files | {"/etc/machine-id": ""})


def test_lnx352_hits_missing_settings() -> None:
    hits("LNX352", DEBIAN | AGENT, path="/etc/waagent.conf")


def test_lnx352_passes_with_settings() -> None:
    passes("LNX352", DEBIAN | waagent(""))


def test_lnx353_hits_wrong_provisioners() -> None:
    hits("LNX353", waagent("# comment\nProvisioning.Agent=cloudinit\n"), line=2)
    hits("LNX353", waagent("Provisioning.Agent=cloud-init\n"), says="not installed")
    both = waagent("Provisioning.Agent=waagent\n") | CLOUD_INIT | enabled("cloud-init.service")
    hits("LNX353", both, says="runs too")


def test_lnx353_passes_right_ones() -> None:
    passes("LNX353", waagent("Provisioning.Agent=auto\n"))
    passes("LNX353", waagent("Provisioning.Agent=cloud-init # by Debian\n") | CLOUD_INIT)
    passes("LNX353", waagent("Provisioning.Agent=waagent\n") | CLOUD_INIT)


def test_lnx354_hits_contradicting_keys() -> None:
    hits("LNX354", waagent("Provisioning.Agent=waagent\nProvisioning.Enabled=n\n"), line=2)


def test_lnx354_passes_agreeing_keys() -> None:
    passes("LNX354", waagent("Provisioning.Agent=auto\nProvisioning.Enabled=n\n"))


def test_lnx355_hits_two_makers() -> None:
    setup = cloud("disk_setup:\n  ephemeral0: {table_type: gpt}\n")
    hits("LNX355", waagent("ResourceDisk.Format=y\n") | setup, line=1)


def test_lnx355_passes_one_maker() -> None:
    setup = cloud("mounts:\n- [ephemeral0, /mnt]\n")
    passes("LNX355", waagent("ResourceDisk.Format=n\nResourceDisk.EnableSwap=n\n") | setup)
    passes("LNX355", waagent("ResourceDisk.Format=y\n") | cloud("users: [default]\n"))


def test_lnx356_hits_extensions_off() -> None:
    hits("LNX356", waagent("Extensions.Enabled=n\n"))


def test_lnx356_passes_extensions_on() -> None:
    passes("LNX356", waagent("Extensions.Enabled=y\n"))


def test_lnx357_hits_updates_off() -> None:
    hits("LNX357", waagent("AutoUpdate.Enabled=n\n"))
    hits("LNX357", waagent("AutoUpdate.UpdateToLatestVersion=n\n"))


def test_lnx357_passes_updates_on() -> None:
    passes("LNX357", waagent("AutoUpdate.Enabled=y\n# AutoUpdate.Enabled=n\n"))


def test_mkt611_hits_updates_off() -> None:
    hits("MKT611", waagent("AutoUpdate.Enabled=n\n"))


def test_mkt611_passes_updates_on() -> None:
    passes("MKT611", waagent(""))


def test_lnx358_hits_another_time_out() -> None:
    hits("LNX358", waagent("OS.RootDeviceScsiTimeout=30\n"), says="30")


def test_lnx358_passes_300() -> None:
    passes("LNX358", waagent("OS.RootDeviceScsiTimeout=300\n"))


def test_lnx359_hits_an_old_agent() -> None:
    text = "AGENT_LONG_NAME = 'x'\nAGENT_VERSION = '2.2.45'\n"
    hits("LNX359", DEBIAN | AGENT | {VERSION_FILE: text}, path=VERSION_FILE, line=2)
    hits("LNX359", DEBIAN | AGENT | dpkg(waagent="2.2.45-4~deb10u1"), says="2.2.45,")


def test_lnx359_passes_supported_agents() -> None:
    passes("LNX359", DEBIAN | AGENT | {VERSION_FILE: "AGENT_VERSION = '2.7.3.0'\n"})
    passes("LNX359", DEBIAN | AGENT | dpkg(waagent="2.7.3.0-4.1"))
    passes("LNX359", DEBIAN | AGENT)


def test_lnx360_hits_missing_programs() -> None:
    hits("LNX360", DEBIAN | AGENT, count=6)


def test_lnx360_passes_with_them() -> None:
    names = ("python3", "chpasswd", "sudo", "sfdisk", "ip", "mkfs.ext4")
    passes("LNX360", DEBIAN | AGENT | {f"/usr/bin/{name}": "x" for name in names})


def test_lnx396_hits_swap_of_no_size() -> None:
    text = "ResourceDisk.Format=y\nResourceDisk.EnableSwap=y\nResourceDisk.SwapSizeMB=0\n"
    hits("LNX396", waagent(text), line=2)
    hits("LNX396", waagent("ResourceDisk.Format=y\nResourceDisk.Filesystem=ntfs\n"), line=2)


def test_lnx396_passes_sound_settings() -> None:
    passes("LNX396", waagent("ResourceDisk.Format=y\nResourceDisk.Filesystem=ext4\n"))
    passes("LNX396", waagent("ResourceDisk.Format=n\nResourceDisk.EnableSwap=y\n"))


def test_lnx397_hits_a_mismatch() -> None:
    hits("LNX397", waagent("OS.EnableFIPS=n\n") | grub("root=UUID=1 fips=1"))


def test_lnx397_passes_agreement() -> None:
    passes("LNX397", waagent("OS.EnableFIPS=n\n") | grub("root=UUID=1"))


# --- cloud-init


def test_lnx361_hits_a_list_without_azure() -> None:
    files = cloud("datasource_list: [Azure]\n") | cloud(
        "datasource_list: [NoCloud, None]\n", "99.cfg"
    )
    hits("LNX361", files, says="NoCloud, None", path="/etc/cloud/cloud.cfg.d/99.cfg", line=1)


def test_lnx361_passes_lists_with_azure_and_none_at_all() -> None:
    passes(
        "LNX361",
        cloud("datasource_list: [ NoCloud ]\n") | cloud("datasource_list: [Azure]", "9.cfg"),
    )
    passes("LNX361", cloud("users: [default]\n"))
    passes("LNX361", waagent("Provisioning.Agent=waagent\n") | cloud("datasource_list: [None]\n"))


def test_lnx361_tells_what_it_cannot_read() -> None:
    with pytest.raises(GuestError, match="is not read as YAML"):
        judge("LNX361", guest(cloud("datasource_list: [Azure\n")))


def test_lnx362_hits_a_network_that_is_not_applied() -> None:
    text = "datasource:\n  Azure:\n    apply_network_config: false\n"
    hits("LNX362", cloud(text), line=3, path="/etc/cloud/cloud.cfg")


def test_lnx362_passes_the_default() -> None:
    passes("LNX362", cloud("datasource: {Azure: {apply_network_config: true}}\n"))


def test_lnx363_hits_what_disables_it() -> None:
    hits("LNX363", CLOUD_INIT | {"/etc/cloud/cloud-init.disabled": ""})
    hits("LNX363", CLOUD_INIT | grub("root=UUID=1 cloud-init=disabled"))
    hits("LNX363", CLOUD_INIT | {"/etc/cloud/ds-identify.cfg": "policy: disabled\n"}, line=1)
    hits("LNX363", CLOUD_INIT | {"/etc/systemd/system/cloud-init.service": Link("/dev/null")})
    agent = waagent("Provisioning.Agent=auto\n")
    disabled: Files = {"/etc/cloud/cloud-init.disabled": ""}
    hits("LNX363", CLOUD_INIT | agent | disabled, severity=Severity.WARNING)


def test_lnx363_passes_an_enabled_one() -> None:
    passes("LNX363", CLOUD_INIT | {"/etc/cloud/ds-identify.cfg": "policy: enabled\n"})


STAGES = ("cloud-init-local.service", "cloud-init.service", "cloud-config.service",
          "cloud-final.service")  # fmt: skip


def _stages(names: tuple[str, ...]) -> Files:
    files: Files = {}
    for name in names:
        files |= enabled(name, "cloud-init.target")
    return files


def test_lnx364_hits_a_stage_that_does_not_start() -> None:
    hits("LNX364", CLOUD_INIT | _stages(STAGES[:3]), says="cloud-final.service")


def test_lnx364_passes_all_stages() -> None:
    passes("LNX364", CLOUD_INIT | _stages(STAGES))
    renamed = (STAGES[0], "cloud-init-network.service", *STAGES[2:])
    passes("LNX364", CLOUD_INIT | _stages(renamed))


def test_lnx365_hits_the_installers_files() -> None:
    name = "99-installer.cfg"
    hits("LNX365", UBUNTU | cloud("datasource_list: [None]\n", name), says="datasource_list")
    files = cloud("apt: {preserve_sources_list: true}\n", "curtin-preserve-sources.cfg")
    hits("LNX365", UBUNTU | files, severity=Severity.INFO)


def test_lnx365_passes_other_files() -> None:
    passes("LNX365", UBUNTU | cloud("datasource_list: [Azure]\n", "90_dpkg.cfg"))


def test_lnx366_hits_a_guest_without_network() -> None:
    hits("LNX366", cloud("network: {config: disabled}\n"))


def test_lnx366_passes_with_a_network() -> None:
    netplan: Files = {"/etc/netplan/1.yaml": "network: {ethernets: {eth0: {dhcp4: true}}}\n"}
    passes("LNX366", cloud("network: {config: disabled}\n") | netplan)
    manager = enabled("NetworkManager.service")
    passes("LNX366", cloud("network: {config: disabled}\n") | manager)


OLD_VERSION: Files = {
    "/usr/lib/python3/dist-packages/cloudinit/version.py": '__VERSION__ = "22.4"\n'
}


def test_lnx367_hits_late_mounts() -> None:
    hits("LNX367", cloud("cloud_init_modules: [ssh]\n") | OLD_VERSION, says="disk_setup, mounts")


def test_lnx367_passes_early_mounts_and_new_versions() -> None:
    passes("LNX367", cloud("cloud_init_modules: [disk_setup, mounts]\n") | OLD_VERSION)
    new = dpkg(cloud_init="24.4-0ubuntu1")
    passes("LNX367", cloud("cloud_init_modules: [ssh]\n") | new)


def test_lnx368_hits_missing_reports() -> None:
    hits("LNX368", cloud("datasource_list: [Azure]\n"))
    hits("LNX368", cloud("Reporting:\n  telemetry: {type: hyperv}\n"), says="lower case", line=1)


def test_lnx368_passes_reports() -> None:
    passes("LNX368", cloud("datasource_list: [Azure]\nreporting: {telemetry: {type: hyperv}}\n"))
    passes("LNX368", cloud("users: [default]\n"))


def test_lnx369_hits_missing_logging() -> None:
    hits("LNX369", cloud("users: [default]\n"))


def test_lnx369_passes_with_logging() -> None:
    passes("LNX369", cloud("users: [default]\n") | cloud("x: y\n", "05_logging.cfg"))
    passes("LNX369", cloud("output: {all: '| tee -a /var/log/x'}\n"))


SWAP = 'DefaultEnvironment="CLOUD_CFG=/etc/cloud/cloud.cfg.d/00-azure-swap.cfg"\n'


def test_lnx370_hits_a_replaced_configuration() -> None:
    files: Files = {"/etc/systemd/system.conf": f"[Manager]\n{SWAP}"}
    hits("LNX370", files, says="not there", line=2)
    hits("LNX370", files | cloud("mounts: []\n", "00-azure-swap.cfg"), says="cloud_init_modules")


def test_lnx370_passes_a_complete_one() -> None:
    files: Files = {"/etc/systemd/system.conf": f"[Manager]\n{SWAP}"}
    passes("LNX370", files | cloud("cloud_init_modules: [mounts]\n", "00-azure-swap.cfg"))
    passes("LNX370", {"/etc/systemd/system.conf": "[Manager]\n#DefaultEnvironment=\n"})


def test_lnx374_hits_missing_growpart() -> None:
    hits("LNX374", cloud("cloud_init_modules: [growpart]\n"))


def test_lnx374_passes_with_growpart() -> None:
    passes("LNX374", cloud("cloud_init_modules: [growpart]\n") | {"/usr/bin/growpart": "x"})
    passes("LNX374", cloud("cloud_init_modules: [ssh]\n"))


# --- sshd


def test_lnx345_hits_a_server_that_does_not_start() -> None:
    hits("LNX345", DEBIAN, says="not installed")
    unit: Files = {"/lib/systemd/system/ssh.service": "[Unit]"}
    hits("LNX345", DEBIAN | SSHD | unit, path="/lib/systemd/system/ssh.service")


def test_lnx345_passes_services_and_sockets() -> None:
    passes("LNX345", DEBIAN | SSHD | enabled("ssh.service"))
    passes("LNX345", UBUNTU | SSHD | enabled("ssh.socket", "sockets.target"))


MAIN = "/etc/ssh/sshd_config"
SNIPPET = "/etc/ssh/sshd_config.d/10-azure.conf"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"


def test_lnx346_hits_a_missing_or_odd_interval() -> None:
    hits("LNX346", SSHD | {MAIN: "Port 22\n"}, path=MAIN)
    hits("LNX346", SSHD | {MAIN: "#x\nClientAliveInterval 600\n"}, says="600", line=2)
    matched = "Match User joe\nClientAliveInterval 180\n"
    hits("LNX346", SSHD | {MAIN: matched}, says="not set")
    files: Files = {MAIN: f"{INCLUDE}ClientAliveInterval 180\n", SNIPPET: "ClientAliveInterval 0\n"}
    hits("LNX346", SSHD | files, path=SNIPPET)


def test_lnx346_passes_intervals_in_range() -> None:
    for text in ("ClientAliveInterval 180", "clientaliveinterval=3m", 'ClientAliveInterval "30"'):
        passes("LNX346", SSHD | {MAIN: f"{text}\n"})
    passes("LNX346", SSHD | {MAIN: INCLUDE, SNIPPET: "ClientAliveInterval 235\n"})
    passes("LNX346", SSHD | {MAIN: "Match all\nClientAliveInterval 180\n"})


def test_mkt608_hits_a_missing_interval() -> None:
    hits("MKT608", SSHD | {MAIN: "Port 22\n"})


def test_mkt608_passes_in_range() -> None:
    passes("MKT608", SSHD | {MAIN: "ClientAliveInterval 120\n"})


def test_files_of_sshd_that_include_each_other_are_told() -> None:
    with pytest.raises(GuestError, match="include each other"):
        judge("LNX346", guest(SSHD | {MAIN: f"Include {MAIN}\n"}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("2m", 120), ("1m30s", 90), ("1h", 3600), ("x", None), ("", None)],
)
def test_durations_are_read_as_sshd_does(text: str, seconds: int | None) -> None:
    assert duration(text) == seconds


def test_mkt634_hits_a_guest_with_cloud_init_only() -> None:
    hits("MKT634", DEBIAN | CLOUD_INIT)


def test_mkt634_passes_with_the_agent() -> None:
    passes("MKT634", DEBIAN | AGENT)
