"""Wire shapes of tweets. `TweetSerializer` is the only description of a tweet."""

from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar, TypedDict

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tweets import text
from tweets.models import Tweet
from tweets.text import ParsedText
from twitter.base.data.ids import WireIdField, time_of
from twitter.base.http.fields import InputSerializer, TextField
from twitter.base.http.requests import checked
from twitter.base.http.shapes import request_example, shape

MAX_KEY_LENGTH = 255


class PublicMetrics(TypedDict):
    """Counts of a tweet. Replies and quotes cannot be posted yet, so these two are 0."""

    like_count: int
    retweet_count: int
    reply_count: int
    quote_count: int


class ReferenceSerializer(serializers.Serializer[Any]):
    """Another tweet that a tweet is about; it is in `includes.tweets`."""

    type = serializers.ChoiceField(["retweeted", "replied_to", "quoted"])
    id = WireIdField()


class TweetSerializer(serializers.ModelSerializer[Tweet]):
    """A tweet as everybody sees it. What the reader did to it is in `viewer`."""

    id = WireIdField()
    author_id = WireIdField()
    created_at = serializers.SerializerMethodField()
    conversation_id = serializers.SerializerMethodField(help_text="The tweet that started it.")
    referenced_tweets = serializers.SerializerMethodField()
    entities = serializers.SerializerMethodField()
    public_metrics = serializers.SerializerMethodField()

    class Meta:  # After a change raise SHAPE_VERSION in `rendering`: tweets are cached as bytes.
        model = Tweet
        fields: ClassVar[Any] = (
            "id",
            "text",
            "author_id",
            "created_at",
            "conversation_id",
            "referenced_tweets",
            "entities",
            "public_metrics",
        )

    def get_created_at(self, tweet: Tweet) -> datetime:
        """When it was posted, UTC."""
        return time_of(tweet.pk)

    def get_conversation_id(self, tweet: Tweet) -> str:
        """A retweet belongs to its original's conversation."""
        return str(tweet.original_id or tweet.pk)

    @extend_schema_field(ReferenceSerializer(many=True))
    def get_referenced_tweets(self, tweet: Tweet) -> list[dict[str, str]]:
        """The original, when it is a retweet."""
        if tweet.original_id is None:
            return []
        return [{"type": "retweeted", "id": str(tweet.original_id)}]

    def get_entities(self, tweet: Tweet) -> text.Entities:
        """What stands in the text, and where: `start` and `end` count Unicode code points.

        In JavaScript: `Array.from(text).slice(start, end).join("")`.
        """
        # Found when it is rendered, so that better rules reach old tweets too; of a tweet that is
        # posted now, they were found when its text was checked.
        found: text.Entities | None = getattr(tweet, "entities", None)
        return text.entities(tweet.text) if found is None else found

    def get_public_metrics(self, tweet: Tweet) -> PublicMetrics:
        """How often it was liked and retweeted, up to a second behind."""
        # `tweets.posts.reads.fresh` has added the counts as attributes.
        return {
            "like_count": getattr(tweet, "like_count", 0),
            "retweet_count": getattr(tweet, "retweet_count", 0),
            "reply_count": 0,
            "quote_count": 0,
        }


TWEET_EXAMPLE = {
    "id": "374005570052401",
    "text": "just setting up my #twttr",
    "author_id": "374005570000001",
    "created_at": "2026-11-22T19:52:33.626000Z",
    "conversation_id": "374005570052401",
    "referenced_tweets": [],
    "entities": {
        "hashtags": [{"start": 19, "end": 25, "tag": "twttr"}],
        "mentions": [],
        "urls": [],
        "cashtags": [],
    },
    "public_metrics": {"like_count": 3, "retweet_count": 1, "reply_count": 0, "quote_count": 0},
}


@request_example({"text": "just setting up my #twttr"})
class PostTweetSerializer(InputSerializer):
    """The body of a new tweet."""

    text = TextField(
        trim_whitespace=False,
        help_text=f"1 to {text.MAX_WEIGHTED_LENGTH} weighted characters, and at most"
        f" {text.MAX_BYTES:,} bytes of UTF-8. A URL of at most {text.MAX_URL_LENGTH:,} characters"
        f" weighs {text.URL_WEIGHT}.",
    )

    @classmethod
    def text_in(cls, data: Any) -> ParsedText:
        """Return the text of a body; raises ValidationError for all that is wrong with it.

        The serializer is asked only to tell that: its checks take longer than the text's own, and
        refuse nothing that `text.parse` accepts.
        """
        if isinstance(data, dict) and list(data) == ["text"] and isinstance(data["text"], str):
            with suppress(text.TextError):
                return text.parse(data["text"])
        found: ParsedText = checked(cls, data)["text"]
        return found

    def validate_text(self, value: str) -> ParsedText:
        """Return the text as it is parsed; raise ValidationError naming the rule it breaks."""
        try:
            return text.parse(value)
        except text.TextError as error:
            raise serializers.ValidationError(str(error)) from error


TweetDeleted = shape(
    "TweetDeleted",
    example={"data": {"deleted": True}},
    data=shape("TweetDeletedState", deleted=serializers.BooleanField())(),
)
