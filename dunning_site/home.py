"""Owns where somebody lands after logging in: who works the list, on the list; everybody else on the dashboard."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse


def login(request: HttpRequest) -> HttpResponse:
    """The admin's own login; only where it leads differs, and only for who asked for no page in particular."""
    response = admin.site.login(request)
    unasked = response.status_code == 302 and response.headers["Location"] == reverse("admin:index")
    if unasked and _works_the_list(request):
        return HttpResponseRedirect(reverse("admin:campaigns_workitem_changelist"))
    return response


def _works_the_list(request: HttpRequest) -> bool:
    """Those who work it without giving it out: managers begin with the figures."""
    user = request.user
    return user.has_perm("campaigns.change_workitem") and not user.has_perm("campaigns.assign_workitem")
