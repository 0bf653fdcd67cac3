"""The API's description is whole and true: valid, with examples that work, and no answer beside it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema_rs
import pytest
from django.conf import settings
from django.test import Client
from schemathesis.specs.openapi.definitions import OPENAPI_31

from orchestrator.api import examples
from orchestrator.api.openapi import SLUGS, Node
from tests.conftest import Door, Open
from tests.described import document, faults, misfits, operation_of, operations, resolved
from tests.test_matrix import API, stated

OPERATIONS = {said["operationId"]: (method, path, said) for method, path, said in operations()}
PUBLIC = {"api_health", "api_status"}


# --- the document --------------------------------------------------------------------------------------


def test_anybody_can_read_the_description(store: None) -> None:
    answer = Client().get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == document()


def test_the_description_is_valid_openapi_31() -> None:
    assert document()["openapi"].startswith("3.1.")
    found = jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(document())
    assert [f"{error.instance_path}: {error.message}" for error in found] == []


def nodes(node: object) -> list[Node]:
    """Every object of the document."""
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return ([node] if isinstance(node, dict) else []) + [found for each in below for found in nodes(each)]


def test_every_reference_refers_to_something_and_everything_is_referred_to() -> None:
    components = {f"#/components/{kind}/{name}" for kind, named in document()["components"].items() for name in named}
    used = {node["$ref"] for node in nodes(document()) if isinstance(node.get("$ref"), str)}
    schemes = {
        f"#/components/securitySchemes/{name}" for said in OPERATIONS.values() for each in said[2].get("security", []) for name in each
    }
    assert used | schemes == components


def test_every_route_under_api_is_described() -> None:
    own = {"api/openapi.json", "api/docs"}
    routes = {route.replace("<", "{").replace(">", "}") for route in stated(API) if route not in own}
    assert {path.lstrip("/") for path in document()["paths"]} == routes


def test_every_operation_has_a_title_a_tag_and_a_sentence() -> None:
    tags = {tag["name"] for tag in document()["tags"]}
    for name, (_, _, said) in OPERATIONS.items():
        assert said["summary"] and said["description"].endswith("."), name
        assert set(said["tags"]) <= tags and said["tags"], name
    assert {tag for _, _, said in OPERATIONS.values() for tag in said["tags"]} == tags


def test_every_operation_but_the_probes_needs_a_bearer_token() -> None:
    assert {name for name, (_, _, said) in OPERATIONS.items() if "security" not in said} == PUBLIC
    (scheme,) = document()["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")


def test_the_server_is_named_without_its_host() -> None:
    assert [server["url"] for server in document()["servers"]] == ["/"]


def test_every_error_is_a_problem_whose_types_are_listed() -> None:
    for name, (_, _, said) in OPERATIONS.items():
        for status, response in said["responses"].items():
            if int(status) >= 400 and (name, status) != ("api_health", "503"):
                (kind, content), *rest = resolved(response)["content"].items()
                assert kind == "application/problem+json" and not rest
                types = content["schema"]["properties"]["type"]["enum"]
                assert types == [f"urn:orchestrator:{slug}" for slug in SLUGS[int(status)]], (name, status)


def test_the_guide_lists_the_same_types_under_the_same_status() -> None:
    """docs/api.md is for people, the description for programs: both or neither."""
    table = re.findall(r"^\| ([\d, ]+) \| (`[^|]+) \|", (settings.BASE_DIR / "docs" / "api.md").read_text(), re.MULTILINE)
    told = {
        (status.strip(), slug) for statuses, slugs in table for status in statuses.split(",") for slug in re.findall(r"`([a-z-]+)`", slugs)
    }
    several = {statuses for statuses, _ in table if "," in statuses}
    assert {slug for _, slug in told} - {"method-not-allowed"} == {slug for slugs in SLUGS.values() for slug in slugs}
    for status, slugs in SLUGS.items():
        alone = {slug for said, slug in told if said == str(status)}
        assert alone >= set(slugs) if any(str(status) in each for each in several) else alone == set(slugs), status


# --- examples ------------------------------------------------------------------------------------------


def test_every_operation_shows_each_of_its_answers() -> None:
    for name, (_, _, said) in OPERATIONS.items():
        for status, response in said["responses"].items():
            for content in resolved(response).get("content", {}).values():
                assert content["examples"], (name, status)


def test_every_body_is_shown_and_every_parameter_says_what_it_is() -> None:
    for name, (_, _, said) in OPERATIONS.items():
        for content in said.get("requestBody", {}).get("content", {}).values():
            assert content["examples"], name
        for parameter in map(resolved, said["parameters"]):
            assert parameter["description"], (name, parameter["name"])
            assert "example" in parameter or parameter["name"] == "cursor", (name, parameter["name"])


def test_every_example_is_of_the_shape_it_is_an_example_of() -> None:
    looked = 0
    for node in nodes(document()):
        shown = [each["value"] for each in node.get("examples", {}).values()] if isinstance(node.get("examples"), dict) else []
        shown += [node["example"]] if "schema" in node and "example" in node else []
        for value in shown:
            assert misfits(node["schema"], value) == [], value
            looked += 1
    assert looked > 80


IDS = {"session": examples.SESSION, "task": examples.TASK, "approval": examples.APPROVAL}


class Scene:
    """A server on which the examples' story has begun: their ids stand for objects that are there."""

    def __init__(self, open_door: Open) -> None:
        self.doors = {
            "finance": open_door("finance-agent", "finance", "agent"), "manager": open_door("manager-agent", "manager", "agent"),
            "maria": open_door("maria", "manager"),
        }  # fmt: skip
        self.finance = self.doors["finance"]
        self.ids = {examples.SESSION: self.open(), examples.TASK: self.finance.route().json()["task_id"]}
        self.ask()

    def open(self) -> str:
        """A session that carries nothing yet."""
        return str(self.finance.post("/sessions", json={"agent_role": "finance"}).json()["session_id"])

    def ask(self) -> None:
        """The request on the task."""
        self.ids[examples.APPROVAL] = self.finance.ask(self.ids[examples.TASK]).json()["approval_id"]

    def decided(self) -> None:
        """The request is answered."""
        self.doors["maria"].post(f"/approvals/{self.ids[examples.APPROVAL]}/decision", json={"decision": "approved"})

    def claimed(self) -> None:
        """Nothing is open on the task, and somebody works at it."""
        self.decided()
        self.doors["manager"].put(f"/tasks/{self.ids[examples.TASK]}", json={"status": "active"})

    def real(self, value: Any) -> Any:
        """The same with the ids of what is there."""
        text = json.dumps(value)
        for shown, there in self.ids.items():
            text = text.replace(shown, there)
        return json.loads(text)

    def send(self, who: str, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        """The example's request."""
        for kind, shown in IDS.items():
            path = path.replace(f"{{{kind}_id}}", self.ids[shown])
        return self.doors[who].request(method, path.removeprefix("/api"), json=self.real(body), headers=headers)


#: Who sends an example (else finance's agent), and what must have happened before.
WHO = {"claim": "manager", "complete": "manager", "fail": "manager", "approve": "maria", "reject": "maria", "decide": "maria"}
BEFORE: dict[str, Callable[[Scene], None]] = {
    "complete": Scene.claimed,
    "fail": Scene.claimed,
    "ask": Scene.decided,
    "decided": Scene.decided,
}
SENT = [
    (operation, example) for operation, told in examples.EXAMPLES.items() for example in told
    if example.name != "unhealthy" and example.kind == "application/json"
]  # fmt: skip


@pytest.mark.parametrize(("operation", "example"), SENT, ids=[f"{operation}: {example.name}" for operation, example in SENT])
def test_every_example_works_as_shown(door: Open, operation: str, example: examples.Example) -> None:
    scene = Scene(door)
    if prepare := BEFORE.get(example.name):
        prepare(scene)
    method, path, _ = OPERATIONS[operation]
    headers = {"Idempotency-Key": examples.KEY} if operation == "route_task" else {}
    audit = {"list_events": f"?subject={scene.ids[examples.APPROVAL]}"}.get(operation, "")
    answer = scene.send(WHO.get(example.name, "finance"), method, path + audit, example.body, headers)
    assert answer.status_code == example.status, answer.text
    assert answer.json().keys() == example.reply.keys()
    for state in ("status", "state", "kind"):
        if example.body and state in example.reply:
            assert answer.json()[state] == example.reply[state]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_the_shown_export_has_the_columns_of_a_real_one(door: Open, form: str) -> None:
    scene = Scene(door)
    answer = scene.finance.get("/audit/export", params={"subject": scene.ids[examples.APPROVAL], "format": form})
    (shown,) = [each for each in examples.EXAMPLES["export_events"] if answer.headers["Content-Type"].startswith(each.kind)]
    first, there = shown.reply.splitlines()[0], answer.text.splitlines()[0]
    assert json.loads(first).keys() == json.loads(there).keys() if form == "jsonl" else first == there


# --- nothing beside it ---------------------------------------------------------------------------------


def test_a_heartbeat_answers_as_described(finance_door: Door) -> None:
    session = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
    assert finance_door.post(f"/sessions/{session}/heartbeat").status_code == 204
    assert finance_door.post(f"/sessions/{uuid4()}/heartbeat").status_code == 404


def test_the_tests_notice_an_answer_that_is_not_described() -> None:
    good = {"X-Trace-Id": examples.TRACE, "Content-Type": "application/json"}
    body = json.dumps({"status": "ok", "version": "1"}).encode()
    assert faults("GET", "/api/status", 200, good, body) == []
    assert faults("GET", "/api/status", 418, good, body) == ["status 418 is not described"]
    assert faults("GET", "/api/status", 200, {"Content-Type": "application/json"}, body) == ["X-Trace-Id is missing"]
    assert faults("GET", "/api/status", 200, {**good, "Content-Type": "text/html"}, body) == ["text/html is not described"]
    assert faults("GET", "/api/status", 200, {**good, "ETag": '"1"'}, body) == ["ETag is not described"]
    assert len(faults("GET", "/api/status", 200, good, b'{"status": "fine", "more": 1}')) == 3
    assert operation_of("GET", "/api/tasks/route") == OPERATIONS["read_task"][2]
    assert operation_of("POST", "/api/tasks/route") == OPERATIONS["route_task"][2]


def test_every_status_that_a_test_expects_is_described() -> None:
    """Each door of the tests looks at its own answers (tests/described.py); this finds a status that no door ever saw."""
    said = {status for _, _, operation in OPERATIONS.values() for status in operation["responses"]}
    files = [*Path(__file__).parent.glob("test_*_api.py"), Path(__file__).parent / "test_bad_input.py"]
    expected = {status for path in files for status in re.findall(r"status_code == (\d{3})", path.read_text())}
    assert expected - said == {"405"}  # no operation's own: that of a method which an address does not take
