"""Routes under `/timeline/`."""

from django.urls import path

from timelines import views
from twitter.base.http import health

urlpatterns = [
    *health.ROUTES,
    path("timeline", views.HomeView.as_view()),
    path("update", views.NewsView.as_view()),
    path("user/<id:author_id>", views.AuthorView.as_view()),
]
