"""Where a dashboard is found, and how it gets into the directory of the data."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lictor.cli import main
from lictor.dashboard import fetching, finding
from lictor.dashboard.fetching import CannotFetch
from lictor.dashboard.finding import find
from lictor.settings import Settings, UnusableSetting, read


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_installed", lambda: None)


def settings(home: Path, **more: str) -> Settings:
    return read({"LICTOR_HOME": str(home), **more})


def test_a_directory_that_was_named_comes_first(files: Path, tmp_path: Path) -> None:
    found = find(settings(tmp_path, PREFECT_UI_STATIC_DIRECTORY=str(files)))
    assert found is not None
    assert found.bundles == {"v1": files / "ui", "v2": files / "ui-v2"}


def test_a_bundle_itself_is_v1(files: Path, tmp_path: Path) -> None:
    found = find(settings(tmp_path, PREFECT_UI_STATIC_DIRECTORY=str(files / "ui")))
    assert found is not None
    assert found.bundles == {"v1": files / "ui"}


def test_a_directory_without_a_dashboard_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(UnusableSetting, match="holds no dashboard"):
        find(settings(tmp_path, PREFECT_UI_STATIC_DIRECTORY=str(tmp_path)))


def test_an_installed_prefect_is_located_and_not_imported(files: Path, tmp_path: Path) -> None:
    package = tmp_path / "site" / "prefect"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    files.rename(package / "server")
    (package.parent / "prefect-3.9.1.dist-info").mkdir()
    program = (
        "from lictor.dashboard.finding import find\n"
        "from lictor.settings import read\n"
        f"print(find(read({{'LICTOR_HOME': {str(tmp_path)!r}}})).source)"
    )
    path = [str(package.parent), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": ":".join(path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "of the installed prefect 3.9.1\n"


@pytest.mark.usefixtures("nothing_installed")
def test_of_those_that_were_fetched_the_newest_is_taken(files: Path, tmp_path: Path) -> None:
    assert find(settings(tmp_path)) is None
    for version in ("3.9.1", "3.10.0", "3.2.4"):
        fetching.unpack(tmp_path, wheel(tmp_path, files, version))
    found = find(settings(tmp_path))
    assert found is not None
    assert found.source == "of prefect 3.10.0"
    assert set(found.bundles) == {"v1", "v2"}


def wheel(place: Path, files: Path, version: str = "3.9.1", *, tampered: bool = False, extra: str = "") -> Path:
    path = place / f"prefect-{version}-py3-none-any.whl"
    info = f"prefect-{version}.dist-info"
    members = {f"prefect/server/{file.relative_to(files)}": file for file in files.rglob("*") if file.is_file()}
    contents = {name: file.read_bytes() for name, file in members.items()}
    contents |= {"prefect/__init__.py": b"code", f"{info}/licenses/LICENSE": b"Apache"}
    if extra:
        contents[extra] = b"out"
    lines = []
    for name, content in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{len(content)}")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content + (b"!" if tampered and name.endswith("index.html") else b""))
        archive.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,"]))
    return path


def test_only_the_dashboard_and_the_licence_are_taken_out(files: Path, tmp_path: Path) -> None:
    place = fetching.unpack(tmp_path, wheel(tmp_path, files))
    assert place == tmp_path / "dashboard" / "3.9.1"
    assert sorted(path.name for path in place.iterdir()) == ["LICENSE", "ui", "ui-v2"]
    assert (place / "ui" / "index.html").read_text() == (files / "ui" / "index.html").read_text()
    assert [path.name for path in place.parent.iterdir()] == ["3.9.1"], "nothing is left lying about"


def test_taking_it_out_again_replaces_it(files: Path, tmp_path: Path) -> None:
    package = wheel(tmp_path, files)
    place = fetching.unpack(tmp_path, package)
    (place / "ui" / "old.js").touch()
    assert not (fetching.unpack(tmp_path, package) / "ui" / "old.js").exists()


def test_a_file_that_is_not_what_the_record_says_is_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotFetch, match="damaged"):
        fetching.unpack(tmp_path, wheel(tmp_path, files, tampered=True))
    assert not list((tmp_path / "dashboard").iterdir())


def test_nothing_is_written_outside(files: Path, tmp_path: Path) -> None:
    fetching.unpack(tmp_path, wheel(tmp_path, files, extra="prefect/server/ui/../../../../out.txt"))
    assert not list(tmp_path.rglob("out.txt"))


def test_another_wheel_is_no_wheel_of_prefect(tmp_path: Path) -> None:
    other = tmp_path / "other-1.0-py3-none-any.whl"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("other-1.0.dist-info/RECORD", "")
    for path in (other, tmp_path / "missing.whl", Path(__file__)):
        with pytest.raises(CannotFetch):
            fetching.unpack(tmp_path, path)


def test_the_command_takes_a_wheel(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = wheel(tmp_path, files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LICTOR_HOME", str(tmp_path / "home"))
        assert main(["ui", "fetch", "--wheel", str(package)]) == 0
    assert "The dashboard of prefect 3.9.1 is in" in capsys.readouterr().out
    assert (tmp_path / "home" / "dashboard" / "3.9.1" / "ui-v2" / "index.html").is_file()


def test_without_a_network_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetching, "_pip", lambda: [sys.executable, "-c", "raise SystemExit('ERROR: no network')"])
    monkeypatch.setenv("LICTOR_HOME", str(tmp_path))
    assert main(["ui", "fetch", "--version", "3.9.0"]) == 1
    said = capfd.readouterr().err
    assert "ERROR: no network" in said
    assert "lictor ui fetch --wheel prefect-3.9.0-py3-none-any.whl" in said


OUT_OF_REACH = """\
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by \
'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f7ff0df5ad0>: Failed to establish a \
new connection: [Errno -2] Name or service not known')': /simple/prefect/
ERROR: Could not find a version that satisfies the requirement prefect==3.9.0 (from versions: none)
ERROR: No matching distribution found for prefect==3.9.0"""

NO_SUCH_VERSION = f"""\
ERROR: Could not find a version that satisfies the requirement prefect==3.9.0 (from versions: {
    ", ".join(f"3.{minor}.0" for minor in range(200))
}, 3.200.0.dev1)
ERROR: No matching distribution found for prefect==3.9.0"""


@pytest.mark.parametrize(
    ("output", "reason", "left_out"),
    [
        (
            OUT_OF_REACH,
            "be reached: Failed to establish a new connection: [Errno -2] Name or service not known\n",
            "from",
        ),
        (NO_SUCH_VERSION, "(the newest there: 3.195.0, 3.196.0, 3.197.0, 3.198.0, 3.199.0)", "3.194.0"),
    ],
)
def test_the_reason_is_told_and_no_more(
    output: str, reason: str, left_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_pip", lambda: [sys.executable, "-c", f"raise SystemExit({output!r})"])
    with pytest.raises(CannotFetch) as told:
        fetching.fetch(tmp_path, "3.9.0")
    assert reason in str(told.value)
    assert left_out not in str(told.value)
