"""Small trees of distributions as they are installed, with their own configuration files.

The settings are those that the packages of each distribution ship; what no rule reads is left out.
"""

from __future__ import annotations

from tests.rules.linux.debian import MODULES
from tests.rules.linux.guests import Files, Link, Node, cpio, elf, enabled, kernel, rpm_ndb

_AGENT_SETTINGS = """# Microsoft Azure Linux Agent Configuration
Extensions.Enabled=y
Provisioning.Agent=auto
Provisioning.DeleteRootPassword=y
Provisioning.RegenerateSshHostKeyPair=y
Provisioning.MonitorHostName=y
ResourceDisk.Format=n
ResourceDisk.Filesystem=ext4
ResourceDisk.MountPoint=/mnt/resource
ResourceDisk.EnableSwap=n
ResourceDisk.SwapSizeMB=0
ResourceDisk.MountOptions=None
OS.EnableFIPS=n
OS.RootDeviceScsiTimeout=300
OS.OpensslPath=None
OS.SshDir=/etc/ssh
AutoUpdate.Enabled=y
"""
_HOSTS = (
    "127.0.0.1   localhost localhost.localdomain localhost4 localhost4.localdomain4\n"
    "::1         localhost localhost.localdomain localhost6 localhost6.localdomain6\n"
)
_STAGES = ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")


