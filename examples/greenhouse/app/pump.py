import time

from machine import Pin


def run(config):
    pump = Pin(config["pin"], Pin.OUT, value=0)
    while True:
        print(config["topic"], pump.value())
        time.sleep(config["interval"])
