"""Virtual disks for Azure: read, check, convert and repair them before they are uploaded."""

__version__ = "0.1.0"
