"""The WSGI application: the client's own address, whole bodies or none, and text in UTF-8 alone."""

import os
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

from orchestrator import proxy
from orchestrator.postgres.base import Connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
LARGEST = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
PASSED_OVER = 16 * LARGEST  # of what is too large: who is still sending could not read why it was refused


class Request(WSGIRequest):
    """What charset the client names changes nothing: some hide NUL characters, others are none of text."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Handler(WSGIHandler):
    """Django's, with our request."""

    request_class = Request


django.setup(set_prefix=False)
Connection.patience = settings.STATEMENT_SECONDS + 1
_django = Handler()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read the body before anything acts on it: Django takes one without Content-Length for empty, and one cut short for whole.

    What is longer than allowed, or shorter than announced (`orchestrator.cut`), TraceMiddleware turns away.
    """
    proxy.resolve(environ)
    source, announced = environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0)
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower().endswith("chunked"):
        body = source.read(LARGEST + 1)
        environ["CONTENT_LENGTH"] = str(len(body))
    else:
        wanted = min(announced, LARGEST + 1) if announced <= PASSED_OVER else 0
        body = source.read(wanted)
        environ["orchestrator.cut"] = len(body) < wanted
    if len(body) > LARGEST:
        _pass_over(source)
    environ["wsgi.input"] = BytesIO(body)
    return _django(environ, start_response)


def _pass_over(rest: Any) -> None:
    left = PASSED_OVER
    while left > 0 and (piece := rest.read(65536)):
        left -= len(piece)
