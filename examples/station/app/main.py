import json

with open("/id.json") as file:
    unit = json.load(file)
print("ready:", unit["name"])
