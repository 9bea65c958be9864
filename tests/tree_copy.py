"""A copy of the sources that can be changed, built in another way, and tested."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("nn", "kernels", "tests", "benchmarks", "docs", "setup.py", "pyproject.toml")
COPIED += ("README.md", "LICENSE", "MANIFEST.in", "CONTRIBUTING.md", "CHANGELOG.md")


@dataclass(frozen=True)
class Tree:
    """A copy in a folder; its ``site`` has the package under the name that it is imported by."""

    folder: Path

    @property
    def made(self) -> bool:
        return (self.folder / "site").exists()

    def make(self) -> None:
        """Copy the files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            source, target = ROOT / name, self.folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy2(source, target)
        (self.folder / "site").mkdir()
        (self.folder / "site/fastmlp").symlink_to(self.folder / "nn")
        (self.folder / "nn/kernels").symlink_to(self.folder / "kernels")

    def change(self, file: str, old: str, new: str) -> None:
        """Replace the first occurrence of a text, which must be there."""
        path = self.folder / file
        text = path.read_text("utf-8")
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1), "utf-8")

    def build(self, flags: str, *, afresh: bool = True) -> None:
        """Build the extension in place, with more flags of the C compiler."""
        for old in (self.folder / "kernels/compiled").glob("_core*.so"):
            if afresh:
                old.unlink()
        environment = os.environ | {"FASTMLP_REQUIRE_COMPILED": "1", "CFLAGS": flags}
        environment["LDFLAGS"] = flags
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        subprocess.run(command, cwd=self.folder, env=environment, check=True)

    def test(
        self, arguments: list[str], *, capture_output: bool = False, text: bool = False, **env: str
    ) -> subprocess.CompletedProcess[Any]:
        """Run pytest on the copy, with more variables of the environment."""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return self.run(command, capture_output=capture_output, text=text, **env)

    def run(
        self, command: list[str], *, capture_output: bool = False, text: bool = False, **env: str
    ) -> subprocess.CompletedProcess[Any]:
        """Run a program on the copy, with more variables of the environment."""
        environment = os.environ | {
            "PYTHONPATH": str(self.folder / "site"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **env,
        }
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=capture_output,
            text=text,
            check=False,
        )
