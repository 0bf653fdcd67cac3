"""What the made-up company's agents ask for. Only data; `texts.py` fills it in."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One kind of work: `sender` hands it to `to`; `approver` is asked if it is named. Texts hold {names} to be filled in.

    `amount` is a range in EUR; `items` are (name, unit price, fewest, most) and add up to the amount.
    """

    sender: str
    to: str
    kind: str
    title: str
    reason: str
    done: str
    data: dict[str, Any] = field(default_factory=dict)
    amount: tuple[float, float] | None = None
    items: tuple[tuple[str, float, int, int], ...] = ()
    approver: str = "manager"
    urgency: int = 2  # 0: within the hour, 1: today, 2: within days


FILES = "https://files.example.com"

#: Asked of manager. The first 25 wait in a fresh demo, each once.
FOR_MANAGER = (
    Request(
        "finance", "manager", "budget_approval", "{quarter} cloud budget increase",
        "The move to the second region doubled egress in {last_month}. The forecast is exceeded by 12 %; without the increase the "
        "nightly reports stop on the 24th.",
        "Budget line raised in the ledger.",
        {"cost_centre": "4711, Platform", "supplier": "Cirrus Cloud EMEA", "period": "{period}", "approved_so_far": 402000,
         "risk": "medium", "attachment": FILES + "/finance/forecast-{quarter}.pdf"},
        amount=(31_000, 58_000),
        urgency=1,
    ),
    Request(
        "support", "finance", "refund", "Refund order {order} in full",
        "The parcel was lost twice and the customer has been with us since 2019. The carrier's own claim takes six weeks.",
        "Refunded to the card; the customer was told.",
        {"order": "{order}", "customer": "{person}", "carrier": "Nordpost", "claim": "NP-{invoice}", "paid_with": "card ending in 4471",
         "risk": "low"},
        items=(("Espresso machine, steel", 1_090.0, 1, 1), ("Grinder", 129.0, 1, 2), ("Express shipping", 21.0, 1, 1)),
        urgency=1,
    ),
    Request(
        "engineering", "it", "production_change", "Restart payment worker in {city}",
        "The queue is six minutes old and growing. A rolling restart took 90 seconds the last two times and lost nothing.",
        "Restarted; the queue was empty after four minutes.",
        {"service": "payment-worker", "environment": "production", "risk": "high", "queue_age_seconds": 372, "window": "now, 5 minutes",
         "rollback": "scale the old set up again", "checks": ["queue drains", "no double charges", "p99 below 300 ms"],
         "runbook": "https://runbooks.example.com/payments/restart"},
        urgency=0,
    ),
    Request(
        "finance", "finance", "supplier_change", "Change supplier bank details, {supplier}",
        "A signed letter and a call-back to the number in our files are recorded. The next payment run is on Thursday.",
        "Bank details changed; the first payment goes out with a test of one euro.",
        {"supplier": "{supplier}", "supplier_number": "S-{invoice}", "account_before": "ending in 1122", "account_after": "ending in 8930",
         "risk": "high", "call_back": {"by": "Felix Brandt", "to": "the number on file"}, "open_invoices": 3,
         "attachment": FILES + "/suppliers/letter-{invoice}.pdf"},
        urgency=1,
    ),
    Request(
        "engineering", "legal", "hiring", "Hire contractor: {project}",
        "The team has nobody free before the deadline and the contractor did the last migration. Starts on {day}.",
        "Contract signed; the start is confirmed.",
        {"project": "{project}", "contractor": "{person}", "cost_centre": "4720, Engineering", "start": "{day}", "risk": "low"},
        items=(("Contractor, one day", 900.0, 18, 40),),
    ),
    Request(
        "marketing", "marketing", "press_note", "Publish press note on the {city} outage",
        "Draft 3 is checked by Legal. Two newspapers asked for a statement by the evening.",
        "Published; both newspapers have it.",
        {"draft": 3, "checked_by": "Ines Moreau, Legal", "risk": "low", "channels": ["website", "newsroom", "status page"],
         "embargo": "none", "attachment": FILES + "/press/outage-draft-3.html"},
        urgency=0,
    ),
    Request(
        "support", "engineering", "quota_change", "Raise API quota for tenant {tenant}",
        "Enterprise plan; their year-end import needs twice the rate for 14 days.",
        "Quota raised; it falls back by itself.",
        {"tenant": "{tenant}", "customer": "{customer}", "plan": "enterprise", "factor": "2x", "requests_per_minute": {"from": 600,
         "to": 1200},
         "days": 14, "risk": "low"},
        urgency=1,
    ),
    Request(
        "engineering", "it", "production_change", "Production database: add read replica",
        "Reports push p99 over 400 ms on Mondays. A replica moves them off the primary.",
        "The replica serves the reports; p99 is at 180 ms.",
        {"environment": "production", "risk": "high", "period": "per month", "cost_centre": "4711, Platform", "p99_ms": {"monday": 431,
         "other": 164},
         "window": "{day} 05:00 to 05:30 UTC", "rollback": "point the reports at the primary again"},
        amount=(480, 890),
        urgency=1,
    ),
    Request(
        "sales", "legal", "contract_renewal", "Contract renewal, {customer}",
        "Two years at 4 % below list, against a reference and quarterly payment in advance. Their purchasing closes on Friday.",
        "Signed by both sides.",
        {"customer": "{customer}", "term": "24 months", "start": "{day}", "discount": "4 %", "payment": "quarterly, in advance",
         "risk": "low",
         "margin": "71 %", "attachment": FILES + "/contracts/renewal-{invoice}.pdf"},
        amount=(96_000, 240_000),
    ),
    Request(
        "finance", "finance", "write_off", "Write off invoice {invoice}",
        "Insolvency was filed on 3 {last_month}; the administrator expects a quota of less than 2 %.",
        "Written off and reported for the VAT correction.",
        {"invoice": "{invoice}", "customer": "{customer}", "overdue_days": 143, "reminders": 3, "cost_centre": "9100, Receivables",
         "risk": "medium"},
        amount=(2_400, 12_000),
    ),
    Request(
        "marketing", "it", "data_export", "Export customer list for the {quarter} survey",
        "Personal data: name, e-mail, plan. Consent is recorded for every row, and the file is deleted after 14 days.",
        "Exported to the survey tool; the deletion is scheduled.",
        {"rows": 12_400, "fields": ["name", "e-mail", "plan", "country"], "consent": "recorded", "recipient": "survey.example.com",
         "delete_after": "14 days", "risk": "medium"},
    ),
    Request(
        "it", "finance", "purchase", "Order {count} laptops",
        "For the starters in {next_month}. The supplier holds the price until the end of the week.",
        "Ordered; delivery in week two.",
        {"supplier": "{supplier}", "cost_centre": "4800, Workplace", "delivery": "{day}", "risk": "low"},
        items=(("Laptop 14 inch, 32 GB", 1_390.0, 8, 16), ("Docking station", 189.0, 4, 12), ("Headset", 79.0, 4, 16)),
    ),
    Request(
        "sales", "support", "trial_extension", "Extend trial, {customer}",
        "The decision maker is on leave until the 30th. Usage is high: 41 of 50 seats were active last week.",
        "Extended; the customer was told.",
        {"customer": "{customer}", "days": 14, "seats": 50, "active_seats": 41, "list_price_per_month": 1450, "risk": "low"},
    ),
    Request(
        "engineering", "finance", "travel", "Travel: {city}, 3 people",
        "Planning week with the {city} team. By train where it takes less than five hours.",
        "Booked.",
        {"from": "{day}", "nights": 4, "travellers": ["Elin Strand", "Tom Reyes", "{person}"], "cost_centre": "4720, Engineering",
         "risk": "low"},
        items=(("Train or flight, return", 290.0, 3, 3), ("Hotel, one night", 128.0, 12, 12), ("Meals, one day", 38.0, 12, 15)),
    ),
    Request(
        "sales", "sales", "discount", "Discount 15 % for {customer}",
        "A competitor offers 18 % below. With 15 % and a two-year term the margin stays above 60 %.",
        "Offer sent.",
        {"customer": "{customer}", "discount": "15 %", "limit_without_approval": "10 %", "term": "24 months", "margin_after": "62 %",
         "risk": "medium"},
        amount=(18_000, 74_000),
    ),
    Request(
        "it", "it", "access_request", "Production access for {person}, 8 hours",
        "On call tonight and new in the rota. Read-only would not do: the runbook needs a restart.",
        "Granted; it ends by itself.",
        {"person": "{person}", "system": "production cluster", "level": "operator", "hours": 8, "risk": "high", "ticket": "IT-{invoice}",
         "reviewed_by": "Priya Raman"},
        urgency=0,
    ),
    Request(
        "support", "finance", "goodwill_credit", "Credit one month to {customer}",
        "Three outages in {last_month} broke the promised 99.9 %. They have asked for it twice and have not yet given notice.",
        "Credit note sent.",
        {"customer": "{customer}", "availability": "99.61 %", "promised": "99.9 %", "plan": "enterprise", "period": "{last_month}",
         "risk": "low"},
        amount=(900, 4_800),
        urgency=1,
    ),
    Request(
        "marketing", "finance", "sponsoring", "Sponsor the {city} developer day",
        "Last year it brought 31 sign-ups at a quarter of the usual price. The early offer ends on Monday.",
        "Sponsorship confirmed.",
        {"event": "{city} developer day", "date": "{day}", "package": "silver", "cost_centre": "4600, Events", "sign_ups_last_year": 31,
         "risk": "low"},
        amount=(3_000, 9_000),
    ),
    Request(
        "legal", "legal", "contract", "Sign data processing agreement with {supplier}",
        "Their standard text with our two changes: audit once a year, notice of sub-processors 30 days ahead.",
        "Signed and filed.",
        {"supplier": "{supplier}", "data": "names and e-mail addresses of customers", "location": "EU", "risk": "medium", "changes": 2,
         "attachment": FILES + "/legal/dpa-{invoice}.pdf"},
    ),
    Request(
        "finance", "finance", "payment", "Pay {supplier} ahead of its due date",
        "2 % discount if it is paid by {day}; the cash plan allows it.",
        "Paid with the discount.",
        {"supplier": "{supplier}", "invoice": "{invoice}", "discount": "2 %", "due": "{day}", "cost_centre": "4711, Platform",
         "risk": "low",
         "attachment": FILES + "/invoices/{invoice}.pdf"},
        amount=(7_000, 41_000),
        urgency=1,
    ),
    Request(
        "engineering", "it", "production_change", "Turn on the new checkout for everybody",
        "Two weeks at 10 % of the traffic: conversion up by 1.8 %, no increase of errors.",
        "On for everybody; nothing unusual after a day.",
        {"flag": "checkout-v2", "environment": "production", "share": {"from": "10 %", "to": "100 %"}, "risk": "medium",
         "rollback": "turn the flag off, takes effect within a minute", "dashboard": "https://metrics.example.com/checkout"},
        urgency=1,
    ),
    Request(
        "it", "finance", "licence", "Renew {count} seats of the design tool",
        "The contract ends on {day}. Nine unused seats were given back before counting.",
        "Renewed for a year.",
        {"supplier": "{supplier}", "period": "12 months", "seats_given_back": 9, "cost_centre": "4800, Workplace", "risk": "low"},
        items=(("Seat, one year", 144.0, 25, 60),),
    ),
    Request(
        "support", "engineering", "data_deletion", "Delete the account data of {customer}",
        "Their contract ended and they asked in writing. It cannot be undone; backups follow after 35 days.",
        "Deleted; the confirmation is on file.",
        {"customer": "{customer}", "tenant": "{tenant}", "records": 48_112, "risk": "high", "undo": "not possible",
         "identity_checked": True,
         "attachment": FILES + "/privacy/request-{invoice}.pdf"},
    ),
    Request(
        "sales", "finance", "payment_terms", "60 days to pay for {customer}",
        "Their purchasing rules leave no choice. The credit report says low risk, and the first order is small.",
        "Terms changed in the ledger.",
        {"customer": "{customer}", "days": {"from": 30, "to": 60}, "credit_score": "A2", "first_order": 8400, "currency": "EUR",
         "risk": "low"},
    ),
    Request(
        "marketing", "marketing", "mailing", "Send the {next_month} newsletter to 84,000 readers",
        "Tested on 500 readers: 38 % opened it, 4 unsubscribed. Legal saw the competition's terms.",
        "Sent.",
        {"readers": 84_000, "subject": "What changes in {next_month}", "test_opened": "38 %", "risk": "low",
         "preview": "https://mail.example.com/preview/{invoice}"},
    ),
    Request(
        "finance", "finance", "card_limit", "Raise the card limit of {person} for the {city} fair",
        "Hotel and stand are paid on site. The limit falls back after the fair.",
        "Raised until the end of the fair.",
        {"person": "{person}", "limit": {"from": 2000, "to": 6000}, "until": "{day}", "cost_centre": "4600, Events", "risk": "low"},
        amount=(4_000, 4_000),
    ),
    Request(
        "legal", "finance", "settlement", "Settle the claim of {customer}",
        "Counsel puts our chances at 40 % and the cost of a trial at twice the sum.",
        "Settled and paid; the claim is closed.",
        {"customer": "{customer}", "claimed": 38_000, "counsel": "Varga & Holm", "risk": "medium",
         "attachment": FILES + "/legal/settlement-{invoice}.pdf"},
        amount=(9_000, 16_000),
    ),
    Request(
        "support", "manager", "hiring", "Open a position: second-level support",
        "Median first answer rose from 22 to 41 minutes since {last_month}. One person brings it back below 25.",
        "The position is advertised.",
        {"team": "support", "level": "second level", "start": "{day}", "period": "per year", "cost_centre": "4730, Support", "risk": "low"},
        amount=(52_000, 61_000),
    ),
)  # fmt: skip

