"""Starts and stops experiments: what cannot be compared is refused at the start, what ran is closed for good."""

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from billing.retries.services import retries_resume
from campaigns.models import (
    CaseInvoice,
    Experiment,
    ExperimentArm,
    ExperimentKind,
    ExperimentStatus,
    TemplateText,
    TemplateVersion,
    VersionStatus,
)
from campaigns.models.experiment import EXPERIMENT_TRANSITIONS
from campaigns.segments.language import SegmentError, parse
from customers.errors import IllegalTransition, SollecitoError


def experiment_start(*, experiment_id: int, actor_id: int | None, reason: str = "", now: datetime) -> Experiment:
    """Has customers drawn from `now` (aware UTC) on. Raises SollecitoError naming what is missing or contradicts."""
    with transaction.atomic():
        experiment = _locked(experiment_id)
        _check_move(experiment, ExperimentStatus.RUNNING)
        _check(experiment, list(experiment.arms.select_related("ladder_version__ladder", "template")))
        experiment.status, experiment.started_at = ExperimentStatus.RUNNING, now
        try:
            with transaction.atomic():
                _save(experiment, actor_id, reason or _("Started."))
        except IntegrityError as error:
            raise SollecitoError(
                _("Another experiment on the same thing is running; stop it first."), code="experiment_running"
            ) from error
    return experiment


def experiment_stop(*, experiment_id: int, actor_id: int | None, reason: str, now: datetime) -> Experiment:
    """Ends the drawing at `now`. Cases of a ladder version stay on it; those without contact are written to again.

    `reason` is kept: a stop because of what was seen so far makes the figures flatter than the truth.
    """
    with transaction.atomic():
        experiment = _locked(experiment_id)
        _check_move(experiment, ExperimentStatus.STOPPED)
        experiment.status, experiment.stopped_at = ExperimentStatus.STOPPED, now
        _save(experiment, actor_id, reason)
        held = CaseInvoice.objects.filter(
            left_at__isnull=True,
            case__closed_at__isnull=True,
            case__exposures__experiment=experiment,
            case__exposures__arm__retries=False,
        )
        ids = list(held.values_list("invoice_id", flat=True))
        if ids:
            retries_resume(invoice_ids=ids, now=now)
    return experiment


def _locked(experiment_id: int) -> Experiment:
    experiment = Experiment.objects.select_for_update().filter(pk=experiment_id).first()
    if experiment is None:
        raise SollecitoError(_("There is no such experiment."), code="experiment_missing")
    return experiment


def _check_move(experiment: Experiment, target: ExperimentStatus) -> None:
    # Not check_transition, which lets a thing stay what it is: a second stop would overwrite the first one's date.
    if target not in EXPERIMENT_TRANSITIONS[experiment.status]:
        raise IllegalTransition(_("Experiment"), experiment.status, target.value)


def _save(experiment: Experiment, actor_id: int | None, reason: str) -> None:
    experiment.save(update_fields=["status", "started_at", "stopped_at"])
    # The line simple-history has just written: who and why are the service's to say, not the request's.
    line = experiment.history.first()
    if line is not None:
        line.history_user_id = actor_id
        line.history_change_reason = reason[:100]
        line.save(update_fields=["history_user_id", "history_change_reason"])


def _refuse(message: str) -> SollecitoError:
    return SollecitoError(message, code="experiment_incomplete")


def _check(experiment: Experiment, arms: Sequence[ExperimentArm]) -> None:
    if len(arms) < 2:
        raise _refuse(_("An experiment compares at least two arms."))
    if (total := sum(arm.share for arm in arms)) != 100:
        raise _refuse(_("The shares of the arms add up to %(total)d, not to 100.") % {"total": total})
    if experiment.segment is not None:
        try:
            parse(experiment.segment.query)
        except SegmentError as error:
            raise _refuse(f"{experiment.segment}: {error.message}") from error
    for arm in arms:
        _check_arm(experiment, arm)


def _check_arm(experiment: Experiment, arm: ExperimentArm) -> None:
    """Raises SollecitoError where an arm holds what its experiment does not vary, or what cannot be followed."""
    kind = experiment.kind
    if kind != ExperimentKind.LADDER and (arm.holdout or arm.ladder_version is not None):
        raise _refuse(_("%(arm)s: no contact and versions are for experiments on ladders.") % {"arm": arm})
    if kind != ExperimentKind.TEMPLATE and arm.template is not None:
        raise _refuse(_("%(arm)s: a template is for experiments on texts.") % {"arm": arm})
    if kind != ExperimentKind.SEND_TIME and (arm.send_from or arm.send_to):
        raise _refuse(_("%(arm)s: hours are for experiments on hours of sending.") % {"arm": arm})
    if (arm.send_from is None) != (arm.send_to is None) or (
        arm.send_from is not None and arm.send_to is not None and arm.send_from >= arm.send_to
    ):
        raise _refuse(_("%(arm)s: the hours need a beginning and a later end.") % {"arm": arm})
    version = arm.ladder_version
    if version is not None:
        if arm.holdout:
            raise _refuse(_("%(arm)s: without contact there is no version to follow.") % {"arm": arm})
        if version.status == VersionStatus.DRAFT:
            raise _refuse(_("%(arm)s: %(version)s is a draft.") % {"arm": arm, "version": version})
        if experiment.ladder is None or version.ladder.trigger != experiment.ladder.trigger:
            raise _refuse(_("%(arm)s: %(version)s answers to another trigger.") % {"arm": arm, "version": version})
    if arm.template is None:
        return
    if missing := _spoken(experiment.template_id) - _spoken(arm.template_id):
        words = ", ".join(f"{channel}/{language}" for channel, language in sorted(missing))
        raise _refuse(
            _("%(arm)s: %(template)s has no published text for %(missing)s.")
            % {"arm": arm, "template": arm.template, "missing": words}
        )


def _spoken(template_id: int | None) -> set[tuple[str, str]]:
    """Channels and languages of a template's published version."""
    texts = TemplateText.objects.filter(
        version__template=template_id, version__status=TemplateVersion.Status.PUBLISHED
    )
    return set(texts.values_list("channel", "language"))
