"""Server roles and products."""

from __future__ import annotations

import pytest

from tests.guests.windows import (
    CURRENT_VERSION,
    SERVICES,
    Machine,
    client,
    sealed,
    server_2008_r2,
    with_roles,
)
from tests.rules.windows.judging import hit, hits, severity
from vhdtool.rules.model import GuestLocation, RegistryLocation, Severity
from vhdtool.rules.windows.roles import SYSPREP_SUPPORT, Support, support

CACHE = r"Microsoft\ServerManager\ServicingStorage\ServerComponentCache"


def having(component: str) -> Machine:
    machine = sealed()
    machine.component(component)
    return machine


def without(component: str) -> Machine:
    machine = sealed()
    machine.component(component, 0)
    return machine


def check_unsupported(code: str, component: str, expected: Severity = Severity.ERROR) -> None:
    found = hit(having(component), code)
    path = rf"{CACHE}\{component}"
    assert found.location == RegistryLocation("SOFTWARE", path, "InstallState")
    assert "Windows Server 2022" in found.message
    assert severity(having(component), code) is expected


def test_rol501_hits_a_controller() -> None:
    check_unsupported("ROL501", "AD-Domain-Services")
    machine = sealed()
    machine.service("NTDS")
    assert severity(machine, "ROL501") is Severity.INFO
    machine.files.add("/Windows/NTDS/ntds.dit", "x")
    assert severity(machine, "ROL501") is Severity.ERROR


def test_rol501_passes_without() -> None:
    assert hits(without("AD-Domain-Services"), "ROL501") == []
    machine = client()
    machine.service("NTDS")
    assert hits(machine, "ROL501") == []


def test_rol502_hits_an_authority() -> None:
    check_unsupported("ROL502", "AD-Certificate")


def test_rol502_passes_a_disabled_service() -> None:
    machine = without("AD-Certificate")
    machine.service("CertSvc", 4)
    assert hits(machine, "ROL502") == []


def test_rol503_hits_federation() -> None:
    check_unsupported("ROL503", "ADFS-Federation")


def test_rol503_passes_without() -> None:
    assert hits(without("ADFS-Federation"), "ROL503") == []


def test_rol504_hits_an_instance() -> None:
    check_unsupported("ROL504", "ADLDS")
    machine = sealed()
    machine.service("ADAM_instance1")
    assert "ADAM_instance1" in hit(machine, "ROL504").message


def test_rol504_passes_without() -> None:
    assert hits(without("ADLDS"), "ROL504") == []


def test_rol505_hits_rights_management() -> None:
    check_unsupported("ROL505", "ADRMS")
    machine = sealed()
    machine.software.set(r"Microsoft\DRMS", {})
    assert hit(machine, "ROL505").location == RegistryLocation("SOFTWARE", r"Microsoft\DRMS")


def test_rol505_passes_without() -> None:
    assert hits(without("ADRMS"), "ROL505") == []


def test_rol506_hits_dhcp() -> None:
    check_unsupported("ROL506", "DHCP")
    machine = server_2008_r2()
    machine.service("DHCPServer")
    machine.files.add("/Windows/System32/dhcp/dhcp.mdb", "x")
    assert "2008 R2" in hit(machine, "ROL506").message


def test_rol506_passes_2008() -> None:
    machine = having("DHCP")
    machine.software.set(CURRENT_VERSION, {"CurrentBuild": "6003"})
    assert hits(machine, "ROL506") == []
    assert hits(without("DHCP"), "ROL506") == []


def test_rol507_hits_dns_as_a_warning() -> None:
    check_unsupported("ROL507", "DNS", Severity.WARNING)


def test_rol507_passes_without() -> None:
    assert hits(without("DNS"), "ROL507") == []


def test_rol508_hits_fax() -> None:
    check_unsupported("ROL508", "Fax")


def test_rol508_passes_a_client() -> None:
    machine = client()
    machine.service("Fax", 3)
    machine.files.add("/Windows/System32/FXSSVC.exe", "x")
    assert hits(machine, "ROL508") == []


def on_2008(component: str) -> Machine:
    machine = having(component)
    machine.software.set(CURRENT_VERSION, {"CurrentBuild": "6003"})
    return machine


def test_rol509_hits_2008() -> None:
    assert "2008" in hit(on_2008("FS-Resource-Manager"), "ROL509").message


def test_rol509_passes_later_releases() -> None:
    assert hits(having("FS-Resource-Manager"), "ROL509") == []


def test_rol510_hits_switches() -> None:
    machine = having("Hyper-V")
    key = rf"{SERVICES}\VMSMP\Parameters\SwitchList\1-2"
    machine.system.set(key, {"FriendlyName": "External"})
    assert "External" in hit(machine, "ROL510").message
    assert "not supported" in hit(on_2008("Hyper-V"), "ROL510").message


def test_rol510_passes_without_switches() -> None:
    assert hits(having("Hyper-V"), "ROL510") == []


def test_rol511_hits_policy_services() -> None:
    check_unsupported("ROL511", "NPAS")


def test_rol511_passes_without() -> None:
    assert hits(without("NPAS"), "ROL511") == []


