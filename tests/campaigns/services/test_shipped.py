"""The shipped set loads, loads again without a trace, and leaves alone what staff made their own."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from campaigns.models import Ladder, LadderVersion, Step, TemplateText, TemplateVersion
from campaigns.services.shipped import shipped_load
from campaigns.services.versions import ladder_draft, ladder_publish
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def test_it_loads_once():
    first = shipped_load(now=NOW)
    assert "card_failed" in first.ladders
    assert "payment_received" in first.templates
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
    assert "ladders: card_failed, invoice_overdue" in out.getvalue()
    assert set(Ladder.objects.values_list("brand__code", flat=True)) == {"acme"}
    with pytest.raises(CommandError, match="nobody"):
        call_command("load_shipped", brand="nobody")
