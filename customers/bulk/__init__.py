"""Doing one thing to many rows: what can be done (acts), how it is asked for (jobs), and the loop that does it (run).

An app makes its acts known when it is loaded (`act_register`); whoever chose rows asks with `job_draft`, which counts
and fixes them, and `job_confirm`. From then on the job is carried out chunk by chunk, each row once.
"""

from customers.bulk.acts import (
    BulkAct,
    BulkResult,
    Did,
    Params,
    Row,
    SecondPerson,
    act_known,
    act_named,
    act_register,
    batches,
    owners,
)

__all__ = [
    "BulkAct",
    "BulkResult",
    "Did",
    "Params",
    "Row",
    "SecondPerson",
    "act_known",
    "act_named",
    "act_register",
    "batches",
    "owners",
]
