"""Rehearsals: a manifest applied to virtual twins of its boards, on no real port.

Their rules, and what comes of them, are `core.rehearsal`'s. Each run is done by processes of their
own (`worker`), whose boards, records and lock nobody else has.
"""
