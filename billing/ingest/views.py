"""The webhook address: reads the request, hands it to `inbox.receive`, answers."""

import logging

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.ingest.inbox import MAX_BODY, receive
from customers import clock
from customers.errors import SollecitoError

logger = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def stripe_webhook(request: HttpRequest, account: str = "stripe") -> HttpResponse:
    """200 once the event is stored (or was); 400 for what is forged, stale, malformed; 413 for what is too large."""
    length = request.headers.get("Content-Length") or "0"
    if not length.isdecimal():
        return HttpResponse("bad_length", status=400, content_type="text/plain")
    if int(length) > MAX_BODY:
        return HttpResponse("too_large", status=413, content_type="text/plain")
    try:
        receive(
            source=account,
            payload=request.body,
            signature=request.headers.get("Stripe-Signature", ""),
            now=clock.now(),
        )
    except SollecitoError as error:
        logger.warning("webhook of %s refused: %s", account, error.message)
        status = 413 if error.code == "too_large" else 400
        return HttpResponse(error.code, status=status, content_type="text/plain")
    return HttpResponse("ok", content_type="text/plain")
