import time

from machine import ADC


def run(config):
    sensor = ADC(0)
    while True:
        print(config["topic"], sensor.read_u16())
        time.sleep(config["interval"])
