"""The shipped set loads, loads again without a trace, and leaves alone what staff made their own."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from campaigns.models import Ladder, LadderVersion, Step, Template, TemplateText, TemplateVersion
from campaigns.services.shipped import shipped_load
from campaigns.services.versions import ladder_draft, ladder_publish, template_draft, template_publish
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def test_it_loads_once():
    first = shipped_load(now=NOW)
    assert "card_failed" in first.ladders
    assert "payment_received" in first.templates
    in_use = Ladder.objects.filter(active=True).values_list("code", flat=True)
    assert set(in_use) == {"card_failed", "card_failed_b2b", "invoice_overdue"}
    counts = [model.objects.count() for model in (Ladder, LadderVersion, Step, TemplateVersion, TemplateText)]
    second = shipped_load(now=NOW)
    assert (second.templates, second.ladders) == ((), ())
    assert counts == [model.objects.count() for model in (Ladder, LadderVersion, Step, TemplateVersion, TemplateText)]
    assert not TemplateText.objects.filter(compiled_text="").exists()
    assert not TemplateText.objects.filter(channel="email", compiled_html="").exists()


def test_a_changed_file_is_a_new_version_and_staff_s_own_is_kept(django_user_model):
    shipped_load(now=NOW)
    Step.objects.filter(version__ladder__code="card_failed", position=1).update(offset=5)
    assert shipped_load(now=NOW).ladders == ("card_failed",)
    versions = LadderVersion.objects.filter(ladder__code="card_failed").order_by("number")
    assert [version.status for version in versions] == ["retired", "published"]
    draft = ladder_draft(ladder_id=versions[0].ladder_id)
    assert shipped_load(now=NOW).ladders == ()
    draft.steps.filter(position=1).update(offset=6)
    ladder_publish(version_id=draft.pk, actor_id=django_user_model.objects.create_user("mia").pk, now=NOW)
    assert shipped_load(now=NOW).kept == ("card_failed",)
    assert LadderVersion.objects.get(ladder__code="card_failed", status="published") == draft


def test_the_command_reports_and_refuses_an_unknown_brand():
    out = StringIO()
    factories.brand(code="acme")
    call_command("load_shipped", brand="acme", stdout=out)
    assert "card_failed_b2b, high_value, invoice_due, invoice_overdue, promise_broken" in out.getvalue()
    assert set(Ladder.objects.values_list("brand__code", flat=True)) == {"acme"}
    with pytest.raises(CommandError, match="nobody"):
        call_command("load_shipped", brand="nobody")


def test_a_template_a_manager_edited_is_never_overwritten(django_user_model):
    shipped_load(now=NOW)
    template = Template.objects.get(code="invoice_overdue_1")
    mia = django_user_model.objects.create_user("mia")
    draft = template_draft(template_id=template.pk)
    draft.texts.filter(language="de", channel="sms").update(body="Kurz: {{ links.portal }}")
    assert "invoice_overdue_1" in shipped_load(now=NOW).unchanged
    template_publish(version_id=draft.pk, actor_id=mia.pk, now=NOW)
    result = shipped_load(now=NOW)
    assert (result.kept, result.templates, result.ladders) == (("invoice_overdue_1",), (), ())
    live = TemplateText.objects.get(
        version__template=template, version__status="published", language="de", channel="sms"
    )
    assert live.body == "Kurz: {{ links.portal }}"
    Ladder.objects.filter(code="card_failed").update(active=False, name="Ours", priority=7)
    shipped_load(now=NOW)
    assert Ladder.objects.filter(code="card_failed", active=False, name="Ours", priority=7).exists()
