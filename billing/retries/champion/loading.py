"""Turns a stored model into a strategy, or says why that cannot be."""

from hashlib import sha256

from billing.models import RetryModel
from billing.retries import STRATEGIES
from billing.retries.champion.learnable import Learnable


class ModelBroken(Exception):
    """A stored model that cannot be used; `model_id` names it."""

    def __init__(self, model_id: int, why: str) -> None:
        super().__init__(why)
        self.model_id = model_id


def checksum(data: bytes) -> str:
    """SHA-256 of a model file in hex."""
    return sha256(data).hexdigest()


def model_load(model: RetryModel) -> Learnable:
    """The strategy as it was saved. Raises ModelBroken for a changed or unreadable file, or an unknown strategy."""
    data = bytes(model.data)
    if checksum(data) != model.checksum:
        raise ModelBroken(model.pk, "The model file is not the one that was saved: its checksum differs.")
    try:
        strategy = STRATEGIES[model.strategy]()
        strategy.load(data)
    except Exception as error:
        # Whatever a damaged file brings about: the retries go on by the rules.
        raise ModelBroken(model.pk, f"{type(error).__name__}: {error}") from error
    if not isinstance(strategy, Learnable):
        raise ModelBroken(model.pk, f"The strategy {model.strategy} does not learn.")
    return strategy
