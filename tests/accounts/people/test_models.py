"""What the database itself refuses, and which indexes it uses."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Lower

from accounts.models import Account, Follow, Session
from accounts.sessions.hashing import BoundedArgon2Hasher
from tests.accounts.factories import PASSWORD, AccountFactory, FollowFactory, hashed
from twitter.base.data.ids import MAX_ID, time_of

pytestmark = pytest.mark.django_db


def test_usernames_are_unique_whatever_the_case() -> None:
    AccountFactory(username="Ada")
    with pytest.raises(IntegrityError, match="accounts_username_unique"):
        AccountFactory(username="aDA")


def test_emails_are_unique_whatever_the_case_and_may_be_absent() -> None:
    AccountFactory(email="ada@example.org")
    AccountFactory(email=None)
    AccountFactory(email=None)
    with pytest.raises(IntegrityError, match="accounts_email_unique"):
        AccountFactory(email="ADA@example.org")


@pytest.mark.parametrize("username", ["", "a b", "ädä", "a-b", "ada\n", "\u0430da", "a" * 16])
def test_the_database_refuses_odd_usernames(username: str) -> None:
    # A username that is too long is a DataError of its own.
    with pytest.raises(Exception, match=r"accounts_username_pattern|too long"):
        Account.objects.create_user(username)


def test_nobody_follows_oneself_or_somebody_twice() -> None:
    ada = AccountFactory()
    with pytest.raises(IntegrityError, match="accounts_follow_not_self"), transaction.atomic():
        Follow.objects.create(follower=ada, followed=ada)
    follow = FollowFactory(follower=ada)
    with pytest.raises(IntegrityError, match="accounts_follow_unique"), transaction.atomic():
        Follow.objects.create(follower=ada, followed=follow.followed)


def test_ids_order_by_time_and_tell_it() -> None:
    first, second = AccountFactory(), AccountFactory()
    assert first.id < second.id
    assert first.created_at == time_of(first.id)


def test_django_finds_accounts_whatever_the_case() -> None:
    ada = AccountFactory(username="Ada")
    assert Account.objects.get_by_natural_key("aDa") == ada


def test_a_superuser_may_do_everything() -> None:
    root = Account.objects.create_superuser("chief", password=PASSWORD)
    assert root.is_staff
    assert root.has_perm("accounts.change_account")


def test_a_new_password_ends_all_sessions_however_it_is_set() -> None:
    ada = AccountFactory()
    Session.objects.create(account=ada, family_hash="", token_hash="", expires_at=time_of(ada.id))
    ada.set_password("another one entirely")
    ada.save()
    ada.refresh_from_db()
    assert ada.token_generation == 1
    assert not Session.objects.exists()


def test_an_upgraded_hash_ends_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = AccountFactory(password=hashed(PASSWORD))
    monkeypatch.setattr(BoundedArgon2Hasher, "time_cost", 2)
    assert ada.check_password(PASSWORD)
    ada.refresh_from_db()
    assert "t=2" in ada.password
    assert ada.token_generation == 0


def _plan(query: str) -> str:
    with connection.cursor() as cursor:
        for way in ("seqscan", "bitmapscan", "sort"):  # what may be cheapest for so few rows
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN {query}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_looking_up_a_username_or_its_beginning_uses_the_index() -> None:
    accounts = Account.objects.alias(lower=Lower("username"))
    for found in (accounts.filter(lower="ada"), accounts.filter(lower__startswith="ad_")):
        connection.cursor().execute("SET LOCAL enable_seqscan = off")
        plan = found.explain()
        assert "accounts_username_unique" in plan
        assert "Index Cond" in plan


@pytest.mark.parametrize(
    ("found", "own", "after", "order", "index"),
    [
        ("follower_id", "followed_id", "follower_id > 1", "follower_id", "accounts_follow_unique"),
        ("followed_id", "follower_id", f"id < {MAX_ID}", "id DESC", "accounts_following"),
        ("follower_id", "followed_id", f"id < {MAX_ID}", "id DESC", "accounts_followers"),
    ],
)
def test_the_graph_is_read_from_an_index_only_and_without_sorting(
    found: str, own: str, after: str, order: str, index: str
) -> None:
    people = AccountFactory.create_batch(30)
    Follow.objects.bulk_create(
        Follow(follower=one, followed=other) for one in people for other in people if one != other
    )
    connection.cursor().execute("ANALYZE accounts_follow")  # else the plan is a matter of chance
    which = f"{own} = {people[0].pk} AND {after}"
    plan = _plan(f"SELECT {found} FROM accounts_follow WHERE {which} ORDER BY {order} LIMIT 10")
    assert f"Index Only Scan using {index}" in plan
    assert "Sort" not in plan
