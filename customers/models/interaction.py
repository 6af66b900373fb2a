"""The communication log: one line for everything that happens to a customer, append-only."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from customers.errors import SollecitoError
from customers.models.contact import Channel
from customers.models.customer import Customer


class Direction(models.TextChoices):
    IN = "in", _("From the customer")
    OUT = "out", _("To the customer")
    INTERNAL = "internal", _("Internal")


class ActorKind(models.TextChoices):
    USER = "user", _("Staff")
    CUSTOMER = "customer", _("Customer")
    SYSTEM = "system", _("System")
    PROCESSOR = "processor", _("Payment processor")


class CallOutcome(models.TextChoices):
    """What came of a call; in `Interaction.outcome`."""

    SPOKE = "spoke", _("Spoke with them")
    PROMISED = "promised", _("Promised to pay")
    CALL_BACK = "call_back", _("Wants to be called back")
    DISPUTED = "disputed", _("Disputes it")
    REFUSED = "refused", _("Refused to pay")
    LEFT_MESSAGE = "left_message", _("Left a message")
    NO_ANSWER = "no_answer", _("Nobody answered")
    WRONG_NUMBER = "wrong_number", _("Wrong number")


#: A call with one of these outcomes was an attempt; with any other, or none noted, it counts as a conversation.
NO_TALK = frozenset({CallOutcome.NO_ANSWER, CallOutcome.LEFT_MESSAGE, CallOutcome.WRONG_NUMBER})


#: Lines that tell of a contact a person made or had, where their direction is not internal. What the outbox sends is
#: counted there. Part of the condition of the index `interaction_contacts`.
CONTACT_KINDS = ("call.logged", "note.added", "reply.received", "task.done")


class Interaction(models.Model):
    """One line of the log. Written by customers.log in the transaction of the change it tells of.

    `kind` is a dotted code such as `attempt.declined`; the list is in docs/events.md. `key`, where given,
    makes the line unique, so that a fact told twice is logged once. `subject` points at the row it is about
    (`invoice:12`) without this app having to know that app.
    """

    customer = models.ForeignKey(
        Customer,
        verbose_name=_("customer"),
        on_delete=models.CASCADE,
        related_name="interactions",
        db_index=False,  # the timeline's index begins with it
    )
    at = models.DateTimeField(_("at"))
    kind = models.CharField(_("kind"), max_length=60)
    direction = models.CharField(_("direction"), max_length=10, choices=Direction.choices, default=Direction.INTERNAL)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices, blank=True)
    actor_kind = models.CharField(_("by"), max_length=10, choices=ActorKind.choices, default=ActorKind.SYSTEM)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("member of staff"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,  # no reader, and the biggest table
    )
    summary = models.CharField(_("summary"), max_length=500)
    body = models.TextField(_("text"), blank=True)
    outcome = models.CharField(_("outcome"), max_length=40, blank=True)
    subject = models.CharField(_("about"), max_length=80, blank=True)
    data = models.JSONField(_("data"), default=dict, blank=True)
    key = models.CharField(max_length=200, null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("log entry")
        verbose_name_plural = _("communication log")
        ordering = ["-at", "-id"]
        permissions = [("export_interaction", "Can export a customer's log as evidence")]
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(key__isnull=False), name="interaction_key_unique"),
        ]
        indexes = [
            # Reader: the customer page's timeline, newest first.
            models.Index(fields=["customer", "-at", "-id"], name="interaction_timeline"),
            # Reader: the log of everybody, newest first, and what of it falls into a span of days.
            models.Index(fields=["-at", "-id"], name="interaction_newest"),
            # Reader: the same of one channel, which may be a rare one.
            models.Index(fields=["channel", "-at", "-id"], name="interaction_by_channel", condition=~Q(channel="")),
            # Reader: a case's, invoice's or message's own story.
            models.Index(fields=["subject", "-at"], name="interaction_subject", condition=~Q(subject="")),
            # Reader: campaigns.contacts, the calls and talks the guard counts.
            models.Index(
                fields=["customer", "-at"],
                name="interaction_contacts",
                condition=Q(kind__in=CONTACT_KINDS, direction__in=["in", "out"]),
            ),
        ]

    def __str__(self) -> str:
        return self.summary

    def save(self, *args: object, **kwargs: object) -> None:
        """Inserts; refuses to change a line that was written."""
        if self.pk is not None:
            raise SollecitoError("The communication log is append-only.", code="log_append_only")
        super().save(*args, **kwargs)

    def delete(self, *args: object, **kwargs: object) -> tuple[int, dict[str, int]]:
        """Refuses: a line of the log is evidence. Erasure on a data subject's request has its own service."""
        raise SollecitoError("The communication log is append-only.", code="log_append_only")
