"""Start whatever this board does: /role.py, with what /board.json says of its LED."""

import json
import sys

import role

with open("/board.json") as file:
    board = json.load(file)

print("ready:", board["name"], "is a", board["role"], "on", sys.platform)
role.run(board["led"], board["inverted"])
