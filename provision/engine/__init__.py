"""From desired states to a finished run: locate each board, open it, do the task, report.

The engine knows the world only through `provision.interfaces`; `app.py` hands it the adapters in
a `RunContext`. `run.run` is the whole of it: one thread a device, events as they happen, a report.
What is done with a device is the task's to say: `tasks/` has one file each.
"""
