"""Middleware that the API does not need runs for pages only."""

import pytest
from django.test import Client

from twitter.base.http import middleware

PAGES_ONLY = (middleware.Session, middleware.Authentication, middleware.Messages)


@pytest.fixture
def ran(monkeypatch):
    """Return a set that receives which of this middleware takes up a request."""
    seen = set()
    for kind in PAGES_ONLY:

        def note(self, request, kind=kind, process=kind.process_request):
            seen.add(kind)
            return process(self, request)

        monkeypatch.setattr(kind, "process_request", note)
    return seen


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/timeline/timeline", "/tweet/create", "/auth/healthz"])
def test_the_api_knows_no_sessions(ran, path):
    Client().get(path)
    assert ran == set()


@pytest.mark.django_db
def test_the_admin_has_all_of_it(ran):
    assert Client().get("/admin/login/").status_code == 200
    assert ran == set(PAGES_ONLY)
