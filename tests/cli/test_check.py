"""`vhdtool check`: formats, exit statuses, settings."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID
from xml.etree import ElementTree

import pytest

from tests.builders import (
    DISK_ID,
    ESP_GUID,
    LINUX_GUID,
    MIB,
    SECTOR,
    VHDX_LOG,
    VhdParent,
    append,
    footer,
    gpt_pieces,
    log_entry,
    patch,
    relative_locator,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from vhdtool.report.advice import MENDED_BY_CONVERT
from vhdtool.report.render import FORMATS
from vhdtool.rules import registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Command = Callable[..., Outcome]
    Process = Callable[..., subprocess.CompletedProcess[bytes]]

SIZE = 24 * MIB


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder: settings of this project are not meant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vhdtool.toml").write_text("")
    return tmp_path


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write_fixed_vhd(tmp_path / "clean.vhd", SIZE, gpt_pieces(SIZE, []))


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    """A disk with one error, VHD003."""
    return write_vhd(tmp_path / "dynamic.vhd", SIZE, gpt_pieces(SIZE, [])).path


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """A disk with one warning, VHD011."""
    tail = footer(SIZE, features=3)
    return write_fixed_vhd(tmp_path / "features.vhd", SIZE, gpt_pieces(SIZE, []), tail)


def codes(done: Outcome, image: int = 0) -> list[str]:
    return [found["code"] for found in json.loads(done.out)["images"][image]["findings"]]


def test_a_clean_image_is_status_0_and_one_line(vhdtool: Command, clean: Path) -> None:
    done = vhdtool("check", clean)
    assert (done.status, done.err) == (0, "")
    assert (
        done.out
        == f"{clean}: fixed VHD, 24.0 MiB, profile data-disk (found from the disk): clean\n"
    )


def test_an_error_is_status_1_with_place_and_next_steps(vhdtool: Command, dynamic: Path) -> None:
    done = vhdtool("check", dynamic)
    assert (done.status, done.err) == (1, "")
    assert (
        "\nerror   VHD003 dynamic-disk: disk type is 3 (dynamic), expected 2 (fixed)\n" in done.out
    )
    assert "4 bytes: 00 00 00 03\n1 error\n" in done.out
    assert f"hint: `vhdtool convert {dynamic} OUT.vhd` writes it" in done.out
    assert done.out.endswith("hint: `vhdtool rule VHD003` explains such a finding\n")


@pytest.mark.parametrize(
    ("fail_on", "status"), [("error", 0), ("warning", 1), ("info", 1), ("never", 0), ("WARNING", 1)]
)
def test_fail_on_sets_what_counts(
    vhdtool: Command, features: Path, fail_on: str, status: int
) -> None:
    assert vhdtool("check", "--fail-on", fail_on, features).status == status


def test_never_fails_for_findings_but_for_what_cannot_be_read(
    vhdtool: Command, dynamic: Path
) -> None:
    assert vhdtool("check", "--fail-on", "never", dynamic).status == 0
    assert vhdtool("check", "--fail-on", "never", dynamic, "gone.vhd").status == 3


def test_several_images_are_all_checked_and_the_worst_counts(
    vhdtool: Command, clean: Path, dynamic: Path, tmp_path: Path
) -> None:
    done = vhdtool("check", "gone.vhd", clean, tmp_path, dynamic)
    assert done.status == 3
    assert "gone.vhd\nunread  cannot open gone.vhd: No such file" in done.out
    assert f"{tmp_path}\nunread  cannot open {tmp_path}: " in done.out
    assert "\n4 images: 1 error, 2 images cannot be read\n" in done.out
    assert vhdtool("check", clean, dynamic).status == 1


def test_a_rule_that_crashes_is_status_70_and_told(
    vhdtool: Command, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_facts: object) -> NoReturn:
        raise KeyError("evil \x1b[31m")

    rule = replace(registry.rules()["VHD007"], check=crash)
    monkeypatch.setitem(registry._rules, "VHD007", rule)
    for output_format in FORMATS:
        done = vhdtool("check", "--format", output_format, clean)
        assert done.status == 70
        assert "VHD007" in done.out
        assert "\x1b" not in done.out
    assert "crashed VHD007: KeyError: 'evil \\x1b[31m'" in vhdtool("check", clean).out


def is_json(text: str) -> bool:
    return bool(json.loads(text))


def is_xml(text: str) -> bool:
    return ElementTree.fromstring(text).tag == "testsuites"


@pytest.mark.parametrize(
    ("output_format", "is_sound"),
    [
        ("text", lambda text: text.startswith("gone.vhd\n")),
        ("json", is_json),
        ("sarif", is_json),
        ("junit", is_xml),
        ("github", lambda text: text.startswith("::error file=gone.vhd,title=cannot be read::")),
    ],
)
def test_a_file_gets_what_would_be_printed(
    vhdtool: Command, dynamic: Path, output_format: str, is_sound: Callable[[str], bool]
) -> None:
    arguments = ["check", "gone.vhd", dynamic, "--format", output_format]
    printed = vhdtool(*arguments)
    assert is_sound(printed.out)
    done = vhdtool(*arguments, "-o", "answer")
    assert (done.status, done.out, done.err) == (3, "", "")
    assert (dynamic.parent / "answer").read_text() == printed.out


def test_a_file_has_no_colours(
    vhdtool: Command, dynamic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31merror" in vhdtool("check", dynamic).out
    vhdtool("check", dynamic, "-o", "answer")
    assert "\x1b" not in (dynamic.parent / "answer").read_text()
    assert "\x1b" not in vhdtool("check", dynamic, "--format", "github").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in vhdtool("check", dynamic).out


def test_an_image_is_never_overwritten_by_the_answer(vhdtool: Command, clean: Path) -> None:
    before = clean.read_bytes()
    os.link(clean, clean.with_name("other"))
    done = vhdtool("check", clean, "-o", "other")
    assert done.status == 2
    assert "other: is an image to check\nhint: write to another file" in done.err
    assert clean.read_bytes() == before


def test_an_answer_that_cannot_be_written_is_status_4(vhdtool: Command, clean: Path) -> None:
    done = vhdtool("check", clean, "-o", "nowhere/answer")
    assert (done.status, done.out) == (4, "")
    assert "nowhere" in done.err


def test_rules_are_selected_and_ignored(vhdtool: Command, tmp_path: Path) -> None:
    image = write_vhd(tmp_path / "bad.vhd", SIZE + SECTOR, {}).path
    check = ["check", "--format", "json", image]
    assert codes(vhdtool(*check, "--select", "VHD")) == ["VHD003", "VHD007"]
    assert codes(vhdtool(*check, "--select", "VHD003,virtual-size-not-whole-mib")) == [
        "VHD003",
        "VHD007",
    ]
    done = vhdtool(*check, "--select", "VHD", "--ignore", "VHD003", "--ignore", "VHD007")
    assert (done.status, codes(done)) == (0, [])
    done = vhdtool(*check, "--select", "VHD009", "--ignore", "VHD0")
    assert codes(done) == []


@pytest.mark.parametrize(
    ("arguments", "words", "hint"),
    [
        (["--select", "VHD907"], "no rule is called 'VHD907'", "hint: "),
        (["--ignore", "dynamic-dsk"], "no rule is called", "did you mean dynamic-disk?"),
        (["--select", "DSK", "--ignore", "DSK,VHD"], "no rule is left", "hint: "),
        (
            ["--profile", "azure-gen3"],
            "--profile: 'azure-gen3' is none of",
            "did you mean azure-gen",
        ),
        (["--profile", "azure-gen2,xyzzy"], "--profile: 'xyzzy' is none of azure-gen1, ", ""),
        (["--fail-on", "eror"], "--fail-on: 'eror'", "did you mean error?"),
        (["--format", "xml"], "--format: 'xml' is none of text, json,", ""),
        (["--parent", "x", "other.vhd"], "--parent is for one image", "use --parent-dir"),
        (["--config", "other.toml"], "", ""),
    ],
)
def test_wrong_settings_are_told_before_anything_is_checked(
    vhdtool: Command, clean: Path, arguments: list[str], words: str, hint: str
) -> None:
    done = vhdtool("check", clean, *arguments)
    assert done.status == (3 if "--config" in arguments else 2)
    assert done.out == ""
    assert words in done.err
    assert hint in done.err


def test_an_image_that_no_selected_rule_is_for_is_not_called_clean(
    vhdtool: Command, clean: Path
) -> None:
    done = vhdtool("check", "--select", "DSK102", clean)
    assert "clean\n" not in done.out
    assert "none of the selected rules is for this profile" in done.out


def test_settings_are_read_and_options_stand_above_them(
    vhdtool: Command, dynamic: Path, tmp_path: Path
) -> None:
    (tmp_path / "vhdtool.toml").write_text(
        'profile = ["azure-gen2"]\nignore = ["VHD003"]\nselect = ["VHD"]\nfail-on = "info"'
    )
    check = ["check", "--format", "json", dynamic]
    done = vhdtool(*check)
    image = json.loads(done.out)["images"][0]
    assert (image["profiles"], image["profiles_found"]) == (["azure-gen2"], [])
    assert (done.status, codes(done)) == (0, [])
    assert codes(vhdtool(*check, "--no-config")) == ["VHD003"]
    assert "DSK102" in codes(vhdtool(*check, "--select", "DSK"))
    assert json.loads(vhdtool(*check, "--profile", "data-disk").out)["images"][0]["profiles"] == [
        "data-disk"
    ]


def test_settings_of_a_project_and_of_a_named_file_count(
    vhdtool: Command, features: Path, tmp_path: Path
) -> None:
    (tmp_path / "vhdtool.toml").unlink()
    (tmp_path / "pyproject.toml").write_text('[tool.vhdtool]\nfail-on = "warning"')
    assert vhdtool("check", features).status == 1
    (tmp_path / "mild.toml").write_text('fail-on = "error"')
    assert vhdtool("check", "--config", "mild.toml", features).status == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("profles = []", "vhdtool.toml: unknown key 'profles'\nhint: did you mean profile?"),
        ('profile = "gen2"', "vhdtool.toml: profile: 'gen2' is none of azure-gen1, "),
        ('fail-on = "warnings"', "vhdtool.toml: fail-on: 'warnings' is none of error, warning"),
        ('ignore = ["VHD999"]', "no rule is called 'VHD999'"),
    ],
)
def test_wrong_settings_of_a_file_are_told_with_its_name(
    vhdtool: Command, clean: Path, tmp_path: Path, settings: str, words: str
) -> None:
    (tmp_path / "vhdtool.toml").write_text(settings)
    done = vhdtool("check", clean)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_profiles_are_found_from_the_disk(vhdtool: Command, tmp_path: Path) -> None:
    pieces = gpt_pieces(SIZE, [(ESP_GUID, 2048, 4095, "ESP"), (LINUX_GUID, 4096, 8191, "root")])
    image = write_fixed_vhd(tmp_path / "os.vhd", SIZE, pieces)
    assert "profile azure-gen2 (found from the disk)" in vhdtool("check", image).out
    named = vhdtool("check", image, "--profile", "data-disk,azure-gen2")
    assert "profiles data-disk, azure-gen2 (as named)" in named.out


def advised(shown: str) -> list[str]:
    """Return the command that the text advises, without the program's name."""
    (line,) = [line for line in shown.splitlines() if line.startswith("hint: `vhdtool convert")]
    return line.split("`")[1].split()[1:]


