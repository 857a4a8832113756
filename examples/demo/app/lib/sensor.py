import time


class Sensor:
    """Stands for whatever your boards do all day."""

    def __init__(self, room, interval):
        self.room = room
        self.interval = interval
        self.readings = 0

    def read(self):
        self.readings += 1
        return {"room": self.room, "reading": self.readings}

    def run(self):
        while True:
            self.read()
            time.sleep(self.interval)
