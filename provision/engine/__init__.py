"""From desired states to a converged fleet: observe, diff, execute, observe again.

The engine knows the world only through `provision.interfaces`; `cli/wiring.py` hands it the
adapters. `fleet.run` is the whole of it: one thread a device, events as they happen, a report.
"""
