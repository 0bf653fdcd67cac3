"""What the API says of itself at /api/openapi.json, beyond its endpoints' signatures; nothing here runs while a request is answered."""

import re
from functools import cached_property
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from orchestrator.api import examples
from orchestrator.api.idempotency import KEYED
from orchestrator.api.problems import DETAILS, TITLES
from orchestrator.api.wire import ANY_CASE

Node = dict[str, Any]
JSON, PROBLEM = "application/json", "application/problem+json"

#: Every slug, by status (docs/api.md says what each means).
SLUGS = {
    400: ["bad-request", "bad-idempotency-key", "unknown-status"],
    401: ["unauthorized"],
    403: ["not-allowed", "not-yours-to-decide"],
    404: ["not-found"],
    406: ["not-acceptable"],
    409: [
        "still-running", "busy", "already-decided", "already-claimed", "move-not-allowed", "task-ended", "session-ended", "not-pending",
        "not-claimed", "approval-pending", "no-open-approval", "several-open", "session-has-task", "task-carried",
    ],
    412: ["precondition-failed"],
    413: ["too-large"],
    415: ["unsupported-media-type"],
    422: ["invalid", "idempotency-key-reused"],
    429: ["too-many-requests"],
    503: ["unavailable"],
}  # fmt: skip
#: Which headers a refusal brings, besides X-Trace-Id; with a ? not always.
REFUSAL_HEADERS = {401: ["WWW-Authenticate"], 409: ["Retry-After?"], 429: ["Retry-After"], 503: ["Retry-After"]}
EVERYWHERE = (400, 406)
WITH_TOKEN = (401, 422, 429, 503)  # 422: a query parameter that is not known
WITH_BODY = (413, 415)

TEXT = {"type": "string"}
SECONDS = {"type": "string", "pattern": "^[0-9]+$"}
HEADERS: dict[str, tuple[str, Node, str]] = {
    "X-Trace-Id": ("The request's own trace id, to name when something is unclear.", {**TEXT, "format": "uuid"}, examples.TRACE),
    "ETag": ("The object's version; send it as If-Match to change only what you saw.", {**TEXT, "pattern": '^"[0-9]+(-expired)?"$'}, '"1"'),
    "Location": ("Where the object is.", {**TEXT, "format": "uri-reference"}, f"/api/tasks/{examples.TASK}"),
    "Idempotent-Replayed": ("`true` when the answer is the repetition of an earlier one.", {**TEXT, "const": "true"}, "true"),
    "Retry-After": ("Seconds to wait before the next attempt.", SECONDS, "1"),
    "WWW-Authenticate": ("Why the token does not count (RFC 6750).", {**TEXT, "pattern": "^Bearer "}, 'Bearer error="invalid_token"'),
    "Content-Disposition": ("A name for the file.", TEXT, 'attachment; filename="audit.jsonl"'),
}
KEY_PATTERN = '^([A-Za-z0-9_.:-]{1,128}|"[A-Za-z0-9_.:-]{1,128}")$'
REQUEST_HEADERS: dict[str, tuple[str, Node, str]] = {
    "Idempotency-Key": ("The same at each attempt of one request: then it happens once.", {**TEXT, "pattern": KEY_PATTERN}, examples.KEY),
    "If-Match": ("The ETag of what you saw; 412 when it changed meanwhile.", TEXT, '"1"'),
    "X-Trace-Id": ("A UUID to find everything of this request under; a malformed one is ignored.", TEXT, examples.TRACE),
    "traceparent": ("The same, as W3C Trace Context.", TEXT, "00-6f1c2d845a0e4b579a431f0c8be7d215-00f067aa0ba902b7-01"),
}
#: What is to be said about parameters in path and query, and an example of each.
PARAMETERS: dict[str, tuple[str, Any]] = {
    "session_id": ("A session's id; to read, its task's id will do too.", examples.SESSION),
    "task_id": ("A task's id, with or without `task-`.", examples.TASK),
    "approval_id": ("A request's id, with or without `approval-`.", examples.APPROVAL),
    "page": ("From 1; smaller reads 1. For what lies beyond row 100,000 use `cursor`.", 1),
    "page_size": ("Rows of a page, 1 to 100; other numbers are cut to that.", 20),
    "cursor": ("`next_cursor` of the page before, with the same filters.", None),
    "since": ("From this time on (created; events: happened). Without a zone it is UTC.", "2026-11-01T00:00:00Z"),
    "until": ("Before this time.", "2026-12-01T00:00:00Z"),
    "status": ("Only what is in this state now; what ran out of time is `expired`.", None),
    "agent_role": ("Only sessions of this role.", "finance"),
    "q": ("Whole words of the metadata.", "ledger"),
    "target": ("Only tasks to this role.", "manager"),
    "task_type": ("Only tasks of this type.", "budget_approval"),
    "approver_role": ("Only what was asked of this role.", "manager"),
    "wait": ("Seconds to wait for the answer while it is pending.", 0),
    "subject": ("Id of a session (with all that is below it), a task or a request. Auditor and admin may do without.", examples.TASK),
    "event_type": ("Only events of this name.", "approval.requested"),
    "role": ("Only what was done in this role.", "finance"),
    "actor": ("Only what this name did.", "finance-agent"),
    "trace_id": ("Only events under this trace.", examples.TRACE),
    "format": ("JSON Lines or CSV.", "jsonl"),
}
DESCRIPTION = f"""Agents open sessions, hand tasks along the org chart and ask for approval; people decide.

Every error is `{PROBLEM}` (RFC 9457). Beside what each operation lists: an address that is not known is 404, a method that an
address does not take 405 with `Allow`. A field or query parameter that is not known is 422: nothing you send is passed over in silence.
Every GET answers HEAD too. Sending a request again with the same `Idempotency-Key` is safe. The probes `/health`, `/livez` and `/status`
stand at the root. What is no readable HTTP is refused before it gets here: an address beyond 8190 bytes (414), headers too long (431)."""
TAGS = {
    "sessions": "One agent's piece of work, from opening to completed, failed or expired.",
    "tasks": "Work handed from one role to another.",
    "approvals": "Questions to a role about a task; a person decides.",
    "audit": "What happened, who did it, in which role.",
    "caller": "Who you are, and which roles there are.",
    "probes": "Whether it runs; no token needed.",
}


