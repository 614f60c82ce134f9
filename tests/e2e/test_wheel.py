"""The wheel alone, in an environment of its own and an empty directory: what it carries, what it needs, its daemon."""

import os
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.daemon import ROOT, DaemonProcess

pytestmark = pytest.mark.timeout(900)  # pip fetches and unpacks some forty packages
FOREIGN = ("topohub", "networkx", "pytest", "hypothesis", "scrapli", "build", "mypy")
"""What only the lab, the tests and the benchmarks need."""


def run(*command: object, cwd: Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ACCORD_", "PYTHON"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=inherited | {"NO_COLOR": "1", "HOME": str(cwd)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", directory, ROOT, cwd=ROOT)
    (made,) = directory.glob("accord-*.whl")
    return made


@dataclass(frozen=True, slots=True)
class Installation:
    """A fresh environment with the wheel in it."""

    directory: Path

    def program(self, name: str) -> Path:
        return self.directory / "bin" / name

    def accord(self, *words: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(self.program("accord"), *words, cwd=cwd, check=check)


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    directory = tmp_path_factory.mktemp("venv") / "accord"
    probe = [sys.executable, "-m", "pip", "index", "versions", "--timeout", "10", "--retries", "0", "structlog"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("PyPI cannot be reached, and a fresh environment is filled from there")
    venv.create(directory, with_pip=True)
    # The cache of whoever runs the tests saves most of the time; `run` hides their home directory from the daemon only.
    cache = os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    pip = (directory / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--constraint", ROOT / "constraints.txt", wheel, cwd=directory.parent, PIP_CACHE_DIR=cache)
    return Installation(directory)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    directory = tmp_path / "empty"
    directory.mkdir()
    return directory


def test_the_wheel_carries_the_models_the_configuration_and_the_unit(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("yang", "config", "systemd"):
        ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        carried = {
            name.partition("/share/accord/")[2] for name in names if f".data/data/share/accord/{folder}/" in name
        }
        assert carried == {name for name in ours if "__pycache__" not in name}
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if "-" not in top} == {"controller", "drivers", "lab"}


def test_neither_the_labs_nor_the_tests_dependencies_come_along(installation: Installation, empty: Path) -> None:
    listed = run(installation.program("python"), "-m", "pip", "list", "--format=freeze", cwd=empty).stdout.casefold()
    installed = {line.partition("==")[0] for line in listed.splitlines()}
    assert "accord" in installed
    assert installed.isdisjoint(FOREIGN)
    assert run(installation.program("python"), "-m", "pip", "check", cwd=empty).returncode == 0


def test_the_sample_configuration_that_it_carries_is_good(installation: Installation, empty: Path) -> None:
    sample = installation.directory / "share" / "accord" / "config" / "accord.yaml"
    said = installation.accord("config", "check", "--settings-only", "--config", str(sample), cwd=empty)
    assert "good" in said.stdout + said.stderr
    (empty / "bad.yaml").write_text("no_such_key: 1\n")
    refused = installation.accord("config", "check", "--config", "bad.yaml", cwd=empty, check=False)
    assert refused.returncode == 78
    assert "no_such_key" in refused.stderr


def test_the_lab_says_which_extra_it_is_missing(installation: Installation, empty: Path) -> None:
    listed = installation.accord("--help", cwd=empty).stdout
    assert "lab" in listed
    refused = installation.accord("lab", "up", "--topology", "sndlib/germany50", cwd=empty, check=False)
    assert refused.returncode != 0
    assert "accord[lab]" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_daemon_serves_from_it_in_an_empty_directory_and_ends_in_order(
    installation: Installation, empty: Path
) -> None:
    (empty / "inventory.yaml").write_text("hosts: {}\n")
    (empty / "credentials.yaml").write_text("{}\n")
    (empty / "credentials.yaml").chmod(0o600)
    command = (str(installation.program("accord")), "serve")
    with DaemonProcess(empty, empty, command=command, environment={"PYTHONPATH": ""}) as daemon:
        assert daemon.get("/api/v1/status").status_code == 200
        assert daemon.get("/api/v1/status", token="").status_code == 401
        assert daemon.get("/api/v1/devices").json() == []
        assert daemon.stop() == 0
    assert "Traceback" not in daemon.stderr
