"""Requests made out of the API's description, good and bad ones, against a real server: nothing that it answers is undescribed.

Always the same ones; SCHEMATHESIS_EXAMPLES=500 looks longer and elsewhere.
"""

import os
import re
from copy import deepcopy
from typing import Any
from zlib import crc32

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.conftest import Door, Open
from tests.described import document

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "0"))
ID = re.compile(r"(?:[a-z]+-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
CALLERS = {"an agent": ("everywhere-agent", "finance", "manager", "agent"), "a person": ("maria", "finance", "manager")}
CHECKS = [
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance,
    checks.response_headers_conformance, checks.unsupported_method, checks.allow_header_conformance, checks.missing_required_header,
]  # fmt: skip

config = schemathesis.Config.from_dict(
    {
        "seed": 20261121,
        "generation": {"max-examples": EXAMPLES or 10, "deterministic": not EXAMPLES, "with-security-parameters": False},
        "phases": {"examples": {"enabled": True}, "coverage": {"enabled": True}, "fuzzing": {"enabled": True}},
    }
)
schema = schemathesis.openapi.from_dict(deepcopy(document()), config=config)  # it writes into what it is given


class World:
    """A caller and what is there for it: objects in every state, so that requests hit something."""

    def __init__(self, open_door: Open, caller: str) -> None:
        self.caller = open_door(*CALLERS[caller])
        finance = open_door("finance-agent", "finance", "agent")
        tasks = [finance.route().json()["task_id"] for _ in range(3)]
        approvals = [finance.ask(task).json()["approval_id"] for task in tasks]
        open_door("felix", "manager").post(f"/approvals/{approvals[0]}/decision", json={"decision": "approved"})
        self.caller.put(f"/tasks/{tasks[0]}", json={"status": "active"})
        self.pool = {"task_id": tasks, "approval_id": approvals, "session_id": self.sessions(self.caller), "subject": tasks}

    def sessions(self, door: Door) -> list[str]:
        """Two that carry nothing, one that carries a task."""
        opened = [door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"] for _ in range(2)]
        door.route(session_id=opened[0], from_role="finance")
        return opened

    def aim(self, values: Any) -> None:
        """Three of four well-formed ids become those of something that is there."""
        for name, ids in self.pool.items():
            if isinstance(values, dict) and isinstance(value := values.get(name), str) and ID.fullmatch(value):
                values[name] = [*ids, *ids, value][crc32(value.encode()) % (2 * len(ids) + 1)]


@pytest.fixture
def world(door: Open, caller: str) -> World:
    """One for all requests to an operation."""
    return World(door, caller)


@pytest.mark.long
@schema.parametrize()
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("caller", CALLERS)
def test_every_answer_is_described(case: schemathesis.Case[Any], world: World, server: str, caller: str) -> None:
    for values in (case.path_parameters, case.body, case.query):
        world.aim(values)
    if str(case.query.get("wait")).isdigit():
        case.query["wait"] = 0  # the answer to a pending one would take that long
    case.call_and_validate(server, headers={"Authorization": world.caller.headers["Authorization"]}, checks=CHECKS)