#: What a manager asks for in person: the other one decides.
BY_A_MANAGER = Request(
    "manager", "finance", "travel", "Travel: {city}, works council meeting", "Two days, by train.", "Booked.",
    {"from": "{day}", "nights": 1, "cost_centre": "4000, Management", "risk": "low"}, amount=(340, 620),
)  # fmt: skip

#: Asked of a role beside manager, and decided by somebody who holds it.
FOR_COLLEAGUES = (
    Request(
        "marketing", "legal", "claim_check", "Check the claim \"{percent} % faster\" in the {city} campaign",
        "The figure comes from our own benchmark; the campaign starts on {day}.", "Checked; the source must be named.",
        {"claim": "{percent} % faster", "source": "own benchmark", "start": "{day}", "risk": "medium"}, approver="legal",
    ),
    Request(
        "sales", "legal", "contract_terms", "Liability cap of one year's fee for {customer}",
        "They will not sign with half a year. It is the only change they ask for.", "Sent with the changed clause.",
        {"customer": "{customer}", "cap": {"standard": "6 months", "wanted": "12 months"}, "risk": "medium"}, amount=(24_000, 90_000),
        approver="legal",
    ),
    Request(
        "support", "it", "access_request", "Reset the second factor of {person}",
        "New phone. Identity checked by video against the photo on file.", "Reset.",
        {"person": "{person}", "checked": "video call", "risk": "medium"}, approver="it",
    ),
    Request(
        "engineering", "finance", "budget_approval", "Book cloud credits to {quarter}",
        "They lapse at the end of the month if they are not booked.", "Booked.",
        {"cost_centre": "4711, Platform", "period": "{period}", "risk": "low"}, amount=(2_000, 9_000), approver="finance",
    ),
    Request(
        "it", "engineering", "production_change", "Patch the load balancers in {city} tonight",
        "Fixes a published weakness. One at a time, no interruption expected.", "Patched, without interruption.",
        {"environment": "production", "window": "{day} 02:00 to 03:00 UTC", "risk": "high", "rollback": "the previous image"},
        approver="engineering",
    ),
    Request(
        "sales", "support", "onboarding", "Onboarding on {day} for {customer}",
        "They go live a week earlier than planned.", "Slot taken.",
        {"customer": "{customer}", "date": "{day}", "seats": 40, "risk": "low"}, approver="support",
    ),
    Request(
        "legal", "sales", "customer_contact", "Ask {customer} for the signed annex",
        "Without it the invoice of {last_month} has no legal ground.", "The annex is there.",
        {"customer": "{customer}", "document": "annex B", "risk": "low"}, approver="sales",
    ),
    Request(
        "finance", "marketing", "budget_approval", "Move unspent {quarter} money to search ads",
        "The fair was cheaper than planned; the rest would lapse.", "Moved.",
        {"cost_centre": "4600, Events", "period": "{period}", "risk": "low"}, amount=(1_500, 6_000), approver="marketing",
    ),
)  # fmt: skip

