"""Routes requests to views."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from twitter.base.http.swagger import SchemaView, ScriptView, SwaggerView

handler400 = "twitter.base.http.errors.bad_request"
handler403 = "twitter.base.http.errors.permission_denied"
handler404 = "twitter.base.http.errors.not_found"
handler500 = "twitter.base.http.errors.server_error"

admin.site.enable_nav_sidebar = False  # its room is needed by the lists
admin.site.site_url = None  # there is no site to view, only an API
admin.site.site_title = admin.site.site_header = "twitter: moderation"

urlpatterns = [
    path("auth/", include("accounts.urls")),
    path("auth/", include("twitter.privacy.urls")),
    path("tweet/", include("tweets.urls")),
    path("timeline/", include("timelines.urls")),
    path("api/schema/", SchemaView.as_view()),
    path("api/docs/", SwaggerView.as_view()),
    path("api/docs/start.js", ScriptView.as_view()),
    path(settings.ADMIN_PATH, admin.site.urls),
    # What people type: without the slash, which no address of the API has, or nothing at all.
    path("", RedirectView.as_view(url="/api/docs/")),
    path("api/docs", RedirectView.as_view(url="/api/docs/")),
    path("api/schema", RedirectView.as_view(url="/api/schema/")),
    path(settings.ADMIN_PATH.rstrip("/"), RedirectView.as_view(url=f"/{settings.ADMIN_PATH}")),
]
