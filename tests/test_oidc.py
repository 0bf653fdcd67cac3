"""Signing in at the identity provider, with one of the tests' own: whom it lets in, with which roles, for how long."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from approvals.actions import ask
from approvals.models import Approval
from audit.actor import Actor
from orchestrator.oidc import LOGIN
from orchestrator.provider import provider
from sessions.actions import route_task
from tests.issuer import CLIENT, KEY, OIDC, Issuer, serving, sign, trust

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BACK = "/sign-in/back/"


@pytest.fixture
def issuer(settings: Settings) -> Iterator[Issuer]:
    with serving() as running:
        trust(settings, running)
        yield running


@pytest.fixture
def browser(store: None, issuer: Issuer) -> Client:
    return Client()


def begin(browser: Client, then: str = "/approvals/") -> dict[str, str]:
    """Go to the sign-in; what the provider is asked."""
    start = browser.get("/sign-in/", {"next": then})
    sent = browser.get(start["Location"])
    assert sent.status_code == 302, sent.content
    return {name: values[0] for name, values in parse_qs(urlsplit(sent["Location"]).query).items()}


def come_back(browser: Client, issuer: Issuer, asked: dict[str, str], **query: str) -> HttpResponse:
    """As the provider sends people back."""
    issuer.nonce = asked["nonce"]
    answer: HttpResponse = browser.get(BACK, {"state": asked["state"], "code": "c", "iss": issuer.url, **query})  # type: ignore[assignment]
    return answer


def sign_in(browser: Client, issuer: Issuer, then: str = "/approvals/") -> HttpResponse:
    return come_back(browser, issuer, begin(browser, then))


def age(browser: Client, seconds: float) -> None:
    """The login was last asked for so long ago."""
    session = browser.session
    session[LOGIN] = {**session[LOGIN], "checked": time.time() - seconds}
    session.save()


def roles(name: str = "maria") -> set[str]:
    return set(Group.objects.filter(user__email=f"{name}@example.com").values_list("name", flat=True))


# --- there and back --------------------------------------------------------------------------------------


def test_the_way_there_carries_state_nonce_and_pkce(browser: Client, issuer: Issuer) -> None:
    asked, again = begin(browser), begin(browser)
    assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (CLIENT, "code", "S256")
    assert asked["scope"].split() == ["openid", "profile", "email"] and asked["redirect_uri"].endswith(BACK)
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 32 and asked[name] != again[name]


def test_a_person_comes_back_to_the_page_that_they_wanted_with_their_roles(browser: Client, issuer: Issuer) -> None:
    answer = sign_in(browser, issuer, "/approvals/?tab=asked")
    assert (answer.status_code, answer["Location"]) == (302, "/approvals/?tab=asked")
    user = User.objects.get()
    assert user.username == f"{issuer.url}|{issuer.person['sub']}" and user.get_full_name() == "Maria Lindqvist"
    assert (roles(), user.is_staff, user.is_superuser, user.has_usable_password()) == ({"manager"}, False, False, False)
    assert issuer.grants[0]["client_secret"] and len(issuer.grants[0]["code_verifier"]) >= 43
    assert "Maria Lindqvist" in browser.get("/").content.decode()


def test_the_principal_is_issuer_and_subject_so_that_a_decision_names_the_person_of_the_provider(
    browser: Client, issuer: Issuer, finance: Actor
) -> None:
    sign_in(browser, issuer)
    approval = request_of(finance)
    browser.post(f"/approvals/{approval.pk}/decide/", {"verdict": "approved"})
    approval.refresh_from_db()
    assert approval.status == "approved" and approval.decided_by == f"{issuer.url}|{issuer.person['sub']}"


def request_of(finance: Actor) -> Approval:
    task = route_task(actor=finance, target="manager", task_type="budget_approval", from_role="finance").row
    return ask(actor=finance, task_id=task.pk, approver_role="manager").row


WRONG: dict[str, Callable[[Issuer], str]] = {
    "another nonce": lambda i: sign(i.claims(nonce="x")), "no nonce": lambda i: sign(i.claims(nonce=...)),
    "another audience": lambda i: sign(i.claims(aud="account")), "no audience": lambda i: sign(i.claims(aud=...)),
    "the API's audience": lambda i: sign(i.claims(aud="goose-controller")),
    "two audiences, no azp": lambda i: sign(i.claims(aud=[CLIENT, "x"], azp=...)), "another azp": lambda i: sign(i.claims(azp="x")),
    "another issuer": lambda i: sign(i.claims(iss="https://id.example/desk")), "an access token": lambda i: sign(i.claims(typ="Bearer")),
    "a logout token": lambda i: sign(i.claims(typ="Logout")), "no type": lambda i: sign(i.claims(typ=...)),
    "expired": lambda i: sign(i.claims(exp=int(time.time()) - 60)), "no exp": lambda i: sign(i.claims(exp=...)),
    "of the future": lambda i: sign(i.claims(iat=int(time.time()) + 600)), "no iat": lambda i: sign(i.claims(iat=...)),
    "no subject": lambda i: sign(i.claims(sub=...)), "a long subject": lambda i: sign(i.claims(sub="x" * 150)),
    "another key": lambda i: sign(i.claims(), OTHER_KEY), "an unknown key": lambda i: sign(i.claims(), OTHER_KEY, kid="two"),
    "our secret as key": lambda i: sign(i.claims(), b"a secret of the tests, long enough for it", "HS256"),
    "the public key as secret": lambda i: sign(i.claims(), str(KEY.public_key().public_numbers().n).encode(), "HS256"),
    "nothing": lambda i: "", "no text": lambda i: 7,  # type: ignore[dict-item,return-value]
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_id_token_signs_nobody_in_and_is_told_on_a_page(browser: Client, issuer: Issuer, case: str) -> None:
    asked = begin(browser)
    issuer.nonce = asked["nonce"]
    issuer.answer = (200, {**issuer.tokens(), "id_token": WRONG[case](issuer)})
    answer = come_back(browser, issuer, asked)
    assert answer.status_code == 403 and "did not work" in answer.content.decode()
    assert not User.objects.exists() and browser.get("/").status_code == 302


@pytest.mark.parametrize("seconds", [-5, 5])
def test_clocks_may_differ_a_little(browser: Client, issuer: Issuer, seconds: int) -> None:
    asked = begin(browser)
    issuer.nonce = asked["nonce"]
    now = int(time.time()) + seconds
    issuer.answer = (200, issuer.tokens(iat=now, exp=now if seconds < 0 else now + 300))
    assert come_back(browser, issuer, asked).status_code == 302


def test_only_who_began_a_sign_in_ends_it_and_only_once(browser: Client, issuer: Issuer) -> None:
    asked = begin(browser)
    stranger = Client()
    for query in ({}, {"code": "c"}, {"state": asked["state"], "code": "c"}, {"error": "access_denied"}):
        assert stranger.get(BACK, query).status_code == 403
    assert come_back(browser, issuer, asked, iss="https://elsewhere.example").status_code == 403
    assert come_back(browser, issuer, asked).status_code == 302
    assert come_back(browser, issuer, asked).status_code == 403  # the code again, by the back button
    assert len(issuer.grants) == 1 and browser.get("/").status_code == 200


def test_a_refused_code_or_a_refusal_by_the_person_is_told(browser: Client, issuer: Issuer) -> None:
    asked = begin(browser)
    assert browser.get(BACK, {"state": asked["state"], "error": "access_denied"}).status_code == 403
    issuer.answer = (400, {"error": "invalid_grant"})
    assert sign_in(browser, issuer).status_code == 403


def test_a_stranger_cannot_sign_somebody_out_with_a_link(browser: Client, issuer: Issuer) -> None:
    sign_in(browser, issuer)
    assert browser.get(BACK, {"error": "access_denied", "state": "x"}).status_code == 403
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    "then", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:///evil.example"]
)
def test_no_sign_in_leads_elsewhere(browser: Client, issuer: Issuer, then: str) -> None:
    assert sign_in(browser, issuer, then)["Location"] == "/"
    assert browser.get("/sign-in/", {"next": then})["Location"] == "/"


def test_the_login_has_another_key_than_the_session_before_it(browser: Client, issuer: Issuer) -> None:
    asked = begin(browser)
    before = browser.cookies["sessionid"].value
    come_back(browser, issuer, asked)
    assert browser.cookies["sessionid"].value != before and not Session.objects.filter(session_key=before).exists()
    assert 11 * 3600 < browser.session.get_expiry_age() <= 12 * 3600


def test_each_tab_comes_back_to_its_own_page(browser: Client, issuer: Issuer) -> None:
    first, second = begin(browser, "/sessions/"), begin(browser, "/audit/")
    assert come_back(browser, issuer, first)["Location"] == "/sessions/"
    assert come_back(browser, issuer, second)["Location"] == "/audit/"


def test_sign_ins_are_limited(browser: Client, issuer: Issuer, settings: Settings) -> None:
    settings.SIGN_IN_LIMIT = 1
    answers = [browser.get("/sign-in/start/", REMOTE_ADDR="192.0.2.9").status_code for _ in range(12)]
    assert answers == [302] * 10 + [429] * 2


# --- who counts ------------------------------------------------------------------------------------------


def test_the_same_mail_address_is_not_the_same_person(browser: Client, issuer: Issuer) -> None:
    sign_in(browser, issuer)
    issuer.person = {**issuer.person, "sub": "somebody-else", "realm_access": {"roles": []}}
    other = Client()
    sign_in(other, issuer)
    assert User.objects.filter(email="maria@example.com").count() == 2


def test_local_passwords_and_logins_are_off_also_for_the_administration(store: None, settings: Settings) -> None:
    local = Client()
    User.objects.create_superuser("robin", password="a long enough one")
    local.force_login(User.objects.get(), "orchestrator.identity.Passwords")
    with serving() as issuer:
        trust(settings, issuer)
        assert local.get("/admin/").status_code == 302 and local.get("/").status_code == 302
        for path in ("/sign-in/", "/admin/login/", "/sign-in/?code=c&state=s"):
            Client().post(path, {"username": "robin", "password": "a long enough one"})
        assert not Client().login(username="robin", password="a long enough one")
        assert Client().get("/password/").status_code == 302
        maria = Client()
        sign_in(maria, issuer)
        assert maria.get("/password/").status_code == 404
        assert "Change password" not in maria.get("/").content.decode()


def test_a_login_of_another_issuer_does_not_count(browser: Client, issuer: Issuer, settings: Settings) -> None:
    sign_in(browser, issuer)
    settings.OIDC_ISSUER_URL = "https://id.example.com/realms/other"
    assert browser.get("/").status_code == 302


def test_roles_are_gained_and_lost_at_the_provider_alone(browser: Client, issuer: Issuer) -> None:
    issuer.person["realm_access"] = {"roles": ["Admin", "finance"]}
    sign_in(browser, issuer)
    assert roles() == {"admin", "finance"} and browser.get("/admin/").status_code == 200
    issuer.person["realm_access"] = {"roles": ["manager"]}
    age(browser, 400)
    assert browser.get("/admin/").status_code == 302
    user = User.objects.get()
    assert (roles(), user.is_staff, user.is_superuser) == ({"manager"}, False, False)


# --- how long --------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(browser: Client, issuer: Issuer, finance: Actor) -> str:
    """Maria is signed in, and a request waits for her."""
    sign_in(browser, issuer)
    issuer.grants.clear()
    return str(request_of(finance).pk)


def decide(browser: Client, approval: str, **headers: str) -> Any:
    page = f"http://testserver/approvals/{approval}/"
    return browser.post(f"{page}decide/", {"verdict": "approved", "note": "My <words>"}, headers={"Referer": page, **headers})


def status(approval: str) -> str:
    return Approval.objects.get(pk=approval).status


def test_a_fresh_login_acts_without_asking_the_provider(browser: Client, issuer: Issuer, waiting: str) -> None:
    age(browser, 50)
    assert (decide(browser, waiting).status_code, issuer.grants) == (303, [])


def test_a_stale_login_is_renewed_before_it_acts(browser: Client, issuer: Issuer, waiting: str) -> None:
    age(browser, 61)
    assert decide(browser, waiting).status_code == 303
    assert [grant["grant_type"] for grant in issuer.grants] == ["refresh_token"]
    assert browser.session[LOGIN]["refresh_token"] == "refresh-1" and time.time() - browser.session[LOGIN]["checked"] < 5
    assert browser.session[LOGIN]["sid"] == "login-1"


def test_who_lost_the_role_cannot_decide_a_minute_later_with_a_page_still_open(browser: Client, issuer: Issuer, waiting: str) -> None:
    issuer.person["realm_access"] = {"roles": ["support"]}
    age(browser, 61)
    assert decide(browser, waiting).status_code in (403, 404)
    assert status(waiting) == "pending"


@pytest.mark.parametrize("htmx", [False, True])
def test_who_was_disabled_or_signed_out_there_is_signed_out_here(browser: Client, issuer: Issuer, waiting: str, htmx: bool) -> None:
    issuer.answer = (400, {"error": "invalid_grant"})
    age(browser, 61)
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver/approvals/{waiting}/?tab=mine"} if htmx else {}
    answer = decide(browser, waiting, **headers)
    wanted = f"/sign-in/?next=/approvals/{waiting}/" + ("%3Ftab%3Dmine" if htmx else "")
    assert (answer.status_code, answer["HX-Redirect" if htmx else "Location"]) == (200 if htmx else 302, wanted)
    assert status(waiting) == "pending" and browser.get("/").status_code == 302


def test_somebody_elses_renewed_token_ends_the_login(browser: Client, issuer: Issuer, waiting: str) -> None:
    issuer.person = {**issuer.person, "sub": "somebody-else"}
    age(browser, 61)
    assert decide(browser, waiting).status_code == 302 and status(waiting) == "pending"


def test_while_the_provider_is_away_people_read_and_a_note_is_kept(
    browser: Client, issuer: Issuer, waiting: str, settings: Settings
) -> None:
    away = settings.OIDC_INTERNAL_URL
    provider.cache_clear()
    settings.OIDC_INTERNAL_URL = "http://127.0.0.1:1/realms/desk"
    age(browser, 400)
    assert browser.get(f"/approvals/{waiting}/").status_code == 200
    answer = decide(browser, waiting)
    page = answer.content.decode()
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert ">My &lt;words&gt;</textarea>" in page and '<input type="hidden" name="verdict" value="approved">' in page
    assert status(waiting) == "pending"
    assert Client().get("/sign-in/start/").status_code == 503
    provider.cache_clear()
    settings.OIDC_INTERNAL_URL = away
    assert decide(browser, waiting).status_code == 303


def test_a_provider_that_answers_nonsense_is_away_and_nobody_is_signed_out(browser: Client, issuer: Issuer, waiting: str) -> None:
    nonsense: tuple[tuple[int, Any], ...] = ((401, {"error": "invalid_client"}), (500, {}), (200, []))
    for answer in nonsense:
        issuer.answer = answer
        age(browser, 61)
        assert decide(browser, waiting).status_code == 503
    assert browser.get("/").status_code == 200


def test_reading_renews_only_now_and_then(browser: Client, issuer: Issuer, waiting: str) -> None:
    age(browser, 299)
    browser.get("/")
    assert issuer.grants == []
    age(browser, 301)
    browser.get("/"), browser.get("/approvals/")
    assert len(issuer.grants) == 1


# --- out -------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_login_at_the_provider_too(browser: Client, issuer: Issuer) -> None:
    sign_in(browser, issuer)
    hint = browser.session[LOGIN]["id_token"]
    answer = browser.post("/sign-out/")
    there = urlsplit(answer["Location"])
    asked = parse_qs(there.query)
    assert answer["Location"].startswith(f"{issuer.url}{OIDC}/logout?") and asked["id_token_hint"] == [hint]
    assert asked["post_logout_redirect_uri"] == ["http://testserver/signed-out/"]
    assert browser.get("/").status_code == 302 and "signed out" in browser.get("/signed-out/").content.decode()
    assert browser.get("/sign-out/").status_code == 405


def test_signing_out_works_while_the_provider_is_away(browser: Client, issuer: Issuer, settings: Settings) -> None:
    sign_in(browser, issuer)
    age(browser, 400)
    provider.cache_clear()
    settings.OIDC_INTERNAL_URL = "http://127.0.0.1:1/realms/desk"
    assert browser.post("/sign-out/")["Location"] == "/signed-out/"
    assert browser.get("/").status_code == 302


def test_a_provider_that_knows_no_signing_out_is_left_alone(browser: Client, issuer: Issuer) -> None:
    sign_in(browser, issuer)
    del provider().addresses["end_session_endpoint"]
    assert browser.post("/sign-out/")["Location"] == "/signed-out/"


def logout_token(issuer: Issuer, **changes: Any) -> str:
    events: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    return sign(issuer.claims(**{"typ": "Logout", "nonce": ..., "jti": "1", "events": events, **changes}))


def test_a_login_ended_at_the_provider_ends_here_and_no_other(browser: Client, issuer: Issuer) -> None:
    sign_in(browser, issuer)
    issuer.person["sid"] = "login-2"
    sign_in(second := Client(), issuer)
    answer = Client(enforce_csrf_checks=True).post("/sign-out/back-channel/", {"logout_token": logout_token(issuer)})
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert (browser.get("/").status_code, second.get("/").status_code) == (200, 302)
    browser.get("/")
    Client().post("/sign-out/back-channel/", {"logout_token": logout_token(issuer, sid=...)})
    assert browser.get("/").status_code == 302


@pytest.mark.parametrize(
    "changes",
    [{"nonce": "x"}, {"events": {}}, {"events": ...}, {"jti": ...}, {"typ": "ID"}, {"aud": "x"}, {"iss": "x"}, {"exp": 1}, {"sub": ...}],
    ids=repr,
)
def test_a_wrong_logout_token_signs_nobody_out(browser: Client, issuer: Issuer, changes: dict[str, Any]) -> None:
    sign_in(browser, issuer)
    assert Client().post("/sign-out/back-channel/", {"logout_token": logout_token(issuer, **changes)}).status_code == 400
    assert browser.get("/").status_code == 200
