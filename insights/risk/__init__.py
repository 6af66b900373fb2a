"""How likely invoices are to be paid late, learned from the installation's own invoices; advisory.

`history`, `logistic` and `learning` are pure and need numpy alone; `rows`, `fitting` and `refresh` read and write.
"""