def convertible(folder: Path) -> dict[str, Path]:
    """Write an image for each error that conversion is said to rid a disk of."""
    pieces = gpt_pieces(SIZE, [])
    raw = folder / "raw.img"
    raw.write_bytes(bytes(SIZE + SECTOR))
    packed = folder / "packed.vhd.gz"
    packed.write_bytes(gzip.compress(write_vhd(folder / "in.vhd", SIZE, pieces).path.read_bytes()))
    padded = write_fixed_vhd(folder / "padded.vhd", SIZE, pieces)
    append(padded, bytes(SECTOR))
    legacy = write_fixed_vhd(folder / "legacy.vhd", SIZE, pieces, footer(SIZE)[:511])
    write_vhd(folder / "base.vhd", SIZE, pieces)
    parent = VhdParent(locators=relative_locator(".\\base.vhd"))
    write_vhdx(folder / "base.vhdx", SIZE, pieces)
    linkage = {"parent_linkage": f"{{{DISK_ID}}}", "relative_path": ".\\base.vhdx"}
    log_id = UUID(int=1)
    dirty = write_vhdx(folder / "dirty.vhdx", SIZE, pieces, log_guid=log_id)
    entry = log_entry(log_id, {}, flushed=dirty.end, last=dirty.end)
    patch(dirty.path, VHDX_LOG, entry)
    return {
        "VHD001": raw,
        "VHD002": padded,
        "VHD003": write_vhd(folder / "dynamic.vhd", SIZE, pieces).path,
        "VHD004": write_vhd(folder / "child.vhd", SIZE, {}, parent=parent).path,
        "VHD005": write_vhdx(folder / "disk.vhdx", SIZE, pieces).path,
        "VHD007": write_vhd(folder / "odd.vhd", SIZE + SECTOR, pieces).path,
        "VHD024": legacy,
        "VHD036": write_fixed_vhd(folder / "small.vhd", 3 * MIB, gpt_pieces(3 * MIB, [])),
        "VHD038": packed,
        "VHD040": dirty.path,
        "VHD041": write_vhdx(folder / "child.vhdx", SIZE, {}, parent=linkage).path,
    }


