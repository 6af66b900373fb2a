"""A believable SaaS and sixty days of its life, played through the real loops."""
