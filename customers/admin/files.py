"""Notes and files on the customer page: what was written down, what was attached, and attaching more."""

from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from customers.admin.page import Asked, PageAction, Section
from customers.admin.timeline import lines
from customers.attachments import file_attach, file_remove
from customers.files import ENDINGS, MOST_BYTES
from customers.models import Attachment, Customer, Interaction

#: Newest notes on the tab; older ones are in the timeline.
LIMIT = 100


class FileForm(forms.Form):
    """One file, and what it is."""

    file = forms.FileField(
        label=_("File"), max_length=255, widget=forms.ClearableFileInput(attrs={"accept": ",".join(ENDINGS)})
    )
    note = forms.CharField(label=_("What it is"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].help_text = _now("Up to %(size)s; %(kinds)s.") % {
            "size": filesizeformat(MOST_BYTES),
            "kinds": ", ".join(ending.lstrip(".") for ending in ENDINGS),
        }

    def clean_file(self) -> Any:
        found: Any = self.cleaned_data["file"]
        # Refused by what it says of itself, before a gigabyte is read into memory.
        if (found.size or 0) > MOST_BYTES:
            raise forms.ValidationError(_("The file is larger than %s.") % filesizeformat(MOST_BYTES))
        return found


def attach_to(customer_id: int, asked: Asked, subject: str = "") -> str:
    """Carries out a FileForm for a customer; returns the sentence to show."""
    uploaded = asked.data["file"]
    row = file_attach(
        customer_id=customer_id,
        name=uploaded.name or "",
        content=uploaded.read(),
        note=asked.data["note"],
        subject=subject,
        actor_id=asked.actor_id,
        now=asked.now,
    )
    return _now("%(name)s is attached.") % {"name": row.name}


def attach_action(customer_id: Any, subject: Any = lambda obj: "") -> PageAction:
    """“Attach a file” for a page about a row of which `customer_id` and `subject` are read."""
    return PageAction(
        slug="file",
        label=_("Attach a file"),
        icon="attach_file",
        permission="customers.add_attachment",
        question=_("It stands with the customer, and its SHA-256 in the log."),
        form=FileForm,
        run=lambda asked: attach_to(customer_id(asked.obj), asked, subject(asked.obj)),
        order=12,
    )


class RemoveForm(forms.Form):
    """Which file goes, and why."""

    attachment = forms.ModelChoiceField(
        label=_("File"), queryset=Attachment.objects.none(), widget=UnfoldAdminSelectWidget
    )
    reason = forms.CharField(label=_("Why"), max_length=500, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["attachment"]
        field.queryset = Attachment.objects.filter(removed_at=None, customer=self.initial.get("customer"))


def _remove(asked: Asked) -> str:
    row: Attachment = asked.data["attachment"]
    file_remove(attachment_id=row.pk, reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now)
    return _now("%(name)s is gone; the log keeps that it was there.") % {"name": row.name}


def _notes_and_files(request: HttpRequest, customer: Customer, now: datetime) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if request.user.has_perm("customers.view_attachment"):
        found["files"] = list(customer.attachments.select_related("actor")[:LIMIT])
    notes = Interaction.objects.filter(customer=customer, kind="note.added").select_related("actor")
    return found | {"notes": lines(request, list(notes.order_by("-at", "-id")[:LIMIT]))}


SECTION = Section(
    "notes",
    _("Notes and files"),
    "admin/customers/customer/notes.html",
    _notes_and_files,
    "customers.view_interaction",
    72,
)
ACTIONS = [
    attach_action(lambda customer: customer.pk),
    PageAction(
        slug="file-remove",
        label=_("Remove a file"),
        icon="delete",
        permission="customers.delete_attachment",
        question=_("The file goes for good. Its name, its hash and why it went stay in the log."),
        form=RemoveForm,
        initial=lambda customer, now: {"customer": customer.pk},
        run=_remove,
        danger=True,
        order=95,
    ),
]
