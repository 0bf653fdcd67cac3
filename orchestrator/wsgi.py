"""The WSGI application, behind a reader of forwarded headers and chunked bodies."""

import os
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.core.wsgi import get_wsgi_application

from orchestrator import proxy

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
LARGEST = 1024 * 1024

_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django takes a body without Content-Length for empty: read a chunked one, up to one byte more than allowed."""
    proxy.resolve(environ)
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body = environ["wsgi.input"].read(LARGEST + 1)
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
    return _django(environ, start_response)
