"""Reports of a run in one file, written whole when it is over: JUnit for CI systems, HTML for
people. `output/setup.py` opens those that were asked for."""
