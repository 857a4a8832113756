"""From the host's port to the chip's UART: bytes and the time they take, noise, reset lines."""
