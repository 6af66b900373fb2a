"""The back office for risk: the models' pages, and what they say on the pages of customers and invoices."""

from insights.admin import customer_risk, risk_models

__all__ = ["customer_risk", "risk_models"]
