"""Ladders, templates, cases and what was sent."""

from campaigns.models.agency import Agency, AgencyRecovery, Handover, HandoverInvoice, HandoverStatus
from campaigns.models.case import Case, CaseInvoice, CaseState, CloseReason, Decision, StepRun
from campaigns.models.experiment import (
    Experiment,
    ExperimentArm,
    ExperimentExposure,
    ExperimentKind,
    ExperimentStatus,
)
from campaigns.models.inbound import InboundAttachment, InboundKind, InboundMessage
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
from campaigns.models.letter import Letter, PrintBatch
from campaigns.models.message import DeliveryEvent, Message, MessagePurpose, MessageStatus
from campaigns.models.playbook import Playbook
from campaigns.models.policy import PolicyOverride
from campaigns.models.segment import Segment
from campaigns.models.simulation import SimulationRun
from campaigns.models.task import Task
from campaigns.models.template import Template, TemplateText, TemplateVariant, TemplateVersion
from campaigns.models.work import WorkAction, WorkChance, WorkFilter, WorkItem

__all__ = [
    "PRE_DUNNING",
    "Action",
    "Agency",
    "AgencyRecovery",
    "Case",
    "CaseInvoice",
    "CaseState",
    "CloseReason",
    "Decision",
    "DeliveryEvent",
    "EndAction",
    "Handover",
    "HandoverInvoice",
    "HandoverStatus",
    "InboundAttachment",
    "InboundKind",
    "InboundMessage",
    "Experiment",
    "ExperimentArm",
    "ExperimentExposure",
    "ExperimentKind",
    "ExperimentStatus",
    "Ladder",
    "LadderOverride",
    "LadderVersion",
    "Letter",
    "Message",
    "MessagePurpose",
    "MessageStatus",
    "OffsetUnit",
    "PrintBatch",
    "Segment",
    "Playbook",
    "PolicyOverride",
    "SimulationRun",
    "Step",
    "StepAnchor",
    "StepRun",
    "Task",
    "Template",
    "TemplateText",
    "TemplateVariant",
    "TemplateVersion",
    "Trigger",
    "VersionStatus",
    "WorkAction",
    "WorkChance",
    "WorkFilter",
    "WorkItem",
]
