"""Routes under `/auth/`."""

from django.urls import path

from accounts.graph import api as graph
from accounts.people import api as people
from accounts.sessions import api as sessions
from twitter.base.http import health

urlpatterns = [
    *health.ROUTES,
    path("create", people.CreateView.as_view()),
    path("token", sessions.TokenView.as_view()),
    path("token/refresh", sessions.RefreshView.as_view()),
    path("token/revoke", sessions.RevokeView.as_view()),
    path("me", people.MeView.as_view()),
    path("verify", sessions.VerifyView.as_view()),
    path("id/<id:user_id>", people.UserView.as_view()),
    path("name/<str:name>", people.UsernameView.as_view()),
    path("update", people.UpdateView.as_view()),
    path("delete/<id:user_id>", people.DeleteView.as_view()),
    path("follow", graph.FollowView.as_view()),
    path("unfollow", graph.UnfollowView.as_view()),
    path("followers/<id:user_id>", graph.FollowersView.as_view()),
    path("following/<id:user_id>", graph.FollowingView.as_view()),
]
