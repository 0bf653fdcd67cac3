"""Whether an answer of the API is one that its description at /api/openapi.json allows; every door of the tests looks."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from orchestrator.api import api

Node = dict[str, Any]
READABLE = ("application/json", "application/problem+json")


@cache
def document() -> Node:
    """The description as clients read it."""
    return dict(json.loads(json.dumps(api.get_openapi_schema())))


def resolved(node: Node) -> Node:
    """What a reference refers to."""
    while "$ref" in node:
        _, kind, name = node["$ref"].removeprefix("#").split("/")[1:]
        node = document()["components"][kind][name]
    return node


def operations() -> list[tuple[str, str, Node]]:
    """Each operation: method, path, what is said of it."""
    return [(method.upper(), path, said) for path, methods in document()["paths"].items() for method, said in methods.items()]


@cache
def _addresses() -> list[tuple[str, re.Pattern[str], Node]]:
    """Fixed addresses first: /tasks/route is no task."""
    found = sorted(operations(), key=lambda each: "{" in each[1])
    return [(method, re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), said) for method, path, said in found]


def operation_of(method: str, path: str) -> Node | None:
    """Which operation a request is; None for none."""
    known = {"HEAD": "GET"}.get(method, method)
    return next((said for verb, address, said in _addresses() if verb == known and address.fullmatch(path)), None)


@cache
def _components() -> Node:
    """Here a reply may hold nothing that is not described; clients are told to pass over what they do not know."""
    components: Node = json.loads(json.dumps(document()["components"]))
    for name, schema in components["schemas"].items():
        if not name.endswith("In"):
            schema["additionalProperties"] = False
    return components


@cache
def _validator(schema: str) -> jsonschema_rs.Validator:
    whole = {**json.loads(schema), "components": _components()}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def misfits(schema: Node, value: object) -> list[str]:
    """In what a value is not of that shape."""
    return [f"{list(error.instance_path)}: {error.message}" for error in _validator(json.dumps(schema)).iter_errors(value)]


def faults(method: str, path: str, status: int, headers: Mapping[str, str], content: bytes | None) -> list[str]:
    """In what an answer is not as described; `content` is None if it is not to be read. Addresses not described are nobody's."""
    operation = operation_of(method, path)
    if operation is None:
        return []
    if str(status) not in operation["responses"]:
        return [f"status {status} is not described"]
    response = resolved(operation["responses"][str(status)])
    return _header_faults(response, headers) + _content_faults(response, headers, None if method == "HEAD" else content)


def _header_faults(response: Node, headers: Mapping[str, str]) -> list[str]:
    found = []
    for name, said in response["headers"].items():
        header = resolved(said)
        if name in headers:
            found += [f"{name} {fault}" for fault in misfits(header["schema"], headers[name])]
        elif header["required"]:
            found.append(f"{name} is missing")
    told = {"ETag", "Location", "Retry-After", "Idempotent-Replayed", "WWW-Authenticate", "Content-Disposition"}
    return found + [f"{name} is not described" for name in told if name in headers and name not in response["headers"]]


def _content_faults(response: Node, headers: Mapping[str, str], content: bytes | None) -> list[str]:
    if "content" not in response:
        return ["has a body"] if content else []
    kind = headers["Content-Type"].partition(";")[0]
    if kind not in response["content"]:
        return [f"{kind} is not described"]
    readable = content is not None and kind in READABLE
    return misfits(response["content"][kind]["schema"], json.loads(content or b"")) if readable else []


def look(response: httpx.Response) -> None:
    """For httpx's event hooks."""
    path, kind = response.request.url.path, response.headers.get("Content-Type", "").partition(";")[0]
    content = response.read() if kind in READABLE else None
    found = faults(response.request.method, path, response.status_code, response.headers, content)
    assert found == [], (response.request.method, path, response.status_code, found)
