"""Forwarded headers count only from a proxy that TRUSTED_PROXY names."""

from ipaddress import ip_network

import pytest
from pytest_django import Settings

from orchestrator.proxy import resolve


@pytest.mark.parametrize(
    ("caller", "forwarded", "scheme", "heard"),
    [
        ("203.0.113.7", "198.51.100.1", "https", ("203.0.113.7", "http")),
        ("127.0.0.1", "198.51.100.1", "https", ("127.0.0.1", "http")),
        ("10.0.0.5", "198.51.100.1", "https", ("198.51.100.1", "https")),
        ("10.0.0.5", "1.1.1.1, 198.51.100.1", "https", ("198.51.100.1", "https")),
        ("10.0.0.5", "1.1.1.1, 198.51.100.1, 10.0.0.9", "http", ("198.51.100.1", "http")),
        ("10.0.0.5", "", "", ("10.0.0.5", "http")),
        ("10.0.0.5", "10.0.0.6", "ftp", ("10.0.0.5", "http")),
        ("", "198.51.100.1", "https", ("", "http")),
    ],
)
def test_only_a_trusted_proxy_says_who_calls(settings: Settings, caller: str, forwarded: str, scheme: str, heard: tuple[str, str]) -> None:
    settings.TRUSTED_PROXY = [ip_network("10.0.0.0/24")]
    environ = {"REMOTE_ADDR": caller, "HTTP_X_FORWARDED_FOR": forwarded, "HTTP_X_FORWARDED_PROTO": scheme, "wsgi.url_scheme": "http"}
    resolve(environ)
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == heard
    assert not [name for name in environ if name.startswith("HTTP_X_FORWARDED")]
