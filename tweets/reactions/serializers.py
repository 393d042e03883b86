"""Wire shapes of likes and retweets."""

from rest_framework import serializers

from twitter.base.data.ids import WireIdField
from twitter.base.http.fields import InputSerializer
from twitter.base.http.shapes import request_example, shape


@request_example({"tweet_id": "374005570052401"})
class TweetIdSerializer(InputSerializer):
    """Names a tweet."""

    tweet_id = WireIdField()


Liked = shape(
    "Liked",
    example={"data": {"liked": True}},
    data=shape("LikedState", liked=serializers.BooleanField())(),
)


Retweeted = shape(
    "Retweeted",
    example={"data": {"retweeted": False}},
    data=shape("RetweetedState", retweeted=serializers.BooleanField())(),
)
