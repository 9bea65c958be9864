#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.10.14"]
# ///
"""One command for each task: ``nox -s tests``, ``lint``, ``docs``; ``nox -l`` lists them.

Each makes an environment of its own. ``.ci/run`` is what has to pass in the end.
"""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
PROJECT = nox.project.load_toml("pyproject.toml")


@nox.session(default=True)
def lint(session: nox.Session) -> None:
    """Ruff: what it finds, and the format."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(default=True)
def tests(session: nox.Session) -> None:
    """The short suite; further arguments are pytest's."""
    session.install(".[all]", *nox.project.dependency_groups(PROJECT, "test"))
    arguments = session.posargs or ["-n", "auto", "--dist", "worksteal"]
    session.run("python", "-m", "pytest", *arguments)


@nox.session(default=False)
def types(session: nox.Session) -> None:
    """Strict types of the installed package."""
    session.install(".[all]", *nox.project.dependency_groups(PROJECT, "lint"))
    configuration = f"{session.invoked_from}/pyproject.toml"
    session.chdir(session.create_tmp())  # away from the sources
    session.run("mypy", "--config-file", configuration, "-p", "fastmlp")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The site, in docs/_build/html."""
    session.install(".[all]", *nox.project.dependency_groups(PROJECT, "docs"))
    session.run("make", "-C", "docs", "html", external=True)


@nox.session(default=False)
def natives(session: nox.Session) -> None:
    """The C kernels without Python; further arguments are those of tests/native/run."""
    session.run("python", "tests/native/run", *(session.posargs or ["native"]))


if __name__ == "__main__":
    nox.main()
