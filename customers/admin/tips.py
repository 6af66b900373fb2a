"""The address by which a tip is put away."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from customers import clock
from customers.admin.page import staff_id
from customers.errors import SollecitoError
from customers.tips import tip_dismiss


@require_POST
def tip_away(request: HttpRequest, tip: str) -> HttpResponse:
    """Back to the first page without it."""
    try:
        tip_dismiss(user_id=staff_id(request), tip=tip, now=clock.now())
    except SollecitoError as error:
        raise Http404 from error
    return HttpResponseRedirect(reverse("admin:index"))
