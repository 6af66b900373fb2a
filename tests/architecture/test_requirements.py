"""What the product imports when it runs is in requirements.txt; the tools of those who work on it are not needed."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: The site, the worker with its transport to the default broker, the admin with all it finds; with some packages away.
START = """
import json, sys

class Away:
    names = set(json.loads(sys.argv[1]))

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Away())
import django
django.setup()
import celery.bin.celery, gunicorn.app.wsgiapp, kombu.transport.redis
import dunning_site.celery, dunning_site.urls, dunning_site.wsgi
"""


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _start(away: list[str]) -> subprocess.CompletedProcess[str]:
    told = {"DJANGO_SETTINGS_MODULE": "dunning_site.settings", "SECRET_KEY": "x", "DATABASE_URL": "postgresql://x/x"}
    command = [sys.executable, "-c", START, json.dumps(away)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **told}, capture_output=True, text=True, check=False)


def test_it_starts_with_what_requirements_txt_names() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {_name(re.split(r"[=\[]", line)[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)}
    others = [
        module
        for module, owners in packages_distributions().items()
        if not pinned & {_name(owner) for owner in owners}
    ]
    assert "pytest" in others
    started = _start(others)
    assert started.returncode == 0, started.stderr
    # And notices what is missing: celery's transport imports this without asking for it.
    assert _start([*others, "packaging"]).returncode != 0
