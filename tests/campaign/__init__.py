"""The campaign: whole applies on virtual boards, disturbed at random, judged by the flash's bytes.

`python -m tests.campaign --minutes 10 --seed 1` runs it; `tests/campaign/test_slice.py` is the
part that runs with the other tests. A run is its seed: the same seed is the same manifest, the
same state of the board before, and the same two faults (`faults`) in the first apply.
"""
