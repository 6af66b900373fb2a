"""Owns the errors the sandbox answers with, in the shape of Stripe's API."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer other than 200; ``body`` is what the client reads under ``error``."""

    def __init__(self, status: int, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        kind = fields.pop("type", "invalid_request_error")
        self.body: dict[str, Any] = {"type": kind, "message": message}
        self.body.update({name: value for name, value in fields.items() if value is not None})
        code = self.body.get("code")
        if code:
            self.body["doc_url"] = f"https://docs.stripe.com/error-codes/{str(code).replace('_', '-')}"


def bad_request(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """400 for a request that cannot be carried out."""
    return ApiError(400, message, param=param, code=code)


def missing_param(name: str) -> ApiError:
    """400 for a parameter that must be given."""
    return bad_request(f"Missing required param: {name}.", param=name, code="parameter_missing")


def no_such(kind: str, object_id: str, *, param: str, in_path: bool) -> ApiError:
    """404 for an absent object named by the path, 400 for one named by a parameter."""
    label = kind.replace("_", " ") if kind in {"payment_method"} else kind
    name = {"payment method": "PaymentMethod"}.get(label, label)
    return ApiError(404 if in_path else 400, f"No such {name}: '{object_id}'", param=param, code="resource_missing")
