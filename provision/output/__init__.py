"""Events to what people and programs read: live terminal, plain lines, JSON, JUnit, records.

One class a format, each an `Output`; a `Fanout` hands every event to several, after secrets and
terminal control characters are gone from it. Results (plans, the recap, JSON) go to standard
output, narration to standard error.
"""
