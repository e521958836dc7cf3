"""One tree for all file systems that can hold it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.native.trees import make_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("tree") / "tree")


def need(command: str, package: str) -> str:
    """Return the path of a command, or skip the test."""
    path = shutil.which(command, path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin")
    if path is None:
        pytest.skip(f"{command} is not installed (apt-get install {package})")
    return path
