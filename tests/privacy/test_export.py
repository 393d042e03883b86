"""An export holds all that is stored of somebody, and nothing of anybody else."""

import json
import stat
from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from accounts.models import Account, ImportedAccount, PopularAuthor
from accounts.people import declares
from tests.accounts.factories import AccountFactory, FollowFactory
from tweets.models import Tweet
from twitter.base.data import keyset
from twitter.privacy import api, export

pytestmark = pytest.mark.usefixtures("commits")

ROOT = Path(__file__).parents[2]


def exported(person) -> dict:
    answer = person.api.get("/auth/export")
    assert answer.status_code == 200
    return json.loads(answer.getvalue())["data"]


def names(rows, key):
    return {row[key] for row in rows}


def test_all_that_ada_did_is_in_it(ada, bob, account):
    data = exported(ada)
    assert data["account"]["username"] == account.username
    assert data["account"]["email"] == account.email
    assert data["account"]["suspended_at"] is None
    assert names(data["following"], "username") == {"bob_by_name"}
    assert names(data["followers"], "id") == {str(bob.id)}
    texts = {tweet["text"]: tweet for tweet in data["tweets"]}
    assert texts.keys() == {"one", "two", ""}
    assert texts["two"]["hidden_at"] is not None
    assert texts["one"]["hidden_at"] is None
    assert texts[""]["retweeted_id"] == data["likes"][0]["tweet_id"]
    assert len(data["likes"]) == 1
    assert names(data["bookmarks"], "tweet_id") == names(data["likes"], "tweet_id")
    assert len(data["removed_tweets"]) == 2  # one deleted, one hidden
    assert len(data["sessions"]) == 1
    assert data["first_answers"][0]["idempotency_key"] == "key-1"
    assert data["first_answers"][0]["answer"]["data"]["text"] == "one"
    reasons = [entry["message"] for entry in data["audit_log"]]
    assert reasons == [
        "Suspension lifted: @ada_lovelace knows why",
        "Suspended: @ada_lovelace knows why",
    ]
    assert len(data["audit_log_of_tweets"]) == 1
    assert data["moderation"] == []


def test_what_a_moderator_did_is_in_the_moderators(ada, moderator, api):
    _, chief = moderator
    data = json.loads(api(chief.pk).get("/auth/export").getvalue())["data"]
    assert names(data["moderation"], "object_type") == {"account", "tweet"}
    assert data["audit_log"] == []
    assert data["account"]["is_superuser"]


def test_no_secret_and_nobody_else_is_in_it(ada, bob, account):
    of_ada = ada.api.get("/auth/export").getvalue().decode()
    assert account.password not in of_ada
    assert account.password.startswith("argon2")
    assert "_hash" not in of_ada
    assert "bob@example.org" not in of_ada
    assert "I know" not in of_ada
    of_bob = bob.api.get("/auth/export").getvalue().decode()
    assert "lovelace@example.org" not in of_bob
    assert "Countess" not in of_bob
    assert '"two"' not in of_bob
    assert "Hello @ada_lovelace" in of_bob


def test_who_is_suspended_has_no_name_and_who_is_deleted_is_gone(ada, bob, account):
    other = AccountFactory(deleted_at=timezone.now())
    FollowFactory(follower=account, followed=other)
    Account.objects.filter(id=bob.id).update(suspended_at=timezone.now())
    [only] = exported(ada)["following"]
    assert (only["id"], only["username"]) == (str(bob.id), None)


def test_it_is_as_described(ada, account):
    """Each field is described, each described field is there, and all lists have a row."""
    ImportedAccount.objects.create(external_id=12, account=account)
    PopularAuthor.objects.create(account=account)
    Account.objects.filter(id=ada.id).update(last_login=timezone.now(), token_generation=1)
    schema = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    for name, described in schema["components"]["schemas"].items():
        if name.startswith("Export"):
            described["additionalProperties"] = False
    registry = Registry().with_resource(
        "urn:schema", Resource(contents=schema, specification=DRAFT202012)
    )
    document = json.loads(ada.api.get("/auth/export").getvalue())
    Draft202012Validator(
        {"$ref": "urn:schema#/components/schemas/ExportResponse"}, registry=registry
    ).validate(document)
    empty = {one.name for one in export.EXPORTS if not document["data"][one.name]}
    assert empty == {"moderation"}
    assert document["data"]["account"]["imported_as"] == "12"
    assert document["data"]["account"]["is_popular"]


def test_every_field_of_an_account_is_in_it_or_left_out_on_purpose(account):
    """A new column of an account must be exported, or named here."""
    stored = {field.name for field in Account._meta.get_fields() if not field.auto_created}
    renamed = {"last_login": "last_admin_login_at", "user_permissions": "permissions"}
    left_out = {"password", "deleted_at"}  # a hash; who is deleted gets nothing
    shown = {renamed.get(name, name) for name in stored - left_out}
    assert shown <= declares.profile(account.pk).keys()


def test_it_comes_in_pages_and_none_of_it_twice(ada, monkeypatch, sql_statements):
    for number in range(7):
        ada.tweet(f"number {number}")
    monkeypatch.setattr(keyset, "PAGE", 3)
    monkeypatch.setattr(export, "BLOCK", 100)
    answer = ada.api.get("/auth/export")
    sql_statements.clear()
    blocks = list(answer)
    assert len(blocks) > 5
    assert max(map(len, blocks)) < 2_000
    tweets = json.loads(b"".join(blocks))["data"]["tweets"]
    ids = [int(tweet["id"]) for tweet in tweets]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == Tweet.objects.filter(author_id=ada.id, state__lt=2).count() == 10
    pages = [one for one in sql_statements if one.startswith("SELECT") and '"text"' in one]
    assert len(pages) == 4


