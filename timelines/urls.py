"""Routes under `/timeline/`."""

from django.urls import path

from timelines import api
from twitter.base.http import health

urlpatterns = [
    *health.ROUTES,
    path("timeline", api.HomeView.as_view()),
    path("update", api.NewsView.as_view()),
    path("user/<id:author_id>", api.AuthorView.as_view()),
]
