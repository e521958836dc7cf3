"""What is left of the machine that an image was made from."""

from __future__ import annotations

from tests.rules.linux.guests import (
    AGENT,
    DEBIAN,
    Files,
    Link,
    hits,
    passes,
    user,
    waagent,
)
from vhdtool.rules.model import Severity

STATE = "/var/lib/waagent"
CLEAN: Files = DEBIAN | AGENT | {f"{STATE}/": "", "/var/lib/cloud/": "", "/etc/machine-id": ""}
LOCKED = "root:*LOCK*:14600::::::\n"


def test_lgn301_hits_the_sentinel() -> None:
    files = CLEAN | {f"{STATE}/provisioned": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"}
    hits("LGN301", files, says="1b4e28ba", path=f"{STATE}/provisioned")


def test_lgn301_passes_without_it() -> None:
    passes("LGN301", CLEAN)


def test_lgn302_hits_other_state() -> None:
    hits("LGN302", CLEAN | {f"{STATE}/ManagedIdentity-1.json": "{}"}, says="ManagedIdentity")


def test_lgn302_passes_what_the_agent_clears_and_its_updates() -> None:
    passes("LGN302", CLEAN | {f"{STATE}/Incarnation": "1", f"{STATE}/WALinuxAgent-2.9/bin": "x"})


def test_lgn303_hits_private_keys() -> None:
    hits("LGN303", CLEAN | {f"{STATE}/A1B2.prv": "key"}, says="A1B2.prv")


def test_lgn303_passes_without_keys() -> None:
    passes("LGN303", CLEAN | {f"{STATE}/A1B2.crt": "certificate"})


def test_lgn304_hits_provisioning_data() -> None:
    hits("LGN304", CLEAN | {f"{STATE}/ovf-env.xml": "<Environment/>"})


def test_lgn304_passes_without_it() -> None:
    passes("LGN304", CLEAN)


def test_lgn305_hits_an_instance() -> None:
    hits("LGN305", CLEAN | {"/var/lib/cloud/instance": Link("/var/lib/cloud/instances/i-1")})


def test_lgn305_passes_a_clean_folder() -> None:
    passes("LGN305", CLEAN | {"/var/lib/cloud/seed/": ""})


def test_lgn306_hits_the_marker() -> None:
    hits("LGN306", CLEAN | {"/var/lib/cloud/data/reported_ready": "1"})


def test_lgn306_passes_without_it() -> None:
    passes("LGN306", CLEAN)


def test_lgn307_hits_logs() -> None:
    hits("LGN307", CLEAN | {"/var/log/cloud-init.log": "a line"}, says="6 bytes")


def test_lgn307_passes_an_empty_log() -> None:
    passes("LGN307", CLEAN | {"/var/log/cloud-init.log": ""})


def test_lgn310_hits_mounts_of_cloud_init() -> None:
    line = (
        "/dev/disk/cloud/azure_resource-part1 /mnt auto defaults,nofail,comment=cloudconfig 0 2\n"
    )
    hits("LGN310", CLEAN | {"/etc/fstab": line}, path="/etc/fstab", line=1)


def test_lgn310_passes_other_mounts() -> None:
    passes("LGN310", CLEAN | {"/etc/fstab": "UUID=1 / ext4 defaults 0 1\n"})


def test_lgn323_hits_logs_of_the_agent() -> None:
    hits("LGN323", CLEAN | {"/var/log/waagent.log": "x"})


def test_lgn323_passes_without_logs() -> None:
    passes("LGN323", CLEAN | {"/var/log/azure/": ""})


def test_lgn328_hits_units_of_the_agent() -> None:
    hits("LGN328", CLEAN | {"/lib/systemd/system/walinuxagent-network-setup.service": "[Unit]"})


def test_lgn328_passes_without_them() -> None:
    passes("LGN328", CLEAN | {"/lib/systemd/system/walinuxagent.service": "[Unit]"})


def test_lgn343_hits_settings_of_an_extension() -> None:
    folder = f"{STATE}/Microsoft.OSTCExtensions.VMAccess-1.5"
    files = CLEAN | {f"{folder}/HandlerManifest.json": "[]", f"{folder}/config/0.settings": "{}"}
    hits("LGN343", files, says="0.settings")


def test_lgn343_passes_an_extension_without_state() -> None:
    passes("LGN343", CLEAN | {f"{STATE}/Microsoft.X-1.5/HandlerManifest.json": "[]"})


def test_lgn348_hits_the_script_of_image_builder() -> None:
    hits("LGN348", CLEAN | {"/tmp/DeprovisioningScript.sh": "#!/bin/sh"})


def test_lgn348_passes_without_it() -> None:
    passes("LGN348", CLEAN)


def test_lgn351_hits_a_disabled_agent() -> None:
    hits("LGN351", CLEAN | {f"{STATE}/disable_agent": ""})


def test_lgn351_passes_without_the_file() -> None:
    passes("LGN351", CLEAN)


def test_lgn352_hits_a_goal_state() -> None:
    hits("LGN352", CLEAN | {f"{STATE}/GoalState.1.xml": "<GoalState/>"})


def test_lgn352_passes_without_it() -> None:
    passes("LGN352", CLEAN)


def test_lgn344_hits_a_mixture() -> None:
    files = CLEAN | {"/etc/hostname": "web1\n"} | user()
    hits("LGN344", files, says="unclear", path="/etc/hostname", line=1)


def test_lgn344_passes_a_clean_guest() -> None:
    passes("LGN344", CLEAN | {"/etc/hostname": "localhost.localdomain\n", "/etc/shadow": LOCKED})


def test_lgn314_hits_the_agents_line() -> None:
    hits("LGN314", CLEAN | {"/etc/shadow": LOCKED}, path="/etc/shadow", line=1)


def test_lgn314_passes_another_lock() -> None:
    passes("LGN314", CLEAN | {"/etc/shadow": "root:!:19000::::::\n"})


def test_lgn345_hits_a_sysprepped_guest_with_a_sentinel() -> None:
    hits("LGN345", CLEAN | {f"{STATE}/provisioned": "x"})


def test_lgn345_passes_a_running_guest() -> None:
    running: Files = {f"{STATE}/provisioned": "x", "/etc/machine-id": "a" * 32}
    passes("LGN345", CLEAN | running | {"/etc/ssh/ssh_host_rsa_key": "key"})


def test_lgn346_hits_keys_without_an_agent() -> None:
    files = DEBIAN | user() | {"/etc/ssh/ssh_host_rsa_key": "key"}
    hits("LGN346", files, count=2)


def test_lgn346_passes_with_an_agent() -> None:
    passes("LGN346", CLEAN | user())


def test_lgn347_hits_an_agent_that_may_provision() -> None:
    hits("LGN347", DEBIAN | waagent("Provisioning.Agent=auto\n"), line=1, path="/etc/waagent.conf")


def test_lgn347_passes_where_it_is_off() -> None:
    passes("LGN347", DEBIAN | waagent("Provisioning.Agent=disabled\n"))


def test_gen202_hits_a_captured_machine() -> None:
    files = CLEAN | {f"{STATE}/provisioned": "x", "/etc/hostname": "web1\n"} | user()
    hits("GEN202", files, says="specialized", path=f"{STATE}/provisioned")


def test_gen202_hits_a_contradiction() -> None:
    files = CLEAN | {f"{STATE}/provisioned": "x", "/etc/shadow": LOCKED}
    hits("GEN202", files, says="inconsistent")


def test_gen202_passes_a_deprovisioned_guest() -> None:
    passes("GEN202", CLEAN | {"/etc/hostname": "localhost.localdomain\n", "/etc/shadow": LOCKED})


def test_mkt616_hits_a_captured_machine() -> None:
    hits("MKT616", CLEAN | {f"{STATE}/provisioned": "x"})


def test_mkt616_passes_a_clean_guest() -> None:
    passes("MKT616", CLEAN)


def test_gen203_hits_a_deprovisioned_guest() -> None:
    hits("GEN203", CLEAN | {"/etc/shadow": LOCKED})
    hits("GEN203", CLEAN, severity=Severity.WARNING)


def test_gen203_passes_a_machine() -> None:
    passes("GEN203", CLEAN | {f"{STATE}/provisioned": "x"})


def test_gen204_hits_a_guest_nobody_gets_into() -> None:
    hits("GEN204", DEBIAN | user(field="!"))


def test_gen204_passes_with_a_password_or_a_key() -> None:
    passes("GEN204", DEBIAN | user(field="$6$salt$hash"))
    passes("GEN204", DEBIAN | user() | {"/home/joe/.ssh/authorized_keys": "ssh-ed25519 AAAA joe\n"})


def test_gen219_hits_a_provisioned_guest() -> None:
    hits("GEN219", CLEAN | {f"{STATE}/provisioned": "x"}, says="waagent")
    azure = "DataSourceAzure: DataSourceAzure [seed=/dev/sr0]\n"
    hits("GEN219", CLEAN | {"/var/lib/cloud/data/previous-datasource": azure}, says="cloud-init")


def test_gen219_passes_a_fresh_guest() -> None:
    passes("GEN219", CLEAN)
