"""Who a trusted proxy speaks for: its X-Forwarded-... headers count, anybody else's are dropped."""

from ipaddress import ip_address
from typing import Any

from django.conf import settings


def resolve(said: dict[str, Any]) -> None:
    """Put the caller's own address and scheme where Django looks for them."""
    caller = said.get("REMOTE_ADDR", "")
    way = [word.strip() for word in said.pop("HTTP_X_FORWARDED_FOR", "").split(",")]
    scheme = said.pop("HTTP_X_FORWARDED_PROTO", "")
    if not is_trusted(caller):
        return
    # From the right: each proxy adds whom it heard; what stands left of the first stranger anybody could have written.
    said["REMOTE_ADDR"] = next((hop for hop in reversed(way) if hop and not is_trusted(hop)), caller)
    if scheme in ("http", "https"):
        said["wsgi.url_scheme"] = scheme


def is_trusted(address: str) -> bool:
    """Whether TRUSTED_PROXY names it."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in settings.TRUSTED_PROXY)
