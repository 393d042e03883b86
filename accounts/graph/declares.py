"""What the follow graph declares."""

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from rest_framework import serializers

from accounts import rereads
from accounts.declared import Subject
from accounts.graph import relations
from accounts.models import Follow, PopularAuthor
from twitter.base import declared
from twitter.base.data import keyset
from twitter.base.data.ids import WireIdField, time_of
from twitter.base.declared import Export, Row
from twitter.base.http.shapes import EXAMPLE_TIME


class ExportedNeighbourSerializer(serializers.Serializer[Any]):
    """Somebody on the other side of a follow."""

    id = WireIdField()
    username = serializers.CharField(
        allow_null=True, help_text="Null when the account cannot be seen."
    )
    since = serializers.DateTimeField()


def _following(account_id: int) -> Iterator[Row]:
    return _neighbours(Follow.objects.filter(follower_id=account_id), "followed")


def _followers(account_id: int) -> Iterator[Row]:
    return _neighbours(Follow.objects.filter(followed_id=account_id), "follower")


def _neighbours(follows: QuerySet[Follow], side: str) -> Iterator[Row]:
    """Yield the accounts on one side of the follows, without deleted ones.

    A suspended account has no name here: an export shows what is public of other people.
    """
    present = follows.filter(**{f"{side}__deleted_at__isnull": True})
    fields = (f"{side}_id", f"{side}__username", f"{side}__suspended_at")
    for number, account_id, username, suspended_at in keyset.walk(present, *fields):
        yield {
            "id": str(account_id),
            "username": None if suspended_at else username,
            "since": time_of(number),
        }


# Delete some of the account's follows, and subtract them from the counts of the other accounts.
_UNFOLLOW = """
    WITH gone AS (
        DELETE FROM accounts_follow WHERE id IN (
            SELECT id FROM accounts_follow WHERE {own} = %s LIMIT %s)
        RETURNING {other} AS account_id)
    INSERT INTO accounts_accountcounterdelta (account_id, {count})
    SELECT account_id, -1 FROM gone
    RETURNING account_id"""
_FOLLOWEES = _UNFOLLOW.format(own="follower_id", other="followed_id", count="followers_count")
_FOLLOWERS = _UNFOLLOW.format(own="followed_id", other="follower_id", count="following_count")


@transaction.atomic
def _erase_follows(account_id: int) -> int:
    """Delete some of the account's follows, in both directions. Folding refreshes the counts."""
    followers = _unfollow(_FOLLOWERS, account_id)
    rereads.note_readers(followers)
    others = _unfollow(_FOLLOWEES, account_id) + followers
    # Before the commit, so that it cannot be missed.
    relations.drop(others)
    return len(others)


def _unfollow(statement: str, account_id: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [account_id, declared.STEP])
        return [row[0] for row in cursor.fetchall()]


def _drop_relations(account_id: int) -> None:
    relations.drop([account_id])


_NEIGHBOUR = {"id": "374005570000007", "username": "biz", "since": EXAMPLE_TIME}

SUBJECT = Subject(
    exports=(
        Export(
            name="following",
            rows=_following,
            described_by=ExportedNeighbourSerializer,
            example=[_NEIGHBOUR],
        ),
        Export(
            name="followers",
            rows=_followers,
            described_by=ExportedNeighbourSerializer,
            example=[_NEIGHBOUR],
        ),
    ),
    erase=(_erase_follows,),
    rows=(PopularAuthor,),
    sweep=(_drop_relations,),
)