class DescribedAPI(NinjaAPI):
    """A NinjaAPI whose description is whole. The replies' shapes are declared for it alone: endpoints answer ready responses."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The endpoint's name: generated clients get `route_task`, not the module's path."""
        return str(operation.view_func.__name__)

    def get_openapi_schema(self, *, path_prefix: str | None = None, path_params: Node | None = None) -> OpenAPISchema:
        """ninja's document, completed; made once, for there is one address."""
        return self._document

    @cached_property
    def _document(self) -> OpenAPISchema:
        document = super().get_openapi_schema()
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _complete(path, operation)
        components = document["components"] | _components()
        components["schemas"] = dict(sorted(components["schemas"].items())) | {"Problem": _problem()}
        text = repr([document["paths"], components])
        for kind in ("schemas", "headers"):  # ninja describes queries twice; few headers come both always and sometimes
            components[kind] = {name: node for name, node in components[kind].items() if repr(_ref(kind, name)) in text}
        document["components"] = components
        document["tags"] = [{"name": name, "description": said} for name, said in TAGS.items()]
        return document


def says(*refused: int, **gives: list[str]) -> Node:
    """For `openapi_extra` beside an endpoint: the refusals of its own, and the headers of its answers: `_201=["ETag"]`."""
    given = {int(status[1:]): {"headers": _named(headers)} for status, headers in gives.items()}
    return {"responses": {**given, **{status: {"$ref": _ref("responses", _name(status))} for status in refused}}}


def _ref(kind: str, name: str) -> str:
    return f"#/components/{kind}/{name}"


def _name(status: int) -> str:
    return TITLES[status].title().replace(" ", "")


def _named(headers: list[str]) -> Node:
    """References to headers; one with a ? does not come always."""
    return {name.rstrip("?"): {"$ref": _ref("headers", name.replace("?", ".optional"))} for name in headers}


# --- one operation -------------------------------------------------------------------------------------


def _complete(path: str, operation: Node) -> None:
    operation["summary"] = re.split(r"[.;:](?: |$)", operation["description"])[0]
    operation["parameters"] = [_parameter(each) for each in operation["parameters"]] + _header_parameters(path, operation)
    told = {example.name: example for example in examples.EXAMPLES[operation["operationId"]]}
    if body := operation.get("requestBody"):
        body["content"][JSON]["examples"] = {name: {"value": example.body} for name, example in told.items() if example.body}
    refusals = (*EVERYWHERE, *(WITH_TOKEN if "security" in operation else ()), *(WITH_BODY if body else ()))
    responses = says(*refusals)["responses"] | operation["responses"]
    for status, response in responses.items():
        if "$ref" not in response:
            _answer(response, [example for example in told.values() if example.status == status])
    operation["responses"] = {str(status): responses[status] for status in sorted(responses)}


def _answer(response: Node, told: list[examples.Example]) -> None:
    """An answer's headers, examples, and the kinds of content that ninja does not know of."""
    response["headers"] = {**_named(["X-Trace-Id"]), **response.get("headers", {})}
    schema = response.pop("content", {}).get(JSON, {}).get("schema")
    for example in told:
        content = response.setdefault("content", {}).setdefault(example.kind, {"schema": schema, "examples": {}})
        content["examples"][example.name] = {"value": example.reply}


