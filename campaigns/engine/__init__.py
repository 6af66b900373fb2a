"""The engine of campaigns: assess opens and closes cases, decide says what is due, run does it in batches."""
