"""What is installed in the images, against what the project says it needs."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

from tools.image import CHECKOUT

REQUIREMENTS = CHECKOUT / "requirements"


def _names(file: Path) -> set[str]:
    lines = [line.split("#")[0].strip() for line in file.read_text().splitlines()]
    return {re.split(r"[=<>~ ]", line)[0] for line in lines if line and not line.startswith("-")}


def test_images_have_what_the_project_depends_on() -> None:
    """Both images have all dependencies of pyproject.toml."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[=<>~ ]", dependency)[0] for dependency in project["dependencies"]}
    assert _names(REQUIREMENTS / "collector.txt") == wanted
    assert _names(REQUIREMENTS / "agent.txt") == set()
    assert "-r collector.txt" in (REQUIREMENTS / "agent.txt").read_text().splitlines()


def test_every_package_of_an_image_is_pinned() -> None:
    """Two builds of one commit have the same Python packages."""
    pinned = _names(REQUIREMENTS / "constraints.txt")
    assert _names(REQUIREMENTS / "collector.txt") | _names(REQUIREMENTS / "agent.txt") <= pinned
    build = [line for line in (REQUIREMENTS / "build.txt").read_text().splitlines() if not line.startswith("#")]
    assert build
    assert all("==" in line for line in build)


def test_the_asynchronous_kubernetes_client_is_not_used() -> None:
    """It is not in the images."""
    imported = set()
    for file in (CHECKOUT / "agent/bulkhead").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    assert not [name for name in imported if name.startswith(("kubernetes.aio", "aiohttp"))]
