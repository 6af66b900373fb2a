"""Loads what planning needs for a batch of invoices, in a number of queries that does not grow with it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Max, Q

from billing.matching import UNRESOLVED
from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    FeePayment,
    Invoice,
    LimitProfile,
    OtherMethods,
    PaymentAttempt,
    PaymentMethod,
    ProcessorAccount,
    Promise,
)
from billing.retries.debits import is_debit
from billing.retries.eligibility import card_country_of, credential_of, network_of
from billing.retries.limits import Profile
from billing.retries.methods import NOT_USED, Candidate, candidates
from billing.retries.policies import DEFAULT_TERMS, Terms, terms_for
from billing.retries.types import PastAttempt, RetryContext
from customers.geography import timezone_of

#: Network limits look back 30 days at most; a margin for clocks.
HISTORY = timedelta(days=35)
#: A charge under way may yet count, so it does.
COUNTED = (AttemptStatus.SUCCEEDED, AttemptStatus.DECLINED, AttemptStatus.IN_FLIGHT, AttemptStatus.UNKNOWN)

_ORIGINS = {
    AttemptOrigin.PROCESSOR: "processor",
    AttemptOrigin.STAFF: "staff",
    AttemptOrigin.RETRY: "retry",
    AttemptOrigin.INSTALMENT: "retry",
    AttemptOrigin.PORTAL: "customer",
    AttemptOrigin.NEW_METHOD: "customer",
}


@dataclass(slots=True)
class Material:
    """A batch's surroundings; lists are oldest first."""

    accounts: dict[str, ProcessorAccount] = field(default_factory=dict)
    attempts: dict[int, list[PaymentAttempt]] = field(default_factory=lambda: defaultdict(list))
    #: Customer → usable methods stored at the processors of the batch.
    stored: dict[int, list[PaymentMethod]] = field(default_factory=lambda: defaultdict(list))
    #: Method → its last approved charge; only where others than the default may be charged.
    paid: dict[int, datetime] = field(default_factory=dict)
    promised: set[tuple[int, int]] = field(default_factory=set)
    #: Credential → charges made on it lately, for whatever invoice; then those of late fees.
    charges: dict[str, list[PaymentAttempt]] = field(default_factory=lambda: defaultdict(list))
    #: Credential → moments at which it is going to be charged for other invoices.
    planned: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    #: Customer → the retry settings that hold for them; the others have the default ones.
    terms: dict[int, Terms] = field(default_factory=dict)

    def terms_of(self, invoice: Invoice) -> Terms:
        """The retry settings that hold for the invoice's customer."""
        return self.terms.get(invoice.customer_id, DEFAULT_TERMS)

    def is_promised(self, invoice: Invoice) -> bool:
        """Whether an open promise to pay covers the invoice."""
        return (invoice.customer_id, invoice.brand_id) in self.promised

    def busy(self, invoice: Invoice) -> bool:
        """Whether a charge of the invoice is planned, under way or unresolved."""
        active = (*UNRESOLVED, AttemptStatus.PLANNED)
        return any(attempt.status in active for attempt in self.attempts[invoice.pk])

    def methods(self, invoice: Invoice, now: datetime) -> list[Candidate]:
        """The methods the invoice may be charged on, best first."""
        account = self.accounts.get(invoice.source)
        stored = [
            method
            for method in self.stored[invoice.customer_id]
            if (method.source, method.held_as) == (invoice.source, invoice.held_as)
        ]
        return candidates(
            invoice,
            defaults=[method for method in stored if method.is_default],
            stored=stored,
            policy=account.other_methods if account is not None else OtherMethods.NEVER,
            attempts=self.attempts[invoice.pk],
            paid=self.paid,
            now=now,
        )


