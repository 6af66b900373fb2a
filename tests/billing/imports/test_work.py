"""Imports in turns: whoever is killed loses a batch and nothing else, and what changed meanwhile counts."""

from datetime import date, timedelta

import pytest

from billing.imports import work
from billing.imports.receivables import Receivables
from billing.imports.runs import import_confirm, import_discard, import_start, import_stop
from billing.imports.work import STALE, imports_run
from billing.models import Dispute, ImportRow, ImportRun, Invoice, Payment, PaymentAttempt
from customers.errors import IllegalTransition, SollecitoError
from customers.models import Customer, Interaction
from tests import factories as make

pytestmark = pytest.mark.django_db
NOW = make.NOW
STRIPE = """id,Total,Currency,Customer,Date (UTC),Due Date (UTC),Status
in_1,10.00,eur,cus_1,2026-01-10,2026-02-10,open
"""
HEAD = "number,customer,amount,currency,issued,due,settled,disputed,paid\n"


class Killed(BaseException):
    """A worker that is no more."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(work, "BATCH", 10)


def start(text, preset="standard", as_of=date(2026, 3, 10)):
    brand = make.brand()
    return import_start(name="a.csv", chunks=[text.encode()], preset=preset, brand_id=brand.pk, as_of=as_of, now=NOW,
                        actor_id=None)  # fmt: skip


def finish(run, now=NOW):
    while imports_run(now=now, run_id=run.pk).total:
        pass
    run.refresh_from_db()
    return run


def take_in(text, **more):
    run = finish(start(text, **more))
    if run.new + run.changed:
        finish(import_confirm(run_id=run.pk, now=NOW))
        run.refresh_from_db()
    return run


def row(number, amount="10.00", **more):
    told = {"customer": f"C-{number}", "currency": "EUR", "issued": "2026-01-10", "due": "2026-02-10"} | more
    names = HEAD.strip().split(",")
    return ",".join({"number": f"N-{number}", "amount": amount, **told}.get(name, "") for name in names) + "\n"


MANY = HEAD + "".join(row(n) for n in range(1, 36)) + row(7)


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_worker_killed_while_reading_or_writing_is_followed_by_another(monkeypatch, dies_at):
    run = start(MANY)
    for step, name in (("plan", "checked"), ("write", "done")):
        real, calls = getattr(Receivables, step), []

        def dying(self, items, real=real, calls=calls):
            calls.append(len(items))
            if len(calls) == dies_at:
                raise Killed
            return real(self, items)

        with monkeypatch.context() as patch:
            patch.setattr(Receivables, step, dying)
            with pytest.raises(Killed):
                imports_run(now=NOW)
        run.refresh_from_db()
        assert (run.rows if step == "plan" else run.done) == 10 * (dies_at - 1)
        # Nobody else takes it while the dead one may still be at work.
        assert imports_run(now=NOW + timedelta(seconds=30)).total == 0
        finish(run, NOW + STALE + timedelta(minutes=1))
        assert run.status == name
        if step == "plan":
            assert (run.new, run.rejected, run.customers_new) == (35, 1, 35)
            import_confirm(run_id=run.pk, now=NOW)
    assert Invoice.objects.count() == Customer.objects.count() == 35
    assert (run.new, run.rejected, run.customers_new, run.done) == (35, 1, 35, 36)
    assert Interaction.objects.filter(kind="invoice.imported").count() == 35


def test_a_worker_whose_claim_was_taken_over_writes_nothing_more(monkeypatch):
    run = start(MANY)
    real = Receivables.plan

    def overtaken(self, items):
        ImportRun.objects.filter(pk=run.pk).update(claimed_at=NOW + timedelta(hours=1))
        return real(self, items)

    monkeypatch.setattr(Receivables, "plan", overtaken)
    imports_run(now=NOW)
    assert not ImportRow.objects.exists()


def test_an_import_that_is_stopped_keeps_what_was_written_and_goes_on_from_there():
    run = finish(start(MANY))
    import_confirm(run_id=run.pk, now=NOW)
    for _turn in range(2):
        imports_run(now=NOW, seconds=0)
    import_stop(run_id=run.pk, now=NOW)
    assert imports_run(now=NOW + STALE * 2).total == 0
    run.refresh_from_db()
    assert (run.status, run.done, run.claimed_at, Invoice.objects.count()) == ("stopped", 20, None, 20)
    run = finish(import_confirm(run_id=run.pk, now=NOW))
    assert (run.status, run.new, run.customers_new, Invoice.objects.count()) == ("done", 35, 35, 35)
    assert Interaction.objects.filter(kind="invoice.imported").count() == 35
    with pytest.raises(IllegalTransition):
        import_stop(run_id=run.pk, now=NOW)


def test_a_file_put_aside_while_it_is_read_leaves_nothing(monkeypatch):
    run = start(MANY)
    real, calls = Receivables.plan, []

    def put_aside(self, items):
        calls.append(len(items))
        if len(calls) == 2:
            import_discard(run_id=run.pk, now=NOW)
        return real(self, items)

    monkeypatch.setattr(Receivables, "plan", put_aside)
    finish(run)
    run.refresh_from_db()
    assert (run.status, ImportRow.objects.count(), len(calls)) == ("discarded", 0, 2)


def test_turns_end_in_time_and_the_next_goes_on():
    run = start(MANY)
    turns = 0
    while imports_run(now=NOW, run_id=run.pk, seconds=0).total:
        turns += 1
    run.refresh_from_db()
    assert (run.status, turns > 3) == ("checked", True)


def test_what_happened_since_the_file_was_read_counts():
    run = finish(start(HEAD + row(1) + row(2)))
    assert run.new == 2
    take_in(HEAD + row(2))
    run = finish(import_confirm(run_id=run.pk, now=NOW))
    assert (run.new, run.unchanged) == (1, 1)
    assert Invoice.objects.count() == 2
    with pytest.raises(IllegalTransition):
        import_confirm(run_id=run.pk, now=NOW)


def test_changes_are_told_old_and_new_and_settled_stays_settled():
    take_in(HEAD + row(1) + row(2) + row(3))
    run = finish(start(HEAD + row(1, "12.00") + row(2, settled="2026-02-01") + row(3)))
    assert (run.new, run.changed, run.unchanged) == (0, 2, 1)
    first, second = ImportRow.objects.filter(run=run, outcome="changed").order_by("number")
    assert first.changes == [["amount_due", "€10.00", "€12.00"]]
    assert ["status", "open", "paid"] in second.changes
    finish(import_confirm(run_id=run.pk, now=NOW))
    assert Payment.objects.get().amount == 1000
    back = take_in(HEAD + row(2))
    assert (back.changed, back.unchanged) == (0, 1)
    assert Invoice.objects.get(number="N-2").status == "paid"


def test_part_payments_become_payments_of_the_difference_once():
    take_in(HEAD + row(1, paid="4.00"))
    take_in(HEAD + row(1, paid="4.00"))
    take_in(HEAD + row(1, paid="7.00"))
    take_in(HEAD + row(1, paid="5.00"))  # an older state of the books takes nothing back
    take_in(HEAD + row(1, paid="10.00"))
    invoice = Invoice.objects.get()
    assert (invoice.status, invoice.amount_paid) == ("paid", 1000)
    assert sorted(Payment.objects.values_list("amount", flat=True)) == [300, 300, 400]


def test_no_row_moves_an_invoice_to_another_customer_currency_or_below_what_was_paid():
    take_in(HEAD + row(1, paid="8.00"))
    run = take_in(HEAD + row(1, customer="C-9"))
    assert "whom this invoice was written to" in ImportRow.objects.get(run=run).errors[0][2]
    run = take_in(HEAD + row(1, currency="USD"))
    assert "currency this invoice had before (EUR)" in ImportRow.objects.get(run=run).errors[0][2]
    run = take_in(HEAD + row(1, "5.00"))
    assert "less than what was paid" in ImportRow.objects.get(run=run).errors[0][2]
    assert Invoice.objects.get().balance == 200


def test_disputes_decided_or_opened_here_are_not_undone_by_a_file():
    take_in(HEAD + row(1, disputed="yes") + row(2))
    Dispute.objects.update(status=Dispute.Status.LOST, closed_at=NOW)
    Invoice.objects.filter(number="N-1").update(disputed_at=None)
    second = Invoice.objects.get(number="N-2")
    Dispute.objects.create(invoice=second, amount=1000, currency="EUR", opened_at=NOW)
    Invoice.objects.filter(pk=second.pk).update(disputed_at=NOW)
    take_in(HEAD + row(1, disputed="yes") + row(2))
    assert Invoice.objects.get(number="N-1").disputed_at is None
    assert Invoice.objects.get(number="N-2").disputed_at == NOW


def test_what_a_connected_account_tells_of_itself_is_not_imported_again():
    account = make.account()
    make.invoice(make.customer(), source=account.code, external_id="in_1", number="INV-1")
    run = take_in(STRIPE, preset="stripe_invoices")
    assert "connected account" in ImportRow.objects.get(run=run).errors[0][2]
    assert Invoice.objects.count() == 1


def test_payments_find_their_invoices_fail_and_succeed_once():
    take_in(STRIPE, preset="stripe_invoices")
    payments = """id,Created (UTC),Amount,Amount Refunded,Currency,Seller Message,Status,Customer ID,Invoice ID
