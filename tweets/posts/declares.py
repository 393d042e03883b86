"""What posts declare. The tweets themselves are purged by `tweets.purging`."""

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast
from rest_framework import serializers

from tweets.answers import TweetResponse
from tweets.declared import Subject
from tweets.models import FirstAnswer, Tombstone, Tweet
from tweets.posts import cache
from tweets.posts.serializers import TWEET_EXAMPLE
from twitter.base import declared
from twitter.base.admin import audit
from twitter.base.data import keyset
from twitter.base.data.ids import WireIdField, time_of
from twitter.base.declared import Export, Row
from twitter.base.http.shapes import EXAMPLE_TIME


class ExportedTweetSerializer(serializers.Serializer[Any]):
    """A tweet, or a retweet."""

    id = WireIdField()
    text = serializers.CharField(help_text="Empty for a retweet.")
    retweeted_id = WireIdField(allow_null=True, help_text="The tweet that it retweets.")
    created_at = serializers.DateTimeField()
    hidden_at = serializers.DateTimeField(allow_null=True, help_text="When a moderator hid it.")


class ExportedRemovalSerializer(serializers.Serializer[Any]):
    """The tombstone of a tweet or a retweet that is gone or hidden; deleted after 7 days."""

    tweet_id = WireIdField()
    removed_at = serializers.DateTimeField()


class ExportedAnswerSerializer(serializers.Serializer[Any]):
    """The answer that repeats of a post get; deleted after a day."""

    idempotency_key = serializers.CharField()
    created_at = serializers.DateTimeField()
    answer = TweetResponse()


def _tweets(account_id: int) -> Iterator[Row]:
    present = Tweet.objects.filter(author_id=account_id).exclude(state=Tweet.State.DELETED)
    for number, text, original_id, removed_at in keyset.walk(
        present, "text", "original_id", "removed_at"
    ):
        yield {
            "id": str(number),
            "text": text,
            "retweeted_id": original_id and str(original_id),
            "created_at": time_of(number),
            "hidden_at": removed_at,
        }


def _removed_tweets(account_id: int) -> Iterator[Row]:
    tombstones = Tombstone.objects.filter(author_id=account_id)
    for tweet_id, removed_at in keyset.walk(tombstones, "removed_at", key="tweet_id"):
        yield {"tweet_id": str(tweet_id), "removed_at": removed_at}


def _first_answers(account_id: int) -> Iterator[Row]:
    answers = FirstAnswer.objects.filter(account_id=account_id)
    for _, key, created_at, body in keyset.walk(answers, "key", "created_at", "body"):
        yield {
            "idempotency_key": key,
            "created_at": created_at,
            "answer": json.loads(bytes(body)),
        }


def _audit_log(account_id: int) -> Iterator[Row]:
    own = Tweet.objects.filter(author_id=account_id).values_list(Cast("id", TextField()))
    return audit.rows(audit.about(Tweet, own))


def _erase_tombstones_of(author_id: int) -> int:
    """Delete some tombstones, and anonymise what the audit log says of their tweets.

    Followers do without them: they are told to read the home timeline again.
    """
    some = Tombstone.objects.filter(author_id=author_id)
    tweet_ids = list(some.values_list("tweet_id", flat=True)[: declared.STEP])
    audit.anonymise(audit.about(Tweet, tweet_ids), what="a tweet")
    return Tombstone.objects.filter(tweet_id__in=tweet_ids).delete()[0]


def _erase_answers_to(account_id: int) -> int:
    return declared.delete_some(FirstAnswer.objects.filter(account_id=account_id))


SUBJECT = Subject(
    others_words=((Tweet, "text"), (FirstAnswer, "body")),
    others_words_cached=(cache.TWEETS.prefix,),
    exports=(
        Export(
            name="tweets",
            rows=_tweets,
            described_by=ExportedTweetSerializer,
            example=[
                {
                    "id": TWEET_EXAMPLE["id"],
                    "text": TWEET_EXAMPLE["text"],
                    "retweeted_id": None,
                    "created_at": TWEET_EXAMPLE["created_at"],
                    "hidden_at": EXAMPLE_TIME,
                }
            ],
            help_text="Also those that are hidden.",
        ),
        Export(
            name="removed_tweets",
            rows=_removed_tweets,
            described_by=ExportedRemovalSerializer,
            example=[{"tweet_id": TWEET_EXAMPLE["id"], "removed_at": EXAMPLE_TIME}],
        ),
        Export(
            name="first_answers",
            rows=_first_answers,
            described_by=ExportedAnswerSerializer,
            example=[],
        ),
        Export(
            name="audit_log_of_tweets",
            rows=_audit_log,
            described_by=audit.ExportedAuditEntrySerializer,
            example=[
                {
                    "id": "7",
                    "at": EXAMPLE_TIME,
                    "object_type": "tweet",
                    "object_id": TWEET_EXAMPLE["id"],
                    "message": "Hidden: off topic",
                }
            ],
        ),
    ),
    erase=(_erase_tombstones_of, _erase_answers_to),
)
