"""The pages on which customers arrange to pay later: a plan in two steps (choose, agree), a promise in one."""

import logging
import secrets
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from billing.plans.collecting import instalment_pay
from customers.errors import SollecitoError
from portal import limits
from portal.account import read_account
from portal.arranging import Shown, agreed_before, offered, plan_agree, running, terms_of
from portal.http import language_now, linked_page, portal_view, token_of, too_often
from portal.models import PortalLink
from portal.promising import promisable, promise_make

log = logging.getLogger(__name__)


def _home(request: HttpRequest, **said: str) -> HttpResponse:
    query = f"?{urlencode(said)}" if said else ""
    return redirect(f"{reverse('portal:home', args=[token_of(request)])}{query}")


@require_http_methods(["GET", "HEAD", "POST"])
@portal_view
def plan(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """The plans there are; one of them (`?plan=`) with the words to agree to; a POST agrees to what it was shown."""
    language = language_now()
    account = read_account(link=link, now=now, language=language)
    values = request.POST if request.method == "POST" else request.GET
    key = values.get("key", "")[:40]
    if request.method == "POST":
        if wait := limits.seconds_to_wait(limits.PAYMENTS_PER_LINK, str(link.pk), now):
            return too_often(request, wait)
        if key and agreed_before(link=link, key=key):
            return _home(request)
    shown = offered(link=link, account=account, now=now, language=language)
    if not shown:
        return _home(request)
    chosen = next((each for each in shown if each.value == values.get("plan")), None)
    if chosen is None:
        changed = request.method == "POST"
        return linked_page(request, link, "plan", {"plans": shown, "changed": changed}, status=409 if changed else 200)
    return _agree(request, link, now, account, chosen, key)


def _agree(
    request: HttpRequest, link: PortalLink, now: datetime, account: Any, chosen: Shown, key: str
) -> HttpResponse:
    values = request.POST if request.method == "POST" else request.GET
    terms = terms_of(link=link, account=account, shown=chosen, charged=values.get("how") != "self")
    problem = ""
    if request.method == "POST":
        if request.POST.get("agree") != "yes":
            problem = _("Please tick that you agree.")
        else:
            try:
                plan_agree(
                    link=link,
                    account=account,
                    terms=terms,
                    seen=request.POST.get("seen", ""),
                    key=key,
                    now=now,
                    language=language_now(),
                )
                return _home(request)
            except SollecitoError as error:
                log.info("portal: no plan for link %s: %s", link.pk, error.code)
                problem = _("Something has changed meanwhile. Please look at it once more; nothing was agreed on.")
    context = {"terms": terms, "key": key or secrets.token_urlsafe(12), "problem": problem}
    return linked_page(request, link, "plan_agree", context, status=409 if problem else 200)


@require_POST
@portal_view
def plan_pay(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """Pays what is next of the running plan with the stored card the button named."""
    if wait := limits.seconds_to_wait(limits.PAYMENTS_PER_LINK, str(link.pk), now):
        return too_often(request, wait)
    standing = running(link=link, now=now, language=language_now())
    card = read_account(link=link, now=now, language=language_now()).card
    if standing is None or card is None or not card.usable or request.POST.get("card") != str(card.id):
        return _home(request)
    # A form sent twice names an instalment that is being paid, or paid.
    if request.POST.get("number") != standing.next_number:
        return _home(request)
    try:
        instalment_pay(plan_id=standing.id, payment_method_id=card.id, now=now)
    except SollecitoError as error:
        log.info("portal: instalment of link %s not charged: %s", link.pk, error.code)
        if error.code != "in_flight":
            return _home(request, part="refused")
    return _home(request)


@require_http_methods(["GET", "HEAD", "POST"])
@portal_view
def promise(request: HttpRequest, link: PortalLink, now: datetime) -> HttpResponse:
    """Asks by which day the customer will pay; a POST takes the promise."""
    language = language_now()
    account = read_account(link=link, now=now, language=language)
    wanted = promisable(link=link, account=account, now=now, language=language)
    if wanted is None:
        return _home(request)
    problem = ""
    if request.method == "POST":
        if wait := limits.seconds_to_wait(limits.PAYMENTS_PER_LINK, str(link.pk), now):
            return too_often(request, wait)
        try:
            by = date.fromisoformat(request.POST.get("by", ""))
        except ValueError:
            by = date.min
        try:
            promise_make(link=link, account=account, wanted=wanted, by=by, now=now, language=language)
            return _home(request)
        except SollecitoError as error:
            log.info("portal: no promise for link %s: %s", link.pk, error.code)
            problem = (
                error.message
                if error.code == "promise_date"
                else _("Something has changed meanwhile. Please look at it once more; nothing was agreed on.")
            )
    return linked_page(
        request, link, "promise", {"wanted": wanted, "problem": problem}, status=400 if problem else 200
    )
