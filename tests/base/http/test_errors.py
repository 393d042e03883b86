"""One error shape, whatever raises the error."""

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection
from django.http import Http404
from rest_framework import exceptions

from twitter.base.http import errors

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (errors.NotFound("gone"), 404, "gone"),
        (errors.Forbidden("no"), 403, "no"),
        (errors.Conflict("taken"), 409, "taken"),
        (errors.Unprocessable("other body"), 422, "other body"),
        (errors.Invalid("odd"), 400, "odd"),
        (errors.Unauthenticated("who?"), 401, "who?"),
        (Http404(), 404, "There is nothing here."),
        (PermissionDenied(), 403, "You may not do this."),
        (exceptions.MethodNotAllowed("GET"), 405, 'Method "GET" not allowed.'),
    ],
)
def test_what_views_raise_becomes_a_problem(error, status, detail):
    response = errors.handle(error, {})
    assert response.status_code == status
    assert response.content_type == PROBLEM
    assert response.data["status"] == status
    assert response.data["detail"] == detail
    assert "errors" not in response.data


def test_postgres_out_of_reach_is_503_and_says_when_to_come_back():
    response = errors.handle(OperationalError("connection refused"), {})
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "connection" not in response.data["detail"]


def test_a_domain_error_with_a_field_names_it():
    response = errors.handle(errors.Invalid("too long", field="name"), {})
    assert response.data["errors"] == {"name": ["too long"]}
    assert response.data["detail"] == "name: too long"


def test_nested_messages_are_flattened():
    error = exceptions.ValidationError({"a": {"b": ["wrong"]}, "c": "odd"})
    assert errors.handle(error, {}).data["errors"] == {"a.b": ["wrong"], "c": ["odd"]}


def test_a_bug_is_not_hidden():
    assert errors.handle(ZeroDivisionError(), {}) is None


@pytest.mark.parametrize("path", ["/nowhere", "/tweet/id/abc", f"/tweet/id/{2**63}"])
def test_an_unknown_path_is_a_problem_too(api, path):
    answer = api().get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == PROBLEM
    assert json.loads(answer.content)["type"] == "/problems/not-found"


def test_an_unknown_host_is_a_problem(api):
    answer = api().get("/auth/healthz", HTTP_HOST="evil.example")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == PROBLEM


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"a":' * 10_000, "application/json", 400),
        (b'{"tweet_id": NaN}', "application/json", 400),
        (b'{"tweet_id": ' + b"9" * 5_000 + b"}", "application/json", 400),
        (b"null", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b'{"tweet_id": "' + b"x" * 100_000 + b'"}', "application/json", 413),
        (b"tweet_id=1", "application/x-www-form-urlencoded", 415),
        (b"", "application/json", 400),
    ],
)
@pytest.mark.django_db
def test_a_body_that_cannot_be_read_is_a_problem(api, make_account, body, content_type, status):
    client = api(make_account("ann"))
    answer = client.generic("POST", "/tweet/like", body, content_type=content_type)
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == PROBLEM


@pytest.mark.django_db
@pytest.mark.parametrize(("error", "status"), [(OperationalError, 503), (RuntimeError, 500)])
def test_outside_of_the_api_postgres_out_of_reach_is_503_as_well(client, error, status):
    def refuse(*statement):
        raise error("no")

    client.raise_request_exception = False
    with connection.execute_wrapper(refuse):
        answer = client.post("/admin/login/", {"username": "ada", "password": "secret"})
    assert answer.status_code == status
    assert answer["Content-Type"] == PROBLEM
    assert ("Retry-After" in answer) == (status == 503)


def test_who_names_another_host_is_told_so(client):
    answer = client.get("/auth/healthz", headers={"Host": "elsewhere.example"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The Host header names no host of this service."