def _merged() -> Files:
    """Return what every distribution with one /usr has."""
    programs = ("env", "cloud-init", "growpart", "sudo", "python3", "python3.12")
    system = ("sshd", "waagent", "chpasswd", "sfdisk", "mkfs.ext4", "ip")
    return (
        {f"/{name}": Link(f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")}
        | {f"/usr/bin/{name}": "x" for name in programs}
        | {f"/usr/sbin/{name}": "x" for name in system}
        | {
            "/usr/lib64/ld-linux-x86-64.so.2": "x",
            "/usr/lib/systemd/systemd": elf(),
            "/usr/lib/udev/rules.d/66-azure-storage.rules": "x",
            "/etc/machine-id": "",
            "/etc/localtime": Link("../usr/share/zoneinfo/UTC"),
            "/etc/hosts": _HOSTS,
            "/etc/waagent.conf": _AGENT_SETTINGS,
            "/etc/cloud/cloud.cfg.d/05_logging.cfg": "output: {all: '| tee -a /var/log/x.log'}\n",
            "/var/lib/waagent/": "",
            "/root/": "",
            "/tmp/": "",
        }
    )


def _started(*units: str) -> Files:
    files: Files = {}
    for unit in units:
        files |= enabled(unit)
    for stage in _STAGES:
        files |= enabled(f"{stage}.service", "cloud-init.target")
    return files


def ubuntu() -> Files:
    """Ubuntu 24.04 as its cloud image: generic kernel, ssh by socket, netplan by cloud-init."""
    files = _merged() | _started("walinuxagent.service", "systemd-networkd.service")
    files |= enabled("ssh.socket", "sockets.target")
    return files | kernel(
        MODULES, ("nvme", "nvme_core", "hv_vmbus"), "6.8.0-1015-azure", MODULES,
        "ro quiet splash console=tty1 console=ttyS0 earlyprintk=ttyS0 rootdelay=300",
    ) | {
        "/etc/os-release": Link("../usr/lib/os-release"),
        "/usr/lib/os-release": 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nNAME="Ubuntu"\n'
        'VERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n',
        "/etc/hostname": "ubuntu\n",
        "/etc/hosts": "127.0.0.1 localhost\n\n# IPv6\n::1 ip6-localhost ip6-loopback\n"
        "fe00::0 ip6-localnet\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n",
        "/etc/resolv.conf": Link("../run/systemd/resolve/stub-resolv.conf"),
        "/etc/fstab": "LABEL=cloudimg-rootfs\t/\t ext4\tdiscard,commit=30,errors=remount-ro\t0 1\n"
        "LABEL=BOOT\t/boot\text4\tdefaults\t0 2\nLABEL=UEFI\t/boot/efi\tvfat\tumask=0077\t0 1\n",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "/etc/shadow": Node("root:*:19840:0:99999:7:::\nnobody:*:19840:0:99999:7:::\n", 0o640),
        "/etc/sudoers": "Defaults\tenv_reset\nDefaults\tuse_pty\nroot\tALL=(ALL:ALL) ALL\n"
        "%admin ALL=(ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
        "/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n"
        "KbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\n"
        "AcceptEnv LANG LC_*\nSubsystem sftp\t/usr/lib/openssh/sftp-server\n",
        "/etc/ssh/sshd_config.d/60-cloudimg-settings.conf": "PasswordAuthentication no\n",
        "/etc/cloud/cloud.cfg": "users:\n  - default\ndisable_root: true\n"
        "preserve_hostname: false\ncloud_init_modules:\n  - growpart\n  - mounts\n  - ssh\n",
        "/etc/cloud/cloud.cfg.d/90_dpkg.cfg": "datasource_list: [ NoCloud, Azure, None ]\n",
        "/etc/modprobe.d/blacklist-framebuffer.conf": "blacklist hyperv_fb\nblacklist vesafb\n",
        "/etc/initramfs-tools/initramfs.conf": "MODULES=most\nBUSYBOX=auto\nCOMPRESS=zstd\n",
    }  # fmt: skip


_ENTRY = "5.14.0-427.13.1.el9_4.x86_64"


def rhel() -> Files:
    """RHEL 9.4 as its installer leaves a minimal system with the agents, BLS and SELinux."""
    files = _merged() | _started(
        "sshd.service", "waagent.service", "NetworkManager.service", "chronyd.service",
        "firewalld.service",
    )  # fmt: skip
    modules = "".join(f"kernel/{name}.ko.xz:\n" for name in (*MODULES, "nvme", "nvme-core"))
    return files | {
        "/etc/os-release": 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\n'
        'VERSION_ID="9.4"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"\n',
        "/boot/grub2/grub.cfg": 'set pager=1\nif [ -f ${config_directory}/grubenv ]; then\n'
        '  load_env -f ${config_directory}/grubenv\nfi\nset default="${saved_entry}"\n'
        "insmod blscfg\nblscfg\nif [ -s $prefix/grubenv ]; then\n  load_env\nfi\n",
        "/boot/grub2/grubenv": ("# GRUB Environment Block\n" f"saved_entry=abc-{_ENTRY}\n"
                                "boot_success=0\n").ljust(1024, "#"),
        f"/boot/loader/entries/abc-{_ENTRY}.conf": "title Red Hat Enterprise Linux\n"
        f"version {_ENTRY}\nlinux /vmlinuz-{_ENTRY}\ninitrd /initramfs-{_ENTRY}.img $tuned_initrd\n"
        "options root=UUID=1111-aaaa ro crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M "
        "$tuned_params\ngrub_users $grub_users\ngrub_arg --unrestricted\n",
        f"/boot/vmlinuz-{_ENTRY}": "kernel",
        f"/boot/initramfs-{_ENTRY}.img": cpio(*(f"lib/{name}.ko.xz" for name in
                                                (*MODULES, "nvme", "nvme-core"))),
        f"/usr/lib/modules/{_ENTRY}/modules.dep": modules,
        f"/usr/lib/modules/{_ENTRY}/modules.builtin": "kernel/drivers/base/firmware_class.ko\n",
        "/etc/default/grub": 'GRUB_TIMEOUT=5\nGRUB_TERMINAL_OUTPUT="console"\n'
        "GRUB_ENABLE_BLSCFG=true\n",
        "/etc/fstab": "\n# /etc/fstab\n# Created by anaconda\n"
        "UUID=1111-aaaa /                       xfs     defaults        0 0\n",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
        "nobody:x:65534:65534:Kernel Overflow User:/:/sbin/nologin\n",
        "/etc/shadow": Node("root:!!:19700:0:99999:7:::\nnobody:*:19347:0:99999:7:::\n", 0),
        "/etc/sudoers": "Defaults   !visiblepw\nDefaults    secure_path = /sbin:/bin\n"
        "root\tALL=(ALL) \tALL\n%wheel\tALL=(ALL)\tALL\n#includedir /etc/sudoers.d\n",
        "/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n"
        "AuthorizedKeysFile\t.ssh/authorized_keys\nSubsystem\tsftp\t/usr/libexec/openssh/sftp\n",
        "/etc/ssh/sshd_config.d/50-redhat.conf": "SyslogFacility AUTHPRIV\nUsePAM yes\n",
        "/etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
        "/etc/selinux/targeted/policy/policy.33": "x",
        "/usr/share/empty.sshd/": Node(mode=0o711),
        "/usr/lib/firewalld/zones/public.xml": '<zone><service name="ssh"/></zone>',
        "/etc/chrony.conf": "pool 2.rhel.pool.ntp.org iburst\nmakestep 1.0 3\nrtcsync\n",
        "/etc/sysconfig/network": "# Created by anaconda\n",
        "/etc/yum.repos.d/redhat.repo": "# Certificate-Based Repositories\n",
        "/etc/cloud/cloud.cfg": "users:\n - default\ndisable_root: true\nssh_deletekeys: true\n"
        "cloud_init_modules:\n - migrator\n - growpart\n - disk_setup\n - mounts\n - ssh\n",
        "/usr/lib/python3.9/site-packages/azurelinuxagent/common/version.py":
        "AGENT_VERSION = '2.7.0.6'\n",
        "/usr/bin/dracut": "x",
        "/usr/sbin/hypervkvpd": "x",
    }  # fmt: skip


def sles() -> Files:
    """SLES 15 SP6 as YaST leaves it with the agent: targetpw, wicked, GRUB without BLS."""
    files = _merged() | _started(
        "sshd.service", "waagent.service", "wicked.service", "chronyd.service"
    )
    return files | rpm_ndb(bash="4.4", openssl="3.1.4", glibc="2.38") | kernel(
        MODULES, ("nvme", "nvme_core"), "6.4.0-150600.21-default", MODULES,
        "console=ttyS0 earlyprintk=ttyS0 rootdelay=300 net.ifnames=0",
    ) | {
        "/etc/os-release": 'NAME="SLES"\nVERSION="15-SP6"\nVERSION_ID="15.6"\nID="sles"\n'
        'PRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"\nID_LIKE="suse"\n',
        "/etc/fstab": "UUID=1111-aaaa  /  btrfs  defaults  0  0\n"
        "UUID=1111-aaaa  /var  btrfs  subvol=/@/var  0  0\n",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "/etc/shadow": Node("root:*:19700::::::\n", 0o640),
        "/usr/etc/sudoers": "Defaults always_set_home\nDefaults targetpw   # ask for the password\n"
        "ALL   ALL=(ALL) ALL   # WARNING! Only use this together with 'Defaults targetpw'!\n"
        "root ALL=(ALL) ALL\n",
        "/usr/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n",
        "/etc/sysconfig/network/dhcp": 'DHCLIENT_SET_HOSTNAME="yes"\n'
        'DHCLIENT_HOSTNAME_OPTION="AUTO"\n',
        "/etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n",
        "/etc/chrony.conf": "! pool pool.ntp.org iburst\ninclude /etc/chrony.d/*.conf\n",
        "/etc/chrony.d/azure.conf": "refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0\n",
        "/etc/zypp/repos.d/": "",
        "/etc/cloud/cloud.cfg": "users:\n - default\ncloud_init_modules:\n - growpart\n - ssh\n",
        "/usr/lib/hyper-v/bin/hv_kvp_daemon": "x",
        "/usr/sbin/azure-nvme-id": "x",
    }  # fmt: skip


def azure_linux() -> Files:
    """Azure Linux 3 as its own image for Azure."""
    files = _merged() | _started(
        "sshd.service", "waagent.service", "systemd-networkd.service", "chronyd.service"
    )
    return files | kernel(
        MODULES, ("nvme", "nvme_core", "hv_vmbus"), "6.6.57.1-7.azl3", MODULES,
        "console=ttyS0 earlyprintk=ttyS0 rootdelay=300 nvme_core.io_timeout=240",
    ) | {
        "/etc/os-release": 'NAME="Microsoft Azure Linux"\nVERSION="3.0.20241101"\nID=azurelinux\n'
        'VERSION_ID="3.0"\nPRETTY_NAME="Microsoft Azure Linux 3.0"\n',
        "/etc/fstab": "UUID=1111-aaaa / ext4 defaults 0 1\n"
        "UUID=0F3E-1A2B /boot/efi vfat umask=0077 0 2\n",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "/etc/shadow": Node("root:*:19700:0:99999:7:::\n", 0o600),
        "/etc/ssh/sshd_config": "ClientAliveInterval 120\nClientAliveCountMax 0\n",
        "/etc/systemd/networkd.conf": "[Network]\n",
        "/etc/systemd/network/99-dhcp-en.network": "[Match]\nName=e*\n\n[Network]\nDHCP=yes\n",
        "/etc/chrony.conf": "refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0 stratum 2\n",
        "/etc/cloud/cloud.cfg": "users:\n - default\ncloud_init_modules:\n - growpart\n - ssh\n",
        "/etc/cloud/cloud.cfg.d/10-azure-kvp.cfg":
        "reporting:\n  logging:\n    type: log\n  telemetry:\n    type: hyperv\n",
        "/usr/sbin/hv_kvp_daemon": "x",
    }  # fmt: skip


def alpine() -> Files:
    """Alpine 3.20 with its packages of the agent and cloud-init: OpenRC and extlinux."""
    levels = {"default": ("sshd", "waagent", "chronyd", "cloud-config", "cloud-final"),
              "boot": ("networking", "cloud-init-local", "cloud-init")}  # fmt: skip
    services: Files = {}
    for level, names in levels.items():
        for name in names:
            services[f"/etc/init.d/{name}"] = "#!/sbin/openrc-run\n"
            services[f"/etc/runlevels/{level}/{name}"] = Link(f"/etc/init.d/{name}")
    version = "6.6.31-0-virt"
    modules = "".join(f"kernel/{name}.ko.gz:\n" for name in (*MODULES, "nvme", "nvme-core"))
    return services | {
        "/etc/os-release": 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.0\n'
        'PRETTY_NAME="Alpine Linux v3.20"\n',
        "/boot/extlinux.conf": "SERIAL 0 115200\nDEFAULT menu.c32\nPROMPT 0\nMENU TITLE Alpine\n"
        "LABEL virt\n  MENU DEFAULT\n  LINUX vmlinuz-virt\n  INITRD initramfs-virt\n"
        "  APPEND root=UUID=1111-aaaa modules=ext4 quiet rootfstype=ext4 console=ttyS0,115200\n",
        "/boot/vmlinuz-virt": "kernel",
        "/boot/initramfs-virt": cpio(*(f"lib/{name}.ko.gz" for name in (*MODULES, "nvme"))),
        f"/lib/modules/{version}/modules.dep": modules,
        f"/lib/modules/{version}/modules.builtin": "kernel/lib/crc16.ko\n",
        "/bin/busybox": elf(),
        "/bin/sh": Link("/bin/busybox"),
        "/sbin/init": Link("/bin/busybox"),
        "/lib/apk/db/installed": "P:musl\nV:1.2.5-r0\n\nP:openssl\nV:3.3.0-r2\n",
        "/usr/sbin/sshd": "x",
        "/usr/sbin/waagent": "x",
        "/usr/bin/cloud-init": "x",
        "/usr/bin/growpart": "x",
        "/usr/bin/python3": "x",
        "/usr/bin/python3.12": "x",
        "/usr/bin/sudo": "x",
        "/usr/sbin/chpasswd": "x",
        "/sbin/sfdisk": "x",
        "/sbin/ip": "x",
        "/sbin/mkfs.ext4": "x",
        "/lib/udev/rules.d/66-azure-storage.rules": "x",
        "/etc/waagent.conf": _AGENT_SETTINGS,
        "/etc/fstab": "UUID=1111-aaaa\t/\text4\trw,relatime 0 1\n"
        "/dev/cdrom\t/media/cdrom\tiso9660\tnoauto,ro 0 0\n",
        "/etc/hosts": "127.0.0.1\tlocalhost.my.domain localhost localhost.localdomain localhost\n",
        "/etc/hostname": "localhost\n",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/ash\nbin:x:1:1:bin:/bin:/sbin/nologin\n",
        "/etc/shadow": Node("root:*:19700:0:::::\nbin:!::0:::::\n", 0o640),
        "/etc/ssh/sshd_config": "AuthorizedKeysFile\t.ssh/authorized_keys\n"
        "AllowTcpForwarding no\nGatewayPorts no\nX11Forwarding no\n",
        "/etc/network/interfaces": "auto lo\niface lo inet loopback\n\nauto eth0\n"
        "iface eth0 inet dhcp\n",
        "/etc/chrony/chrony.conf": "pool pool.ntp.org iburst\ninitstepslew 10 pool.ntp.org\n",
        "/etc/cloud/cloud.cfg": "users:\n  - default\ncloud_init_modules:\n  - growpart\n  - ssh\n",
        "/etc/cloud/cloud.cfg.d/05_logging.cfg": "output: {all: x}\n",
        "/etc/modprobe.d/blacklist.conf": "# watchdog drivers\nblacklist i8xx_tco\n"
        "blacklist pcspkr\n",
        "/root/": "",
    }  # fmt: skip