def load(invoices: Sequence[Invoice], now: datetime) -> Material:
    """Seven queries for any number of invoices; some more where an account may charge other stored methods, or retry
    settings name segments."""
    material = Material()
    customers = {invoice.customer_id for invoice in invoices}
    sources = {invoice.source for invoice in invoices}
    material.accounts = {row.code: row for row in ProcessorAccount.objects.filter(code__in=sources)}
    for attempt in (
        PaymentAttempt.objects.filter(invoice__in=invoices).select_related("payment_method").order_by("number")
    ):
        material.attempts[attempt.invoice_id].append(attempt)
    usable = PaymentMethod.objects.filter(detached_at__isnull=True, never_again_at__isnull=True)
    for method in usable.filter(customer__in=customers, source__in=sources).order_by("id"):
        if method.customer_id is not None:
            material.stored[method.customer_id].append(method)
    if any(account.other_methods != OtherMethods.NEVER for account in material.accounts.values()):
        approved = PaymentAttempt.objects.filter(
            payment_method__customer__in=customers, status=AttemptStatus.SUCCEEDED, at__isnull=False
        )
        last = approved.values_list("payment_method_id").annotate(last=Max("at"))
        material.paid = {method_id: at for method_id, at in last if method_id is not None}
    open_promises = Promise.objects.filter(customer__in=customers, status=Promise.Status.OPEN)
    material.promised = set(open_promises.values_list("customer_id", "brand_id"))
    material.terms = terms_for(customers, now)
    _charges(material, [c.method for invoice in invoices for c in material.methods(invoice, now)], now)
    return material


def method_order(invoice: Invoice, now: datetime) -> list[Candidate]:
    """Every stored method staff may choose for an invoice, those its retries would use first, each with why."""
    material = load([invoice], now)
    listed = material.methods(invoice, now)
    named = {candidate.method.pk for candidate in listed}
    stored = material.stored[invoice.customer_id]
    rest = [m for m in stored if (m.source, m.held_as) == (invoice.source, invoice.held_as) and m.pk not in named]
    return [*listed, *(Candidate(method, NOT_USED, other=True) for method in rest)]


def _charges(material: Material, methods: Sequence[PaymentMethod], now: datetime) -> None:
    same = on_same_cards(methods)
    made = Q(at__gt=now - HISTORY, status__in=COUNTED) | Q(status=AttemptStatus.PLANNED)
    for attempt in PaymentAttempt.objects.filter(same, made).select_related("payment_method").order_by("at", "id"):
        credential = credential_of(attempt.payment_method)
        if attempt.status != AttemptStatus.PLANNED:
            material.charges[credential].append(attempt)
        elif attempt.scheduled_for is not None:
            material.planned[credential].append(attempt.scheduled_for)
    for charge in fee_charges(methods, now):
        material.charges[credential_of(charge.payment_method)].append(charge)


def fee_charges(methods: Iterable[PaymentMethod], now: datetime) -> list[PaymentAttempt]:
    """Charges of late fees on the same cards in the last weeks, oldest first, as attempts of no invoice: to the card's
    network and bank they are charges like any other. One query; the rows are not to be saved."""
    made = FeePayment.objects.filter(on_same_cards(methods), claimed_at__gt=now - HISTORY, status__in=COUNTED)
    return [
        PaymentAttempt(
            payment_method=row.payment_method,
            origin=AttemptOrigin.PORTAL,
            status=row.status,
            at=row.claimed_at,
            decline_code=row.decline_code,
            network_decline_code=row.network_decline_code,
            advice_code=row.advice_code,
            network_advice_code=row.network_advice_code,
        )
        for row in made.select_related("payment_method").order_by("claimed_at", "id")
    ]


def profile_of(account: ProcessorAccount | None) -> Profile:
    """Whose numbers hold for the account's charges."""
    return "latest" if account is not None and account.limit_profile == LimitProfile.LATEST else "cautious"


def debit_notice_of(account: ProcessorAccount | None) -> timedelta:
    """How long before a debit the account tells its payer itself; zero where the processor does."""
    return timedelta(days=account.debit_notice_days) if account is not None else timedelta(0)


def on_same_cards(methods: Iterable[PaymentMethod]) -> Q:
    """Charges on the same cards, whoever stored them; without a fingerprint a method is a card of its own."""
    listed = list(methods)
    same = PaymentMethod.objects.filter(
        Q(fingerprint__in={method.fingerprint for method in listed if method.fingerprint})
        | Q(pk__in={method.pk for method in listed if not method.fingerprint})
    )
    # Each table is found by its own index; a condition over both at once would read all attempts.
    return Q(payment_method__in=same.values("pk"))


