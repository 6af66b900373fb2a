"""Variants are edited on the template's page, the preview of a case says which it gets, a used segment stays."""

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Segment, TemplateVariant
from campaigns.services.segments import segment_uses
from tests import factories as f

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> Client:
    return f.desk(f.staff("manager", "maria"))


@pytest.fixture
def vip() -> Segment:
    return Segment.objects.create(code="vip", name="Very important", query='tags = "vip"')


def test_a_variant_is_added_on_the_templates_page(manager: Client, vip: Segment) -> None:
    general, other = f.template(), f.template("personal")
    f.text(general, "sms")
    url = reverse("admin:campaigns_template_change", args=[general.pk])
    data = {
        "name": general.name, "code": general.code, "channel": "email", "tone": "friendly",
        "variants-TOTAL_FORMS": 1, "variants-INITIAL_FORMS": 0,
        "variants-0-position": 1, "variants-0-segment": vip.pk, "variants-0-instead": other.pk,
    }  # fmt: skip
    answer = manager.post(url, data, follow=True)
    assert TemplateVariant.objects.get().instead == other
    assert TemplateVariant.history.get().history_user.username == "maria"
    assert "“Personal” for Very important has no text for SMS" in answer.content.decode()
    shown = manager.get(url, {"section": "variants"}).content.decode()
    assert "Very important" in shown
    assert "has no text for SMS" in shown
    assert "Written instead of" in manager.get(
        reverse("admin:campaigns_template_change", args=[other.pk]), {"section": "variants"}
    ).content.decode()  # fmt: skip
    itself = data | {"variants-0-segment": vip.pk, "variants-0-instead": general.pk}
    TemplateVariant.objects.all().delete()
    assert "not written instead of itself" in manager.post(url, itself).content.decode()
    assert not TemplateVariant.objects.exists()


def test_the_preview_of_a_case_says_which_text_it_gets(manager: Client, vip: Segment) -> None:
    general, other = f.template(), f.template("personal")
    TemplateVariant.objects.create(template=general, segment=vip, instead=other)
    inside, outside = f.case(f.customer(tags=["vip"])), f.case(f.customer())
    version = general.versions.get()
    url = reverse("admin:campaigns_templateversion_change", args=[version.pk])
    shown = manager.get(url, {"section": "preview", "case": inside.pk}).content.decode()
    assert "Not this one: “Personal”, because the customer is in the segment “Very important”." in shown
    assert f"/{other.versions.get().pk}/change/?section=preview&amp;case={inside.pk}" in shown
    assert "This one: none of its variants" in manager.get(
        url, {"section": "preview", "case": outside.pk}
    ).content.decode()  # fmt: skip
    for nobody in ({}, {"case": "²"}, {"case": "x"}):
        assert "Which text this case gets" not in manager.get(url, {"section": "preview"} | nobody).content.decode()


def test_a_segment_in_use_is_not_deleted_and_each_place_is_named(manager: Client, vip: Segment) -> None:
    general = f.template()
    variant = TemplateVariant.objects.create(template=general, segment=vip, instead=f.template("personal"))
    ladder = f.ladder(segment=vip, name="For the few").ladder
    f.experiment(segment=vip, name="Which subject?")
    places = ["Ladder “For the few”", "Experiment “Which subject?”", "Template “Reminder”, written as “Personal”"]
    assert [use.words for use in segment_uses(vip)] == places
    url = reverse("admin:campaigns_segment_delete", args=[vip.pk])
    for answer in (manager.get(url), manager.post(url, {"post": "yes"})):
        assert all(words in answer.content.decode() for words in places)
    assert Segment.objects.exists()
    page = manager.get(reverse("admin:campaigns_segment_change", args=[vip.pk])).content.decode()
    assert all(words in page for words in places)
    variant.delete()
    type(ladder).objects.filter(pk=ladder.pk).update(segment=None)
    vip.experiments.update(segment=None)
    assert manager.post(url, {"post": "yes"}).status_code == 302
    assert not Segment.objects.exists()
