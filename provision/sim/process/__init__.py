"""The process of one board, `python -m provision.sim.process.board_process`, and what it offers:
connections from `client`, faults, a pseudo-terminal, an RFC 2217 port."""
