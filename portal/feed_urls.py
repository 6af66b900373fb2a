"""Addresses of the feed, below /feed/."""

from django.urls import path

from portal import feed

app_name = "feed"
urlpatterns = [
    path("notices/", feed.notices, name="notices"),
    path("notices/<int:notice_id>/seen/", feed.seen, name="seen"),
    path("notices/<int:notice_id>/dismiss/", feed.dismiss, name="dismiss"),
    path("link/", feed.link, name="link"),
]
