import time

from machine import Pin


def blink(pin, period_ms):
    led = Pin(pin, Pin.OUT)
    while True:
        led.value(not led.value())
        time.sleep_ms(period_ms // 2)
