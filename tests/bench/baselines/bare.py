"""Bare Django views: no middleware, no authentication, nothing to compute."""

import json

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

LENGTH: int = settings.BODY_LENGTH  # type: ignore[misc]  # of the baselines' own settings
BODY = b'"' + b"x" * max(LENGTH - 2, 0) + b'"'


def json_answer(body: bytes, *, status: int = 200) -> HttpResponse:
    """Return an answer with its length, which otherwise CommonMiddleware adds.

    Without it, gunicorn would send the body in chunks, which is slower.
    """
    headers = {"Content-Length": str(len(body))}
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)


def constant(request: HttpRequest) -> HttpResponse:
    """Return as many bytes as the service does."""
    return json_answer(BODY)


def insert(request: HttpRequest) -> HttpResponse:
    """Store the text that was sent, in one statement that commits by itself."""
    text = json.loads(request.body)["text"]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bench_tweet (author_id, text, state) VALUES (%s, %s, 0) RETURNING id",
            [1, text],
        )
        (tweet_id,) = cursor.fetchone()
    return json_answer(b'{"id": "%d"}' % tweet_id, status=201)


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer, to show that the server runs."""
    return json_answer(b"{}")


urlpatterns = [path("constant", constant), path("insert", insert), path("healthz", healthz)]
