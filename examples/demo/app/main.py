import json

from sensor import Sensor

with open("/config.json") as file:
    config = json.load(file)

sensor = Sensor(config["room"], config["interval"])
print("ready:", sensor.room)
sensor.run()
