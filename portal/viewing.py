"""Owns looking at the payment page as the customer sees it, by staff: nothing on it can be done, and it is logged.

No link is made and none is used: the page is built for a link that does not exist, so whatever an act is sent to finds
nothing, no visit is counted and no notice counts as seen.
"""

from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext as _

from customers.log import Entry, record
from customers.models import ActorKind, Customer
from portal.account import read_account
from portal.arranging import offered, running
from portal.http import offered_language, page
from portal.models import PortalLink
from portal.notices import notices_of
from portal.promising import promisable

#: Stands where a secret would: no link has its hash.
NO_TOKEN = "staff"  # noqa: S105  (it opens nothing)
#: How far back what was paid counts as "lately".
LATELY = timedelta(days=30)


def viewed_as_customer(*, request: HttpRequest, customer: Customer, actor_id: int, now: datetime) -> HttpResponse:
    """The payment page of a customer at `now` (aware UTC), in their language, with a banner and without acts. Reads
    customer.brand. One line an hour in the log for each member of staff."""
    link = PortalLink(customer=customer, brand=customer.brand, created_at=now - LATELY, expires_at=now)
    language = offered_language(customer.language, customer.brand.default_language)
    record(
        Entry(
            customer_id=customer.pk,
            at=now,
            kind="portal.viewed_as",
            summary=_("Looked at the payment page as the customer sees it."),
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            key=f"portal.viewed_as:{customer.pk}:{actor_id}:{now:%Y%m%d%H}",
        )
    )
    banner = _("You see the payment page of %(customer)s as they do. Nothing on it can be used.") % {
        "customer": customer
    }
    with translation.override(language):
        account = read_account(link=link, now=now, language=language)
        plan = running(link=link, now=now, language=language)
        response = page(
            request,
            "portal/home.html",
            {
                "link": link,
                "token": NO_TOKEN,
                "account": account,
                "choosing": account.card is not None and account.card.usable,
                "press_key": "",
                "plan": plan,
                "plans": () if plan else offered(link=link, account=account, now=now, language=language),
                "promisable": promisable(link=link, account=account, now=now, language=language),
                "notices": notices_of(customer_id=customer.pk, brand_id=customer.brand_id),
                "viewing": banner,
            },
        )
    # Not even a form that was made operable by hand is sent anywhere.
    policy = response["Content-Security-Policy"]
    response["Content-Security-Policy"] = policy.replace("form-action 'self'", "form-action 'none'")
    return response
