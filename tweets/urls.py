"""Routes under `/tweet/`."""

from django.urls import path

from tweets.posts import api as posts
from tweets.reactions import api as reactions
from twitter.base.http import health

urlpatterns = [
    *health.ROUTES,
    path("create", posts.CreateView.as_view()),
    path("id/<id:tweet_id>", posts.TweetView.as_view()),
    path("delete/<id:tweet_id>", posts.DeleteView.as_view()),
    path("like", reactions.LikeView.as_view()),
    path("retweet", reactions.RetweetView.as_view()),
    path("bookmark", reactions.BookmarkView.as_view()),
    path("bookmarks", reactions.BookmarksView.as_view()),
]
