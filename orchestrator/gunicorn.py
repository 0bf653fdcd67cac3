"""How gunicorn serves the site: `gunicorn -c python:orchestrator.gunicorn orchestrator.wsgi:application`."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.checks import run_checks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
bind = f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"
worker_class = "gthread"
workers = min(os.cpu_count() or 1, 8)
threads = 16  # a slow client, or one that waits for a decision, holds a thread
keepalive = 60  # seconds; a client that sends just when its idle connection is closed cannot know what became of the request
graceful_timeout = 10  # seconds for requests under way when it stops or reloads
limit_request_line = 8190  # the most it takes; the longest query that the API knows, percent-encoded, is shorter
limit_request_field_size = 16 * 1024  # an Idempotency-Key or token far too long gets the API's own answer
forwarder_headers = ""  # no header says under which path the site lies
forwarded_allow_ips = ""  # proxy.py decides whose headers count
loglevel = "warning"
control_socket_disable = True  # nothing listens but the site


def post_worker_init(worker: Any) -> None:
    """What stops every command stops the server too, before it serves; who waits for a decision hears of a shutdown."""
    if wrong := [message for message in run_checks() if message.is_serious() and not message.is_silenced()]:
        worker.log.error("The configuration is wrong.\n%s", "\n".join(map(str, wrong)))
        sys.exit(3)  # gunicorn's WORKER_BOOT_ERROR: the whole server stops
    from orchestrator.api import waiting  # only now are the apps loaded

    waiting.alive = lambda: worker.alive
