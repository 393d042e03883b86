"""Routes under `/tweet/`."""

from django.urls import path

from tweets import views
from twitter.base.http import health

urlpatterns = [
    *health.ROUTES,
    path("create", views.CreateView.as_view()),
    path("id/<id:tweet_id>", views.TweetView.as_view()),
    path("delete/<id:tweet_id>", views.DeleteView.as_view()),
    path("like", views.LikeView.as_view()),
    path("retweet", views.RetweetView.as_view()),
]
