"""Who among the staff looks after a case."""

from datetime import datetime

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.translation import gettext as _

from campaigns.models import Case
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind


@transaction.atomic
def case_assign(*, case_id: int, owner_id: int | None, actor_id: int, now: datetime) -> bool:
    """Gives a case an owner, or none; returns False if nothing changed.

    Raises SollecitoError if there is no such case, or the owner is not an active member of staff.
    """
    case = Case.objects.select_for_update(no_key=True).filter(pk=case_id).first()
    if case is None:
        raise SollecitoError(_("There is no such case."), code="case_missing")
    if case.owner_id == owner_id:
        return False
    owner = None
    if owner_id is not None:
        owner = get_user_model().objects.filter(pk=owner_id, is_active=True, is_staff=True).first()
        if owner is None:
            raise SollecitoError(_("A case is looked after by active staff."), code="owner_unfit")
    case.owner = owner
    case.save(update_fields=["owner"])
    record(
        Entry(
            customer_id=case.customer_id,
            at=now,
            kind="case.assigned",
            summary=_("Assigned to %(name)s.") % {"name": owner} if owner else _("Assigned to nobody."),
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"case:{case.pk}",
        )
    )
    return True
