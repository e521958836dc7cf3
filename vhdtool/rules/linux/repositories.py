"""What is habit in one distribution: repositories, kernels, the vendor's own image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import Line, settings, uncommented
from vhdtool.guest.linux.release import Family
from vhdtool.rules.linux.declare import GENERALIZED, INFO, linux_rule
from vhdtool.rules.linux.hits import line_hit, path_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit


def _apt_lines(guest: LinuxGuest) -> list[Line]:
    """Return the lines that name repositories, of both formats."""
    files = guest.files
    paths = ["/etc/apt/sources.list", *files.paths("/etc/apt/sources.list.d", "*.list")]
    lines = [line for path in paths for line in uncommented(files.lines(path))]
    lines = [line for line in lines if line.text.split()[0] == "deb"]
    for path in files.paths("/etc/apt/sources.list.d", "*.sources"):
        lines += [line for line in uncommented(files.lines(path)) if line.text.startswith("URIs:")]
    return lines


def _sections(guest: LinuxGuest, folder: str) -> list[tuple[str, bool, Line]]:
    """Return the repositories of yum or zypper: id, whether it is enabled, its line."""
    found: list[tuple[str, bool, Line]] = []
    for path in guest.files.paths(folder, "*.repo"):
        for line in uncommented(guest.files.lines(path), "#;"):
            text = line.text.strip()
            if text.startswith("[") and text.endswith("]"):
                found.append((text[1:-1], True, line))
            elif found and re.match(r"enabled\s*=\s*(0|false|no)\b", text, re.IGNORECASE):
                found[-1] = (found[-1][0], False, found[-1][2])
    return found


@linux_rule("LNX384", "no-azure-kernel", INFO)
def no_azure_kernel(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Ubuntu has the kernel for Azure.

    ## Why it matters
    It has drivers for Azure's hardware earlier, and is supported by Canonical there.

    ## How to fix
    `apt-get install linux-azure`

    ## Source
    - Azure, "Prepare an Ubuntu virtual machine"
    """
    if guest.release is None or guest.release.id != "ubuntu" or guest.packages is None:
        return
    if not guest.packages.has(
        "linux-azure", "linux-azure-fde", "linux-azure-lts-24.04"
    ) and not any(kernel.version.endswith("-azure") for kernel in guest.kernels):
        yield path_hit("linux-azure is not installed", guest.packages.path)


@linux_rule("LNX385", "no-debian-mirror", INFO)
def no_debian_mirror(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Debian's repositories are on Debian's mirror network or on mirrors in Azure.

    ## Why it matters
    A mirror of the build's network cannot be reached from Azure.

    ## How to fix
    Name deb.debian.org or debian-archive.trafficmanager.net in sources.list.

    ## Source
    - Azure, "Prepare a Debian VHD"; microsoft/lisa, azure_image_standard.py
    """
    if guest.release is None or guest.release.id != "debian":
        return
    lines = _apt_lines(guest)
    known = re.compile(r"debian\.org|debian-archive\.trafficmanager\.net|azure\.|mirror\+file:")
    if lines and not any(known.search(line.text) for line in lines):
        yield line_hit("no repository is of Debian's own or in Azure", lines[0])


@linux_rule("LNX386", "no-red-hat-repository", INFO)
def no_red_hat_repository(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Red Hat Enterprise Linux has a repository that is enabled.

    ## Why it matters
    Without RHUI's repositories or a subscription there are no updates. An image with a subscription
    of one's own has none until a machine is registered.

    ## How to fix
    Register new machines, or install rhui-azure-rhel where Azure's subscription is used.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine"; microsoft/lisa, azure_image_standard.py
    """
    if guest.release is None or guest.release.id != "rhel":
        return
    if not any(enabled for _, enabled, _ in _sections(guest, "/etc/yum.repos.d")):
        yield path_hit("no repository is enabled", "/etc/yum.repos.d")


@linux_rule("LNX387", "no-suse-repository", INFO)
def no_suse_repository(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    SUSE's family has a repository that is enabled.

    ## Why it matters
    Without one there are no updates. SLES has none until a machine is registered.

    ## How to fix
    `registercloudguest` or `SUSEConnect` on new machines; `zypper addrepo` for openSUSE.

    ## Source
    - Azure, "Prepare a SLES or openSUSE virtual machine"; microsoft/lisa, azure_image_standard.py
    """
    if not guest.is_of(Family.SUSE):
        return
    folder = "/etc/zypp/repos.d"
    services = guest.files.paths("/etc/zypp/services.d", "*.service")
    if not services and not any(enabled for _, enabled, _ in _sections(guest, folder)):
        yield path_hit("no repository is enabled", folder)


@linux_rule("LNX388", "no-oracle-repository", INFO)
def no_oracle_repository(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Oracle Linux has its repository `latest` enabled (`baseos_latest` from release 8).

    ## Why it matters
    Without it there are no updates, nor the agent.

    ## How to fix
    Enable it in /etc/yum.repos.d.

    ## Source
    - Azure, "Prepare an Oracle Linux virtual machine"; microsoft/lisa, azure_image_standard.py
    """
    if guest.release is None or guest.release.id != "ol":
        return
    known = _sections(guest, "/etc/yum.repos.d")
    if not any(enabled and name.endswith("latest") for name, enabled, _ in known):
        yield path_hit("no repository latest is enabled", "/etc/yum.repos.d")


@linux_rule("LNX389", "yum-http-caching", INFO)
def yum_http_caching(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Releases before 6.6 of Red Hat's family have `http_caching=packages` in /etc/yum.conf.

    ## Why it matters
    Caches between the machine and Azure's repositories give old metadata otherwise.

    ## How to fix
    Add the line.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine" (6)
    """
    release = guest.release
    if release is None or not guest.is_of(Family.REDHAT) or release.id == "fedora":
        return
    path = "/etc/yum.conf"
    if not release.before(6, 6) or not guest.files.exists(path):
        return
    setting = settings(guest.files.lines(path)).get("http_caching")
    if setting is None or setting.value != "packages":
        yield path_hit("http_caching is not packages", path)


@linux_rule("LNX392", "flatcar-not-fresh", INFO, GENERALIZED)
def flatcar_not_fresh(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Flatcar will run Ignition at its next start: flatcar/first_boot is on the EFI system partition.

    ## Why it matters
    Without the flag a new machine does not read its configuration. The vendor's image for Azure has
    it.

    ## How to fix
    Use the vendor's image for Azure, or `touch /boot/flatcar/first_boot`.

    ## Source
    - Azure, "Prepare a Flatcar image"; Flatcar, "Initial configuration with Ignition"
    """
    if not guest.is_of(Family.FLATCAR):
        return
    names = ("/boot/flatcar/first_boot", "/boot/coreos/first_boot")
    if guest.files.exists("/boot/flatcar") and guest.files.first(names) is None:
        yield path_hit("Ignition does not run at the next start", names[0])
