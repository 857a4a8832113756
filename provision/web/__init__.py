"""The pages of `provision serve`: the fleet and its runs in a browser, live. A client of `api*`,
the station's records and the model; it knows no board, no port and no output of the command line.
"""
