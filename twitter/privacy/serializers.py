"""What an export holds, field by field; `tests/privacy/test_export.py` compares both.

They only describe: rows are written as they are, for DRF would take longer than PostgreSQL.
"""

from typing import Any

from rest_framework import serializers

from accounts.serializers import USER_EXAMPLE
from tweets.serializers import TWEET_EXAMPLE, TweetResponse
from twitter.base.data.ids import WireIdField
from twitter.base.http.shapes import shape

WHEN = "2026-11-25T22:00:00Z"


class ExportedAccountSerializer(serializers.Serializer[Any]):
    """The account. Of the password only a hash is stored, which is not given to anybody."""

    id = WireIdField()
    username = serializers.CharField()
    name = serializers.CharField()
    bio = serializers.CharField()
    email = serializers.EmailField(allow_null=True)
    created_at = serializers.DateTimeField()
    suspended_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when moderators keep it from being seen."
    )
    last_admin_login_at = serializers.DateTimeField(allow_null=True)
    is_staff = serializers.BooleanField(help_text="May use the admin.")
    is_superuser = serializers.BooleanField(help_text="May do everything there.")
    groups = serializers.ListField(
        child=serializers.CharField(), help_text="Whose permissions in the admin it has."
    )
    permissions = serializers.ListField(
        child=serializers.CharField(), help_text="Its own permissions in the admin."
    )
    token_generation = serializers.IntegerField(
        help_text="How often all sessions were ended at once."
    )
    home_changed_at = serializers.DateTimeField(
        allow_null=True, help_text="When its home timeline last changed with whom it follows."
    )
    followers_homes_changed_at = serializers.DateTimeField(
        allow_null=True, help_text="When those of its followers last changed with its state."
    )
    is_popular = serializers.BooleanField(
        help_text="It has, or had, so many followers that they fetch its tweets."
    )
    imported_as = serializers.CharField(
        allow_null=True, help_text="Its number in the graph that it was imported from."
    )


class ExportedSessionSerializer(serializers.Serializer[Any]):
    """A log-in. Of its tokens only hashes are stored, which are not given to anybody."""

    id = WireIdField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="When it ends, or is forgotten.")
    revoked_at = serializers.DateTimeField(allow_null=True, help_text="When it was ended early.")


class ExportedNeighbourSerializer(serializers.Serializer[Any]):
    """Somebody on the other side of a follow."""

    id = WireIdField()
    username = serializers.CharField(
        allow_null=True, help_text="Null when the account cannot be seen."
    )
    since = serializers.DateTimeField()


class ExportedAuditEntrySerializer(serializers.Serializer[Any]):
    """What a moderator did, and why."""

    id = serializers.CharField()
    at = serializers.DateTimeField()
    object_type = serializers.CharField(help_text="`account`, `follow`, `tweet`, `delivery` …")
    object_id = serializers.CharField(
        allow_null=True, help_text="Null when the object belonged to a deleted account."
    )
    message = serializers.CharField()


class ExportedTweetSerializer(serializers.Serializer[Any]):
    """A tweet, or a retweet."""

    id = WireIdField()
    text = serializers.CharField(help_text="Empty for a retweet.")
    retweeted_id = WireIdField(allow_null=True, help_text="The tweet that it retweets.")
    created_at = serializers.DateTimeField()
    hidden_at = serializers.DateTimeField(allow_null=True, help_text="When a moderator hid it.")


class ExportedLikeSerializer(serializers.Serializer[Any]):
    """A like; when it was given is not stored."""

    tweet_id = WireIdField()


class ExportedRemovalSerializer(serializers.Serializer[Any]):
    """That a tweet, or a retweet, is gone or hidden; forgotten after 7 days."""

    tweet_id = WireIdField()
    removed_at = serializers.DateTimeField()


class ExportedAnswerSerializer(serializers.Serializer[Any]):
    """The answer that repeats of a post get; forgotten after a day."""

    idempotency_key = serializers.CharField()
    created_at = serializers.DateTimeField()
    answer = TweetResponse()


_ENTRY = {
    "id": "7",
    "at": WHEN,
    "object_type": "tweet",
    "object_id": TWEET_EXAMPLE["id"],
    "message": "Hidden: off topic",
}
_NEIGHBOUR = {"id": "374005570000007", "username": "biz", "since": WHEN}
_EXAMPLE: dict[str, Any] = {
    "exported_at": WHEN,
    "account": {
        **{name: USER_EXAMPLE[name] for name in ("id", "username", "name", "bio", "created_at")},
        "email": "jack@example.com",
        "suspended_at": None,
        "last_admin_login_at": None,
        "is_staff": False,
        "is_superuser": False,
        "groups": [],
        "permissions": [],
        "token_generation": 0,
        "home_changed_at": "2026-11-22T19:52:33.613000Z",
        "followers_homes_changed_at": None,
        "is_popular": False,
        "imported_as": None,
    },
    "sessions": [
        {"id": "374005570000002", "created_at": WHEN, "expires_at": WHEN, "revoked_at": None}
    ],
    "following": [_NEIGHBOUR],
    "followers": [_NEIGHBOUR],
    "audit_log": [],
    "moderation": [],
    "tweets": [
        {
            "id": TWEET_EXAMPLE["id"],
            "text": TWEET_EXAMPLE["text"],
            "retweeted_id": None,
            "created_at": TWEET_EXAMPLE["created_at"],
            "hidden_at": WHEN,
        }
    ],
    "likes": [{"tweet_id": TWEET_EXAMPLE["id"]}],
    "removed_tweets": [{"tweet_id": TWEET_EXAMPLE["id"], "removed_at": WHEN}],
    "first_answers": [],
    "audit_log_of_tweets": [_ENTRY],
}

ExportResponse = shape(
    "ExportResponse",
    example={"data": _EXAMPLE},
    data=shape(
        "Export",
        exported_at=serializers.DateTimeField(help_text="When it was begun."),
        account=ExportedAccountSerializer(),
        sessions=ExportedSessionSerializer(many=True),
        following=ExportedNeighbourSerializer(many=True),
        followers=ExportedNeighbourSerializer(many=True),
        audit_log=ExportedAuditEntrySerializer(
            many=True, help_text="About the account and its follows."
        ),
        moderation=ExportedAuditEntrySerializer(
            many=True, help_text="What one did as a moderator oneself."
        ),
        tweets=ExportedTweetSerializer(many=True, help_text="Also those that are hidden."),
        likes=ExportedLikeSerializer(many=True),
        removed_tweets=ExportedRemovalSerializer(many=True),
        first_answers=ExportedAnswerSerializer(many=True),
        audit_log_of_tweets=ExportedAuditEntrySerializer(many=True),
    )(help_text="Each list comes newest first."),
)
