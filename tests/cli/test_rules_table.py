from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_rules_md_is_what_make_rules_writes() -> None:
    vhdtool = Path(sys.executable).with_name("vhdtool")
    made = subprocess.run(
        [ROOT / "fixtures" / "rules-table", vhdtool], capture_output=True, text=True, check=True
    )
    assert made.stdout == (ROOT / "RULES.md").read_text(), "RULES.md is stale: run `make rules`"