def test_what_is_posted_meanwhile_does_not_prolong_it(ada, monkeypatch):
    monkeypatch.setattr(keyset, "PAGE", 2)
    monkeypatch.setattr(export, "BLOCK", 1)
    received = b""
    for block in ada.api.get("/auth/export"):
        if b'"text"' in block:
            ada.tweet("meanwhile")
        received += block
    assert "meanwhile" not in names(json.loads(received)["data"]["tweets"], "text")


def test_it_is_a_download_that_nobody_keeps(ada):
    answer = ada.api.get("/auth/export")
    assert answer["Content-Disposition"] == f'attachment; filename="twitter-{ada.id}.json"'
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    answer.getvalue()


def test_head_reads_nothing_and_counts_alike(ada, sql_statements):
    answer = ada.api.head("/auth/export")
    assert not [one for one in sql_statements if "accounts_importedaccount" in one]
    assert answer.getvalue() == b""
    assert answer["RateLimit"].startswith('"exports-per-user";r=9;')


def test_if_the_account_goes_meanwhile_the_document_breaks_off(ada, monkeypatch):
    monkeypatch.setattr(export, "BLOCK", 1)
    blocks = iter(ada.api.get("/auth/export"))
    received = [next(blocks)]
    Account.objects.filter(id=ada.id).update(deleted_at=timezone.now())
    with pytest.raises(export.AccountGone):
        received.extend(blocks)
    with pytest.raises(json.JSONDecodeError):
        json.loads(b"".join(received))


@pytest.mark.django_db(transaction=True)
def test_if_the_database_goes_meanwhile_the_document_breaks_off(ada, monkeypatch):
    monkeypatch.setattr(export, "BLOCK", 1)
    blocks = iter(ada.api.get("/auth/export"))
    received = [next(blocks)]
    connection.connection.close()
    with pytest.raises(Exception, match="closed"):
        received.extend(blocks)
    with pytest.raises(json.JSONDecodeError):
        json.loads(b"".join(received))
    connection.close()
    assert exported(ada)  # its turn is free again


@pytest.mark.django_db(transaction=True)
def test_so_many_at_once_and_the_others_are_told_to_come_back(ada, bob, monkeypatch):
    monkeypatch.setattr(api, "WAIT_SECONDS", 0.01)
    under_way = ada.api.get("/auth/export")
    refused = bob.api.get("/auth/export")
    assert refused.status_code == 503
    assert refused["Retry-After"] == "30"
    assert refused["Content-Type"] == "application/problem+json"
    under_way.close()  # given up before it was read
    assert exported(bob)


def test_the_turn_is_free_before_the_last_byte_is_read(ada, bob, monkeypatch):
    monkeypatch.setattr(api, "WAIT_SECONDS", 0.01)
    turn = api._begin(ada.id)
    assert b"".join(turn)  # the server closes it later
    assert exported(bob)


def test_who_does_not_take_it_gets_a_part_of_it(ada, monkeypatch):
    monkeypatch.setattr(api, "MOST_SECONDS", 0.0)
    with pytest.raises(api.ExportTooSlow):
        ada.api.get("/auth/export").getvalue()


def test_it_has_a_limit_of_its_own(ada, settings):
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"exports": {"user": (2, 3600)}}
    assert exported(ada)
    assert exported(ada)
    assert ada.api.get("/auth/export").status_code == 429
    assert ada.api.get("/auth/me").status_code == 200


def run(*arguments) -> str:
    out = StringIO()
    call_command("export_account", *map(str, arguments), stdout=out)
    return out.getvalue()


def without_time(text) -> dict:
    data = json.loads(text)["data"]
    del data["exported_at"]
    return data


def test_the_command_writes_the_same(ada, tmp_path):
    by_api = without_time(ada.api.get("/auth/export").getvalue())
    assert without_time(run("@ADA_lovelace")) == by_api
    assert without_time(run(ada.id)) == by_api
    file = tmp_path / "ada.json"
    assert run(ada.id, "--output", file) == ""
    assert without_time(file.read_text()) == by_api
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_the_command_takes_suspended_accounts_and_no_deleted_ones(ada):
    Account.objects.filter(id=ada.id).update(suspended_at=timezone.now())
    assert without_time(run(ada.id))["account"]["suspended_at"]
    Account.objects.filter(id=ada.id).update(deleted_at=timezone.now())
    for wrong in (ada.id, "nobody", "no name", "0"):
        with pytest.raises(CommandError, match="no such account"):
            run(wrong)


def test_an_export_that_fails_leaves_no_file(ada, tmp_path, monkeypatch):
    with pytest.raises(CommandError, match="--output"):
        run(ada.id, "--output", tmp_path / "missing" / "ada.json")
    profiles = iter([declares.profile(ada.id), None])
    monkeypatch.setattr(export.accounts, "exported_profile", lambda account_id: next(profiles))
    with pytest.raises(export.AccountGone):
        run(ada.id, "--output", tmp_path / "ada.json")
    assert list(tmp_path.iterdir()) == []
