"""How likely customers and invoices are to be paid late, what they were worth, and the model that says so.

Advisory: segments, the worklist, plan rules and people read these rows; nothing is charged or sent by them alone.
"""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.invoice import Invoice
from customers.models import Customer


class Band(models.TextChoices):
    """The one scale of risk; billing.behaviour.band_of says which band it is."""

    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")


class Rating(models.TextChoices):
    """How a customer paid in twelve months, counted by hand; billing.behaviour says how."""

    A = "A", _("A: on time, without a blemish")
    B = "B", _("B: nearly always on time")
    C = "C", _("C: late now and then")
    D = "D", _("D: often late")
    E = "E", _("E: late as a rule")


class RiskModel(models.Model):
    """One fit on the installation's own invoices: its weights as data, and how it did on invoices it had not seen."""

    class State(models.TextChoices):
        IN_USE = "in_use", _("In use")
        RETIRED = "retired", _("Retired")
        REFUSED = "refused", _("No better than the share of late payers")

    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    fitted_at = models.DateTimeField(_("fitted"))
    trained_from = models.DateTimeField(_("learned from invoices since"))
    trained_until = models.DateTimeField(_("learned from invoices before"))
    rows = models.PositiveIntegerField(_("invoices learned from"))
    customers = models.PositiveIntegerField(_("customers"))
    #: Weights, means and spreads by feature; never code.
    data = models.JSONField(_("weights"), default=dict)
    #: On invoices issued after those it was fitted on, against the base rate and "paid late last time".
    figures = models.JSONField(_("figures"), default=dict)

    class Meta:
        verbose_name = _("risk model")
        verbose_name_plural = _("risk models")
        ordering = ["-id"]
        permissions = [("switch_riskmodel", _("Can switch risk models"))]
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="in_use"), name="risk_model_one_in_use"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class CustomerRisk(models.Model):
    """What a customer's payments so far say, as of `scored_at`. Written by insights.risk only."""

    class Basis(models.TextChoices):
        MODEL = "model", _("Learned from your invoices")
        HISTORY = "history", _("Counted over twelve months")
        NONE = "", _("Not enough to say")

    customer = models.OneToOneField(
        Customer, verbose_name=_("customer"), on_delete=models.CASCADE, primary_key=True, related_name="risk"
    )
    band = models.CharField(_("risk"), max_length=6, choices=Band.choices, blank=True)
    basis = models.CharField(_("how it is known"), max_length=7, choices=Basis.choices, blank=True)
    #: That an invoice issued now would be paid late, 0 to 1; empty without a model.
    late_chance = models.FloatField(_("chance of paying late"), null=True)
    rating = models.CharField(_("rating"), max_length=1, choices=Rating.choices, blank=True)
    #: What weighed most, as (code, value, effect); insights.admin.risk_words says them.
    reasons = models.JSONField(_("reasons"), default=list)
    #: What the rating was counted from: invoices, late, charges, declined, broken.
    counts = models.JSONField(default=dict)
    #: Payments less refunds since the beginning, in minor units by currency.
    lifetime = models.JSONField(_("lifetime value"), default=dict)
    model = models.ForeignKey(
        RiskModel, verbose_name=_("model"), on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    scored_at = models.DateTimeField(_("as of"))

    class Meta:
        verbose_name = _("risk of a customer")
        verbose_name_plural = _("risks of customers")
        indexes = [
            # Readers: segments, lists and the worklist filter by band and rating.
            models.Index(fields=["band", "customer"], name="customer_risk_band"),
            models.Index(fields=["rating", "customer"], name="customer_risk_rating"),
        ]

    def __str__(self) -> str:
        return self.get_band_display() or "–"


class InvoiceRisk(models.Model):
    """The chance that an invoice would be paid late, as it was foretold last before it fell due."""

    invoice = models.OneToOneField(
        Invoice, verbose_name=_("invoice"), on_delete=models.CASCADE, primary_key=True, related_name="risk"
    )
    late_chance = models.FloatField(_("chance of being paid late"))
    band = models.CharField(_("risk"), max_length=6, choices=Band.choices)
    reasons = models.JSONField(_("reasons"), default=list)
    model = models.ForeignKey(
        RiskModel, verbose_name=_("model"), on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    scored_at = models.DateTimeField(_("as of"))

    class Meta:
        verbose_name = _("risk of an invoice")
        verbose_name_plural = _("risks of invoices")
        indexes = [
            # Reader: the invoice list's filter.
            models.Index(fields=["band", "invoice"], name="invoice_risk_band"),
        ]

    def __str__(self) -> str:
        return self.get_band_display()
