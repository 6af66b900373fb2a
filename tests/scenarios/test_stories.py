"""What users of dunning tools complain about, each lived through on a calendar and not to happen here."""

from billing.models import PaymentAttempt
from campaigns.models import Case, Message
from campaigns.services.promises import promise_record
from customers.models import Interaction
from customers.services import customers_reassess
from tests.scenarios.life import DAY, HOUR, text_of

#: Cards refused for good: nothing but a new card helps, so the story is the ladder's alone.
LOST = {"issuer_profile": "decline_charges", "issuer_code": "lost_card"}


def tags(life):
    """Template codes of what was sent, in order."""
    sent = Message.objects.filter(status="sent").order_by("sent_at", "id")
    return list(sent.values_list("template_version__template__code", flat=True))


def fail(life, *amounts, **options):
    """A customer whose subscriptions all fail to renew, an hour or two ago."""
    customer = life.subscriber(LOST, amounts=amounts or (4900,), **options)
    life.to(life.now + DAY + 2 * HOUR)
    return customer


def test_after_five_days_of_downtime_one_mail_goes_out_not_three(life):
    fail(life)
    life.down = True
    life.to(life.now + 5 * DAY)
    assert life.mails() == []
    life.down = False
    life.settle()
    life.to(life.now + 20 * HOUR)
    assert tags(life) == ["card_failed_2"]


def test_a_second_invoice_failing_in_the_grace_period_brings_no_second_welcome(life):
    life.subscriber(LOST, amounts=(4900, 1900), renews_in=(DAY, 3 * DAY))
    life.to(life.now + 7 * DAY)
    assert len(life.owed()) == 2
    assert Case.objects.count() == 1
    assert tags(life) == ["card_failed_1", "card_failed_2"]
    first, second = life.mails()
    assert "19,00" not in text_of(first)
    assert "19,00" in text_of(second)
    assert "49,00" in text_of(second)


def test_news_of_an_old_failure_after_the_payment_changes_nothing(life):
    """Their dunning mails went on after the customer had paid: the failed PaymentIntent's event came last."""
    fail(life)
    (invoice,) = life.owed()
    world = life.stripe.server.world
    late = [
        world.events[event_id]["raw"]
        for event_id in world.event_order
        if world.events[event_id]["type"]
        in {"charge.failed", "payment_intent.payment_failed", "invoice.payment_failed", "invoice.updated"}
    ]
    assert len(late) >= 3
    life.to(life.now + 6 * HOUR)
    life.control.pay(invoice.external_id, number="4242424242424242")
    life.settle()
    invoice.refresh_from_db()
    assert invoice.status == "paid"
    before = tags(life)
    for raw in late:
        life.receive(raw.replace('"id":"evt_', '"id":"evt_late', 1).replace('"id": "evt_', '"id": "evt_late', 1))
    life.to(life.now + 8 * DAY)
    invoice.refresh_from_db()
    assert (invoice.status, invoice.balance, invoice.recovered_by) == ("paid", 0, "email")
    assert Case.objects.get().state == "recovered"
    assert tags(life) == before == ["card_failed_1", "payment_received"]
    assert not PaymentAttempt.objects.filter(status="planned").exists()


def test_a_promise_is_silence_until_it_is_broken(life):
    customer = fail(life)
    life.to(life.now + 8 * HOUR)
    assert tags(life) == ["card_failed_1"]
    promised = life.now + 10 * DAY
    promise_record(
        customer_id=customer.pk, brand_id=customer.brand_id, amount=4900, currency="EUR",
        promised_on=promised.date(), now=life.now,
    )  # fmt: skip
    life.to(promised)
    assert tags(life) == ["card_failed_1"]
    life.to(promised + 5 * DAY)
    assert Interaction.objects.filter(kind="promise.broken").count() == 1
    assert tags(life)[:2] == ["card_failed_1", "card_failed_2"]


def test_three_failed_subscriptions_are_one_mail_that_lists_three_invoices(life):
    fail(life, 4900, 1900, 900)
    life.to(life.now + 8 * HOUR)
    (mail,) = life.mails()
    for invoice in life.owed():
        assert invoice.number in text_of(mail)
        assert invoice.number in text_of(mail, "html")
    assert len(life.owed()) == 3
    assert "77,00" in text_of(mail)


def test_yen_have_no_decimals(life):
    japan = {"address": {"country": "JP"}, "metadata": {"timezone": "Asia/Tokyo"}}
    fail(life, 3000, currency="jpy", **japan)
    life.to(life.now + 20 * HOUR)
    (mail,) = life.mails()
    (invoice,) = life.owed()
    assert (invoice.amount_due, invoice.currency) == (3000, "JPY")
    for kind in ("plain", "html"):
        assert "¥3,000" in text_of(mail, kind)
        assert "3,000.00" not in text_of(mail, kind)
        assert "¥30" not in text_of(mail, kind).replace("¥3,000", "")


def test_a_dispute_of_one_invoice_leaves_the_others_to_go_on(life):
    fail(life, 4900, 1900)
    life.to(life.now + 8 * HOUR)
    contested = next(invoice for invoice in life.owed() if invoice.amount_due == 1900)
    contested.disputed_at = life.now
    contested.save(update_fields=["disputed_at"])
    customers_reassess([contested.customer_id], life.now)
    life.to(life.now + 3 * DAY)
    first, second = life.mails()
    assert contested.number in text_of(first)
    assert contested.number not in text_of(second)
    assert "49,00" in text_of(second)
    case = Case.objects.get()
    assert (case.state, case.position) == ("open", 2)
    assert case.next_action_at > life.now
