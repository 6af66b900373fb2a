"""The worklist as it is kept: a ranked row for each customer a person may do something about, and what ranks them."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.case import Case
from campaigns.models.task import Task
from customers.models import Customer


class WorkAction(models.TextChoices):
    """What a person should do next."""

    ANSWER = "answer", _("Read and answer")
    CALL = "call", _("Call")
    WRITE = "write", _("Write")
    FIND = "find", _("Find a way to reach them")
    DECIDE = "decide", _("Decide what to do")


class WorkItem(models.Model):
    """One row of the worklist: everything a page of it shows, kept by campaigns.worklist.refresh.

    A copy, never a source: whatever it says is read anew from cases, invoices and log, and may be deleted at any time.
    Only snoozes are its own. Amounts in minor units.
    """

    customer = models.OneToOneField(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, primary_key=True, related_name="work"
    )
    case = models.ForeignKey(
        Case, verbose_name=_("case"), on_delete=models.CASCADE, null=True, related_name="+", db_index=False
    )
    #: The task that is due first, of `tasks` open ones.
    task = models.ForeignKey(
        Task, verbose_name=_("task"), on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    tasks = models.PositiveSmallIntegerField(_("open tasks"), default=0)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,  # work_of_owner begins with it
    )
    action = models.CharField(_("next"), max_length=10, choices=WorkAction.choices, default=WorkAction.CALL)
    #: Higher goes first: what must come first whatever it is worth, then `score`.
    rank = models.BigIntegerField(default=0)
    #: Expected value of acting now, in cents of a euro; for comparing rows, not for telling anybody.
    score = models.BigIntegerField(default=0)
    #: Chance, of 1, that what is owed comes in within a week of a talk.
    chance = models.FloatField(default=0)
    #: Why, as codes with their figures; campaigns.worklist.words says them in the reader's language.
    reasons = models.JSONField(default=list)
    #: Promise, dispute, plan, exclusions: codes with dates.
    flags = models.JSONField(default=list)
    #: On the list from this moment on (aware UTC); null while it rests without a date.
    due_at = models.DateTimeField(_("on the list from"), null=True)
    #: Why it is not on the list before then; a code of campaigns.worklist.words.
    rest = models.CharField(max_length=30, blank=True)
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True)
    snoozed_at = models.DateTimeField(null=True)
    #: The guard on calls: allowed in [call_from, call_until) as things stand; null: forbidden. `call_rule` names what
    #: defers or forbids it, empty where nothing does.
    call_from = models.DateTimeField(null=True)
    call_until = models.DateTimeField(null=True)
    call_rule = models.CharField(max_length=60, blank=True)
    #: Owed and pressed for, by currency; `currency` and `balance` of the largest, `ageing` of it: not due yet, 1-30,
    #: 31-60, 61-90 and more days.
    balances = models.JSONField(default=dict)
    currency = models.CharField(max_length=3, blank=True)
    balance = models.BigIntegerField(_("owed"), default=0)
    ageing = models.JSONField(default=list)
    invoices = models.PositiveIntegerField(default=0)
    #: Days since the oldest of them failed or fell due.
    oldest_days = models.IntegerField(_("days late"), default=0)
    #: The last decline's category, or `overdue` where it is paid by hand.
    reason = models.CharField(max_length=30, blank=True)
    country = models.CharField(max_length=2, blank=True)
    language = models.CharField(max_length=8, blank=True)
    zone = models.CharField(max_length=64, blank=True)
    #: What a person, a message or the customer last did: the log's kind with its outcome.
    touched_at = models.DateTimeField(null=True)
    touched = models.CharField(max_length=100, blank=True)
    #: Queue of record of the refresh loop.
    refresh_at = models.DateTimeField(null=True)
    refreshed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("worklist row")
        verbose_name_plural = _("worklist")
        ordering = ["-rank", "customer"]
        permissions = [("assign_workitem", "Can give work to others")]
        indexes = [
            # Reader: "My work" and "Unassigned".
            models.Index("owner", F("rank").desc(), "customer", name="work_of_owner"),
            # Reader: "Team"; both also of what rests, which stands low.
            models.Index(F("rank").desc(), "customer", name="work_of_team"),
            # Readers: what a list may be narrowed to, and the list narrowed to a rare one.
            models.Index(fields=["country"], name="work_by_country"),
            models.Index(fields=["language"], name="work_by_language"),
            # Reader: campaigns.worklist.refresh claims rows whose facts changed or whose moment came.
            models.Index(
                fields=["refresh_at", "customer"], name="work_refresh_due", condition=Q(refresh_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return str(self.customer)


class WorkChance(models.Model):
    """How often money came within a week of a talk, by why it was owed and how long; counted anew once a day."""

    reason = models.CharField(max_length=30)
    #: The ageing band's first day: 0, 1, 31, 61, 91.
    band = models.PositiveSmallIntegerField()
    talks = models.PositiveIntegerField()
    paid = models.PositiveIntegerField()
    counted_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reason", "band"], name="work_chance_once")]

    def __str__(self) -> str:
        return f"{self.reason} {self.band}+: {self.paid}/{self.talks}"


class WorkFilter(models.Model):
    """A filter of the worklist somebody keeps under a name."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(_("name"), max_length=60)
    #: The query string of the list, tab included.
    query = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("saved filter")
        verbose_name_plural = _("saved filters")
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="work_filter_name_once")]

    def __str__(self) -> str:
        return self.name
