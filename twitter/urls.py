"""Routes requests to views."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from twitter.lib.swagger import SwaggerView

handler400 = "twitter.lib.errors.bad_request"
handler403 = "twitter.lib.errors.permission_denied"
handler404 = "twitter.lib.errors.not_found"
handler500 = "twitter.lib.errors.server_error"

admin.site.enable_nav_sidebar = False  # its room is needed by the lists
admin.site.site_url = None  # there is no site to view, only an API
admin.site.site_title = admin.site.site_header = "twitter: moderation"

urlpatterns = [
    path("auth/", include("accounts.urls")),
    path("auth/", include("twitter.privacy.urls")),
    path("tweet/", include("tweets.urls")),
    path("timeline/", include("timelines.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SwaggerView.as_view(url_name="schema"), name="docs"),
    path(settings.ADMIN_PATH, admin.site.urls),
]
