"""docs/guard.md tells what the policies say; `python -m tests.campaigns.guard.test_docs` writes its table anew."""

import os
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs/guard.md"
_TABLE = re.compile(r"(<!-- policies -->\n).*(<!-- /policies -->)", re.DOTALL)


def written_anew() -> str:
    from campaigns.guard.policy import shipped
    from campaigns.guard.words import markdown

    return _TABLE.sub(lambda found: f"{found[1]}{markdown(shipped())}\n{found[2]}", PAGE.read_text("utf-8"))


def test_the_table_of_policies_is_that_of_the_files() -> None:
    assert PAGE.read_text("utf-8") == written_anew(), "Run python -m tests.campaigns.guard.test_docs"


def test_every_rule_the_guard_can_name_is_explained() -> None:
    source = (PAGE.parents[1] / "campaigns/guard/check.py").read_text("utf-8")
    named = set(re.findall(r'f"([a-z_]+)\.\{', source)) | set(re.findall(r'"([a-z]+_cap)"', source))
    page = PAGE.read_text("utf-8")
    assert named >= {"quiet_hours", "min_gap", "after_talk", "weekly_cap"}
    assert {name for name in named if f"`{name}`" not in page} == set()


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dunning_site.settings")
    os.environ.setdefault("SECRET_KEY", "docs")
    os.environ.setdefault("DATABASE_URL", "postgresql:///none")
    django.setup()
    PAGE.write_text(written_anew(), "utf-8")
