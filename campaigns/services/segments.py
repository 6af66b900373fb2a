"""Where a segment is used; what is used is not deleted."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from campaigns.models import Experiment, Ladder, Playbook, Segment, TemplateVariant


@dataclass(frozen=True, slots=True)
class SegmentUse:
    """One place a segment is used in, in words, and the model and id its page is found by."""

    words: str
    model: str
    pk: int


def segment_uses(segment: Segment) -> list[SegmentUse]:
    """Ladders for it, experiments within it, templates with a text and playbooks for it. Four queries."""
    ladders = Ladder.objects.filter(segment=segment).order_by("name")
    experiments = Experiment.objects.filter(segment=segment).order_by("name")
    variants = TemplateVariant.objects.filter(segment=segment).select_related("template", "instead")
    playbooks = Playbook.objects.filter(segment=segment).order_by("name", "language")
    return [
        *(SegmentUse(_("Playbook “%(name)s”") % {"name": row}, "campaigns_playbook", row.pk) for row in playbooks),
        *(SegmentUse(_("Ladder “%(name)s”") % {"name": row}, "campaigns_ladder", row.pk) for row in ladders),
        *(
            SegmentUse(_("Experiment “%(name)s”") % {"name": row}, "campaigns_experiment", row.pk)
            for row in experiments
        ),
        *(
            SegmentUse(
                _("Template “%(name)s”, written as “%(other)s”") % {"name": row.template, "other": row.instead},
                "campaigns_template",
                row.template_id,
            )
            for row in variants.order_by("template__name", "position")
        ),
    ]
