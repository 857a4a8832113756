# Runs first, at every start.
import gc

gc.collect()
