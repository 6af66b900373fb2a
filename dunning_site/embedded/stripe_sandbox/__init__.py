"""A stateful Stripe on loopback for demo and tests: see docs/stripe-sandbox.md. Never used in production."""

from .server import SandboxServer

__all__ = ["SandboxServer"]
