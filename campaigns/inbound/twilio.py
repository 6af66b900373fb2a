"""Owns what Twilio posts to us: fates of sent messages, and what customers answer; nothing without its signature."""

import logging
from collections.abc import Callable
from functools import wraps

from anymail.signals import EventType, RejectReason
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from twilio.request_validator import SIGNATURE_HEADER, RequestValidator

from campaigns.channels.twilio_errors import DEAD, OPTED_OUT
from campaigns.inbound.receive import Incoming, inbound_record
from campaigns.tracking import Told, delivery_event_record
from customers import clock
from customers.models import Channel

log = logging.getLogger(__name__)

#: Twilio's word for a message's state → ours. Others (queued, accepted, sending …) tell nothing new.
_KINDS = {
    "sent": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "read": EventType.OPENED,
    "undelivered": EventType.BOUNCED,
    "failed": EventType.BOUNCED,
}
#: Bodies are form fields of a few hundred bytes.
_MOST_BYTES = 64 * 1024
_View = Callable[[HttpRequest], HttpResponse]


def _signed(view: _View) -> _View:
    """Lets through what Twilio signed for this very address; the answer to all else is 403 and tells nothing."""

    @csrf_exempt
    @require_POST
    @wraps(view)
    def checked(request: HttpRequest) -> HttpResponse:
        if int(request.headers.get("Content-Length") or 0) > _MOST_BYTES:
            return HttpResponse(status=413)
        # The public address as Twilio was given it: behind a proxy the request's own host may be another.
        url = settings.BASE_URL + request.get_full_path()
        signature = request.headers.get(SIGNATURE_HEADER, "")
        if not any(RequestValidator(token).validate(url, request.POST, signature) for token in _tokens()):
            log.warning("twilio: a callback without a valid signature was refused")
            return HttpResponse(status=403)
        if request.POST.get("AccountSid") != settings.TWILIO_ACCOUNT_SID:
            return HttpResponse(status=403)
        return view(request)

    return checked


def _tokens() -> list[str]:
    return list(settings.TWILIO_AUTH_TOKENS)


@_signed
def status(request: HttpRequest) -> HttpResponse:
    """The fate of one message. Words we do not know are answered 204 as well: Twilio would only repeat them."""
    word = request.POST.get("MessageStatus", "")
    sid = request.POST.get("MessageSid", "")
    kind = _KINDS.get(word)
    if kind is None or not sid:
        return HttpResponse(status=204)
    code = _number(request.POST.get("ErrorCode", ""))
    now = clock.now()  # Twilio names no moment
    delivery_event_record(
        told=Told(
            kind=kind,
            at=now,
            external_id=f"twilio:{word}:{sid}"[:255],
            message_key=request.GET.get("key", ""),
            provider_id=sid,
            recipient=request.POST.get("To", "").removeprefix("whatsapp:"),
            reject_reason=reject_reason(code) if kind == EventType.BOUNCED else "",
            detail=f"{code} {request.POST.get('ErrorMessage', '')}".strip() if code else "",
        ),
        now=now,
    )
    return HttpResponse(status=204)


def reject_reason(code: int) -> str:
    """What Twilio's error code says of the number, in the words of the mail trackers."""
    if code in OPTED_OUT:
        return str(RejectReason.UNSUBSCRIBED)
    return str(RejectReason.INVALID if code in DEAD else RejectReason.OTHER)


@_signed
def inbound(request: HttpRequest) -> HttpResponse:
    """What a customer wrote back; the answer is an empty TwiML document: no message in return."""
    sender = request.POST.get("From", "")
    channel = Channel.WHATSAPP if sender.startswith("whatsapp:") else Channel.SMS
    sid = request.POST.get("MessageSid", "")
    now = clock.now()
    if sid and sender:
        media = _number(request.POST.get("NumMedia", ""))
        inbound_record(
            told=Incoming(
                channel=channel,
                external_id=f"twilio:{sid}",
                at=now,
                sender=sender.removeprefix("whatsapp:"),
                recipient=request.POST.get("To", "").removeprefix("whatsapp:"),
                text=request.POST.get("Body", ""),
                # Pictures lie with Twilio under the account's password; staff look at them there.
                notes=(f"{media} × media",) if media else (),
                provider_opt=request.POST.get("OptOutType", "").upper(),
                country=request.POST.get("FromCountry", ""),
            ),
            now=now,
        )
    return HttpResponse("<Response/>", content_type="text/xml")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
