"""Routes under `/tweet/`."""

from django.urls import path

from tweets import views
from twitter.base.http.health import HealthView

urlpatterns = [
    path("healthz", HealthView.as_view()),
    path("helthz", HealthView.as_view(schema=None)),  # clients exist that spell it so
    path("create", views.CreateView.as_view()),
    path("id/<id:tweet_id>", views.TweetView.as_view()),
    path("delete/<id:tweet_id>", views.DeleteView.as_view()),
    path("like", views.LikeView.as_view()),
    path("retweet", views.RetweetView.as_view()),
]
