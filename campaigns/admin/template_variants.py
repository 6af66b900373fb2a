"""A template's variants for segments in the admin: the list that is edited, and who gets which in a preview."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from campaigns.admin.columns import link
from campaigns.engine.variants import variants_of
from campaigns.models import Case, Template, TemplateVariant, TemplateVersion
from campaigns.services.template_variants import variant_problems, variants_explained
from customers.admin.page import DETAILS, Section


class VariantInline(TabularInline):
    model = TemplateVariant
    fk_name = "template"
    fields = ("position", "segment", "instead")
    autocomplete_fields = ("segment", "instead")
    extra = 0
    verbose_name_plural = _("Another text for a segment (the first that fits is written; at once, without a draft)")


def problems(template: Template) -> list[str]:
    """What is wrong with the variants of a template, each in words."""
    return [words for found in variant_problems(template).values() for words in found]


def _variants(request: HttpRequest, template: Template, now: datetime) -> dict[str, Any]:
    wrong = variant_problems(template)
    rows = variants_of([template.pk]).get(template.pk, [])
    standing_in = TemplateVariant.objects.filter(instead=template).select_related("template", "segment")
    return {
        "variants": [
            (
                link("campaigns_segment", row.segment_id, row.segment),
                link("campaigns_template", row.instead_id, row.instead),
                wrong.get(row.pk, []),
            )
            for row in rows
        ],
        "standing_in": [
            (
                link("campaigns_template", row.template_id, row.template),
                link("campaigns_segment", row.segment_id, row.segment),
            )
            for row in standing_in.order_by("template__name")
        ],
        "edit_url": f"{reverse('admin:campaigns_template_change', args=[template.pk])}?section={DETAILS}"
        if request.user.has_perm("campaigns.change_templatevariant")
        else "",
    }


SECTION = Section(
    "variants",
    _("For segments"),
    "admin/campaigns/template/variants.html",
    _variants,
    "campaigns.view_templatevariant",
    20,
)


def variants_shown(version: TemplateVersion, channel: str, case_id: int | None, now: datetime) -> dict[str, Any]:
    """Context of variants_shown.html: which text the case would get of this template, and why; empty without variants
    or case."""
    customer_id = Case.objects.filter(pk=case_id).values_list("customer_id", flat=True).first() if case_id else None
    if customer_id is None:
        return {}
    verdicts = variants_explained(template_id=version.template_id, channel=channel, customer_id=customer_id, now=now)
    if not verdicts:
        return {}
    written = next((verdict.variant for verdict in verdicts if verdict.chosen), None)
    url = ""
    if written is not None:
        live = (
            TemplateVersion.objects.filter(template=written.instead_id, status=TemplateVersion.Status.PUBLISHED)
            .values_list("pk", flat=True)
            .first()
        )
        page = reverse("admin:campaigns_templateversion_change", args=[live])
        url = f"{page}?section=preview&case={case_id}"
    return {"verdicts": verdicts, "written": written, "url": url}
