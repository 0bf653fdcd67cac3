"""The house stays as drawn: imports run one way, every file says what it is for, every route states who may use it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

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


#: Who may use a route: anybody, who is signed in, staff, or the bearer of a token. A new route must be added here.
RULES = {
    "": "login",
    "approvals/": "login",
    "approvals/<uuid:id>/": "login",
    "approvals/<uuid:id>/decide/": "login",
    "sessions/": "login",
    "sessions/<uuid:id>/": "login",
    "audit/": "login",
    "audit/export/": "login",
    "sign-in/": "public",
    "sign-out/": "login",
    "password/": "login",
    "admin/login/": "login",
    "admin/": "staff",
    "health": "public",
    "livez": "public",
    "status": "public",
    "api/": "token",
    "api/openapi.json": "public",
    "api/docs": "public",
    "api/health": "public",
    "api/status": "public",
    "api/sessions": "token",
    "api/sessions/<session_id>": "token",
    "api/sessions/<session_id>/heartbeat": "token",
    "api/tasks": "token",
    "api/tasks/route": "token",
    "api/tasks/<task_id>": "token",
    "api/approvals": "token",
    "api/approvals/<approval_id>": "token",
    "api/approvals/<approval_id>/decision": "token",
    "api/approvals/<approval_id>/cancel": "token",
    "api/audit": "token",
    "api/audit/export": "token",
    "api/audit/ingest": "token",
    "api/me": "token",
    "api/roles": "token",
    "^api(?P<rest>/.*)?$": "public",
}


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    """Every route of the site; Django admin counts as one."""
    for pattern in patterns:
        route = f"{before}{pattern.pattern}"
        if route == "admin/":
            yield route
        elif isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def test_every_route_states_who_may_use_it() -> None:
    assert set(routes(get_resolver().url_patterns)) == set(RULES)


SOME_ID = "01a1fbb1-3662-762a-badf-a2a9cb622447"


@pytest.mark.parametrize(("route", "rule"), RULES.items())
def test_without_a_login_or_token_only_public_routes_answer(store: None, route: str, rule: str) -> None:
    path = "/api/nothing" if route.startswith("^") else f"/{route}"
    for name in ("<uuid:id>", "<session_id>", "<task_id>", "<approval_id>"):
        path = path.replace(name, SOME_ID)
    for method in ("get", "post", "put", "delete"):
        answer = getattr(Client(), method)(path)
        if rule == "public":
            assert answer.status_code in (200, 404, 405)
        elif rule == "token":
            assert answer.status_code in (401, 404, 405)
        else:
            assert answer.status_code in (302, 405), (method, path)
            assert answer.status_code == 405 or answer["Location"].startswith(("/sign-in/", "/admin/login/"))
