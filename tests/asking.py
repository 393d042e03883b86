"""WSGI requests for the home timeline, and what an application answers to them."""

from io import BytesIO

from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from accounts.sessions.tokens import issue_access_token
from twitter import wsgi
from twitter.base.observe.observing import observed


def request(account_id, query="", **changes):
    token = issue_access_token(account_id=account_id, session_id=1, generation=0)
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/timeline/timeline",
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "HTTP_HOST": "127.0.0.1:8080",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "HTTP_X_REQUEST_ID": "0123456789abcdef",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        **changes,
    }


def ask(application, environ):
    """Return status, headers and body of an answer."""
    # As Django's test client does it, so that a request does not end the test's transaction.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    started = []
    chunks = application(environ, lambda status, headers: started.append((status, headers)))
    body = b"".join(chunks)
    [(status, headers)] = started
    # How many requests are left differs from one to the next.
    headers = sorted(header for header in headers if header[0] != "RateLimit")
    return status, headers, body


def from_django(environ):
    return ask(observed(wsgi.by_django), environ)
