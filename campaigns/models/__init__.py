"""Ladders, templates, cases and what was sent."""

from campaigns.models.case import Case, CaseInvoice, CaseState, CloseReason, Decision, StepRun
from campaigns.models.ladder import (
    PRE_DUNNING,
    Action,
    EndAction,
    Ladder,
    LadderOverride,
    LadderVersion,
    OffsetUnit,
    Step,
    StepAnchor,
    Trigger,
    VersionStatus,
)
from campaigns.models.message import DeliveryEvent, Message, MessagePurpose, MessageStatus
from campaigns.models.segment import Segment
from campaigns.models.task import Task
from campaigns.models.template import Template, TemplateText, TemplateVersion

__all__ = [
    "PRE_DUNNING",
    "Action",
    "Case",
    "CaseInvoice",
    "CaseState",
    "CloseReason",
    "Decision",
    "DeliveryEvent",
    "EndAction",
    "Ladder",
    "LadderOverride",
    "LadderVersion",
    "Message",
    "MessagePurpose",
    "MessageStatus",
    "OffsetUnit",
    "Segment",
    "Step",
    "StepAnchor",
    "StepRun",
    "Task",
    "Template",
    "TemplateText",
    "TemplateVersion",
    "Trigger",
    "VersionStatus",
]
