"""Renders events for people and programs: live terminal, plain lines, JSON, JUnit, records.

One class per format, each an `Output`. A `Fanout` gives every event to several, after masking
secrets and removing terminal control characters. Results (plans, the recap, JSON) go to standard
output, progress to standard error.
"""
