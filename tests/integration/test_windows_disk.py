"""The phony Windows server on a real disk, by the whole tool."""

from __future__ import annotations

import pytest

from tests.guests import windows_disk
from vhdtool.disk.image import open_image
from vhdtool.disk.partitions import read_partitions
from vhdtool.guest.guest import find_guest
from vhdtool.guest.tree import READ_LIMIT, Tree
from vhdtool.rules.runner import check


@pytest.mark.timeout(600)
def test_a_windows_server_on_a_real_disk_has_what_it_has_in_memory() -> None:
    report = check(windows_disk.disk())
    assert report.failures == ()
    assert report.guest is not None
    assert report.guest.gaps == ()
    found = [finding.rule.code for finding in report.findings]
    assert found == ["VHD003", "WGN406"]  # dynamic; GeneralizationState is 7, as everywhere


@pytest.mark.timeout(600)
def test_every_file_of_it_is_read_as_written() -> None:
    machine = windows_disk.machine()
    written = Tree(machine.files)
    with open_image(windows_disk.disk()) as image:
        tree = find_guest(image, read_partitions(image)).tree
        assert tree is not None
        paths = list(written.walk("/"))
        assert len(paths) > 30
        for path in paths:
            limit = max(READ_LIMIT, 2 * windows_disk.SOFTWARE_SIZE)
            assert tree.read(path, limit) == written.read(path, limit), path
