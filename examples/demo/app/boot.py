# Runs first on every boot; keep it small, so that the REPL always comes up.
import gc

gc.collect()
