"""The WSGI entry point that gunicorn serves."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitter.settings")

_django = get_wsgi_application()

from timelines import facade as timelines  # noqa: E402 - apps are ready from here on


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a warm read of a home timeline right here, and have Django answer the rest."""
    warm = timelines.warm_answer(environ)
    if warm is None:
        return _django(environ, start_response)
    headers, body = warm
    start_response("200 OK", headers)
    return [body]
