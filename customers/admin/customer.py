"""The customer list and the customer page: everything about one customer in one place."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from import_export.admin import ImportMixin
from import_export.formats.base_formats import CSV
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    FieldTextFilter,
    RelatedDropdownFilter,
)
from unfold.contrib.import_export.forms import ImportForm
from unfold.decorators import display

from customers import clock
from customers.admin import audit, consent, files, merging
from customers.admin.base import HistoryAdmin, badge
from customers.admin.bulk import BulkAdmin
from customers.admin.filters import MomentRangeFilter
from customers.admin.page import Fact, PageAdmin, Section, staff_id
from customers.admin.resources import CustomerResource
from customers.admin.timeline import load_timeline
from customers.display import customer_zone, words, zone
from customers.files import handed_out
from customers.models import Attachment, Customer, Interaction
from customers.notes import customer_edited
from customers.workbooks import CheckedXLSX

_VIEW_CONSENT = "customers.view_consentevent"
FLAGS = ("no_dunning", "do_not_contact", "legal_hold", "bankrupt", "vulnerable")


def flag_badges(customer: Customer) -> str:
    """Badges of the exclusions that are set; empty if none is."""
    names = [Customer._meta.get_field(name).verbose_name for name in FLAGS if getattr(customer, name)]  # type: ignore[union-attr]
    return format_html_join(" ", "{}", ((badge(name, "warning"),) for name in names))


def own_facts(request: HttpRequest, customer: Customer, now: datetime) -> list[Fact]:
    """The header's first lines: what o'clock it is where they are, and what forbids dunning them."""
    name = customer_zone(customer)
    there = now.astimezone(zone(name))
    told = " · ".join(filter(None, (name, customer.country, customer.language)))
    facts = [Fact(_("Local time there"), format_html("{} <span class='sol-sub'>{}</span>", words(there), told), 30)]
    if flags := flag_badges(customer):
        facts.append(Fact(_("Exclusions"), flags, order=90))
    return facts


def timeline(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    return load_timeline(request, Interaction.objects.filter(customer=customer), now)


def contacts(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    """People and their addresses, and what each may be used for."""
    found = {"contacts": list(customer.contacts.all()[:200])}
    return found | (consent.consent(request, customer, now) if request.user.has_perm(_VIEW_CONSENT) else {})


@admin.register(Customer)
class CustomerAdmin(PageAdmin, BulkAdmin, HistoryAdmin, ImportMixin):
    resource_classes = (CustomerResource,)
    import_form_class = ImportForm
    import_formats = (CSV, CheckedXLSX)

    list_display: tuple[Any, ...] = (
        "who",
        "external_id",
        "country",
        "language",
        "kind",
        "brand",
        "flags",
        "created_at",
    )
    list_select_related: tuple[str, ...] = ("brand",)
    list_filter: tuple[Any, ...] = (
        ("brand", RelatedDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("country", FieldTextFilter),
        "no_dunning",
        "do_not_contact",
        "legal_hold",
        "bankrupt",
        "vulnerable",
        ("created_at", MomentRangeFilter),
    )
    search_exact = ("external_id",)
    search_trigram = ("name", "email")
    search_help_text = _("Name, e-mail or id at the processor")
    autocomplete_fields = ("brand",)
    ordering = ("-id",)
    readonly_fields = ("source", "external_id", "metadata", "deleted_at", "created_at")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "kind"),
                    ("email", "phone"),
                    ("country", "language"),
                    ("timezone", "brand"),
                    ("vat_id", "postal_address"),
                )
            },
        ),
        (
            _("Exclusions"),
            {
                "fields": (FLAGS[:2], FLAGS[2:4], (FLAGS[4], "exclusion_reason")),
                "description": _("No dunning wins over every ladder; do not contact silences every channel."),
            },
        ),
        (_("Origin"), {"fields": (("source", "external_id"), ("created_at", "deleted_at"), "tags", "metadata")}),
    )
    page_sections = [
        Section("timeline", _("Timeline"), "admin/page/timeline.html", timeline, "customers.view_interaction", 10),
        Section(
            "contacts",
            _("Contacts and consent"),
            "admin/customers/customer/contacts.html",
            contacts,
            "customers.view_contact",
            70,
        ),
        files.SECTION,
        audit.SECTION,
    ]
    page_facts = [own_facts]
    page_actions = [
        *consent.ACTIONS,
        *files.ACTIONS,
        merging.ACTION,
    ]

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "duplicates/",
                self.admin_site.admin_view(merging.duplicates_view),
                name="customers_customer_duplicates",
            ),
            path(
                "<int:customer_id>/file/<int:attachment_id>/",
                self.admin_site.admin_view(self.file_view),
                name="customers_customer_file",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page; of a merged duplicate that of the customer kept: old links and bookmarks go on working."""
        if object_id.isdecimal() and len(object_id) < 19:
            merged = Customer.with_merged.filter(pk=object_id, merged_into__isnull=False).first()
            if merged is not None and self.get_object(request, str(merged.merged_into_id)) is not None:
                messages.info(request, _now("%(name)s was merged into this customer.") % {"name": merged})
                return HttpResponseRedirect(self.page_url(merged.merged_into))
        return super().change_view(request, object_id, form_url, extra_context)

    def file_view(self, request: HttpRequest, customer_id: int, attachment_id: int) -> FileResponse:
        """One of the customer's files, for who may see both."""
        customer = self.get_object(request, str(customer_id))
        if not (self.has_view_permission(request, customer) and request.user.has_perm("customers.view_attachment")):
            raise PermissionDenied
        row = Attachment.objects.filter(pk=attachment_id, customer_id=customer_id, removed_at=None).first()
        if customer is None or row is None:
            raise Http404
        return handed_out(row.file, row.name)

    def page_customer(self, obj: Customer) -> int:
        return obj.pk

    def page_subtitle(self, obj: Customer) -> str:
        known = (obj.get_kind_display(), obj.brand.name, obj.external_id, obj.email, obj.phone, obj.vat_id)
        return " · ".join(filter(None, known))

    def get_queryset(self, request: HttpRequest) -> Any:
        # All that the apps add to the list: Django passes list_select_related over where a queryset selects already.
        return super().get_queryset(request).select_related(*self.list_select_related)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A customer is erased on request by a service of its own, which keeps what the law wants kept.
        return False

    def save_model(self, request: HttpRequest, obj: Customer, form: forms.ModelForm, change: bool) -> None:  # type: ignore[type-arg]
        super().save_model(request, obj, form, change)
        if change and form.changed_data:
            customer_edited(customer_id=obj.pk, fields=form.changed_data, actor_id=staff_id(request), now=clock.now())

    @display(description=_("customer"), ordering="name")
    def who(self, row: Customer) -> str:
        return format_html(
            "<strong class='sol-cut'>{}</strong><span class='sol-sub'>{}</span>", row.name or row.email, row.email
        )

    @display(description=_("exclusions"))
    def flags(self, row: Customer) -> str:
        return flag_badges(row) or "–"
