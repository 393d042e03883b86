"""Of a violated constraint a service says what it means only if it expected just that one."""

from collections.abc import Callable, Iterator

import pytest
from django.db import IntegrityError, connection

from accounts import models as graph_models
from accounts import models as people_models
from accounts import purging
from tweets import models as posts_models
from tweets import models as reactions_models
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)

REFERENCES = {
    graph_models.FOLLOWED_REFERENCE: ("accounts_follow", "followed_id"),
    posts_models.FIRST_ANSWER_ACCOUNT_REFERENCE: ("tweets_firstanswer", "account_id"),
    reactions_models.LIKE_ACCOUNT_REFERENCE: ("tweets_like", "account_id"),
    reactions_models.LIKE_TWEET_REFERENCE: ("tweets_like", "tweet_id"),
    posts_models.METRICS_DELTA_TWEET_REFERENCE: ("tweets_tweetmetricsdelta", "tweet_id"),
    posts_models.TWEET_AUTHOR_REFERENCE: ("tweets_tweet", "author_id"),
    posts_models.TWEET_ORIGINAL_REFERENCE: ("tweets_tweet", "original_id"),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_the_foreign_keys_that_services_know_are_those_of_the_database(name):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, attname FROM pg_constraint"
            " JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY(conkey)"
            " WHERE conname = %s AND contype = 'f'",
            [name],
        )
        assert cursor.fetchall() == [REFERENCES[name]]


@pytest.fixture
def odd_rule() -> Iterator[Callable[[str], None]]:
    """Return a function that lets the database refuse all new rows of a table from now on."""
    tables = []

    def forbid(table: str) -> None:
        tables.append(table)
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT odd_rule CHECK (false) NOT VALID")

    yield forbid
    for table in tables:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT odd_rule")


@pytest.mark.parametrize(
    ("what", "table"),
    [
        ("post", "tweets_tweet"),
        ("post once", "tweets_firstanswer"),
        ("like", "tweets_like"),
        ("retweet", "tweets_tweetmetricsdelta"),
        ("follow", "accounts_follow"),
        ("sign up", "accounts_account"),
    ],
)
def test_a_violated_constraint_that_no_one_expects_is_a_bug_and_is_logged(
    api, make_account, odd_rule, caplog, what, table
):
    ann, bob = make_account("ann"), api(make_account("bob"))
    tweet = {"tweet_id": api(ann).post("/tweet/create", {"text": "Hello"}).json()["data"]["id"]}
    cyd = {"username": "cyd", "email": "cyd@example.org", "password": "correct horse battery"}
    ask = {
        "post": lambda: bob.post("/tweet/create", {"text": "Hello"}),
        "post once": lambda: bob.post(
            "/tweet/create", {"text": "Hello"}, headers={"Idempotency-Key": "x"}
        ),
        "like": lambda: bob.post("/tweet/like", tweet),
        "retweet": lambda: bob.post("/tweet/retweet", tweet),
        "follow": lambda: bob.post("/auth/follow", {"user_id": ann}),
        "sign up": lambda: api().post("/auth/create", cyd),
    }
    odd_rule(table)
    assert ask[what]().status_code == 500
    assert "odd_rule" in caplog.text


def test_a_purge_that_a_bug_stops_is_not_begun_again_without_end(make_account, odd_rule):
    gone = make_account("gone")
    people_models.Account.objects.filter(id=gone).update(deleted_at="2026-01-01T00:00Z")
    odd_rule("accounts_reservedlogin")
    with pytest.raises(IntegrityError):
        purging.purge_account(gone)
    assert not Delivery.objects.exists()
