"""The application of a virtual board: what its chip does once it has left reset in run mode.

`provision.sim.app.application` stands above these modules; nothing else imports them.
"""
