"""Routes under `/auth/`."""

from django.urls import path

from accounts import follow_views, views
from twitter.base.http import health

urlpatterns = [
    *health.ROUTES,
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
    path("follow", follow_views.FollowView.as_view()),
    path("unfollow", follow_views.UnfollowView.as_view()),
    path("followers/<id:user_id>", follow_views.FollowersView.as_view()),
    path("following/<id:user_id>", follow_views.FollowingView.as_view()),
]
