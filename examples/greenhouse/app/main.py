import json

with open("/config.json") as stream:
    config = json.load(stream)

try:
    import pump as role
except ImportError:
    import sensor as role

role.run(config)
