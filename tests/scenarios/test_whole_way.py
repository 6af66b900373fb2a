"""The one sentence the product is built for, lived through: from a failed renewal to a thank-you, on real parts."""

import pytest

from billing.models import Invoice, PaymentAttempt, PaymentMethod
from campaigns.models import Case, Message, StepRun
from customers.models import Interaction
from dunning_site.demo.inhabitant import Browser
from dunning_site.demo.world import card_number
from dunning_site.embedded.stripe_sandbox import account
from dunning_site.embedded.stripe_sandbox.params import Params
from tests.scenarios.life import DAY, HOUR, link_in, text_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_from_a_failed_renewal_to_a_thank_you(live_server, settings, life):
    settings.BASE_URL = live_server.url
    world = life.stripe.server.world
    with world.lock:
        endpoint = {"url": f"{live_server.url}/webhooks/stripe/", "enabled_events": ["*"]}
        account.create_endpoint(world, Params(endpoint), secret="whsec_previous")
    life.webhooks_over_http = True
    start = life.now
    card = {"issuer_profile": "decline_charges", "issuer_code": "withdrawal_count_limit_exceeded"}
    # A Mastercard: its advice 26 asks for two days before the next try, so that the first mail comes first.
    cards = [{"number": "5555555555554444", "metadata": card}]
    customer = life.subscriber(card, locale="it", cards=cards)
    assert customer.language == "it"

    # The renewal fails: invoice and attempt are facts, a case is open, a retry is planned, nobody was written to.
    life.to(start + DAY + 2 * HOUR)
    invoice = Invoice.objects.get(first_failed_at__isnull=False)
    assert (invoice.status, invoice.balance, invoice.currency) == ("open", 4900, "EUR")
    first, planned = invoice.attempts.order_by("number")
    assert (first.status, first.origin, first.decline_code) == (
        "declined",
        "processor",
        "withdrawal_count_limit_exceeded",
    )
    assert (planned.status, planned.origin) == ("planned", "retry")
    case = Case.objects.get()
    assert (case.state, case.customer) == ("open", customer)
    assert life.mails() == []

    # Hours later the first step is due, passes the guard and arrives, in Italian and in both parts.
    life.to(start + DAY + 8 * HOUR)
    assert StepRun.objects.get().decision == "done"
    (mail,) = life.mails()
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert (mail["Content-Language"], mail["To"]) == ("it", "Giulia Ferrari <giulia@example.com>")
    for kind in ("plain", "html"):
        assert "Giulia" in text_of(mail, kind)
        assert "49,00" in text_of(mail, kind)
    assert "pagamento" in text_of(mail).lower()
    assert link_in(mail) in text_of(mail, "html")
    stored = Message.objects.get()
    assert (stored.status, stored.language) == ("sent", "it")
    assert link_in(mail).split("/")[-2] not in stored.text + stored.html

    # Two days later, as soon as the network's advice allows, our retry runs under its own key and is declined.
    life.to(planned.scheduled_for + HOUR)
    retry = PaymentAttempt.objects.get(pk=planned.pk)
    assert (retry.status, retry.origin, retry.decline_code) == ("declined", "retry", "withdrawal_count_limit_exceeded")
    assert retry.idempotency_key in life.stripe.server.keys.answers
    assert len(life.mails()) == 1

    # The link in the first mail is opened, a new card entered.
    browser = Browser()
    page = browser.get(link_in(mail))
    assert page.status_code == 200
    assert '<html lang="it"' in page.text
    assert "49,00" in page.text
    assert browser.new_card(link_in(mail), card_number(77))
    life.settle()

    invoice.refresh_from_db()
    case.refresh_from_db()
    assert (invoice.status, invoice.balance, invoice.recovered_by) == ("paid", 0, "portal")
    assert (case.state, case.close_reason) == ("recovered", "paid")
    assert invoice.subscription.status == "active"
    assert PaymentMethod.objects.get(customer=customer, is_default=True).last4 == card_number(77)[-4:]
    assert life.stripe.charged(invoice) == [4900]
    _first, thanks = life.mails()
    assert "grazie" in text_of(thanks).lower()

    # Nothing more happens, and the log tells all of it in order.
    life.to(life.now + 5 * DAY)
    assert len(life.mails()) == 2
    kinds = Interaction.objects.filter(customer=customer).order_by("id").values_list("kind", flat=True)
    assert list(kinds) == [
        "payment_method.attached",
        "attempt.declined",
        "subscription.status_changed",
        "attempt.planned",
        "case.opened",
        "step.done",
        "message.sent",
        "attempt.declined",
        "attempt.planned",
        "portal.visited",
        "portal.card_updated",
        "attempt.cancelled",
        "attempt.succeeded",
        "portal.paid",
        "case.invoice_left",
        "case.recovered",
        "message.sent",
        "payment_method.attached",
        "subscription.status_changed",
        "invoice.paid",
    ]
