"""What our own transports raise beside pyserial's exceptions, so that nobody reads their texts."""

from __future__ import annotations

from serial import SerialException


class NegotiationFailed(SerialException):
    """What is at the other end does not speak the protocol that the URL asks for, or has stopped
    to answer in it."""


class ServerSilent(NegotiationFailed):
    """It took the connection and has not said a word: what it speaks, nobody can tell."""
