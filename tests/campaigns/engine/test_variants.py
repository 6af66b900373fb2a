"""Who is in a segment is written that segment's text; nobody else is, and nobody becomes harder to reach by it."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from campaigns.delivery import deliver_due
from campaigns.engine.assess import assess_customers
from campaigns.engine.run import escalate_due
from campaigns.experiments.services import experiment_start
from campaigns.models import ExperimentExposure, Message, Segment, Template, TemplateVariant
from campaigns.services.ladder_checks import ladder_problems
from campaigns.services.template_variants import variant_problems, variants_explained
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def segment(code: str = "vip", query: str = 'tags = "vip"') -> Segment:
    return Segment.objects.get_or_create(code=code, defaults={"name": code, "query": query})[0]


def variant(of: Template, code: str, to: Segment, position: int = 1) -> Template:
    other = f.template(code)
    TemplateVariant.objects.create(template=of, segment=to, instead=other, position=position)
    return other


def written() -> dict[str, str]:
    rows = Message.objects.select_related("customer", "template_version__template")
    return {row.customer.name: row.template_version.template.code for row in rows}


def test_each_is_written_the_first_text_that_fits() -> None:
    general = f.template()
    variant(general, "late", segment("gb", 'country = "GB"'), position=2)
    variant(general, "vip", segment(), position=1)
    ladder = f.ladder(steps=[{"offset": 0}])
    for name, fields in {
        "both": {"tags": ["vip"], "country": "GB"},
        "vip": {"tags": ["vip"], "country": "IT"},
        "gb": {"country": "GB"},
        "none": {"country": "IT"},
    }.items():
        f.case(f.customer(name=name, **fields), ladder_version=ladder)
    escalate_due(now=NOW)
    assert written() == {"both": "vip", "vip": "vip", "gb": "late", "none": "reminder"}
    deliver_due(now=NOW)
    assert set(Message.objects.values_list("status", flat=True)) == {"sent"}


def test_who_joins_the_segment_after_a_message_was_queued_keeps_its_text() -> None:
    general = f.template()
    variant(general, "vip", segment())
    customer = f.customer(name="Anna")
    f.case(customer, ladder_version=f.ladder(steps=[{"offset": 0}]))
    escalate_due(now=NOW)
    customer.tags = ["vip"]
    customer.save()
    deliver_due(now=NOW)
    assert written() == {"Anna": "reminder"}


def test_a_text_that_does_not_speak_over_the_steps_ways_is_passed_over() -> None:
    general = f.template()
    f.text(general, "sms")
    silent = variant(general, "vip", segment())
    ladder = f.ladder(steps=[{"offset": 0, "template": general, "fallback_channels": ["sms"]}])
    customer = f.customer(name="Anna", tags=["vip"])
    f.case(customer, ladder_version=ladder)
    escalate_due(now=NOW)
    assert written() == {"Anna": "reminder"}
    assert "no text for SMS" in " ".join(problem.message for problem in ladder_problems(ladder))
    f.text(silent, "sms")
    assert variant_problems(general) == {}
    other = f.customer(name="Bea", tags=["vip"])
    f.case(other, ladder_version=ladder)
    escalate_due(now=NOW)
    assert written() == {"Anna": "reminder", "Bea": "vip"}


def test_an_unpublished_text_or_a_query_that_cannot_be_read_writes_the_general_one() -> None:
    general = f.template()
    variant(general, "vip", segment()).versions.update(status="draft")
    variant(general, "odd", segment("odd", "gone.field = 1"), position=2)
    f.case(f.customer(name="Anna", tags=["vip"]), ladder_version=f.ladder(steps=[{"offset": 0}]))
    escalate_due(now=NOW)
    assert written() == {"Anna": "reminder"}
    problems = " ".join(words for found in variant_problems(general).values() for words in found)
    assert "has no published text" in problems
    assert "There is no field gone.field" in problems


def test_languages_and_variants_of_variants_are_warned_of() -> None:
    general = f.template()
    f.text(general, "email", language="it", compiled_html="<p>x</p>")
    other = variant(general, "vip", segment())
    variant(other, "deeper", segment())
    (found,) = variant_problems(general).values()
    assert found == [
        "“Vip” for vip is not written in Italian.",
        "“Vip” has variants of its own, which are not looked at from here.",
    ]


def test_the_thank_you_has_variants_too() -> None:
    general = f.template("payment_received")
    variant(general, "vip_thanks", segment())
    for name, tags in (("Anna", ["vip"]), ("Bea", [])):
        customer = f.customer(name=name, tags=tags, reassess_at=NOW)
        invoice = f.invoice(customer)
        f.case(customer, invoices=[invoice])
        type(invoice).objects.filter(pk=invoice.pk).update(status="paid", amount_paid=invoice.amount_due, paid_at=NOW)
    assess_customers(now=NOW)
    assert written() == {"Anna": "vip_thanks", "Bea": "payment_received"}


def test_who_gets_a_segments_text_takes_no_part_in_an_experiment_on_the_general_one() -> None:
    general = f.template()
    variant(general, "vip", segment())
    f.template("bold")
    experiment = f.experiment(
        kind="template",
        ladder=None,
        template=general,
        arms=[{"name": "old"}, {"name": "new", "template": f.template("bold")}],
    )
    experiment_start(experiment_id=experiment.pk, actor_id=None, now=NOW)
    ladder = f.ladder(steps=[{"offset": 0}])
    names = [f"c{n}" for n in range(60)]
    for n, name in enumerate(names):
        f.case(f.customer(name=name, tags=["vip"] if n % 2 else []), ladder_version=ladder)
    escalate_due(now=NOW)
    texts = written()
    assert {texts[name] for name in names[1::2]} == {"vip"}
    assert {texts[name] for name in names[::2]} == {"reminder", "bold"}
    assert ExperimentExposure.objects.count() == 30


def test_queries_grow_neither_with_cases_nor_with_variants() -> None:
    general = f.template()
    ladder = f.ladder(steps=[{"offset": 0}])

    def queries(count: int) -> int:
        for _ in range(count):
            f.case(f.customer(tags=["vip"]), ladder_version=ladder)
        with CaptureQueriesContext(connection) as captured:
            assert escalate_due(now=NOW).messages == count
        return len(captured)

    none = queries(3)
    variant(general, "vip", segment())
    one = queries(3)
    for n in range(5):
        variant(general, f"v{n}", segment(f"s{n}", f'country = "A{n}"'), position=n + 2)
    assert queries(30) == one == none + 1


def test_why_a_customer_gets_which_text(django_assert_num_queries: Any) -> None:
    general = f.template()
    variant(general, "gb", segment("gb", 'country = "GB"'), position=1)
    variant(general, "vip", segment(), position=2)
    variant(general, "all", segment("all", 'country != "XX"'), position=3)
    customer = f.customer(tags=["vip"], country="IT")
    with django_assert_num_queries(3):
        found = variants_explained(template_id=general.pk, channel="email", customer_id=customer.pk, now=NOW)
    assert [(verdict.variant.instead.code, verdict.chosen, verdict.words) for verdict in found] == [
        ("gb", False, "not in this segment"),
        ("vip", True, "in this segment: this is the text written"),
        ("all", False, "in this segment too, but an earlier one counts"),
    ]
