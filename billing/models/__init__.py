"""What is owed and how it gets paid."""

from billing.models.account import LimitProfile, OtherMethods, ProcessorAccount, RetryMode
from billing.models.approval import ApprovalLimit, ApprovalRequest
from billing.models.arrangement import Dispute, PaymentPlan, PlanInstalment, PlanPolicy, Promise
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
from billing.models.risk import Band, CustomerRisk, InvoiceRisk, Rating, RiskModel
from billing.models.subscription import Subscription, SubscriptionStatus
from billing.models.unknown_code import UnknownCode

__all__ = [
    "Adjustment",
    "Allocation",
    "ApprovalLimit",
    "ApprovalRequest",
    "AttemptOrigin",
    "AttemptStatus",
    "BackfillCursor",
    "Band",
    "CollectionMethod",
    "CustomerRisk",
    "Dispute",
    "Fee",
    "FeePayment",
    "ImportMapping",
    "ImportRow",
    "ImportRun",
    "InboxEvent",
    "Invoice",
    "InvoicePaymentLink",
    "InvoiceRisk",
    "InvoiceStatus",
    "Payment",
    "LimitProfile",
    "OtherMethods",
    "PaymentAttempt",
    "PaymentMethod",
    "PaymentPlan",
    "PlanInstalment",
    "PlanPolicy",
    "ProcessorAccount",
    "ProcessorCommand",
    "Promise",
    "Rating",
    "RecoverySource",
    "RetryMode",
    "RetryModel",
    "RetryModelEvent",
    "RetryPolicy",
    "RetryState",
    "RiskModel",
    "Subscription",
    "SubscriptionStatus",
    "UnknownCode",
]
