"""Whose token counts: every check by itself, over HTTP too, and the command that prints one."""

import base64
import hashlib
import hmac
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.management import CommandError, call_command
from pytest_django import Settings

from audit.actor import Actor, Kind
from orchestrator import identity
from orchestrator.identity import BadToken, actor_from_token
from orchestrator.provider import ProviderAway
from tests.conftest import Door
from tests.evidence import NOBODYS, refused
from tests.issuer import KEY, Issuer, serving, trust

PROJECT = Path(__file__).resolve().parent.parent
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class FromNow:
    """A time to be said when the token is made."""

    seconds: float
    form: Callable[[float], Any] = int


def claims(**changes: Any) -> dict[str, Any]:
    """Of a good token, unless changed; `...` leaves a claim out."""
    now = int(time.time())
    good = {
        "iss": "local", "sub": "finance-agent", "preferred_username": "finance-agent", "aud": "goose-controller", "typ": "Bearer",
        "iat": now, "exp": now + 300, "realm_access": {"roles": ["finance", "agent"]},
    }  # fmt: skip
    said = {name: value for name, value in {**good, **changes}.items() if value is not ...}
    return {name: value.form(now + value.seconds) if isinstance(value, FromNow) else value for name, value in said.items()}


def text(seconds: float) -> str:
    """A time as text."""
    return str(int(seconds))