ch_1,2026-01-10 09:30,10.00,0.00,eur,Declined.,Failed,cus_1,in_1
ch_2,2026-01-12 09:30,10.00,0.00,eur,Complete.,Paid,cus_1,in_1
ch_3,2026-01-12 09:30,5.00,0.00,eur,Complete.,Paid,cus_2,
ch_4,2026-01-12 09:30,5.00,0.00,eur,Declined.,Failed,cus_2,
ch_5,2026-01-12 09:30,5.00,0.00,eur,Declined.,Failed,cus_2,in_404
"""
    run = take_in(payments, preset="stripe_payments")
    assert (run.new, run.rejected) == (3, 2)
    assert list(PaymentAttempt.objects.order_by("number").values_list("external_id", "status")) == [
        ("ch_1", "declined"),
        ("ch_2", "succeeded"),
    ]
    assert Invoice.objects.get().status == "paid"
    assert sorted(Payment.objects.values_list("external_id", "allocated")) == [("ch_2", 1000), ("ch_3", 0)]
    again = take_in(payments, preset="stripe_payments")
    assert (again.new, again.changed, again.unchanged) == (0, 0, 3)
    refunded = take_in(payments.replace("5.00,0.00,eur,Complete", "5.00,5.00,eur,Complete"), preset="stripe_payments")
    assert refunded.changed == 1
    assert Payment.objects.get(external_id="ch_3").refunded == 500


def test_hostile_and_unknown_files_leave_nothing_behind():
    with pytest.raises(SollecitoError, match="no text file"):
        start("a,b,c\n\x00,1,2\n")
    with pytest.raises(SollecitoError, match="kind of file"):
        start(MANY, preset="nonsense")
    assert not ImportRun.objects.exists()
