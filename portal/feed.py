"""Owns the feed of notices for the merchant's own product: JSON, opened by a token the merchant signs.

The token is a JWT (HS256) under settings.FEED_SECRETS with `aud` "sollecito-feed", `sub` the customer's id at the
source it came from, optionally `src` that source, and `exp` no further away than a day. Made by the merchant's server,
it may be given to the browser: it opens one customer's notices and nothing else.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import jwt
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from customers import clock
from customers.errors import SollecitoError
from customers.models import Customer
from portal import limits
from portal.links import link_create
from portal.notices import notice_dismiss, notice_seen, notices_of

log = logging.getLogger(__name__)
P = ParamSpec("P")

AUDIENCE = "sollecito-feed"
#: A token that is stolen is of use for so long at most.
LONGEST = timedelta(days=1)
CALLS = limits.Limit("feed", 120, 60)
LINKS = limits.Limit("feed-link", 20, 3600)


def customer_of(token: str, now: datetime) -> Customer | None:
    """The customer a token stands for; None for one that is forged, expired, too long-lived or of nobody."""
    for secret in settings.FEED_SECRETS:
        try:
            # Times are checked by our own clock below, which a demo or test may have put forward.
            claims = jwt.decode(
                token,
                secret,
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={
                    "require": ["exp", "sub", "aud"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError:
            continue
        return _customer(claims, now)
    return None


def _customer(claims: dict[str, Any], now: datetime) -> Customer | None:
    until = claims["exp"]
    if not isinstance(until, int | float) or not 0 < until - now.timestamp() <= LONGEST.total_seconds():
        return None
    rows = Customer.with_merged.filter(external_id=str(claims["sub"]), deleted_at__isnull=True)
    if claims.get("src"):
        rows = rows.filter(source=str(claims["src"]))
    found = list(rows.select_related("brand", "merged_into__brand")[:2])
    if len(found) != 1:
        return None  # the same id at two sources: the token must say which
    return found[0].merged_into or found[0]


def _feed(method: str) -> Callable[..., Callable[..., HttpResponse]]:
    """Opens the token for `view(request, customer, now, …)`, answers preflights, names errors in JSON."""

    def decorate(
        view: Callable[Concatenate[HttpRequest, Customer, datetime, P], JsonResponse],
    ) -> Callable[..., HttpResponse]:
        @csrf_exempt  # no cookie is read: the token in the header is all there is
        @wraps(view)
        def opened(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if request.method == "OPTIONS":
                return _allowed(request, HttpResponse(status=204), method)
            if request.method != method:
                return _allowed(request, JsonResponse({"error": "method_not_allowed"}, status=405), method)
            return _allowed(request, answer(request, *args, **kwargs), method)

        def answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> JsonResponse:
            now = clock.now()
            if limits.seconds_to_wait(limits.PAGES_PER_ADDRESS, limits.client_address(request), now):
                return JsonResponse({"error": "too_often"}, status=429)
            scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
            customer = customer_of(token, now) if scheme.lower() == "bearer" else None
            if customer is None:
                return JsonResponse({"error": "token_refused"}, status=401)
            if limits.seconds_to_wait(CALLS, str(customer.pk), now):
                return JsonResponse({"error": "too_often"}, status=429)
            try:
                return view(request, customer, now, *args, **kwargs)
            except SollecitoError as error:
                return JsonResponse({"error": error.code}, status=404)

        return opened

    return decorate


def _allowed(request: HttpRequest, response: HttpResponse, method: str) -> HttpResponse:
    """Adds what lets the merchant's pages, and no others, read the answer from a browser."""
    response["Cache-Control"] = "no-store"
    response["Vary"] = "Origin"
    origin = request.headers.get("Origin", "")
    if origin and origin in settings.FEED_ORIGINS:
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Methods"] = method
        response["Access-Control-Allow-Headers"] = "Authorization"
        response["Access-Control-Max-Age"] = "600"
    return response


@_feed("GET")
def notices(request: HttpRequest, customer: Customer, now: datetime) -> JsonResponse:
    """The customer's notices."""
    rows = notices_of(customer_id=customer.pk)
    return JsonResponse(
        {
            "notices": [
                {
                    "id": row.id,
                    "subject": row.subject,
                    "text": row.text,
                    "language": row.language,
                    "at": row.at.isoformat(),
                    "seen": row.seen,
                }
                for row in rows
            ]
        }
    )


@_feed("POST")
def seen(request: HttpRequest, customer: Customer, now: datetime, notice_id: int) -> JsonResponse:
    """A notice was shown."""
    return JsonResponse({"new": notice_seen(notice_id=notice_id, customer_id=customer.pk, now=now)})


@_feed("POST")
def dismiss(request: HttpRequest, customer: Customer, now: datetime, notice_id: int) -> JsonResponse:
    """A notice was put away."""
    return JsonResponse({"new": notice_dismiss(notice_id=notice_id, customer_id=customer.pk, now=now)})


@_feed("POST")
def link(request: HttpRequest, customer: Customer, now: datetime) -> JsonResponse:
    """A fresh address of the customer's payment page, for the button beside a notice; good for a day."""
    if limits.seconds_to_wait(LINKS, str(customer.pk), now):
        return JsonResponse({"error": "too_often"}, status=429)
    made = link_create(customer_id=customer.pk, brand_id=customer.brand_id, now=now, days=1)
    return JsonResponse({"url": made.url})
