"""Letters to be printed: batches made of what waits, fetched as one PDF, marked as printed by a person."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from campaigns.models import Letter, MessageStatus, PrintBatch
from campaigns.services.prints import (
    MOST_LETTERS,
    print_batch_create,
    print_batch_pdf,
    print_batch_printed,
)
from customers import clock
from customers.admin.base import ReadOnlyAdmin
from customers.admin.page import Asked, Fact, PageAction, PageAdmin, Section, staff_id
from customers.display import when
from customers.errors import SollecitoError
from customers.visibility import seen, seen_ids

_PERMISSION = "campaigns.add_printbatch"


def _facts(request: HttpRequest, batch: PrintBatch, now: datetime) -> list[Fact]:
    facts = [
        Fact(_("Created"), f"{when(batch.created_at)} · {batch.created_by}", 10),
        Fact(_("Letters"), str(batch.letters.count()), 20),
        Fact(_("Times fetched"), str(batch.copies), 30),
    ]
    if batch.printed_at:
        facts.append(Fact(_("Printed"), f"{when(batch.printed_at)} · {batch.printed_by}", 40))
    return facts


def _letters(request: HttpRequest, batch: PrintBatch, now: datetime) -> dict[str, Any]:
    rows = batch.letters.select_related("message__customer").defer("pdf", "message__html", "message__text")
    return {"letters": rows.order_by("id")}


def _pdf(asked: Asked) -> HttpResponse:
    pdf = print_batch_pdf(batch_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    response = HttpResponse(pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="letters-{asked.obj.pk}.pdf"'
    response["Cache-Control"] = "no-store"
    return response


def _printed(asked: Asked) -> str:
    count = print_batch_printed(batch_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("%(count)s letters count as sent.") % {"count": count}


@admin.register(PrintBatch)
class PrintBatchAdmin(PageAdmin, ReadOnlyAdmin):
    empty_text = _("A batch takes the letters that wait to be printed, as one PDF with a cover list.")
    tells_of_many = "created_by"
    list_display = ("number", "letter_count", "created_at", "created_by", "copies", "printed_at", "printed_by")
    list_select_related = ("created_by", "printed_by")
    ordering = ("-id",)
    fields = (("created_at", "created_by"), ("copies",), ("printed_at", "printed_by"))
    page_sections = [
        Section(
            "letters",
            _("Letters"),
            "admin/campaigns/printbatch/letters.html",
            _letters,
            "campaigns.view_printbatch",
            10,
        )
    ]
    page_facts = [_facts]
    page_actions = [
        PageAction(
            slug="pdf",
            label=_("Fetch the PDF"),
            icon="print",
            permission=_PERMISSION,
            question=_("One file, cover list first. Every time after the first is noted with each letter."),
            run=_pdf,
        ),
        PageAction(
            slug="printed",
            label=_("Printed and posted"),
            icon="done_all",
            permission=_PERMISSION,
            question=_("The letters then count as sent, and their ladders go on."),
            fits=lambda batch: batch.printed_at is None and batch.copies > 0,
            run=_printed,
        ),
    ]

    def page_title(self, obj: PrintBatch) -> str:
        return _now("Print batch %(number)s") % {"number": obj.pk}

    def get_queryset(self, request: HttpRequest) -> QuerySet[PrintBatch]:
        rows = super().get_queryset(request)
        return rows.annotate(letter_total=Count("letters"))  # type: ignore[no-any-return]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(_PERMISSION))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Shows how many letters wait (GET); makes a batch of them (POST)."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._create(request)
        waiting = seen(Letter.objects.all(), request.user).filter(
            batch__isnull=True, message__status=MessageStatus.TO_PRINT
        )
        return TemplateResponse(
            request,
            "admin/campaigns/printbatch/new.html",
            {
                **self.admin_site.each_context(request),
                "title": _("Print letters"),
                "opts": self.opts,
                "media": self.media,
                "waiting": waiting.count(),
                "most": MOST_LETTERS,
            },
        )

    def _create(self, request: HttpRequest) -> HttpResponse:
        here = reverse("admin:campaigns_printbatch_changelist")
        try:
            made = print_batch_create(actor_id=staff_id(request), now=clock.now(), customer_ids=seen_ids(request.user))
        except SollecitoError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(here)
        if made.cancelled:
            words = _now("%(count)s letters were called back: what they ask for has changed since.")
            messages.warning(request, words % {"count": made.cancelled})
        if made.batch is None:
            messages.info(request, _now("No letter is left to print."))
            return HttpResponseRedirect(here)
        return HttpResponseRedirect(self.page_url(made.batch))

    @display(description=_("batch"), ordering="id")
    def number(self, row: PrintBatch) -> str:
        return f"#{row.pk}"

    @display(description=_("letters"))
    def letter_count(self, row: Any) -> int:
        return int(row.letter_total)
