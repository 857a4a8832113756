from blinker import blink

blink(pin=2, period_ms=500)
