"""What is routed under `/auth/`, but takes more than accounts know."""

from django.urls import path

from twitter.privacy import api

urlpatterns = [path("export", api.ExportView.as_view())]
