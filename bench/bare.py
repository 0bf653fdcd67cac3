"""The least that Django can do: settings without middleware and one view, served like the product itself."""

import json

from django.http import HttpRequest, HttpResponse
from django.urls import path

from orchestrator.settings import *  # noqa: F403 - the same server settings, less what follows

MIDDLEWARE = []
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410"]  # nobody asks for the administration's pages here
ROOT_URLCONF = "bench.bare"

SHOWN = {
    "session_id": "01a1fbb1-3662-762a-badf-a2a9cb622447", "agent_role": "finance", "state": "active",
    "task_id": "task-01a1fbb1-3662-762a-badf-a2a9cb622448", "metadata": {"ticket": "T-1000"},
    "trace_id": "01a1fbb1-3662-762a-badf-a2a9cb622449", "created_at": "2026-11-21T06:00:00.000Z", "updated_at": "2026-11-21T06:00:00.000Z",
}  # fmt: skip


def session(request: HttpRequest) -> HttpResponse:
    """A session's JSON out of nowhere. With its length, which middleware would add: chunks would cost the baseline time."""
    body = json.dumps(SHOWN)
    return HttpResponse(body, content_type="application/json", headers={"Content-Length": str(len(body))})


urlpatterns = [path("session", session), path("livez", session)]
