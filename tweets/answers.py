"""What answers with tweets hold beside them: what they refer to, and the reader's marks."""

from collections.abc import Collection, Mapping
from typing import Any

from rest_framework import serializers

from accounts.people.serializers import USER_EXAMPLE, UserSerializer
from tweets.posts.serializers import TWEET_EXAMPLE, TweetSerializer
from tweets.reactions.declares import MARKS
from twitter.base.data.ids import WireIdField
from twitter.base.http.renderers import array
from twitter.base.http.shapes import shape


class IncludesSerializer(serializers.Serializer[Any]):
    """What the data refers to, each once."""

    users = UserSerializer(many=True)
    tweets = TweetSerializer(many=True)


ViewerSerializer = type(
    "ViewerSerializer",
    (serializers.Serializer,),
    {
        "__doc__": "What the reader did to the tweets in this answer.",
        **{
            mark.name: serializers.ListField(child=WireIdField(), help_text=mark.help_text)
            for mark in MARKS
        },
    },
)

INCLUDES_EXAMPLE = {"users": [USER_EXAMPLE], "tweets": []}
VIEWER_EXAMPLE = {**{mark.name: [] for mark in MARKS}, "liked": [TWEET_EXAMPLE["id"]]}
# What each page of tweets has beside `meta`.
PAGE_FIELDS = {
    "data": TweetSerializer(many=True),
    "includes": IncludesSerializer(),
    "viewer": ViewerSerializer(),
}
PAGE_EXAMPLE = {
    "data": [TWEET_EXAMPLE],
    "includes": INCLUDES_EXAMPLE,
    "viewer": VIEWER_EXAMPLE,
}


TweetResponse = shape(
    "TweetResponse",
    example={"data": TWEET_EXAMPLE, "includes": INCLUDES_EXAMPLE, "viewer": VIEWER_EXAMPLE},
    data=TweetSerializer(),
    includes=IncludesSerializer(),
    viewer=ViewerSerializer(),
)


_NAMES = [mark.name for mark in MARKS]
_VIEWER = b"{%b}" % b",".join(b'"%b":%%b' % name.encode() for name in _NAMES)


def viewer(marked: Mapping[str, Collection[int]]) -> bytes:
    """Return the JSON of `viewer`: for each mark, by its name, the ids of tweets, newest first."""
    return _VIEWER % tuple(_ids(marked.get(name)) for name in _NAMES)


def _ids(numbers: Collection[int] | None) -> bytes:
    if not numbers:
        return b"[]"
    return array([b'"%d"' % number for number in sorted(numbers, reverse=True)])