@pytest.mark.parametrize("code", sorted(MENDED_BY_CONVERT))
def test_the_advised_conversion_gives_what_was_said(
    vhdtool: Command, tmp_path: Path, code: str
) -> None:
    shown = vhdtool("check", convertible(tmp_path)[code])
    assert shown.status == 1, shown.out
    assert f"error   {code} " in shown.out
    assert "other errors stay" not in shown.out
    assert vhdtool(*advised(shown.out)).status == 0
    result = vhdtool("check", "OUT.vhd", "--ignore", "VHD044")
    assert result.status == 0, result.out


def test_nothing_is_advised_that_would_fail(vhdtool: Command, tmp_path: Path) -> None:
    orphan = VhdParent(locators=relative_locator(".\\gone.vhd"))
    child = write_vhd(tmp_path / "child.vhd", SIZE, {}, parent=orphan).path
    large = write_vhdx(tmp_path / "large.vhdx", SIZE, {}, sector_size=4096).path
    broken = write_vhd(tmp_path / "broken.vhd", SIZE, {}).path
    patch(broken, 512 + 36, bytes(4))
    for image in (child, large, broken):
        assert "vhdtool convert" not in vhdtool("check", image).out


def test_an_interrupted_change_is_told_beside_the_answer(vhdtool: Command, clean: Path) -> None:
    clean.with_name("clean.vhd.vhdtool-journal").write_bytes(b"")
    from vhdtool.disk.journal import journal_path

    assert journal_path(clean).exists()
    assert "a change of it was interrupted" in vhdtool("check", clean).err