def test_rol512_hits_remote_access_as_a_warning() -> None:
    check_unsupported("ROL512", "RemoteAccess", Severity.WARNING)


def test_rol512_passes_the_disabled_service_that_every_server_has() -> None:
    assert hits(sealed(), "ROL512") == []


def test_rol513_hits_2008() -> None:
    assert "not supported" in hit(on_2008("Print-Services"), "ROL513").message


def test_rol513_passes_later_releases() -> None:
    assert hits(having("Print-Services"), "ROL513") == []


def test_rol514_hits_session_hosts() -> None:
    assert "supports" in hit(having("RDS-RD-Server"), "ROL514").message


def test_rol514_passes_without() -> None:
    assert hits(without("RDS-RD-Server"), "ROL514") == []


def test_rol515_hits_activation() -> None:
    check_unsupported("ROL515", "VolumeActivation", Severity.WARNING)
    machine = sealed()
    key = rf"{CURRENT_VERSION}\SoftwareProtectionPlatform"
    machine.software.set(key, {"KeyManagementServiceListeningPort": "1688"})
    assert "Key Management Service" in hit(machine, "ROL515").message


def test_rol515_passes_without() -> None:
    assert hits(sealed(), "ROL515") == []


CONFIG = "/Windows/System32/inetsrv/config/applicationHost.config"


def test_rol516_hits_encrypted_settings_without_showing_them() -> None:
    machine = having("Web-Server")
    machine.files.add(CONFIG, '<a>\r\n<x password="[enc:AesProvider:SECRET:enc]" />\r\n')
    found = hit(machine, "ROL516")
    assert found.location == GuestLocation(CONFIG, 2)
    assert b"SECRET" not in found.evidence


def test_rol516_passes_plain_settings() -> None:
    machine = having("Web-Server")
    machine.files.add(CONFIG, "<a/>")
    assert hits(machine, "ROL516") == []


def test_rol517_hits_what_is_set_up() -> None:
    machine = having("WDS")
    machine.files.folder("/RemoteInstall")
    assert "set up" in hit(machine, "ROL517").message
    assert "not supported" in hit(on_2008("WDS"), "ROL517").message


def test_rol517_passes_a_fresh_role() -> None:
    assert hits(having("WDS"), "ROL517") == []


def test_rol518_hits_update_services() -> None:
    check_unsupported("ROL518", "UpdateServices")


def test_rol518_passes_without() -> None:
    assert hits(without("UpdateServices"), "ROL518") == []


def test_rol519_hits_application_server() -> None:
    assert "supports" in hit(having("Application-Server"), "ROL519").message


def test_rol519_passes_without() -> None:
    assert hits(sealed(), "ROL519") == []


def test_rol520_hits_a_node() -> None:
    machine = sealed()
    machine.service("ClusSvc")
    machine.files.add("/Windows/Cluster/CLUSDB", "x")
    assert len(hits(machine, "ROL520")) == 2


def test_rol520_passes_the_feature_alone() -> None:
    machine = having("Failover-Clustering")
    machine.service("ClusSvc", 4)
    assert hits(machine, "ROL520") == []


@pytest.mark.parametrize("component", ["DHCP", "WINS", "Multipath-IO", "Wireless-Networking"])
def test_rol521_hits_features(component: str) -> None:
    assert "expected that it is not" in hit(having(component), "ROL521").message


def test_rol521_passes_others() -> None:
    assert hits(having("Web-Server"), "ROL521") == []


SQL = r"Microsoft\Microsoft SQL Server\Instance Names\SQL"


def test_rol522_hits_an_instance() -> None:
    machine = sealed()
    machine.software.set(SQL, {"MSSQLSERVER": "MSSQL16.MSSQLSERVER"})
    assert "MSSQLSERVER" in hit(machine, "ROL522").message


def test_rol522_passes_without() -> None:
    machine = sealed()
    machine.software.set(SQL, {})
    assert hits(machine, "ROL522") == []


def test_rol523_hits_office_and_visual_studio() -> None:
    machine = sealed()
    machine.software.set(
        r"Microsoft\Office\ClickToRun\Configuration", {"ProductReleaseIds": "O365ProPlusRetail"}
    )
    folder = "/Program Files/Microsoft Visual Studio"
    machine.files.add(f"{folder}/2022/Community/Common7/IDE/devenv.exe", "x")
    assert len(hits(machine, "ROL523")) == 2


def test_rol523_passes_the_installer_alone() -> None:
    machine = sealed()
    machine.files.folder("/Program Files/Microsoft Visual Studio/Installer")
    assert hits(machine, "ROL523") == []


def test_rol524_hits_a_later_release_with_roles() -> None:
    assert "where the table ends" in hit(with_roles(), "ROL524").message


def test_rol524_passes_without_roles() -> None:
    assert hits(sealed(), "ROL524") == []


def test_the_table_has_a_column_for_each_release() -> None:
    assert all(len(columns) == 3 for columns in SYSPREP_SUPPORT.values())
    assert support("DHCP", 6003) is Support.YES
    assert support("DHCP", 7601) is Support.NO
    assert support("WDS", 7601) is Support.NO
    assert support("WDS", 9200) is Support.YES
    assert support("WDS", None) is Support.YES
