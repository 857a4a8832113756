import json
import time

with open("/config.json") as file:
    config = json.load(file)

print("ready:", config["name"])
while True:
    time.sleep(config["interval"])
