"""Routes under `/timeline/`."""

from django.urls import path

from timelines import views
from twitter.base.http.health import HealthView

urlpatterns = [
    path("healthz", HealthView.as_view()),
    path("helthz", HealthView.as_view(schema=None)),  # clients exist that spell it so
    path("timeline", views.HomeView.as_view()),
    path("update", views.NewsView.as_view()),
    path("user/<id:author_id>", views.AuthorView.as_view()),
]
