"""What is owed and how it gets paid."""

from billing.models.account import LimitProfile, OtherMethods, ProcessorAccount, RetryMode
from billing.models.arrangement import Dispute, PaymentPlan, PlanInstalment, Promise
from billing.models.attempt import AttemptOrigin, AttemptStatus, PaymentAttempt
from billing.models.command import ProcessorCommand
from billing.models.fee import Fee, FeePayment
from billing.models.importing import ImportMapping, ImportRow, ImportRun
from billing.models.inbox import BackfillCursor, InboxEvent, InvoicePaymentLink
from billing.models.invoice import (
    Adjustment,
    CollectionMethod,
    Invoice,
    InvoiceStatus,
    RecoverySource,
    RetryState,
)
from billing.models.payment import Allocation, Payment
from billing.models.payment_method import PaymentMethod
from billing.models.retry_model import RetryModel, RetryModelEvent, RetryPolicy
from billing.models.subscription import Subscription, SubscriptionStatus
from billing.models.unknown_code import UnknownCode

__all__ = [
    "Adjustment",
    "Allocation",
    "AttemptOrigin",
    "AttemptStatus",
    "BackfillCursor",
    "CollectionMethod",
    "Dispute",
    "Fee",
    "FeePayment",
    "ImportMapping",
    "ImportRow",
    "ImportRun",
    "InboxEvent",
    "Invoice",
    "InvoicePaymentLink",
    "InvoiceStatus",
    "Payment",
    "LimitProfile",
    "OtherMethods",
    "PaymentAttempt",
    "PaymentMethod",
    "PaymentPlan",
    "PlanInstalment",
    "ProcessorAccount",
    "ProcessorCommand",
    "Promise",
    "RecoverySource",
    "RetryMode",
    "RetryModel",
    "RetryModelEvent",
    "RetryPolicy",
    "RetryState",
    "Subscription",
    "SubscriptionStatus",
    "UnknownCode",
]
