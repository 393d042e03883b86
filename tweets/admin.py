"""The admin of tweets. Django looks for it here."""

from tweets.posts import admin as posts

__all__ = ["posts"]
