"""No models. Django announces finished migrations only to apps that have this module, and roles and schedules
are written then."""
