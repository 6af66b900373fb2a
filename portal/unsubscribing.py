"""The page a mail's List-Unsubscribe address leads to: one click by POST (RFC 8058), a question by GET."""

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from customers import clock
from portal import limits, preferences
from portal.http import language_of, page, unavailable


# Mail providers post here for their users, with no cookie and from few addresses: the signature is the authority, and
# no limit by address may turn a refusal away.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def stop_mail(request: HttpRequest, sign: str) -> HttpResponse:
    """No more mail to the address this mail went to. A GET only asks: mail scanners follow links."""
    message = preferences.mail_of(sign)
    if message is None:
        return unavailable(request)
    with translation.override(language_of(request, message.language, message.brand.default_language)):
        if request.method == "POST":
            preferences.mail_refuse(
                message=message,
                now=clock.now(),
                ip=limits.client_address(request),
                one_click=request.POST.get("List-Unsubscribe") == "One-Click",
                language=translation.get_language() or "",
            )
        context = {"brand": message.brand, "unsubscribed": preferences.mail_refused(message)}
        return page(request, "portal/unsubscribe.html", context)