@pytest.mark.parametrize("output_format", FORMATS)
def test_hostile_names_are_harmless_in_every_format(
    process: Process, tmp_path: Path, output_format: str
) -> None:
    names = ["evil\x1b[31m\u202e.vhd", "two\nlines::error::.vhd", os.fsdecode(b"\xff]]>&<%0A.vhd")]
    images = [write_vhd(tmp_path / name, SIZE, {}).path for name in names]
    done = process("check", "--format", output_format, *images)
    assert done.returncode == 1, done.stderr
    text = done.stdout.decode()
    assert all(line.isprintable() for line in text.splitlines())
    if output_format == "junit":
        assert is_xml(text)
    elif output_format in ("json", "sarif"):
        assert is_json(text)


def test_trailing_bytes_and_evidence_are_shown(vhdtool: Command, clean: Path) -> None:
    append(clean, bytes(SECTOR))
    done = vhdtool("check", clean)
    assert done.status == 1
    assert "error   VHD002 bytes-after-footer: 512 bytes follow the footer" in done.out
    assert f"file offset {SIZE + SECTOR:#x}, 512 bytes" in done.out


@pytest.mark.parametrize("output_format", FORMATS)
def test_only_the_format_that_was_asked_for_is_loaded(output_format: str, dynamic: Path) -> None:
    code = (
        "import sys; from vhdtool.cli.app import run; run(sys.argv[1:]);"
        "heavy = {'pydantic', 'rich', 'asyncio', 'jsonschema', 'xml.etree.ElementTree', 'http'};"
        "renderers = {name for name in sys.modules if name.endswith('_report')};"
        "print(sorted(renderers | heavy & set(sys.modules)), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "check", "--format", output_format, str(dynamic)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == f"['vhdtool.report.{output_format}_report']\n"


def test_a_check_as_a_whole_is_json_for_programs(vhdtool: Command, dynamic: Path) -> None:
    shown: Any = json.loads(vhdtool("check", "--format", "json", dynamic).out)
    assert shown["exit_status"] == 1
    assert shown["images"][0]["virtual_size"] == SIZE
