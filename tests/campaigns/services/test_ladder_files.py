from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from campaigns.ladder_yaml import read_ladder, write_ladder
from campaigns.models import Ladder, Segment, Step
from campaigns.services.ladder_files import content, doc_of, ladder_export, ladder_import
from campaigns.services.shipped import shipped_load
from campaigns.services.versions import ladder_draft, ladder_publish
from campaigns.shipped_set import shipped_ladders
from campaigns.yaml_reading import LadderFileError
from customers.errors import SollecitoError
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db

TEXT = """\
schema: 1
code: polite
name: Polite
trigger: payment_failed
min_gap: 20h
pause_after_reply: 3d
steps:
  - key: first
    name: First
    after: 4h
    action: message
    channel: email
    fallback: [letter]
    template: reminder
    condition:
      balance:
        at_least:
          EUR: '50.00'
          USD: 5
      decline_category: [expired, fraud]
  - key: second
    name: Second
    enabled: false
    after: 3d
    anchor: previous
    window:
      days: mon-fri
      from: '09:00'
      to: '17:00'
    business_days: true
    action: tag
    params:
      tag: late
end_after: 3d
end_actions: [cancel_subscription]
"""


def test_what_is_imported_is_exported_byte_for_byte() -> None:
    make.template()
    done = ladder_import(source=TEXT)
    assert done.created
    assert done.version.status == "draft"
    assert ladder_export(version_id=done.version.pk) == TEXT


def test_every_shipped_ladder_survives_the_database() -> None:
    shipped_load(now=NOW)
    for doc in shipped_ladders():
        version = Ladder.objects.get(code=doc.code).versions.get()
        assert content(doc_of(version)) == content(doc)
        assert write_ladder(read_ladder(ladder_export(version_id=version.pk))) == ladder_export(version_id=version.pk)
    assert shipped_load(now=NOW).ladders == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("template: reminder", "template: nonesuch", "ladder, line 14: step 1: template: there is no template"),
        ("code: polite", "code: polite\nsegment: nobody", "line 3: segment: there is no segment nobody"),
        ("code: polite", "code: polite\nbrand: nobody", "line 3: brand: there is no brand nobody"),
        ("tag: late", "ladder: x", "line 33: step 2: params: ladder: there is no ladder 'x'"),
        ("schema: 1", "schema: 9", "line 1: schema: schema 9 is newer than 1"),
    ],
)
def test_an_unknown_name_is_refused_with_its_line(old: str, new: str, message: str) -> None:
    make.template()
    text = TEXT.replace(old, new)
    if "ladder: x" in text:
        text = text.replace("action: tag", "action: start_ladder")
    with pytest.raises(LadderFileError, match=message):
        ladder_import(source=text)
    assert not Ladder.objects.exists()


def test_a_ladder_in_use_keeps_its_settings_unless_told() -> None:
    make.template()
    make.brand(code="acme")
    Segment.objects.create(code="big", name="Big", query="balance > 100")
    first = ladder_import(source=TEXT).version
    ladder_publish(version_id=first.pk, actor_id=None, now=NOW)
    changed = TEXT.replace("name: Polite", "name: Rude").replace(
        "trigger: payment_failed\n", "trigger: payment_failed\nbrand: acme\nsegment: big\npriority: 5\n"
    )
    done = ladder_import(source=changed)
    assert (done.created, set(done.kept)) == (False, {"name", "brand", "segment", "priority"})
    assert Ladder.objects.get().name == "Polite"
    with pytest.raises(SollecitoError, match="has a draft already"):
        ladder_import(source=changed, settings=True)
    done.version.delete()
    done = ladder_import(source=changed, settings=True)
    assert done.kept == ()
    assert ladder_export(version_id=done.version.pk) == changed
    first.refresh_from_db()
    assert first.status == "published"


def test_the_commands_export_and_import(tmp_path: Path, capsys: Any) -> None:
    make.template()
    file = tmp_path / "polite.yaml"
    file.write_text(TEXT)
    call_command("ladder_import", str(file), stdout=StringIO())
    out = StringIO()
    call_command("ladder_export", "polite", "--draft", stdout=out)
    assert out.getvalue() == TEXT
    with pytest.raises(CommandError, match="No such version"):
        call_command("ladder_export", "polite", stdout=out)
    ladder = Ladder.objects.get()
    ladder.versions.all().delete()
    call_command("ladder_import", str(file), "--publish", stdout=StringIO())
    assert ladder.versions.get().status == "published"
    file.write_text(TEXT.replace("template: reminder", "template: nonesuch"))
    with pytest.raises(CommandError, match=r"polite.yaml, line 14: step 1: template"):
        call_command("ladder_import", str(file), stdout=StringIO())


def test_a_draft_of_what_is_exported_says_the_same() -> None:
    version = make.ladder()
    draft = ladder_draft(ladder_id=version.ladder_id)
    assert content(doc_of(draft)) == content(doc_of(version))
    Step.objects.filter(version=draft, position=1).update(enabled=False)
    assert content(doc_of(draft)) != content(doc_of(version))
