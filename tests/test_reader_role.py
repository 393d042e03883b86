"""The role that may only SELECT: every GET works under it, and nothing else does."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from accounts.models import Account, PopularAuthor
from tests.accounts.factories import AccountFactory
from tests.deploy.nginx import READER
from twitter.base.http import health

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "as random as can be"
QUERIES = {
    "/auth/healthz": "?ready=1",
    "/timeline/healthz": "?ready=1",
    "/timeline/update": "?since_id=1",
    "/tweet/healthz": "?ready=1",
}
# So two of their answers differ.
TELL_THE_TIME = {"/auth/export", "/timeline/update"}


def create_role(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("READER_PASSWORD", password)
    call_command("create_reader_role", "--role", READER)


@pytest.fixture
def as_reader(monkeypatch):
    """Make the role; return a context manager within which this process is logged in as it."""
    create_role(monkeypatch, PASSWORD)
    owner = {name: connection.settings_dict[name] for name in ("USER", "PASSWORD")}

    @contextlib.contextmanager
    def logged_in() -> Iterator[None]:
        connection.close()
        connection.settings_dict.update(USER=READER, PASSWORD=PASSWORD)
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict.update(owner)

    return logged_in


@pytest.fixture
def world(api) -> dict[str, Any]:
    """Fill in what the reads have to show; return whom and what their paths name, and who asks."""
    reader, author, popular = AccountFactory(), AccountFactory(), AccountFactory()
    PopularAuthor.objects.create(account_id=popular.pk)
    for followed in (author, popular):
        api(reader.pk).post("/auth/follow", {"user_id": str(followed.pk)})
    tweet_id = post(api, author)
    post(api, popular)
    for what in ("like", "retweet"):
        api(reader.pk).post(f"/tweet/{what}", {"tweet_id": tweet_id})
    ids = {"user_id": author.pk, "author_id": author.pk, "tweet_id": tweet_id}
    return {**ids, "name": author.username, "reader": reader.pk}


def post(api, author: Account) -> str:
    answer = api(author.pk).post("/tweet/create", {"text": "Hello."})
    assert answer.status_code == 201, answer.content
    return answer.json()["data"]["id"]


def answered(client: APIClient, url: str) -> bytes:
    answer = client.get(url)
    body = answer.getvalue() if answer.streaming else answer.content
    if url.endswith("?ready=1"):  # there is no worker here, which that takes as well
        assert answer.json()["parts"]["postgres"] == "ok", url
    else:
        assert answer.status_code in (200, 204), f"{url}: {body!r}"
    return body


def test_every_get_works_without_the_right_to_write(world, as_reader, api, valkey, monkeypatch):
    """With all caches empty, and again with what the first reading has put there."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    reads = [path for path, methods in paths.items() if "get" in methods]
    assert len(reads) > 10
    for path in reads:
        monkeypatch.setattr(health, "look", health.Look())
        url = path.format(**world) + QUERIES.get(path, "")
        valkey.flushdb()
        with as_reader():
            bodies = [answered(api(world["reader"]), url) for _ in range(2)]
        if path not in TELL_THE_TIME:
            assert bodies[0] == bodies[1], url


def test_it_may_do_nothing_else_even_if_it_sets_what_it_can_set(as_reader):
    with as_reader(), connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
        for statement in (
            "INSERT INTO django_session VALUES ('key', 'data', now())",
            "UPDATE accounts_account SET bio = ''",
            "DELETE FROM tweets_tweet",
            "TRUNCATE tweets_tweet CASCADE",
            "CREATE TABLE mine (id int)",
            "SELECT id FROM accounts_account FOR UPDATE",
        ):
            with pytest.raises(ProgrammingError, match="permission denied"):
                cursor.execute(statement)


def test_its_transactions_only_read_unless_it_says_otherwise(as_reader):
    with as_reader(), connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("on",)


def test_it_may_read_a_table_that_a_later_migration_makes(as_reader):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE later (id int)")
    try:
        with as_reader(), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM later")
            assert cursor.fetchone() == (0,)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE later")


def test_news_wait_for_the_transactions_of_another_role(world, as_reader, api):
    """This takes pg_read_all_stats: without it, the role would see no such transactions."""
    writer = connection.copy()
    try:
        writer.set_autocommit(False)
        with writer.cursor() as cursor:
            cursor.execute(
                "INSERT INTO tweets_tweet (author_id, text, state) VALUES (%s, 'slow', 0)"
                " RETURNING id",
                [world["author_id"]],
            )
            [tweet_id] = cursor.fetchone()
        with as_reader():
            reader, url = api(world["reader"]), "/timeline/update"
            first = reader.get(url, {"since_id": tweet_id - 1}).json()
            writer.commit()
            second = reader.get(url, {"since_id": first["meta"]["next_since_id"]}).json()
    finally:
        writer.close()
    assert first["data"] == []
    assert [int(tweet["id"]) for tweet in second["data"]] == [tweet_id]


def test_without_a_password_there_is_no_role(monkeypatch):
    monkeypatch.delenv("READER_PASSWORD", raising=False)
    with pytest.raises(CommandError, match="READER_PASSWORD"):
        call_command("create_reader_role")


def test_the_role_that_applies_the_migrations_is_not_made_the_reader(monkeypatch):
    monkeypatch.setenv("READER_PASSWORD", PASSWORD)
    with pytest.raises(CommandError, match="migrations"):
        call_command("create_reader_role", "--role", connection.settings_dict["USER"])


def test_another_password_takes_the_place_of_the_old_one(as_reader, monkeypatch):
    create_role(monkeypatch, "another")
    with as_reader(), pytest.raises(OperationalError, match="password authentication failed"):
        connection.ensure_connection()
