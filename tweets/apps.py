"""The tweets app: what people write, like and retweet."""

from django.apps import AppConfig


class TweetsConfig(AppConfig):
    """Owns tweets, likes, retweets and their counts."""

    name = "tweets"