def _parameter(found: Node) -> Node:
    """In a query or path nothing is null, and every parameter says what it is."""
    said, example = PARAMETERS[found["name"]]
    schema = _without_null(found["schema"])
    if found["in"] == "path":
        kind = found["name"].removesuffix("_id")
        schema = {**TEXT, "pattern": f"^({'session-|task' if kind == 'session' else kind}-)?{ANY_CASE}$"}
    given = schema.get("enum", [None])[0] if example is None else example
    return {**found, "schema": schema, "description": said, **({} if given is None else {"example": given})}


def _without_null(schema: Node) -> Node:
    kept = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "title"} and value is not None}
    return {**rest, **kept[0]} if kept else rest


def _header_parameters(path: str, operation: Node) -> list[Node]:
    names = ["X-Trace-Id", "traceparent"]
    if 412 in operation["responses"]:
        names.insert(0, "If-Match")
    if "requestBody" in operation and (key := path.lstrip("/")) in KEYED:
        names.insert(0, "NeededIdempotencyKey" if KEYED[key] else "Idempotency-Key")
    return [{"$ref": _ref("parameters", name)} for name in names]


# --- what operations refer to --------------------------------------------------------------------------


def _components() -> Node:
    parameters = {name: _header_parameter(name) for name in REQUEST_HEADERS}
    parameters["NeededIdempotencyKey"] = {**_header_parameter("Idempotency-Key"), "required": True}
    always = {name: _header(name, required=True) for name in HEADERS}
    sometimes = {f"{name}.optional": _header(name, required=False) for name in HEADERS}
    return {
        "parameters": parameters,
        "headers": {**always, **sometimes},
        "responses": {_name(status): _refusal(status) for status in SLUGS},
    }


def _header(name: str, required: bool) -> Node:
    said, schema, example = HEADERS[name]
    return {"description": said, "required": required, "schema": schema, "example": example}


def _header_parameter(name: str) -> Node:
    said, schema, example = REQUEST_HEADERS[name]
    return {"name": name, "in": "header", "required": False, "description": said, "schema": schema, "example": example}


def _refusal(status: int) -> Node:
    """A status's problem: which types it has, and one of them as an example."""
    types = [f"urn:orchestrator:{slug}" for slug in SLUGS[status]]
    schema = {"allOf": [{"$ref": _ref("schemas", "Problem")}], "properties": {"status": {"const": status}, "type": {"enum": types}}}
    example = {
        "type": types[0], "title": TITLES[status], "status": status, "detail": DETAILS.get(status, TITLES[status]),
        "trace_id": examples.TRACE, **({"errors": [{"field": "target", "message": "is required"}]} if status == 422 else {}),
    }  # fmt: skip
    return {
        "description": f"{TITLES[status]}: {', '.join(f'`{slug}`' for slug in SLUGS[status])}",
        "headers": _named(["X-Trace-Id", *REFUSAL_HEADERS.get(status, [])]),
        "content": {PROBLEM: {"schema": schema, "examples": {SLUGS[status][0]: {"value": example}}}},
    }


def _problem() -> Node:
    """The one shape of every error; some bring what programs need to go on."""
    error = {"type": "object", "required": ["field", "message"], "properties": {"field": TEXT, "message": TEXT}}
    facts = {
        "errors": {"type": "array", "items": error, "description": "What is wrong with which field (422)"},
        "allowed": {"type": "array", "items": TEXT, "description": "The states that can follow (`move-not-allowed`)"},
        "decision": {**TEXT, "description": "What it is now (`already-decided`, `not-pending`)"},
        "decided_by": {**TEXT, "description": "Who decided it (`already-decided`)"},
        "decision_at": {**TEXT, "format": "date-time", "description": "When (`already-decided`)"},
        "claimed_by": {**TEXT, "description": "Who claimed it (`already-claimed`)"},
        "claimed_at": {**TEXT, "format": "date-time", "description": "When (`already-claimed`)"},
        "session_id": {**TEXT, "format": "uuid", "description": "The session that carries the task (`task-carried`)"},
        "approval_ids": {"type": "array", "items": TEXT, "description": "The requests that are open (`several-open`)"},
    }
    always = {
        "type": {**TEXT, "description": "`urn:orchestrator:` and a slug that names the case for programs"},
        "title": {**TEXT, "description": "The status in words"},
        "status": {"type": "integer"},
        "detail": {**TEXT, "description": "What to do about it, for people"},
        "trace_id": {**TEXT, "format": "uuid", "description": "The request's own"},
    }
    return {
        "title": "Problem", "type": "object", "description": "RFC 9457", "required": list(always), "properties": {**always, **facts},
        "additionalProperties": False,
    }  # fmt: skip
