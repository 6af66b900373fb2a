"""“Add note” on the pages of customers and cases."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectMultipleWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from campaigns.services.notes import note_write
from customers.admin.page import Asked, PageAction
from customers.models import Channel, Direction


class NoteForm(forms.Form):
    """A note, or a talk that was had outside the system."""

    text = forms.CharField(
        label=_("Note"),
        max_length=5000,
        help_text=_("@name tells a colleague: it becomes a task of theirs."),
        widget=UnfoldAdminTextareaWidget,
    )
    tell = forms.ModelMultipleChoiceField(
        label=_("Tell"),
        queryset=get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username"),
        required=False,
        widget=UnfoldAdminSelectMultipleWidget,
    )
    direction = forms.ChoiceField(label=_("What it was"), choices=Direction.choices, widget=UnfoldAdminSelectWidget)
    channel = forms.ChoiceField(
        label=_("Channel"), choices=[("", "–"), *Channel.choices], required=False, widget=UnfoldAdminSelectWidget
    )


def note_action(
    customer_id: Callable[[Any], int], case_id: Callable[[Any], int | None] = lambda obj: None
) -> PageAction:
    """“Add note” for a page about a row of which the ids are read."""

    def run(asked: Asked) -> str:
        noted = note_write(
            customer_id=customer_id(asked.obj),
            case_id=case_id(asked.obj),
            text=asked.data["text"],
            direction=asked.data["direction"],
            channel=asked.data["channel"],
            tell=[row.pk for row in asked.data["tell"]],
            actor_id=asked.actor_id,
            now=asked.now,
        )
        words = [_now("The note is in the log.")]
        if noted.told:
            words.append(_now("Told: %(names)s.") % {"names": ", ".join(noted.told)})
        if noted.unknown:
            words.append(_now("Nobody on the staff is called %(names)s.") % {"names": ", ".join(noted.unknown)})
        return " ".join(words)

    return PageAction(
        slug="note",
        label=_("Add note"),
        icon="sticky_note_2",
        permission="customers.add_interaction",
        form=NoteForm,
        initial=lambda obj, now: {"direction": Direction.INTERNAL},
        run=run,
        order=10,
    )
