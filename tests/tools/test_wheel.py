"""What is in the wheel and in the sdist: all that is ours, in its place, and nothing else."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])


def tracked():
    """Files of the repository that git tracks."""
    if not (ROOT / "pyproject.toml").is_file() or not shutil.which("git"):
        return []
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


FILES = tracked()
pytestmark = [
    pytest.mark.sweep,  # builds; .ci/run looks at what it has built
    pytest.mark.source_tree,
    pytest.mark.skipif(not FILES, reason="the tests do not lie in a git checkout of the project"),
    pytest.mark.skipif(
        importlib.util.find_spec("build") is None, reason="the build front end is not installed"
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Names of the files in the wheel and in the sdist, built from the tracked files alone.

    Building takes minutes: ``FASTMLP_BUILT`` names a checkout in which it has been done.
    """
    sources = Path(os.environ.get("FASTMLP_BUILT") or tmp_path_factory.mktemp("tree"))
    if not (sources / "dist").exists():
        for name in FILES:
            target = sources / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
        # The wheel is built from the unpacked sdist: what an sdist lacks, the wheel lacks too.
        command = [sys.executable, "-m", "build", str(sources)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (wheel,) = (sources / "dist").glob("*.whl")
    (sdist,) = (sources / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {info.filename for info in archive.infolist() if not info.is_dir()}
    with tarfile.open(sdist) as archive:
        in_sdist = {
            member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()
        }
    beside = {path.name for top in ("nn", "kernels") for path in (sources / top).rglob("*")}
    return in_wheel, in_sdist, beside


def installed_name(source):
    """Where a file of ``nn`` or ``kernels`` lies in the wheel."""
    top, _, rest = source.partition("/")
    return {"nn": "fastmlp/", "kernels": "fastmlp/kernels/"}[top] + rest


def ours(*endings):
    return {
        name for name in FILES if name.startswith(("nn/", "kernels/")) and name.endswith(endings)
    }


def test_wheel_has_every_module(built):
    wheel, _, _ = built
    wanted = {installed_name(name) for name in ours(".py", ".pyi")}
    wanted |= {f"fastmlp/datasets/{name}" for name in ("digits.npz", "README.md")}
    assert wanted | {"fastmlp/py.typed"} <= wheel, sorted(wanted - wheel)


def test_wheel_has_the_extension(built):
    if COMPILER is None:
        pytest.skip("no C compiler here")
    extension = "fastmlp/kernels/compiled/_core" + sysconfig.get_config_var("EXT_SUFFIX")
    assert extension in built[0]


def test_wheel_has_nothing_else(built):
    """No sources of the extension, no tests, no second top-level package; one license."""
    wheel, _, _ = built
    assert {name.partition("/")[0] for name in wheel} == {"fastmlp", "fastmlp-0.1.0.dist-info"}
    for name in wheel:
        assert not name.endswith((".c", ".h", ".pyx", ".pxi", ".pxd", ".o", ".pyc")), name
        assert "/tests/" not in name, name
    assert "fastmlp-0.1.0.dist-info/licenses/LICENSE" in wheel


def test_sdist_can_build_and_test(built):
    _, sdist, _ = built
    wanted = ours(".py", ".pyi", ".pyx", ".pxi", ".h", ".c")
    wanted |= {name for name in FILES if name.startswith(("tests/", "nn/datasets/"))}
    wanted |= {"setup.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "nn/py.typed"}
    assert wanted <= sdist, sorted(wanted - sdist)


def test_sdist_has_nothing_generated(built):
    _, sdist, _ = built
    known = set(FILES)
    extra = {name for name in sdist - known if ".egg-info/" not in name}
    assert extra <= {"PKG-INFO", "setup.cfg"}, sorted(extra)
    assert "kernels/compiled/_core.c" not in sdist


def test_build_leaves_the_sources_clean(built):
    """Building an sdist and a wheel writes no C and no library beside the sources."""
    beside = built[2]
    assert "mlp.py" in beside
    assert not {name for name in beside if name.endswith((".so", ".o", "_core.c"))}
