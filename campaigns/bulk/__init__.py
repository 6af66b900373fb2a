"""Acts on many cases and on their customers' messages, ladders and agencies; registered when the app is loaded."""

from campaigns.bulk import cases, ladders, messages

__all__ = ["cases", "ladders", "messages"]
