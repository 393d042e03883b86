"""Routes under `/auth/`."""

from django.urls import path

from accounts import views
from twitter.lib.health import HealthView

urlpatterns = [
    path("healthz", HealthView.as_view()),
    path("helthz", HealthView.as_view(schema=None)),  # clients exist that spell it so
    path("create", views.CreateView.as_view()),
    path("token", views.TokenView.as_view()),
    path("token/refresh", views.RefreshView.as_view()),
    path("token/revoke", views.RevokeView.as_view()),
    path("me", views.MeView.as_view()),
    path("verify", views.VerifyView.as_view()),
    path("id/<id:user_id>", views.UserView.as_view()),
    path("name/<str:name>", views.UsernameView.as_view()),
    path("update", views.UpdateView.as_view()),
    path("delete/<id:user_id>", views.DeleteView.as_view()),
    path("follow", views.FollowView.as_view()),
    path("unfollow", views.UnfollowView.as_view()),
    path("followers/<id:user_id>", views.FollowersView.as_view()),
    path("following/<id:user_id>", views.FollowingView.as_view()),
]
