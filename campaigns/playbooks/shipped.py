"""The playbooks that come with Sollecito: read from campaigns/shipped/playbooks/, one file a reason, and loaded."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from billing.retries.taxonomy import Category
from campaigns.models import Playbook
from campaigns.playbooks.scripts import playbook_problems
from customers.errors import SollecitoError
from customers.models.customer import LANGUAGES

FOLDER = Path(__file__).resolve().parent.parent / "shipped" / "playbooks"


class ShippedPlaybook(NamedTuple):
    """One text of one file; `code` is the file's name."""

    code: str
    language: str
    name: str
    decline_category: str
    body: str


def shipped_playbooks(folder: Path = FOLDER) -> list[ShippedPlaybook]:
    """Every text, checked. Raises SollecitoError naming file, language and place."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        category = document.get("decline_category", "")
        if category and category not in set(Category):
            raise SollecitoError(f"{path.name}: there is no reason {category!r}.", code="bad_playbook")
        for language, entry in document["texts"].items():
            problems = playbook_problems(entry["body"])
            if problems or language not in dict(LANGUAGES):
                why = str(problems[0]) if problems else "no such language"
                raise SollecitoError(f"{path.name}, {language}: {why}", code="bad_playbook")
            found.append(ShippedPlaybook(path.stem, language, entry["name"], category, entry["body"].strip()))
    return found


def playbooks_load() -> tuple[str, ...]:
    """Saves those that are not there yet, and new words of those staff never touched; returns their codes."""
    there = {(row.code, row.language): row for row in Playbook.objects.filter(code__isnull=False)}
    touched = set(
        Playbook.history.filter(history_user__isnull=False, code__isnull=False).values_list("code", "language")
    )
    saved = []
    for shipped in shipped_playbooks():
        key = (shipped.code, shipped.language)
        row = there.get(key) or Playbook(code=shipped.code, language=shipped.language)
        same = (row.name, row.decline_category, row.body) == (shipped.name, shipped.decline_category, shipped.body)
        if same or key in touched:
            continue
        row.name, row.decline_category, row.body = shipped.name, shipped.decline_category, shipped.body
        row.save()
        saved.append("/".join(key))
    return tuple(saved)
