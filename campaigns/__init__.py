"""What we do about it: ladders, cases, messages, and the loops that move them."""
