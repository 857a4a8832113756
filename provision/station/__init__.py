"""Stations: boards plugged in one after the other, each proved, numbered, made and remembered."""
