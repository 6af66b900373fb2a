"""Owns requests for approval: asked by one person, decided by another, carried out once, all of it in the log."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from billing.approvals.acts import act_dropped, act_named
from billing.approvals.deciders import DECIDE, About, deciders_words, unseen_words
from billing.approvals.limits import within_limit
from billing.models import ApprovalRequest
from customers.errors import SollecitoError, check_transition
from customers.log import Entry, record
from customers.models import ActorKind

Status = ApprovalRequest.Status


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody wants done. `payload` is plain data the act is called with; `key` names what it is done to, so
    that the same is not asked for twice; `amounts` are the most it gives up, in minor units by currency."""

    act: str
    amounts: Mapping[str, int]
    summary: str
    reason: str
    key: str
    customer_ids: Collection[int]
    payload: Mapping[str, Any] = field(default_factory=dict)
    invoice_id: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a proposal: done at once, or asked for; in words either way."""

    done: bool
    words: str
    request_id: int | None = None


@transaction.atomic
def act_or_request(*, proposal: Proposal, actor_id: int, now: datetime) -> Outcome:
    """Does it where the person's limit allows, else files a request for somebody else. `now` is aware UTC.

    Raises SollecitoError where the act refuses, or the same waits for approval already (`approval_pending`).
    """
    act = act_named(proposal.act)
    if allowed_alone(proposal=proposal, actor_id=actor_id, now=now):
        if ApprovalRequest.objects.filter(key=proposal.key, status=Status.PENDING).exists():
            raise _asked_already()
        return Outcome(True, act.run(proposal.payload, proposal.amounts, actor_id, now))
    request = approval_request(proposal=proposal, actor_id=actor_id, now=now)
    words = _("This is above your limit (request %(request)s). %(who)s")
    who = deciders_words(actor_id, About.request(request))
    return Outcome(False, words % {"request": request, "who": who}, request.pk)


@transaction.atomic
def allowed_alone(*, proposal: Proposal, actor_id: int, now: datetime) -> bool:
    """Whether somebody may do it without asking. Holds the person's row till the caller's transaction ends: of two of
    their acts at once, the second one sees what the first gave up."""
    get_user_model().objects.select_for_update(no_key=True).filter(pk=actor_id).values_list("pk").first()
    return within_limit(
        act=act_named(proposal.act),
        customer_ids=proposal.customer_ids,
        amounts=proposal.amounts,
        actor_id=actor_id,
        now=now,
    )


def approval_request(*, proposal: Proposal, actor_id: int, now: datetime) -> ApprovalRequest:
    """Asks for a second person, whatever the limits say. Raises SollecitoError (`approval_pending`) where the same
    waits already."""
    act_named(proposal.act)
    ids = sorted(proposal.customer_ids)
    try:
        with transaction.atomic():
            request = ApprovalRequest.objects.create(
                act=proposal.act,
                customer_id=ids[0] if len(ids) == 1 else None,
                invoice_id=proposal.invoice_id,
                summary=proposal.summary[:500],
                amounts=dict(proposal.amounts),
                payload=dict(proposal.payload),
                reason=proposal.reason[:500],
                key=proposal.key[:200],
                requested_by_id=actor_id,
                requested_at=now,
            )
            _log(request, "approval.requested", _("Approval asked for: %(what)s"), request.reason, actor_id, now)
    except IntegrityError as error:
        raise _asked_already() from error
    return request


@transaction.atomic
def approval_decide(*, request_id: int, approve: bool, note: str, actor_id: int, now: datetime) -> ApprovalRequest:
    """Decides what somebody else asked for; approved, it is carried out in the same transaction, and so but once.

    Where the act refuses (paid meanwhile, the debt has grown) the request ends as failed, with why. Raises
    SollecitoError for who asked (`approval_own`), who may not decide (`approval_forbidden`) or does not see all of it
    (`approval_unseen`), or a request that is missing; IllegalTransition for one that is decided.
    """
    request = _locked(request_id)
    if request.requested_by_id == actor_id:
        raise SollecitoError(_("Somebody else has to decide what you asked for."), code="approval_own")
    actor = get_user_model().objects.filter(pk=actor_id, is_active=True).first()
    if actor is None or not actor.has_perm(DECIDE):
        raise SollecitoError(_("You may not decide requests for approval."), code="approval_forbidden")
    if not About.request(request).seen_by(actor):
        raise SollecitoError(unseen_words(request), code="approval_unseen")
    _check(request, Status.DONE if approve else Status.DECLINED)
    if not approve:
        return _end(request, Status.DECLINED, note, "", actor_id, now)
    try:
        with transaction.atomic():
            result = act_named(request.act).run(request.payload, request.amounts, request.requested_by_id, now)
    except SollecitoError as error:
        return _end(request, Status.FAILED, note, error.message, actor_id, now)
    return _end(request, Status.DONE, note, result, actor_id, now)


@transaction.atomic
def approval_withdraw(*, request_id: int, note: str, actor_id: int, now: datetime) -> ApprovalRequest:
    """Takes back one's own request. Raises SollecitoError for another's (`approval_not_own`) or a missing one;
    IllegalTransition for one that is decided."""
    request = _locked(request_id)
    if request.requested_by_id != actor_id:
        raise SollecitoError(_("Only who asked takes a request back."), code="approval_not_own")
    _check(request, Status.WITHDRAWN)
    return _end(request, Status.WITHDRAWN, note, "", actor_id, now)


def _locked(request_id: int) -> ApprovalRequest:
    request = ApprovalRequest.objects.select_for_update(no_key=True).filter(pk=request_id).first()
    if request is None:
        raise SollecitoError(_("There is no such request."), code="approval_missing")
    return request


def _check(request: ApprovalRequest, target: str) -> None:
    moves = {str(k): frozenset(map(str, v)) for k, v in ApprovalRequest.TRANSITIONS.items()}
    check_transition(moves, what="Request", source=request.status, target=target)
    if request.status != Status.PENDING:
        raise SollecitoError(_("This request is decided already."), code="approval_decided")


def _end(
    request: ApprovalRequest, status: str, note: str, result: str, actor_id: int, now: datetime
) -> ApprovalRequest:
    request.status, request.note, request.result = status, note.strip()[:500], result[:500]
    request.decided_by_id, request.decided_at = actor_id, now
    request.save(update_fields=["status", "note", "result", "decided_by", "decided_at"])
    if status != Status.DONE:
        words = ": ".join(filter(None, (str(Status(status).label), result or request.note)))
        act_dropped(request.act, request.payload, words, now)
    kind, words = {
        Status.DONE: ("approval.approved", _("Approved: %(what)s")),
        Status.FAILED: ("approval.failed", _("Approved, but not possible: %(what)s")),
        Status.DECLINED: ("approval.declined", _("Declined: %(what)s")),
        Status.WITHDRAWN: ("approval.withdrawn", _("Request taken back: %(what)s")),
    }[Status(status)]
    _log(request, kind, words, "\n".join(filter(None, (request.note, request.result))), actor_id, now)
    return request


def _log(request: ApprovalRequest, kind: str, words: str, body: str, actor_id: int, now: datetime) -> None:
    """On the customer's log; a request over many customers is its own log, and the act writes each one's."""
    if request.customer_id is None:
        return
    record(
        Entry(
            customer_id=request.customer_id,
            at=now,
            kind=kind,
            summary=words % {"what": request.summary},
            body=body,
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"approval:{request.pk}",
        )
    )


def _asked_already() -> SollecitoError:
    return SollecitoError(_("This waits for approval already."), code="approval_pending")
