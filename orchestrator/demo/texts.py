"""Fills the company's texts with names, dates and figures: the same seed and moment give the same request."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from orchestrator.demo import catalogue, company


@dataclass(frozen=True)
class Filled:
    """A request with all its words and figures."""

    of: catalogue.Request
    title: str
    reason: str
    data: dict[str, Any]


def fill(request: catalogue.Request, rng: Random, now: datetime) -> Filled:
    """The request as an agent would write it at that moment."""
    items = [{"item": name, "count": rng.randint(low, high), "unit_price": price} for name, price, low, high in request.items]
    words = {**_names(rng), **_dates(rng, now), "count": str(items[0]["count"] if items else rng.randint(6, 60))}
    figures = _figures(request, items, rng)
    data = {**figures, **_filled(request.data, words), **({"items": items} if items else {})}
    return Filled(request, request.title.format(**words), request.reason.format(**words), data)


def _names(rng: Random) -> dict[str, str]:
    return {
        "customer": rng.choice(company.CUSTOMERS), "supplier": rng.choice(company.SUPPLIERS), "person": rng.choice(company.NAMES),
        "city": rng.choice(company.CITIES), "project": rng.choice(company.PROJECTS), "percent": str(rng.randint(12, 45)),
        "order": str(rng.randint(88_000, 88_999)), "invoice": str(rng.randint(20_100, 20_999)), "tenant": str(rng.randint(4_001, 4_999)),
    }  # fmt: skip


def _dates(rng: Random, now: datetime) -> dict[str, str]:
    first = now.replace(day=1)
    quarter = (now.month - 1) // 3
    start, end = datetime(now.year, quarter * 3 + 1, 1), datetime(now.year, quarter * 3 + 3, 28)
    last_day = (end + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return {
        "last_month": f"{first - timedelta(days=1):%B}", "next_month": f"{first + timedelta(days=32):%B}", "quarter": f"Q{quarter + 1}",
        "period": f"{start.day} {start:%B} to {last_day.day} {last_day:%B %Y}",
        "day": f"{now + timedelta(days=rng.randint(6, 24)):%Y-%m-%d}",
    }  # fmt: skip


def _figures(request: catalogue.Request, items: list[dict[str, Any]], rng: Random) -> dict[str, Any]:
    """Amount and currency: the items' sum, or something plausible from the range."""
    if items:
        return {"amount": round(sum(item["count"] * item["unit_price"] for item in items), 2), "currency": "EUR"}
    if not request.amount:
        return {}
    return {"amount": plausible(rng.uniform(*request.amount)), "currency": "EUR"}


def plausible(amount: float) -> float:
    """Small sums have cents, large ones are round, as people write them."""
    if amount < 2_000:
        return round(amount, 2)
    return float(round(amount, -1 if amount < 20_000 else -2))


def _filled(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**words)
    if isinstance(value, list):
        return [_filled(item, words) for item in value]
    return {name: _filled(member, words) for name, member in value.items()} if isinstance(value, dict) else value


def notice(rng: Random, now: datetime) -> tuple[str, str, str, str]:
    """Sender, receiver, message and priority of a notification."""
    sender, receiver, message, priority = rng.choice(catalogue.NOTICES)
    words = {**_names(rng), **_dates(rng, now), "count": str(rng.randint(6, 60))}
    return sender, receiver, message.format(**words), priority


def lifetime(request: catalogue.Request, rng: Random) -> int:
    """How long the asker waits for the answer, in seconds: what is urgent within the hour, or today, else some days."""
    least, most = ((900, 3_000), (5_400, 32_000), (72_000, 259_200))[request.urgency]
    return rng.randint(least, most)
