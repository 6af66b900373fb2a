"""The portal's pages: each reads the request, calls one service and shows what came of it."""

import logging
import secrets
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.csrf import csrf_failure as django_csrf_failure
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from billing.fees.collecting import fees_pay
from billing.gateways.base import GatewayError
from customers import clock
from customers.errors import SollecitoError
from customers.models.customer import LANGUAGES
from portal import limits, preferences, reissue
from portal.account import read_account
from portal.arranging import offered, running, too_much
from portal.cards import can_store_card, card_begin, card_finish
from portal.checkout import checkout_claim, checkout_run
from portal.fees import expected_of
from portal.http import (
    language_now,
    linked_page,
    page,
    portal_view,
    token_of,
    too_often,
    unavailable,
    visitors_language,
)
from portal.links import link_visited, page_url
from portal.models import Checkout, PortalLink
from portal.notices import notice_dismiss, notice_seen, notices_of
from portal.promising import promisable
from portal.result import read_result, refusal_text

log = logging.getLogger(__name__)
_reading = require_http_methods(["GET", "HEAD"])


@_reading
@portal_view
def home(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """Everything owed, on one page."""
    if request.method == "GET":
        link_visited(link=link, now=now)
    chosen = request.GET.get("invoice", "")
    account = read_account(
        link=link,
        now=now,
        language=language_now(),
        chosen=int(chosen) if chosen.isdecimal() and len(chosen) < 19 else None,
    )
    choosing = account.card is not None and account.card.usable
    notices = notices_of(customer_id=link.customer_id, brand_id=link.brand_id)
    if request.method == "GET":
        for notice in notices:
            if not notice.seen:
                notice_seen(notice_id=notice.id, customer_id=link.customer_id, now=now)
    refused = request.GET.get("fees")
    plan = running(link=link, now=now, language=language_now())
    context = {
        "plan": plan,
        "part_refused": "part" in request.GET,
        "plans": () if plan else offered(link=link, account=account, now=now, language=language_now()),
        "promisable": promisable(link=link, account=account, now=now, language=language_now()),
        "fees_refused": refused and (refusal_text(refused) or _("Nothing was charged. This is what is open now.")),
        "account": account, "choosing": choosing, "press_key": secrets.token_urlsafe(12), "notices": notices,
    }  # fmt: skip
    return linked_page(request, link, "home", context)


@require_POST
@portal_view
def notice_away(request: HttpRequest, link: PortalLink, now: datetime, notice_id: int) -> HttpResponse:
    """Puts one notice away."""
    with suppress(SollecitoError):  # of another customer, or gone: the page shows what is left
        notice_dismiss(notice_id=notice_id, customer_id=link.customer_id, now=now)
    return redirect("portal:home", token_of(request))


@require_POST
@portal_view
def pay(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """Charges the chosen invoices with the stored card, once per form."""
    if wait := limits.seconds_to_wait(limits.PAYMENTS_PER_LINK, str(link.pk), now):
        return too_often(request, wait)
    account = read_account(link=link, now=now, language=language_now())
    chosen = set(request.POST.getlist("invoice"))
    key = request.POST.get("key", "")[:80]
    known = Checkout.objects.filter(link=link, key=key).first() if key else None
    if known is None:
        card = account.card
        ids = [item.id for item in account.payable if str(item.id) in chosen]
        # Another card than the one the button named: the customer must see it before it is charged.
        if not key or not ids or card is None or not card.usable or request.POST.get("card") != str(card.id):
            return redirect("portal:home", token_of(request))
        checkout, mine = checkout_claim(link=link, key=key, kind=Checkout.Kind.STORED, invoice_ids=ids, now=now)
        if mine:
            checkout_run(checkout=checkout, link=link, payment_method_id=card.id, now=now)
        known = checkout
    return redirect("portal:result", token_of(request), known.pk)


@require_POST
@portal_view
def pay_fees(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """Charges the late fees the button named with the stored card, once per form; the page then says what came of
    it. What is no longer as the customer saw it is not charged: the page shows what is owed now."""
    if wait := limits.seconds_to_wait(limits.PAYMENTS_PER_LINK, str(link.pk), now):
        return too_often(request, wait)
    key, method, expected = request.POST.get("key", "")[:80], request.POST.get("card", ""), request.POST.getlist("fee")
    if key and method.isdecimal() and len(method) < 19:
        try:
            fees_pay(
                customer_id=link.customer_id,
                brand_id=link.brand_id,
                expected=expected_of(expected),
                payment_method_id=int(method),
                key=f"sollecito-fees-{link.pk}-{key}",
                now=now,
            )
        except SollecitoError as error:
            log.info("portal: fees of link %s not charged: %s", link.pk, error.code)
            return redirect(f"{reverse('portal:home', args=[token_of(request)])}?{urlencode({'fees': error.code})}")
    return redirect("portal:home", token_of(request))


@_reading
@portal_view
def card(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """The form for a new card."""
    return _card_page(request, link, now)


def _card_page(
    request: HttpRequest, link: PortalLink, now: datetime, *, problem: str = "", status: int = 200
) -> HttpResponse:
    if not can_store_card(link.customer):
        return redirect("portal:home", token_of(request))
    account = read_account(link=link, now=now, language=language_now())
    context = {
        "account": account,
        "hosted": [item for item in account.payable if item.hosted_url],
        "problem": problem,
        "publishable_key": settings.STRIPE_PUBLISHABLE_KEY,
        "return_url": page_url("card-done", token_of(request)),
        "stripe_js_url": settings.STRIPE_JS_URL,
    }
    return linked_page(request, link, "card", context, card_entry=True, status=status)


@require_POST
@portal_view
def card_intent(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """Begins to store a card: answers the script with a client secret, or with words to show."""
    if limits.seconds_to_wait(limits.CARD_FORMS_PER_LINK, str(link.pk), now):
        return JsonResponse({"message": _("Please try again in a few minutes.")}, status=429)
    try:
        return JsonResponse({"client_secret": card_begin(link=link)})
    except GatewayError as error:
        log.error("portal: no setup intent for link %s: %s", link.pk, error.message)
    except SollecitoError as error:
        log.info("portal: no setup intent for link %s: %s", link.pk, error.code)
    return JsonResponse(
        {"message": _("The payment service does not answer just now. Please try again in a few minutes.")}, status=503
    )


@require_http_methods(["GET", "POST"])
@portal_view
def card_done(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """After the form (POST), or back from the bank (GET): takes the card over and charges with it."""
    values = request.POST if request.method == "POST" else request.GET
    setup_intent_id = values.get("setup_intent", "")
    if not setup_intent_id.startswith("seti_") or not setup_intent_id.replace("_", "").isalnum():
        return redirect("portal:card", token_of(request))
    if wait := limits.seconds_to_wait(limits.PAYMENTS_PER_LINK, str(link.pk), now):
        return too_often(request, wait)
    try:
        checkout = card_finish(link=link, setup_intent_id=setup_intent_id, now=now, language=language_now())
    except GatewayError as error:
        log.error("portal: card of link %s not taken over: %s", link.pk, error.message)
        text = _("The payment service does not answer just now. Please try again in a few minutes.")
        return _card_page(request, link, now, problem=text, status=503)
    except SollecitoError:
        text = _("Your bank did not confirm this card. Nothing was charged. Please try again or use another one.")
        return _card_page(request, link, now, problem=text, status=400)
    return redirect("portal:result", token_of(request), checkout.pk)


@_reading
@portal_view
def result(request: HttpRequest, link: PortalLink, now: datetime, checkout_id: int) -> HttpResponse:
    """What came of a press. It can be reloaded and come back to; it never charges."""
    checkout = Checkout.objects.filter(pk=checkout_id, link__customer_id=link.customer_id).first()
    if checkout is None:
        return redirect("portal:home", token_of(request))
    outcome = read_result(checkout=checkout, link=link, now=now, language=language_now())
    in_parts = outcome.refused and too_much(link=link, now=now)
    return linked_page(request, link, "result", {"result": outcome, "in_parts": in_parts})


@require_http_methods(["GET", "POST"])
@portal_view
def preferences_page(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """Language of our letters, and the way to stop them."""
    saved = False
    if request.method == "POST":
        if "again" in request.POST:
            ip = limits.client_address(request)
            preferences.resubscribe(customer=link.customer, now=now, ip=ip, language=language_now())
            return redirect("portal:preferences", token_of(request))
        try:
            preferences.language_set(customer=link.customer, language=request.POST.get("language", ""), now=now)
            saved = True
        except SollecitoError:
            return redirect("portal:preferences", token_of(request))
    context = {
        "saved": saved,
        "mail_languages": [(code, translation.get_language_info(code)["name_local"]) for code, _name in LANGUAGES],
        "mail_language": link.customer.language or link.brand.default_language,
        "unsubscribed": preferences.unsubscribed(link.customer),
        "may_return": preferences.may_return(link.customer),
    }
    return linked_page(request, link, "preferences", context)


# Mails sent before portal.unsubscribing have this address in their headers: posted to without a cookie.
@csrf_exempt
@require_http_methods(["GET", "POST"])
@portal_view
def unsubscribe_page(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """No more mails of this kind. A GET only asks: mail scanners follow links."""
    if request.method == "POST":
        ip = limits.client_address(request)
        preferences.unsubscribe(customer=link.customer, now=now, ip=ip, language=language_now())
    return linked_page(request, link, "unsubscribe", {"unsubscribed": preferences.unsubscribed(link.customer)})


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token (settings.CSRF_FAILURE_VIEW): help on the portal's pages, else Django's answer."""
    if not request.path.startswith("/p/"):
        return django_csrf_failure(request, reason=reason)
    with translation.override(visitors_language(request)):
        return page(request, "portal/stale.html", {}, status=403)


@_reading
def lost(request: HttpRequest) -> HttpResponse:
    """An address below /p/ without a token."""
    return unavailable(request)


def lost_below(request: HttpRequest, token: str, rest: str) -> HttpResponse:
    """An address that was cut or added to: answers as if the link were wrong, whether it is or not."""
    return unavailable(request)


@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    """Asks for a new link. The answer is the same for every address."""
    now = clock.now()
    if wait := limits.seconds_to_wait(limits.NEW_LINKS_PER_ADDRESS, limits.client_address(request), now):
        return too_often(request, wait)
    email = request.POST.get("email", "").strip()
    with translation.override(visitors_language(request)):
        try:
            validate_email(email)
        except ValidationError:
            return unavailable(request, problem=_("Please enter a complete e-mail address."))
        reissue.new_link_request(email=email, language=language_now(), now=now)
        return page(request, "portal/asked.html", {})
