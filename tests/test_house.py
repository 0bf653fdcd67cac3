"""The house stays as drawn: imports run one way, every file says what it is for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ["audit", "sessions", "approvals", "orchestrator"]


def modules(package: str) -> list[Path]:
    """Our own files of a package."""
    return [path for path in (ROOT / package).rglob("*.py") if not path.name.startswith("0001_")]


def imported(path: Path) -> Iterator[str]:
    """The first part of everything that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_only_what_stands_to_its_left(package: str) -> None:
    above = set(ORDER[ORDER.index(package) + 1 :]) | {"tests"}
    assert {f"{path.relative_to(ROOT)} imports {name}" for path in modules(package) for name in imported(path) if name in above} == set()


def test_every_file_begins_with_what_it_is_for() -> None:
    files = [path for package in [*ORDER, "tests"] for path in modules(package) if path.read_text().strip()]
    assert [str(path.relative_to(ROOT)) for path in files if not ast.get_docstring(ast.parse(path.read_text()))] == []