def local_zone(timezone: str, country: str, brand_timezone: str) -> str:
    """The IANA zone a customer is taken to live in: their own, their country's, their seller's."""
    return timezone or timezone_of(country) or brand_timezone


def failed_at(invoice: Invoice, attempts: Iterable[PaymentAttempt], now: datetime) -> datetime:
    """When the first charge was known to have failed (aware UTC): there the window of the retries begins.

    A bank debit's answer comes days after the debit was presented, and nothing could be retried meanwhile. Of one that
    we did not see under way, as it was brought in later, the presentation has to do.
    """
    began = invoice.first_failed_at or now
    answers = [
        (row.at, row.finished_at if row.claimed_at and is_debit(network_of(row.payment_method)) else row.at)
        for row in attempts
        if row.status == AttemptStatus.DECLINED and row.at is not None and row.finished_at is not None
    ]
    return max(began, min(answers)[1]) if answers else began


def context_of(
    invoice: Invoice,
    account: ProcessorAccount,
    candidate: Candidate,
    attempts: Iterable[PaymentAttempt],
    now: datetime,
    terms: Terms = DEFAULT_TERMS,
) -> RetryContext:
    """What the planner is told of an invoice with these attempts if it were charged on this method."""
    method = candidate.method
    customer, subscription = invoice.customer, invoice.subscription
    started = subscription.started_at if subscription else None
    return RetryContext(
        invoice_id=str(invoice.pk),
        failed_at=failed_at(invoice, attempts, now),
        window_days=terms.window_days or account.retry_window_days,
        max_attempts=terms.max_attempts or account.retry_max_attempts,
        customer_id=str(invoice.customer_id),
        country=customer.country,
        timezone=local_zone(customer.timezone, customer.country, customer.brand.timezone),
        brand=network_of(method),
        funding=method.funding,
        issuer=method.issuer,
        amount=invoice.balance,
        currency=invoice.currency,
        tenure_months=(now - started).days / 30.44 if started else None,
        cross_border=bool(customer.country and method.country and customer.country != method.country),
        decline_code=invoice.last_decline_code or None,
        fingerprint=credential_of(method),
        limit_profile=profile_of(account),
        card_country=card_country_of(method),
        debit_notice=debit_notice_of(account),
        other_method=candidate.other,
    )


def past_attempts(attempts: Sequence[PaymentAttempt], method: PaymentMethod) -> list[PastAttempt]:
    """Finished charges as the planner reads them, for a retry on `method`."""
    finished = (AttemptStatus.SUCCEEDED, AttemptStatus.DECLINED)
    return [
        PastAttempt(
            at=attempt.at,
            approved=attempt.status == AttemptStatus.SUCCEEDED,
            decline_code=attempt.decline_code or None,
            network_decline_code=attempt.network_decline_code or None,
            advice_code=attempt.advice_code or None,
            network_advice_code=attempt.network_advice_code or None,
            origin=_ORIGINS[AttemptOrigin(attempt.origin)],
            fingerprint=_credential_then(attempt, method),
            part=attempt.part,
        )
        for attempt in attempts
        if attempt.at is not None and attempt.status in finished
    ]


def declines_elsewhere(
    charges: Sequence[PaymentAttempt], invoice: Invoice, method: PaymentMethod
) -> list[PastAttempt]:
    """Declines of the same card for other invoices: their final codes and waits bind this one too."""
    declined = [a for a in charges if a.invoice_id != invoice.pk and a.status == AttemptStatus.DECLINED]
    same = past_attempts(declined, method)
    return [attempt for attempt in same if attempt.fingerprint == credential_of(method)]


def _credential_then(attempt: PaymentAttempt, method: PaymentMethod) -> str:
    """What was charged then. Before its details were renewed a card was, for its bank, another one."""
    credential = credential_of(attempt.payment_method)
    renewed = method.renewed_at is not None and attempt.at is not None and attempt.at < method.renewed_at
    return f"{credential}:before" if renewed and credential == credential_of(method) else credential
