"""The house's one import direction, for imports, for foreign keys, and for what production may never load."""

import ast
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parents[2]
APPS = ["customers", "billing", "campaigns", "portal", "insights", "integrations", "dunning_site"]
MAY_IMPORT = {
    "customers": set(),
    "billing": {"customers"},
    "campaigns": {"customers", "billing"},
    "portal": {"customers", "billing", "campaigns"},
    "insights": {"customers", "billing", "campaigns"},
    "integrations": {"customers", "billing", "campaigns"},
    "dunning_site": {"customers", "billing", "campaigns", "portal", "insights", "integrations"},
}


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def modules(app: str) -> list[Path]:
    return [p for p in (ROOT / app).rglob("*.py") if "migrations" not in p.parts]


@pytest.mark.parametrize("app", APPS)
def test_imports_go_one_way(app: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(app)
        for name in imported_modules(path)
        if name.split(".")[0] in set(APPS) - MAY_IMPORT[app] - {app}
    ]
    assert wrong == []


def test_foreign_keys_go_one_way() -> None:
    wrong = []
    for app in APPS[:-1]:
        for model in apps.get_app_config(app).get_models(include_auto_created=True):
            for field in model._meta.get_fields():
                target = getattr(field, "related_model", None)
                if target is None or field.auto_created or isinstance(target, str):
                    continue
                other = target._meta.app_label
                if other in APPS and other != app and other not in MAY_IMPORT[app]:
                    wrong.append(f"{model._meta.label}.{field.name} -> {target._meta.label}")
    assert wrong == []


def test_only_the_gateway_imports_stripe() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for app in APPS
        for path in modules(app)
        if any(name.split(".")[0] == "stripe" for name in imported_modules(path))
        and path.relative_to(ROOT).as_posix()
        not in ("billing/gateways/stripe.py", "billing/gateways/stripe_errors.py")
        and "embedded" not in path.parts
    ]
    assert wrong == []


def test_production_code_never_imports_the_embedded_services() -> None:
    allowed = {"dunning_site/management", "dunning_site/embedded", "dunning_site/demo"}
    wrong = [
        str(path.relative_to(ROOT))
        for app in APPS
        for path in modules(app)
        if any(name.startswith("dunning_site.embedded") for name in imported_modules(path))
        and not any(path.relative_to(ROOT).as_posix().startswith(prefix) for prefix in allowed)
    ]
    assert wrong == []
