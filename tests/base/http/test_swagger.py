"""The API's description and Swagger UI are made once a process."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from twitter.base.http import swagger
from twitter.base.http.swagger import MadeOnce

PATHS = ["/api/schema/", "/api/docs/", "/api/docs/start.js"]


@pytest.mark.parametrize("path", PATHS)
def test_it_is_made_once(client, path, monkeypatch):
    first = client.get(path)
    for name in ("SchemaGenerator", "static", "json"):
        monkeypatch.setattr(swagger, name, None)  # what makes them
    again = client.get(f"{path}?version=2&lang=de")
    assert (again.status_code, again.content) == (200, first.content)


@pytest.mark.parametrize("path", PATHS)
def test_who_has_it_is_told_so(client, path):
    first = client.get(path)
    assert first["Cache-Control"] == "no-cache"
    again = client.get(path, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["Content-Security-Policy"] == first["Content-Security-Policy"]
    assert "Content-Length" not in again
    other = client.get(path, headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


def test_several_threads_make_it_once():
    made, barrier = [], threading.Barrier(4)

    def make():
        made.append(1)
        return b"x"

    once = MadeOnce(make)

    def ask(_):
        barrier.wait(10)
        return once()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert made == [1]


def test_the_description_is_yaml(client):
    assert yaml.safe_load(client.get("/api/schema/").content)["openapi"] == "3.1.1"


def test_nobodys_session_gets_into_it(client, admin_client):
    for path in PATHS:
        assert client.get(path).content == admin_client.get(path).content
        assert b"csrf" not in client.get(path).content.lower()
