"""Docs and code stay together: settings, event kinds and links that are named exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_environment_variable_read_is_documented() -> None:
    documented = (ROOT / "docs/operations.md").read_text()
    read = set()
    for path in (ROOT / "dunning_site/settings.py", ROOT / "dunning_site/embedded/environment.py"):
        read |= set(re.findall(r'env\.\w+\("([A-Z_]+)"', path.read_text()))
        read |= set(re.findall(r'environ\.get\("(?!EMBEDDED)([A-Z_]+)"', path.read_text()))
    missing = {name for name in read - {"EMBEDDED"} if f"`{name}`" not in documented}
    assert missing == set()


def test_every_kind_of_log_entry_is_documented() -> None:
    documented = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", (ROOT / "docs/events.md").read_text()))
    written = set()
    for app in ("customers", "billing", "campaigns", "portal"):
        for path in (ROOT / app).rglob("*.py"):
            written |= set(re.findall(r'\bkind="([a-z_]+\.[a-z_]+)"', path.read_text()))
    assert written
    assert written - documented == set()


def test_links_between_docs_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert broken == []


def test_modules_say_in_one_line_what_they_own() -> None:
    silent = []
    for app in ("customers", "billing", "campaigns", "portal", "insights", "integrations", "dunning_site"):
        for path in (ROOT / app).rglob("*.py"):
            if "migrations" in path.parts or not path.read_text().strip() or path.parent.name == "commands":
                continue
            if path.name == "__init__.py" and path.stat().st_size == 0:
                continue
            if not path.read_text().lstrip().startswith('"""'):
                silent.append(str(path.relative_to(ROOT)))
    assert silent == []
