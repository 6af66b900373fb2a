"""Runs the sandbox as a process of its own."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from .server import SandboxServer


def main() -> None:
    """Start, say where, and stop at SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="A stateful Stripe on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it listens")
    parser.add_argument("--state", type=Path, help="JSON file that keeps the objects")
    parser.add_argument("--webhook-url", help="where events go")
    parser.add_argument("--webhook-secret", help="what signs them (whsec_...)")
    parser.add_argument("--delivery", choices=["auto", "hold"], default="auto")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    server = SandboxServer(
        port=options.port,
        seed=options.seed,
        state=options.state,
        webhook_url=options.webhook_url,
        webhook_secret=options.webhook_secret,
        delivery=options.delivery,
    ).start()
    if options.port_file:
        draft = options.port_file.with_name(options.port_file.name + ".new")
        draft.write_text(server.url.rsplit(":", 1)[1])
        os.replace(draft, options.port_file)
    print(f"Stripe sandbox at {server.url}", flush=True)
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