#: Work that needs nobody's approval.
ROUTINE = (
    Request("support", "engineering", "bug_report", "Export fails for tenant {tenant}", "", "Fixed in the release of today.",
        {"tenant": "{tenant}", "customer": "{customer}", "severity": 2}),
    Request("finance", "it", "archive", "Archive the ledger of {last_month}", "", "Archived and verified.",
        {"period": "{last_month}", "files": 214}),
    Request("sales", "marketing", "case_study", "Case study: {customer}", "", "Draft is with the customer.",
        {"customer": "{customer}", "pages": 2}),
    Request("engineering", "support", "release_note", "Explain the {project} to customers", "", "Published in the help pages.",
        {"project": "{project}", "languages": ["en", "de", "sv"]}),
    Request("manager", "finance", "report", "Cost report for {last_month}", "", "Report filed.",
        {"period": "{last_month}", "cost_centre": "all"}),
    Request("legal", "it", "retention", "Delete applications older than six months", "", "37 files deleted.",
        {"period": "up to {last_month}", "files": 37}),
    Request("marketing", "sales", "leads", "Follow up {count} leads of the {city} fair", "", "All called; 6 meetings.",
        {"event": "{city} fair", "leads": "{count}"}),
    Request("it", "support", "maintenance_notice", "Tell customers of the maintenance on {day}", "", "Sent to 212 customers.",
        {"window": "{day} 02:00 to 03:00 UTC", "customers": 212}),
)  # fmt: skip

#: (sender, receiver, message, priority)
NOTICES = (
    ("engineering", "support", "Deploy of checkout finished; error rate unchanged.", "low"),
    ("it", "engineering", "Certificate of api.example.com renewed until next year.", "low"),
    ("finance", "manager", "The books of {last_month} are closed.", "normal"),
    ("support", "sales", "{customer} wrote that they are looking at alternatives.", "high"),
    ("sales", "finance", "{customer} signed; the first invoice can go out.", "normal"),
    ("marketing", "sales", "{count} new leads from the {city} fair are in the list.", "normal"),
    ("legal", "manager", "The new data protection notice is in force since {last_month}.", "normal"),
    ("it", "manager", "Backup restored for practice in 23 minutes.", "low"),
)
