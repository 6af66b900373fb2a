"""Owns what every portal page has in common: who may enter, the language, the headers, the helpful refusal."""

import functools
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation

from customers import clock
from portal import limits, links
from portal.models import PortalLink

P = ParamSpec("P")
LANGUAGE_COOKIE = "portal_language"
_OFFERED = frozenset(code for code, _ in settings.LANGUAGES)
#: Where Stripe.js loads its frames and talks to (docs.stripe.com/security/guide); only on the card page.
_STRIPE = {
    "script-src": ("https://*.js.stripe.com",),
    "frame-src": ("https://*.js.stripe.com", "https://hooks.stripe.com"),
    "connect-src": ("https://api.stripe.com",),
}


def origin(url: str) -> str:
    """Scheme and host of an address, as a policy names it; empty for none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else ""


def content_policy(*, nonce: str, logo_url: str = "", card_entry: bool = False) -> str:
    """The Content-Security-Policy of a portal page: our own files, the brand's logo, and Stripe for cards."""
    sources: dict[str, list[str]] = {
        "default-src": ["'none'"],
        "style-src": ["'self'", f"'nonce-{nonce}'"],
        "img-src": ["'self'", "data:", *filter(None, [origin(logo_url)])],
        "script-src": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
    if card_entry:
        own = [origin(settings.STRIPE_JS_URL)]
        extra = _STRIPE if settings.STRIPE_API_BASE == "https://api.stripe.com" else {}
        for name in ("script-src", "frame-src", "connect-src"):
            sources.setdefault(name, []).extend([*own, *extra.get(name, ())])
    return "; ".join(f"{name} {' '.join(values)}" for name, values in sources.items())


def language_of(request: HttpRequest, *preferred: str) -> str:
    """The language a page is shown in: what was chosen here, else the first of `preferred` on offer."""
    chosen = request.GET.get("lang", "") or request.COOKIES.get(LANGUAGE_COOKIE, "")
    return offered_language(chosen, *preferred)


def offered_language(*preferred: str) -> str:
    """The first of `preferred` the site has texts in, else the site's own."""
    for code in preferred:
        short = code.replace("_", "-").split("-")[0].lower()
        if short in _OFFERED:
            return short
    return settings.LANGUAGE_CODE


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200, card_entry: bool = False
) -> HttpResponse:
    """Renders a portal page with its headers: nothing is cached, indexed, framed, or told to another site."""
    nonce = secrets.token_urlsafe(16)
    link: PortalLink | None = context.get("link")
    brand = context.get("brand") or (link.brand if link else None)
    shared = {
        "brand": brand,
        "nonce": nonce,
        "language": translation.get_language(),
        "languages": [(code, translation.get_language_info(code)["name_local"]) for code in sorted(_OFFERED)],
        "card_entry": card_entry,
        "here": request.path,
    }
    response = render(request, template, shared | context, status=status)
    response["Content-Security-Policy"] = content_policy(
        nonce=nonce, logo_url=brand.logo_url if brand else "", card_entry=card_entry
    )
    return closed(request, response)


def token_of(request: HttpRequest) -> str:
    """The secret in the address of a page below `portal_view`."""
    return str(request.portal_token)  # type: ignore[attr-defined]


def language_now() -> str:
    """The language the page is being written in."""
    return translation.get_language() or settings.LANGUAGE_CODE


def linked_page(
    request: HttpRequest, link: PortalLink, name: str, context: dict[str, Any], **kwargs: Any
) -> HttpResponse:
    """One of the pages below a link, with what all of them need."""
    return page(request, f"portal/{name}.html", {"link": link, "token": token_of(request)} | context, **kwargs)


def closed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Adds to any answer under a secret address what keeps that address secret."""
    # Other sites learn nothing. Not "no-referrer": under it browsers send "Origin: null" with our own forms,
    # and the CSRF check refuses them.
    response["Referrer-Policy"] = "same-origin"
    response["Cache-Control"] = "no-store"
    response["X-Robots-Tag"] = "noindex, nofollow"
    if (chosen := request.GET.get("lang", "")) in _OFFERED:
        response.set_cookie(
            LANGUAGE_COOKIE,
            chosen,
            max_age=31_536_000,
            path="/p/",
            samesite="Lax",
            httponly=True,
            secure=settings.SECURE,
        )
    return response


def unavailable(request: HttpRequest, *, problem: str = "") -> HttpResponse:
    """One page for a link that is unknown, altered, expired or revoked: which of them it was, it does not tell."""
    with translation.override(visitors_language(request)):
        return page(request, "portal/unavailable.html", {"problem": problem}, status=400 if problem else 404)


def too_often(request: HttpRequest, seconds: int) -> HttpResponse:
    """Asks to come back after `seconds`."""
    with translation.override(visitors_language(request)):
        response = page(request, "portal/too_often.html", {"minutes": -(-seconds // 60)}, status=429)
    response["Retry-After"] = str(seconds)
    return response


def visitors_language(request: HttpRequest) -> str:
    """The language of somebody we do not know (yet)."""
    return language_of(request, translation.get_language_from_request(request))


def portal_view(
    view: Callable[Concatenate[HttpRequest, PortalLink, datetime, P], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Opens the link in the address for `view(request, link, now, …)`, in the customer's language; refuses
    a link that opens nothing and a visitor who comes too often."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, token: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        now = clock.now()
        if wait := limits.seconds_to_wait(limits.PAGES_PER_ADDRESS, limits.client_address(request), now):
            return too_often(request, wait)
        link = links.link_open(token=token, now=now)
        if link is None:
            return unavailable(request)
        if wait := limits.seconds_to_wait(limits.PAGES_PER_LINK, str(link.pk), now):
            return too_often(request, wait)
        request.portal_token = token  # type: ignore[attr-defined]
        with translation.override(language_of(request, link.customer.language, link.brand.default_language)):
            return closed(request, view(request, link, now, *args, **kwargs))

    return guarded
