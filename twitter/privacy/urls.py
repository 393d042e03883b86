"""What is routed under `/auth/`, but takes more than accounts know."""

from django.urls import path

from twitter.privacy import views

urlpatterns = [path("export", views.ExportView.as_view())]
