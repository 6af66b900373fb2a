"""Measures message rendering: mails a second on one core, beside the template engine alone on the same template.

Run: python -m benchmarks.render [--mails 2000]. Prints one JSON object. "engine" is python-liquid as it comes,
without limits, cache look-up or checks, on the same three parts; "mail" is the whole of render().
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dunning_site.settings")
django.setup()

from liquid import Environment  # noqa: E402

from campaigns.rendering.examples import example_context  # noqa: E402
from campaigns.rendering.filters import FILTERS  # noqa: E402
from campaigns.rendering.liquid import compiled  # noqa: E402
from campaigns.rendering.render import compile_template, render  # noqa: E402
from campaigns.shipped_set import shipped_templates  # noqa: E402


def per_second(acts: dict[str, Callable[[int], object]], times: int) -> dict[str, int]:
    """The best of five rounds of each, in acts a second of processor time; rounds alternate to share the noise."""
    best = dict.fromkeys(acts, 0.0)
    for _round in range(5):
        for name, act in acts.items():
            started = time.process_time()
            for number in range(times):
                act(number)
            best[name] = max(best[name], times / (time.process_time() - started))
    return {f"{name}_per_s": round(rate) for name, rate in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=2000)
    mails: int = parser.parse_args().mails
    text = next(t for t in shipped_templates() if t.code == "card_failed_1").texts["email"]["en"]
    started = time.perf_counter()
    template = compile_template(subject=text.subject, mjml=text.body)
    publish = time.perf_counter() - started
    contexts = []
    for number in range(mails):  # amounts differ, as they do in life
        context = example_context("en")
        context["invoices"][0]["balance"] = context["balances"][0]["amount"] = 10_000 + 37 * number
        contexts.append(context)
    bare = []
    for source, escape in ((template.subject, False), (template.html, True), (template.text, False)):
        engine = Environment(autoescape=escape)
        engine.filters.update(FILTERS)
        bare.append(engine.from_string(source))
    compiled.cache_clear()
    started = time.perf_counter()
    rendered = render(template, contexts[0])
    first = time.perf_counter() - started
    result = {
        "publish_ms": round(publish * 1000, 2),
        "first_mail_ms": round(first * 1000, 2),
        "html_bytes": len(rendered.html.encode()),
        "liquid_tags": template.html.count("{{") + template.html.count("{%"),
        **per_second(
            {
                "mail": lambda n: render(template, contexts[n]),
                "engine": lambda n: [part.render(contexts[n]) for part in bare],
                "engine_html_only": lambda n: bare[1].render(contexts[n]),
            },
            mails,
        ),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
