"""A wheel holds the pages, built, and serves them where no Node is; without them none is made by accident."""

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import venv
import zipfile
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from service.pages import BUILT

ROOT = Path(__file__).parents[2]
PACKED = ("service", "models", "workers", "migrations", "pyproject.toml", "setup.py", "README.md", "LICENSE")
pytestmark = pytest.mark.slow


def packed(sources: Path, into: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Make a wheel of sources, as `make wheel` does, with what is installed here."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(into)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGIONWISE_")}
    return subprocess.run([*command, str(sources)], env={**kept, **environment}, capture_output=True, text=True)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a package is made of, without the pages: a build leaves files beside its sources."""
    folder = tmp_path_factory.mktemp("sources")
    for name in PACKED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "static"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("node") is None and not BUILT.exists():
        pytest.skip("Node is not here, and nobody has built the pages.")
    if shutil.which("node"):
        subprocess.run(["make", "--no-print-directory", "pages"], cwd=ROOT, check=True, capture_output=True)
    shutil.copytree(BUILT, sources / "service" / "static")
    into = tmp_path_factory.mktemp("dist")
    made = packed(sources, into)
    assert made.returncode == 0, made.stderr
    shutil.rmtree(sources / "service" / "static")
    shutil.rmtree(sources / "build", ignore_errors=True)
    (found,) = into.glob("regionwise-*.whl")
    return found


def test_a_wheel_holds_the_page_and_all_that_it_names(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        page = archive.read("service/static/index.html").decode()
        named = re.findall(r'(?:src|href)="\./([^"]+)"', page)
        assert {Path(each).suffix for each in named} >= {".js", ".css"}
        assert {f"service/static/{each}" for each in named} <= set(archive.namelist())


def test_what_it_installs_serves_the_pages(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    own = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel], check=True
    )
    # What it depends on is taken from here; paths that lead back to the sources are not.
    (own / "dependencies.pth").write_text(f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REGIONWISE_", "PYTHON"))}
    served = {"REGIONWISE_DATA_DIR": str(tmp_path / "data"), "REGIONWISE_BROKER_URL": "redis://127.0.0.1:1/0"}
    with subprocess.Popen(
        [python, "-m", "service", "serve", "--port", str(port)], cwd=tmp_path, env={**kept, **served}
    ) as process:
        try:
            page = answered(f"http://127.0.0.1:{port}/app/")
            assert '<div id="app">' in page
            (script,) = re.findall(r'src="\./([^"]+)"', page)
            assert "regionwise" in answered(f"http://127.0.0.1:{port}/app/{script}")
        finally:
            process.kill()


def answered(url: str) -> str:
    """What is there, once the server is up."""
    for _ in range(300):
        with suppress(httpx.TransportError):
            response = httpx.get(url)
            assert response.status_code == 200
            return response.text
        time.sleep(0.2)
    raise AssertionError("the server did not come up")


def test_without_pages_none_is_made_unless_that_is_wanted(sources: Path, wheel: Path, tmp_path: Path) -> None:
    refused = packed(sources, tmp_path)
    assert refused.returncode != 0
    assert "The pages are not built, and the package would have none." in refused.stdout + refused.stderr
    assert list(tmp_path.iterdir()) == []
    assert packed(sources, tmp_path, REGIONWISE_WITHOUT_PAGES="1").returncode == 0
    (found,) = tmp_path.glob("regionwise-*.whl")
    with zipfile.ZipFile(found) as archive:
        assert not any(name.startswith("service/static/") for name in archive.namelist())
