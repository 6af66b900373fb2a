"""The pages of retry models and settings, and what invoices and attempts tell of a plan."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.admin.model_charts import Axis, calibration_chart
from billing.models import AttemptStatus, RetryModel, RetryModelEvent, RetryPolicy
from billing.retries import STRATEGIES
from billing.retries.champion.learnable import Effect
from billing.retries.champion.switching import note
from campaigns.models import Segment
from tests import factories
from tests.billing.retries.champion.world import Approvals, stored
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
State = RetryModel.State
BIN = {"count": 40, "predicted": 0.21, "approved": 0.25, "low": 0.14, "high": 0.4}
FIGURES = {
    "candidate": {"charges": 400, "log_loss": 0.51, "brier": 0.17, "calibration": [BIN, BIN | {"predicted": 0.4}]},
    "baseline": {"charges": 400, "log_loss": 0.55, "brier": 0.19},
    "against": "the rules",
    "difference": {"value": -0.04, "low": -0.06, "high": -0.02},
}
COMPARED = {
    "decisions": 900,
    "one": {"matches": 450, "value": {"value": 0.61}},
    "other": {"matches": 460, "value": {"value": 0.55}},
    "difference": {"value": 0.06, "low": 0.01, "high": 0.11},
}


@pytest.fixture
def manager(monkeypatch):
    monkeypatch.setattr("customers.clock.now", lambda: NOW)
    monkeypatch.setitem(STRATEGIES._homes, "learned", "tests.billing.retries.champion.world:Approvals")
    return factories.desk(factories.staff("manager", "mara"))


def url(model, what="changelist", *args):
    return reverse(f"admin:billing_{model}_{what}", args=args)


def page(client, model, section):
    return client.get(f"{url('retrymodel', 'change', model.pk)}?section={section}").content.decode()


def charged(model, times=5, **fields):
    for n in range(times):
        owner = factories.customer()
        factories.attempt(
            factories.invoice(owner),
            payment_method=factories.payment_method(owner),
            retry_model=model,
            probability=0.3,
            at=NOW - 7 * DAY * (n % 3) - DAY,
            **fields,
        )


def test_without_models_the_list_says_how_much_is_missing(manager):
    charged(None, 3)
    factories.attempt(factories.invoice(factories.customer()), at=NOW - 40 * DAY)
    html = manager.get(url("retrymodel")).content.decode()
    assert "Not enough data: 1 of 2000 charges older than four weeks." in html


def test_the_page_tells_calibration_in_a_drawing_and_a_table(manager):
    html = page(manager, stored(figures=FIGURES), "quality")
    assert 'role="img"' in html
    assert "<desc" in html
    assert html.count("<circle") == 2
    assert "21.0\N{NO-BREAK SPACE}%" in html
    assert "0.5100" in html
    assert "-0.0600 to -0.0200" in html
    assert "kept back" in page(manager, stored(State.CANDIDATE), "quality")


def test_the_page_tells_drift_comparison_and_beliefs(manager):
    model = stored()
    assert "No charge that this model planned" in page(manager, model, "drift")
    assert "Nothing to compare yet" in page(manager, model, "trial")
    charged(model)
    note("compared", "+1.0 to +11.0 points", NOW, model=model, data=COMPARED)
    note("compared", "thin", NOW, model=model, data=COMPARED | {"difference": {"value": 0, "low": None, "high": None}})
    drift, trial = page(manager, model, "drift"), page(manager, model, "trial")
    assert drift.count("<circle") == 3
    assert "30.0\N{NO-BREAK SPACE}%" in drift
    assert "+6.0" in trial
    assert "450 retries" in trial
    beliefs = page(manager, model, "beliefs")
    assert "approved" in beliefs
    assert "40.2\N{NO-BREAK SPACE}%" in beliefs
    model.data = b"broken"
    model.save()
    assert "cannot be read" in page(manager, model, "beliefs")


def test_beliefs_that_count_no_charges_have_no_column_for_them(manager, monkeypatch):
    model = stored()
    assert "Charges behind it" in page(manager, model, "beliefs")
    monkeypatch.setattr(Approvals, "describe", lambda self: [Effect("Paydays, IT", "the 27th", 0.4)])
    beliefs = page(manager, model, "beliefs")
    assert "the 27th" in beliefs
    assert "Charges behind it" not in beliefs
    assert "None" not in beliefs


def test_switching_is_for_managers_asks_why_and_is_written_down(manager):
    old, new = stored(), stored(State.CANDIDATE)
    promote = url("retrymodel", "do", new.pk, "promote")
    assert "This field is required" in manager.post(promote, {"reason": ""}).content.decode()
    manager.post(promote, {"reason": "It looks better."})
    new.refresh_from_db()
    assert new.state == State.CHAMPION
    line = RetryModelEvent.objects.get(kind="promoted")
    assert (line.actor.username, line.reason, line.alert) == ("mara", "It looks better.", False)
    assert "It looks better." in page(manager, new, "log")
    manager.post(url("retrymodel", "do", new.pk, "retire"), {"reason": "No."})
    new.refresh_from_db()
    assert new.state == State.RETIRED
    User.objects.get().groups.set([Group.objects.get(name="collector")])
    assert manager.get(promote).status_code == 403
    assert manager.get(url("retrymodel", "change", old.pk)).status_code == 200


def test_news_is_counted_in_the_menu_until_it_was_seen(manager):
    line = note("demoted", "The rules recover more.", NOW, model=stored(State.RETIRED), alert=True)
    html = manager.get(url("retrymodelevent")).content.decode()
    assert "please look" in html
    manager.post(url("retrymodelevent"), {"action": "mark_seen", "_selected_action": [line.pk]})
    assert "please look" not in manager.get(url("retrymodelevent")).content.decode()


def test_a_setting_is_made_for_a_segment_by_name(manager):
    Segment.objects.create(code="italy", name="In Italy", query='country = "IT"')
    assert "In Italy" in manager.get(url("retrypolicy", "add")).content.decode()
    form = {
        "name": "Italy", "order": 10, "active": "on", "segment": "italy", "max_attempts": 6, "window_days": "",
        "strategy": "best", "explore_percent": 5,
    }  # fmt: skip
    assert manager.post(url("retrypolicy", "add"), form).status_code == 302
    row = RetryPolicy.objects.get()
    assert (row.segment, row.max_attempts, row.window_days, row.explore_percent) == ("italy", 6, None, 5)
    assert manager.post(url("retrypolicy", "add"), form | {"explore_percent": 80}).status_code == 200
    assert "In Italy" in manager.get(url("retrypolicy")).content.decode()
    Segment.objects.all().delete()
    assert "no such segment any more" in manager.get(url("retrypolicy", "change", row.pk)).content.decode()


def test_invoice_and_attempt_tell_chance_model_lot_and_reasons(manager):
    owner = factories.customer()
    model, method, invoice = stored(), factories.payment_method(owner), factories.invoice(owner)
    factories.attempt(invoice, payment_method=method)
    attempt = factories.attempt(
        invoice, payment_method=method, status=AttemptStatus.PLANNED, at=None, scheduled_for=NOW + DAY,
        strategy="learned", retry_model=model, probability=0.314, propensity=0.05, explanation="Fri 27 Mar: payday.",
        reasons=["payday on the 27th", "insufficient funds", "1 of 15 used"],
    )  # fmt: skip
    html = manager.get(f"{url('invoice', 'change', invoice.pk)}?section=attempts").content.decode()
    lot = "drawn by lot with a chance of 5.0\N{NO-BREAK SPACE}%"
    for words in ("31.4\N{NO-BREAK SPACE}%", f"learned {model.pk}", lot, "payday on the 27th"):
        assert words in html
    detail = manager.get(url("paymentattempt", "change", attempt.pk)).content.decode()
    assert "payday on the 27th<br>insufficient funds<br>1 of 15 used" in detail
    assert "€49.00" in detail
    listed = manager.get(url("paymentattempt")).content.decode()
    assert "31.4\N{NO-BREAK SPACE}%" in listed
    assert "Visa: 1 of 15 used in 30 days." in listed


@pytest.mark.parametrize("name", ["paymentattempt", "retrymodel", "retrymodelevent", "retrypolicy"])
def test_lists_cost_the_same_for_few_and_many_rows(manager, name):
    def fill(times):
        for n in range(times):
            model = stored(State.RETIRED, figures=FIGURES)
            note("compared", "x", NOW, model=model)
            RetryPolicy.objects.create(name=f"P{n}", segment="italy")
            charged(model, 1)

    def cost():
        with CaptureQueriesContext(connection) as queries:
            assert manager.get(url(name)).status_code == 200
        return len(queries)

    fill(1)
    cost()
    few = cost()
    fill(12)
    assert cost() == few


def test_an_axis_holds_its_values():
    assert Axis.over([0.07, 0.18]).top == 0.25
    chart = calibration_chart([BIN])
    (point,) = chart["points"]
    assert point["high"] < point["y"] < point["low"]
