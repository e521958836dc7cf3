"""What the Marketplace asks of Linux images beyond, or more strictly than, all else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.packages import compare_versions
from vhdtool.rules.linux.agent import updates_off
from vhdtool.rules.linux.declare import ERROR, INFO, MARKETPLACE, linux_rule
from vhdtool.rules.linux.hits import path_hit, quoted
from vhdtool.rules.linux.traces import shell_histories
from vhdtool.rules.model import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest

_MOST_HISTORY = 1024  # bytes
_LEAST_OPENSSL = "1.0.0"
_LEAST_OMI = "1.6.8.1"
# Since when kernels of a series are safe from CVE-2019-11477, by distribution and series.
_SACK = (
    ("ubuntu", r"4\.4\.0-", "4.4.0-151"),
    ("ubuntu", r"4\.15\.0-.*azure", "4.15.0-1049"),
    ("ubuntu", r"4\.18\.0-.*azure", "4.18.0-1023"),
    ("ubuntu", r"5\.0\.0-.*azure", "5.0.0-1010"),
    ("rhel", r"2\.6\.32-", "2.6.32-754.15.3"),
    ("rhel", r"3\.10\.0-327\.", "3.10.0-327.79.2"),
    ("rhel", r"3\.10\.0-514\.", "3.10.0-514.66.2"),
    ("rhel", r"3\.10\.0-693\.", "3.10.0-693.50.3"),
    ("rhel", r"3\.10\.0-862\.", "3.10.0-862.34.2"),
    ("rhel", r"3\.10\.0-957\.", "3.10.0-957.21.3"),
    ("rhel", r"3\.10\.0-1062\.", "3.10.0-1062.1.1"),
    ("rhel", r"4\.18\.0-80\.", "4.18.0-80.4.2"),
    ("rhel", r"4\.18\.0-147", "4.18.0-147"),
)
_ALIKE = {
    "centos": "rhel",
    "rocky": "rhel",
    "almalinux": "rhel",
    "rhel": "rhel",
    "ubuntu": "ubuntu",
}
_ENDORSED = frozenset(
    ("almalinux", "azurelinux", "centos", "debian", "flatcar", "mariner", "ol", "opensuse-leap",
     "rhel", "rocky", "sles", "sles_sap", "ubuntu")
)  # fmt: skip


@linux_rule("MKT603", "large-shell-history", ERROR, MARKETPLACE)
def large_shell_history(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Bash histories have at most 1024 bytes.

    ## Why it matters
    The Marketplace refuses images with more.

    ## How to fix
    Delete the files as the last thing, with `unset HISTFILE` in the shell that does it.

    ## Source
    - Azure Marketplace, certification test 48. LGN322 wants them empty, as microsoft/lisa does
    """
    for path in shell_histories(guest):
        size = guest.files.size(path)
        if path.endswith("/.bash_history") and size > _MOST_HISTORY:
            yield path_hit(
                f"the history has {size} bytes, expected at most {_MOST_HISTORY} bytes", path
            )


