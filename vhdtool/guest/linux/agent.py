"""The Azure Linux agent: its settings, its version and what it left behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import Setting, uncommented
from vhdtool.guest.linux.release import Family

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files
    from vhdtool.guest.linux.release import Release

STATE = "/var/lib/waagent"
SENTINEL = f"{STATE}/provisioned"
PACKAGES = ("walinuxagent", "WALinuxAgent", "python-azure-agent", "waagent", "python3-azure-agent")
UNITS = ("waagent.service", "walinuxagent.service")
_PROGRAMS = (
    "/usr/sbin/waagent",
    "/usr/bin/waagent",
    "/usr/local/sbin/waagent",
    "/usr/share/oem/bin/waagent",
    "/oem/bin/waagent",
)
_CONFIGS = {
    Family.FREEBSD: ("/usr/local/etc/waagent.conf", "/etc/waagent.conf"),
    Family.FLATCAR: (
        "/usr/share/oem/waagent.conf",
        "/etc/waagent.conf",
        "/oem/waagent.conf",
        "/usr/share/flatcar/oems/azure/waagent.conf",
        "/usr/lib/waagent/waagent.conf",
    ),
}


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """waagent.conf: what it says, by key. A key that is missing has the agent's own default."""

    path: str
    values: dict[str, Setting]

    def get(self, key: str) -> Setting | None:
        """Return the setting of a key; None where it is missing."""
        return self.values.get(key)

    def text(self, key: str, default: str = "") -> str:
        """Return the value of a key, lower case."""
        setting = self.values.get(key)
        return default if setting is None else setting.value.lower()

    def is_on(self, key: str, *, default: bool) -> bool:
        """Whether a switch is on: `y`, in any case."""
        setting = self.values.get(key)
        return default if setting is None else setting.value.lower() == "y"


def config_paths(release: Release | None) -> tuple[str, ...]:
    """Return where the agent of a distribution looks for its settings, the usual place first."""
    family = Family.OTHER if release is None else release.family
    return _CONFIGS.get(family, ("/etc/waagent.conf",))


def read_agent_config(files: Files, release: Release | None) -> AgentConfig | None:
    """Read waagent.conf; None where there is none."""
    path = files.first(config_paths(release))
    if path is None:
        return None
    values = {}
    for line in uncommented(files.lines(path)):
        key, equals, value = line.text.partition("=")
        if equals:
            # the agent cuts at any `#`, and takes off quotes
            cut = value.split("#", 1)[0].strip('" \t\r').strip("'")
            values[key.strip()] = Setting(key.strip(), cut, line)
    return AgentConfig(path, values)


def agent_program(files: Files) -> str | None:
    """Return the path of the agent's program; None where there is none."""
    return files.first(_PROGRAMS)


def read_agent_version(files: Files) -> Setting | None:
    """Return the agent's version as its own source says; None where that is not found."""
    roots = (
        "/usr/lib/python3/dist-packages",
        *reversed(files.glob("/usr/lib/python[23].*/site-packages")),
        *reversed(files.glob("/usr/local/lib/python[23].*/site-packages")),
        *reversed(files.glob("/usr/lib64/python[23].*/site-packages")),
        "/usr/share/oem/python/lib/python2.7/site-packages",
    )
    for root in roots:
        for line in files.lines(f"{root}/azurelinuxagent/common/version.py"):
            found = re.match(r"\s*AGENT_VERSION\s*=\s*['\"](\d+(?:\.\d+)+)['\"]", line.text)
            if found:
                return Setting("AGENT_VERSION", found.group(1), line)
    return None


def extension_folders(files: Files) -> list[str]:
    """Return the folders of extensions that the agent unpacked."""
    return [
        path
        for path in files.paths(STATE)
        if files.exists(f"{path}/HandlerManifest.json")
        and not path.startswith(f"{STATE}/WALinuxAgent-")
    ]
