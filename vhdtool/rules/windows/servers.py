"""Roles, clusters and products that the Marketplace does not take as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.windows.declare import GENERALIZED, INFO, MARKETPLACE, WARNING, windows_rule
from vhdtool.rules.windows.hits import file_hit, key_hit, listed, quoted, value_hit
from vhdtool.rules.windows.roles import role_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit


@windows_rule("ROL520", "failover-cluster", WARNING, GENERALIZED, MARKETPLACE)
def failover_cluster(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    The machine is no node of a failover cluster: the service ClusSvc does not start, and there is
    no \Windows\Cluster\CLUSDB.

    ## Why it matters
    Machines of the image would all claim to be that node.

    ## How to fix
    Evict the node before sealing (`Clear-ClusterNode`).

    ## Source
    - Azure Marketplace, "VM certification FAQ": failover clustering is not supported
    """
    service = guest.services.get("clussvc")
    if service is not None and service.start == 2:
        yield key_hit(service.key, "ClusSvc has Start 2, expected no cluster's node", "Start")
    path = guest.path("Cluster/CLUSDB")
    if guest.tree.exists(path):
        yield file_hit(path, "the database of a cluster is here, expected none")


_NOT_IN_MARKETPLACE = (
    "RemoteAccess",
    "DHCP",
    "ADRMS",
    "WDS",
    "ISNS",
    "Multipath-IO",
    "NLB",
    "PNRP",
    "SNMP-Service",
    "WINS",
    "Wireless-Networking",
)


@windows_rule("ROL521", "role-not-in-marketplace", WARNING, MARKETPLACE)
def role_not_in_marketplace(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    None of the roles and features is installed that Azure does not support: Remote Access, DHCP,
    rights management, deployment services, iSNS, multipath I/O, load balancing, PNRP, SNMP, WINS,
    wireless networks.

    ## Why it matters
    Offers may not depend on them.

    ## How to fix
    Remove the role or feature.

    ## Source
    - Azure Marketplace, "VM certification FAQ"; Azure, "Microsoft server software support"
    """
    for name in _NOT_IN_MARKETPLACE:
        role = guest.roles.get(name)
        if role is not None:
            yield from role_hit(guest, role, f"{role.title} is installed, expected that it is not")


_SQL = r"Microsoft\Microsoft SQL Server\Instance Names\SQL"


@windows_rule("ROL522", "own-sql-server", WARNING, MARKETPLACE)
def own_sql_server(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    SQL Server is not installed: no instance in the registry.

    ## Why it matters
    The Marketplace wants images with SQL Server to be made from Microsoft's own.

    ## How to fix
    Start from Microsoft's image with SQL Server.

    ## Source
    - Azure Marketplace, "VM certification FAQ"
    - On a machine that was made from Microsoft's image the finding is to be ignored.
    """
    key = None if guest.software is None else guest.software.key(_SQL)
    for value in () if key is None else key.values():
        if key is not None:
            message = f"SQL Server's instance {quoted(value.name)} is installed"
            yield key_hit(key, message, value.name)


_OFFICE = r"Microsoft\Office\ClickToRun\Configuration"


@windows_rule("ROL523", "office-or-visual-studio", INFO, MARKETPLACE)
def office_or_visual_studio(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Neither Office nor Visual Studio is installed.

    ## Why it matters
    The Marketplace takes them only with prior approval.

    ## How to fix
    Ask for approval, or remove them.

    ## Source
    - Azure Marketplace, "VM certification FAQ"
    - The value of Office and the folder of Visual Studio are what their installers write.
    """
    software = guest.software
    products = None if software is None else software.text(_OFFICE, "ProductReleaseIds")
    if software is not None and products:
        message = f"Office is installed: {quoted(products)}"
        yield value_hit(software, _OFFICE, "ProductReleaseIds", message)
    folder = "/Program Files/Microsoft Visual Studio"
    editions = [
        f"{release}/{edition}"
        for release in guest.tree.names(folder)
        for edition in guest.tree.names(f"{folder}/{release}")
        if guest.tree.is_file(f"{folder}/{release}/{edition}/Common7/IDE/devenv.exe")
    ]
    if editions:
        yield file_hit(folder, f"Visual Studio is installed: {listed(editions)}")
