"""What is done to a row of the worklist: claim, put aside, finish, give back, give to somebody."""

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from campaigns.admin.work_forms import DoneForm, OneOwnerForm, SnoozeForm, snooze_until
from campaigns.services.work import work_assign, work_claim, work_done, work_release, work_snooze
from customers.admin.page import Asked, PageAction

CHANGE = "campaigns.change_workitem"
ASSIGN = "campaigns.assign_workitem"


def _claim(asked: Asked) -> str:
    work_claim(customer_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("%(customer)s is yours.") % {"customer": asked.obj.customer}


def _release(asked: Asked) -> str:
    work_release(customer_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now)
    return _now("Given back.")


def _snooze(asked: Asked) -> str:
    until = snooze_until(asked.data, asked.obj.zone, asked.now)
    work_snooze(
        customer_id=asked.obj.pk, until=until, reason=asked.data["reason"], actor_id=asked.actor_id, now=asked.now
    )
    return _now("%(customer)s is put aside.") % {"customer": asked.obj.customer}


def _done(asked: Asked) -> str:
    work_done(customer_id=asked.obj.pk, actor_id=asked.actor_id, now=asked.now, **asked.data)
    return _now("Done. %(customer)s comes back tomorrow if something is still owed.") % {
        "customer": asked.obj.customer
    }


def _assign(asked: Asked) -> str:
    owner = asked.data["owner"]
    work_assign(
        customer_ids=[asked.obj.pk], owner_ids=[owner.pk] if owner else [], actor_id=asked.actor_id, now=asked.now
    )
    return _now("The owner is set.")


WORK_ACTIONS = [
    PageAction(
        slug="claim",
        label=_("Claim"),
        icon="front_hand",
        permission=CHANGE,
        question=_("The customer becomes yours: the case, and what is to be done for it."),
        fits=lambda item: item.owner_id is None,
        run=_claim,
        order=1,
    ),
    PageAction(
        slug="snooze",
        label=_("Snooze"),
        icon="snooze",
        permission=CHANGE,
        question=_("Off the list until then. News from the customer, or a broken promise, brings it back sooner."),
        form=SnoozeForm,
        run=_snooze,
        order=2,
    ),
    PageAction(
        slug="done",
        label=_("Done"),
        icon="task_alt",
        permission=CHANGE,
        question=_("Closes the tasks that are due. The customer comes back tomorrow if something is still owed."),
        form=DoneForm,
        run=_done,
        order=3,
    ),
    PageAction(
        slug="release",
        label=_("Give back"),
        icon="undo",
        permission=CHANGE,
        fits=lambda item: item.owner_id is not None,
        run=_release,
        order=95,
    ),
    PageAction(
        slug="owner",
        label=_("Give to"),
        icon="person_add",
        permission=ASSIGN,
        form=OneOwnerForm,
        initial=lambda item, now: {"owner": item.owner_id},
        run=_assign,
        order=96,
    ),
]