def signed(key: Any = None, algorithm: str = "RS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token with these claims, by our own key unless another is given."""
    said = {"typ": "JWT", "alg": algorithm, **(headers or {})}
    parts = b".".join(plain(part) for part in (said, claims(**changes)))
    signature = jwt.get_algorithm_by_name(algorithm).sign(parts, key or identity._own_key())
    return f"{parts.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def plain(part: Any) -> bytes:
    """One part of a token; PyJWT itself would refuse to write some of the claims that we need."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


def actor(**changes: Any) -> Actor:
    """Who a token with these claims names."""
    return actor_from_token(signed(**changes), uuid4())


def public_pem() -> bytes:
    """What everybody may know."""
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return identity._own_key().public_key().public_bytes(*form)


def hs256_with_the_public_key() -> str:
    """The classic confusion of a public key with a shared secret."""
    parts = b".".join(plain(part) for part in ({"alg": "HS256", "typ": "JWT"}, claims()))
    signature = hmac.new(public_pem(), parts, hashlib.sha256).digest()
    return f"{parts.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def without_signature(algorithm: str) -> str:
    """A token that nobody signed."""
    return b".".join([plain({"alg": algorithm, "typ": "JWT"}), plain(claims()), b""]).decode()


def changed_after_signing() -> str:
    """Somebody gave themselves a role."""
    head, _, signature = signed().split(".")
    return f"{head}.{plain(claims(realm_access={'roles': ['admin']})).decode()}.{signature}"


FORGED: dict[str, Callable[[], str]] = {
    "by another key": lambda: signed(OTHER_KEY), "changed after signing": changed_after_signing,
    "unsigned": lambda: without_signature("none"),
    "None": lambda: without_signature("None"), "claims to be RS256": lambda: without_signature("RS256"),
    "public key as secret": hs256_with_the_public_key, "HS256": lambda: signed(b"x" * 32, "HS256"), "cut": lambda: signed()[:-10],
    "its own key along": lambda: signed(OTHER_KEY, headers={"jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OTHER_KEY.public_key()))}),
    "a key to fetch": lambda: signed(OTHER_KEY, headers={"jku": "http://127.0.0.1:1/jwks"}),
    "critical extension": lambda: signed(headers={"crit": ["exp2"], "exp2": 1}), "two parts": lambda: signed().rsplit(".", 1)[0],
    "four parts": lambda: signed() + ".x", "nothing": lambda: "", "dots": lambda: "..", "no JSON": lambda: "e30.e30.e30",
    "deep": lambda: f"{plain({'alg': 'RS256'}).decode()}.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.x", "text": lambda: "é ü",
}  # fmt: skip


@pytest.mark.parametrize("case", FORGED)
def test_a_token_that_the_issuer_did_not_sign_does_not_count(case: str) -> None:
    with pytest.raises(BadToken):
        actor_from_token(FORGED[case](), uuid4())


WRONG: list[Any] = [
    {"exp": FromNow(300, text)}, {"iat": FromNow(0, text)},
    {"sub": " "},
    {"iss": "other"}, {"iss": "Local"}, {"iss": ...}, {"iss": ["local"]}, {"iss": ""}, {"aud": "other"}, {"aud": ["a", "b"]}, {"aud": ...},
    {"aud": ""}, {"aud": None}, {"typ": "ID"}, {"typ": "Refresh"}, {"typ": "bearer"}, {"typ": ...}, {"typ": ["Bearer"]},
    {"exp": FromNow(-60)}, {"exp": ...}, {"exp": None}, {"exp": "never"}, {"exp": []}, {"iat": FromNow(600)}, {"iat": ...}, {"iat": "x"},
    {"nbf": FromNow(600)}, {"nbf": "x"}, {"exp": FromNow(3700)}, {"iat": FromNow(-4000), "exp": FromNow(300)}, {"exp": 10**12},
    {"sub": ...}, {"sub": ""}, {"sub": 7}, {"sub": None}, {"sub": ["x"]}, {"sub": "a\nb"}, {"sub": "a\x00b"}, {"sub": "x" * 256},
    {"sub": "\u202eb"},
    {"exp": float("inf")}, {"iat": float("-inf")}, {"exp": float("nan")}, {"nbf": float("inf")},
    {"exp": True}, {"iat": {}}, {"exp": 10**400}, {"sub": "\ud800"},
]  # fmt: skip


@pytest.mark.parametrize("changes", WRONG, ids=lambda changes: repr(changes)[:40])
def test_a_token_with_a_wrong_claim_does_not_count(changes: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        actor(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": FromNow(-5)}, {"iat": FromNow(5)}, {"nbf": FromNow(5)}, {"nbf": FromNow(0)}, {"aud": ["account", "goose-controller"]},
        {"exp": FromNow(299.5, float)},
        {"sub": "é" * 255}, {"sub": "a b|c"}, {"azp": "x", "session_state": None, "acr": "1"}, {"iat": FromNow(-3000), "exp": FromNow(600)},
    ],
    ids=lambda changes: repr(changes)[:40],
)  # fmt: skip
def test_a_good_token_counts_also_when_clocks_differ_a_little(changes: dict[str, Any]) -> None:
    assert actor(**changes).principal == f"local|{changes.get('sub', 'finance-agent')}"


def test_a_longer_life_than_allowed_is_refused_by_the_setting(settings: Settings) -> None:
    settings.TOKEN_MAX_AGE = 60
    with pytest.raises(BadToken, match="60 seconds"):
        actor()


@pytest.mark.parametrize(
    ("access", "roles"),
    [
        ({"roles": ["Finance", "MANAGER"]}, {"finance", "manager"}),
        ({"roles": ["default-roles-desk", "offline_access", "uma_authorization", "finance"]}, {"finance"}),
        ({"roles": ["9x", "a b", "", "x" * 51, "-a", "ä", "fin\nance", "a.b", "finance\n", "a\x00"]}, set()),
        ({"roles": ["x" * 50, "a-1_b"]}, {"x" * 50, "a-1_b"}),
        ({"roles": [1, None, ["admin"], {"admin": 1}, True, "finance"]}, {"finance"}),
        ({"roles": "admin"}, set()), ({"roles": {"admin": 1}}, set()), ({"roles": None}, set()), ({}, set()),
        (["admin"], set()), ("admin", set()), (7, set()), (None, set()), (..., set()),
        ({"roles": ["\u212aing", "\u0130t"]}, set()),  # the Kelvin sign's small letter is k
    ],
)  # fmt: skip
def test_roles_are_folded_filtered_and_never_guessed(access: Any, roles: set[str]) -> None:
    assert actor(realm_access=access).roles == roles


@pytest.mark.parametrize(
    ("access", "roles"),
    [
        ({"goose-controller": {"roles": ["Legal"]}, "account": {"roles": ["admin"]}}, {"finance", "agent", "legal"}),
        ({"realm-management": {"roles": ["admin"]}}, {"finance", "agent"}), ({"goose-controller": ["admin"]}, {"finance", "agent"}),
        (["goose-controller"], {"finance", "agent"}), ("goose-controller", {"finance", "agent"}), (None, {"finance", "agent"}),
    ],
)  # fmt: skip
def test_of_the_clients_roles_only_our_audiences_count(access: Any, roles: set[str]) -> None:
    assert actor(resource_access=access).roles == roles


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, Kind.AGENT), ({"realm_access": {"roles": ["AGENT"]}}, Kind.AGENT), ({"realm_access": {"roles": ["finance"]}}, Kind.PERSON),
        ({"realm_access": ..., "client_id": "bot"}, Kind.AGENT), ({"realm_access": ..., "client_id": None}, Kind.AGENT),
        ({"realm_access": ..., "preferred_username": "service-account-bot"}, Kind.AGENT),
        ({"realm_access": ..., "preferred_username": "my-service-account-"}, Kind.PERSON),
        ({"realm_access": ..., "azp": "spa"}, Kind.PERSON),
        ({"realm_access": ..., "resource_access": {"goose-controller": {"roles": ["agent"]}}}, Kind.AGENT),
    ],
)  # fmt: skip
def test_who_is_an_agent(changes: dict[str, Any], kind: Kind) -> None:
    assert actor(**changes).kind == kind


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"preferred_username": "maria"}, "maria"), ({"preferred_username": "maria", "name": "Maria M."}, "Maria M."),
        ({"preferred_username": "maria", "name": " "}, "maria"),
        ({"preferred_username": ...}, "finance-agent"), ({"preferred_username": 7}, "finance-agent"),
        ({"preferred_username": "a\nb"}, "finance-agent"),
        ({"preferred_username": "  "}, "finance-agent"), ({"preferred_username": ["x"], "name": {"a": 1}}, "finance-agent"),
        ({"preferred_username": "x" * 300}, "x" * 255),
    ],
)  # fmt: skip
def test_a_name_is_for_people_and_never_the_principal(changes: dict[str, Any], name: str) -> None:
    found = actor(**changes)
    assert (found.name, found.principal) == (name, "local|finance-agent")


# --- over HTTP -----------------------------------------------------------------------------------------


def get(server: str, path: str, authorization: str | None) -> httpx.Response:
    """The answer for whoever says so."""
    return httpx.get(f"{server}/api{path}", headers={"Authorization": authorization} if authorization is not None else {}, verify=False)


@pytest.mark.parametrize("path", ["/sessions", "/tasks", "/approvals", "/audit", "/me", f"/tasks/{NOBODYS}"])
def test_without_a_good_token_every_route_is_401_and_says_how(store: None, server: str, path: str) -> None:
    for said, error in ((None, "invalid_request"), ("Basic eDp5", "invalid_request"), ("Bearer x", "invalid_token")):
        answer = get(server, path, said)
        refused(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith(f'Bearer error="{error}"')


def test_forged_expired_and_foreign_tokens_are_401_without_telling_why_inside(store: None, server: str) -> None:
    for token in (
        changed_after_signing(),
        signed(exp=FromNow(-60)),
        signed(OTHER_KEY),
        signed(typ="ID"),
        signed(aud="x"),
        signed(exp=FromNow(9999)),
    ):
        answer = get(server, "/me", f"Bearer {token}")
        said = refused(answer, 401)
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert not [word for word in ("signature", "RS256", "audience", "jwt", "Error") if word in said["detail"].lower()]
    assert "expired" in get(server, "/me", f"Bearer {signed(exp=FromNow(-60))}").json()["detail"]


def test_the_schemes_case_does_not_matter(store: None, server: str) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert get(server, "/me", f"{scheme} {signed()}").status_code == 200


def test_me_says_who_one_is_and_until_when(store: None, server: str) -> None:
    until = int(time.time()) + 120
    said = get(server, "/me", f"Bearer {signed(exp=until, realm_access={'roles': ['Manager', 'finance']})}").json()
    assert {name: said[name] for name in ("principal", "name", "kind", "roles")} == {
        "principal": "local|finance-agent", "name": "finance-agent", "kind": "person", "roles": ["finance", "manager"],
    }  # fmt: skip
    assert datetime.fromtimestamp(until, UTC) in [datetime.fromisoformat(value) for value in said.values() if str(value).startswith("20")]


def test_a_caller_without_roles_reads_nothing_and_changes_nothing(server: str, finance_door: Door) -> None:
    task = finance_door.route().json()["task_id"]
    token = f"Bearer {signed(sub='nobody', realm_access={'roles': ['default-roles-desk']})}"
    assert get(server, "/sessions", token).json()["total"] == get(server, "/tasks", token).json()["total"] == 0
    refused(get(server, f"/tasks/{task}", token), 404)
    answer = httpx.post(f"{server}/api/sessions", json={"agent_role": "finance"}, headers={"Authorization": token}, verify=False)
    refused(answer, 403)


# --- beside an identity provider -----------------------------------------------------------------------


@pytest.fixture
def issuer(settings: Settings) -> Iterator[Issuer]:
    """An identity provider that the product trusts."""
    with serving() as running:
        trust(settings, running)
        yield running


def theirs(issuer: Issuer, key: Any = KEY, kid: str = "one", **changes: Any) -> str:
    """A token of the provider's."""
    return signed(key, headers={"kid": kid}, **{"iss": issuer.url, **changes})


def test_a_token_of_our_own_does_not_count_beside_an_identity_provider(issuer: Issuer) -> None:
    for token in (identity.own_token("root", ["admin"], 60), signed(iss=issuer.url), signed(iss=issuer.url, headers={"kid": "one"})):
        with pytest.raises(BadToken):
            actor_from_token(token, uuid4())


def test_a_token_of_the_provider_counts_under_its_issuer(issuer: Issuer) -> None:
    for _ in range(3):
        assert actor_from_token(theirs(issuer), uuid4()).principal == f"{issuer.url}|finance-agent"
    assert len([path for path in issuer.asked if path.endswith("/certs")]) == 1
    with pytest.raises(BadToken):
        actor_from_token(theirs(issuer, iss="local"), uuid4())


@pytest.mark.parametrize("confused", ["HS256", "RS512", "PS256"])
def test_a_key_counts_for_its_own_algorithm_alone(issuer: Issuer, confused: str) -> None:
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    secret = KEY.public_key().public_bytes(*form)
    parts = b".".join(plain(part) for part in ({"alg": confused, "typ": "JWT", "kid": "one"}, claims(iss=issuer.url)))
    # PyJWT refuses to sign with such a secret; an attacker's program does not.
    made = hmac.new(secret, parts, hashlib.sha256).digest() if confused == "HS256" else jwt.get_algorithm_by_name(confused).sign(parts, KEY)
    with pytest.raises(BadToken):
        actor_from_token(f"{parts.decode()}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}", uuid4())


def test_a_token_that_names_another_of_the_providers_keys_does_not_count(issuer: Issuer) -> None:
    issuer.keys["two"] = OTHER_KEY
    for key, kid in ((KEY, "two"), (OTHER_KEY, "one"), (KEY, "../one")):
        with pytest.raises(BadToken):
            actor_from_token(theirs(issuer, key, kid), uuid4())


def test_a_thousand_tokens_with_random_keys_ask_the_provider_once(issuer: Issuer) -> None:
    for _ in range(1_000):
        with pytest.raises(BadToken):
            actor_from_token(theirs(issuer, OTHER_KEY, uuid4().hex), uuid4())
    assert len([path for path in issuer.asked if path.endswith("/certs")]) == 1


def test_a_new_key_counts_half_a_minute_later_and_a_withdrawn_one_no_longer(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    actor_from_token(theirs(issuer), uuid4())
    issuer.keys = {"two": OTHER_KEY}
    later = time.monotonic() + 31
    monkeypatch.setattr("orchestrator.provider.monotonic", lambda: later)
    assert actor_from_token(theirs(issuer, OTHER_KEY, "two"), uuid4()).name == "finance-agent"
    with pytest.raises(BadToken):
        actor_from_token(theirs(issuer), uuid4())


def test_known_keys_go_on_counting_while_the_provider_is_away(issuer: Issuer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    actor_from_token(theirs(issuer), uuid4())
    settings.OIDC_JWKS_URL = "http://127.0.0.1:1/certs"
    later = time.monotonic() + 3_600
    monkeypatch.setattr("orchestrator.provider.monotonic", lambda: later)
    assert actor_from_token(theirs(issuer), uuid4()).name == "finance-agent"
    with pytest.raises(BadToken):
        actor_from_token(theirs(issuer, OTHER_KEY, "two"), uuid4())


def test_without_any_known_key_nobody_can_tell_and_it_is_not_the_tokens_fault(issuer: Issuer, settings: Settings) -> None:
    settings.OIDC_JWKS_URL = "http://127.0.0.1:1/certs"
    for _ in range(2):
        with pytest.raises(ProviderAway):
            actor_from_token(theirs(issuer), uuid4())


def test_keys_are_fetched_where_the_setting_says(issuer: Issuer, settings: Settings) -> None:
    settings.OIDC_JWKS_URL = f"{issuer.url}/elsewhere/certs"
    actor_from_token(theirs(issuer), uuid4())
    assert issuer.asked == ["/realms/desk/elsewhere/certs"]


def test_a_provider_that_calls_itself_otherwise_is_not_trusted(issuer: Issuer, settings: Settings) -> None:
    settings.OIDC_ISSUER_URL = "https://id.example.com/realms/desk"
    with pytest.raises(ProviderAway):
        actor_from_token(theirs(issuer, iss=settings.OIDC_ISSUER_URL), uuid4())


def test_with_a_list_of_clients_only_theirs_count(issuer: Issuer, settings: Settings) -> None:
    settings.OIDC_ALLOWED_CLIENTS = ["finance-agent"]
    assert actor_from_token(theirs(issuer, azp="finance-agent"), uuid4()).name == "finance-agent"
    for azp in ("other", ..., None, ["finance-agent"]):
        with pytest.raises(BadToken):
            actor_from_token(theirs(issuer, azp=azp), uuid4())


# --- the command ---------------------------------------------------------------------------------------


def token(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `manage.py token` prints, in a home where no engine runs."""
    said = {**os.environ, "ORCHESTRATOR_HOME": str(home), **environment}
    return subprocess.run(
        [sys.executable, "manage.py", "token", *arguments], cwd=PROJECT, env=said, capture_output=True, text=True, timeout=30
    )


def busy() -> float:
    """Seconds that the processes which ended so far computed: the other tests run beside them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_command_prints_a_token_and_nothing_else_quickly_without_any_engine(tmp_path: Path) -> None:
    token(tmp_path, "somebody")  # makes the key
    before = busy()
    done = token(tmp_path, "finance-agent", "--role", "Finance", "--role", "agent", "--ttl", "90")
    assert busy() - before < 2  # 0.6 s on a quiet machine; on one core of a busy one it takes up to twice that
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    found = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
    assert (found["sub"], found["realm_access"]["roles"], found["exp"] - found["iat"]) == ("finance-agent", ["finance", "agent"], 90)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".pem") == ["issuer.pem"]
    assert (tmp_path / "issuer.pem").stat().st_mode & 0o077 == 0 and not (tmp_path / "engines").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["x", "--role", "9x"],
        ["x", "--role", "a b"],
        ["x", "--ttl", "0"],
        ["x", "--ttl", "3601"],
        ["x", "--ttl", "-5"],
        [" "],
        ["a\nb"],
        ["x" * 151],
        [],
    ],
)
def test_the_command_refuses_what_could_not_count(arguments: list[str]) -> None:
    said = io.StringIO()
    with pytest.raises(CommandError):
        call_command("token", *arguments, stdout=said)
    assert said.getvalue() == ""


def test_beside_an_identity_provider_the_command_prints_no_token(tmp_path: Path) -> None:
    outside = {"DATABASE_URL": "postgresql://nowhere/x", "REDIS_URL": "redis://nowhere", "SECRET_KEY": "x" * 25 + "yz" * 20}
    outside |= {"OIDC_CLIENT_ID": "orchestrator", "OIDC_CLIENT_SECRET": "x", "PUBLIC_URL": "https://desk.example"}
    done = token(tmp_path, "root", "--role", "admin", OIDC_ISSUER_URL="https://id.example/realms/desk", **outside)
    assert done.returncode != 0 and done.stdout == "" and "OIDC_ISSUER_URL" in done.stderr
