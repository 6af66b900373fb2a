"""Who owes, whom we write to there, where we may not write, and the log of all that was said."""

from customers.models.attachment import Attachment
from customers.models.bulk import BulkItem, BulkJob, BulkOutcome, BulkStatus
from customers.models.consent import ConsentEvent
from customers.models.contact import Channel, Contact, Suppression
from customers.models.customer import Brand, Customer, CustomerKind
from customers.models.datafile import DataFile, DataPiece
from customers.models.export import ExportRun
from customers.models.interaction import ActorKind, CallOutcome, Direction, Interaction
from customers.models.staff import TipDismissed
from customers.models.team import RoleVisibility, Sees, Team

__all__ = [
    "ActorKind",
    "Attachment",
    "Brand",
    "BulkItem",
    "BulkJob",
    "BulkOutcome",
    "BulkStatus",
    "CallOutcome",
    "Channel",
    "ConsentEvent",
    "Contact",
    "Customer",
    "CustomerKind",
    "DataFile",
    "DataPiece",
    "Direction",
    "ExportRun",
    "Interaction",
    "RoleVisibility",
    "Sees",
    "Suppression",
    "Team",
    "TipDismissed",
]