@linux_rule("MKT606", "old-openssl", ERROR, MARKETPLACE)
def old_openssl(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    OpenSSL is of version 1.0.0 or later. Before 1.1.1 and other than 1.0.2 this is worth a line.

    ## Why it matters
    The agent needs 1.0, and the Marketplace asks for 0.9.8 at least.

    ## How to fix
    Use a later release of the distribution.

    ## Source
    - Azure Marketplace, certification test 44 and "Security recommendations"
    - microsoft/lisa expects 3.0, 1.1.1 or 1.0.2
    """
    packages = guest.packages
    version = None if packages is None else packages.version("openssl", "openssl-libs", "libssl3")
    if packages is None or version is None:
        return
    if compare_versions(version.rpartition(":")[2], _LEAST_OPENSSL) < 0:
        message = f"OpenSSL is of version {quoted(version)}, expected {_LEAST_OPENSSL} or later"
        yield path_hit(message, packages.path)
    elif re.match(r"(\d+:)?1\.(0\.[01]|1\.0)", version):
        message = f"OpenSSL is of version {quoted(version)}, expected 1.0.2, 1.1.1 or 3"
        yield path_hit(message, packages.path, INFO)


@linux_rule("MKT607", "no-python", ERROR, MARKETPLACE)
def no_python(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Python 2.6 or later is installed.

    ## Why it matters
    The agent is written in it, and the Marketplace asks for it.

    ## How to fix
    Install python3.

    ## Source
    - Azure Marketplace, certification test 45
    """
    files = guest.files
    found = [
        *files.glob("/usr/bin/python[23]*"),
        *files.glob("/usr/local/bin/python[23]*"),
        *files.glob("/usr/libexec/platform-python*"),
        *files.glob("/opt/*/bin/python3*"),
        *(path for path in ("/usr/bin/python",) if files.exists(path)),
    ]
    if not found:
        yield path_hit("Python is not installed, expected version 2.6 or later", "/usr/bin/python3")


@linux_rule("MKT610", "glibc-with-ghost", ERROR, MARKETPLACE)
def glibc_with_ghost(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    glibc is not one that is open to CVE-2015-0235 (GHOST): before 2.18, and without the
    distribution's correction.

    ## Why it matters
    The Marketplace refuses it: a host's name can run code.

    ## How to fix
    Update glibc.

    ## Source
    - Azure Marketplace, certification test 50
    - Corrected in Red Hat's 2.12-1.149.el6_6.5 and 2.17-55.el7_0.5, Debian's 2.13-38+deb7u7,
    Ubuntu's 2.15-0ubuntu10.10
    """
    packages = guest.packages
    version = None if packages is None else packages.version("glibc", "libc6")
    if packages is None or version is None or compare_versions(version, "2.18") >= 0:
        return
    corrected = {
        "2.12": "2.12-1.149.el6_6.5",
        "2.17": "2.17-55.el7_0.5",
        "2.13": "2.13-38+deb7u7",
        "2.15": "2.15-0ubuntu10.10",
    }
    least = corrected.get(version.split("-")[0])
    if least is None and not re.match(r"2\.(1[0-7]|\d)(\D|$)", version):
        return
    if least is None or compare_versions(version, least) < 0:
        message = f"glibc is of version {quoted(version)}, expected {least or '2.18'} or later"
        yield path_hit(message, packages.path)


@linux_rule("MKT611", "marketplace-agent-updates-off", ERROR, MARKETPLACE)
def marketplace_agent_updates_off(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    What LNX357 checks, as a condition of certification.

    ## Why it matters
    The Marketplace refuses images whose agent does not update itself.

    ## How to fix
    `AutoUpdate.Enabled=y` in waagent.conf.

    ## Source
    - Azure Marketplace, certification test 51
    """
    yield from updates_off(guest)


@linux_rule("MKT612", "kernel-with-sack-panic", ERROR, MARKETPLACE)
def kernel_with_sack_panic(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel that starts by default is not one that CVE-2019-11477 (SACK panic) stops, for the
    series of Ubuntu and Red Hat that the Marketplace lists.

    ## Why it matters
    The Marketplace refuses it: packets from anywhere stop the machine.

    ## How to fix
    Update the kernel.

    ## Source
    - Azure Marketplace, certification FAQ, table of kernels. Debian's and SUSE's kernels do not
    name their corrections in the version that they start with, and are not judged.
    """
    kernel, release = guest.kernel, guest.release
    if kernel is None or release is None:
        return
    own = _ALIKE.get(release.id)
    for distribution, series, least in _SACK:
        if distribution == own and re.match(series, kernel.version):
            if compare_versions(kernel.version, least) < 0:
                message = f"the kernel is {kernel.version}, expected {least} or later"
                yield path_hit(message, kernel.folder)
            return


@linux_rule("MKT618", "old-omi", ERROR, MARKETPLACE)
def old_omi(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    OMI, where it is installed, is of version 1.6.8.1 or later.

    ## Why it matters
    Earlier ones give root to whoever asks (OMIGOD, CVE-2021-38647).

    ## How to fix
    Update or remove the package omi.

    ## Source
    - Azure Marketplace, certification FAQ
    """
    packages = guest.packages
    version = None if packages is None else packages.version("omi")
    if packages is None or version is None:
        return
    if compare_versions(version.replace("-", "."), _LEAST_OMI) < 0:
        message = f"OMI is of version {quoted(version)}, expected {_LEAST_OMI} or later"
        yield path_hit(message, packages.path)


@linux_rule("MKT623", "distribution-not-endorsed", INFO, MARKETPLACE)
def distribution_not_endorsed(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The distribution is one that Azure endorses.

    ## Why it matters
    Others are allowed where they are well kept; Microsoft gives them less support.

    ## How to fix
    Nothing needs to be done.

    ## Source
    - Azure, "Linux distributions endorsed on Azure"
    """
    release = guest.release
    if release is not None and release.id not in _ENDORSED:
        yield path_hit(f"{quoted(release.name)} is not endorsed by Azure", release.path)


@linux_rule("MKT634", "marketplace-no-agent", ERROR, MARKETPLACE)
def marketplace_no_agent(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The Azure Linux agent is installed; cloud-init alone does not suffice.

    ## Why it matters
    The Marketplace wants extensions to work, which the agent runs.

    ## How to fix
    Install walinuxagent, WALinuxAgent or python-azure-agent.

    ## Source
    - Azure Marketplace, certification FAQ
    """
    if guest.agent_program is None:
        yield Hit("the Azure Linux agent is not installed")
