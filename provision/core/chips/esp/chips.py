"""The chips of Espressif's family that this tool provisions."""

from __future__ import annotations

from provision.model.chip import Chip

FAMILY_NAME = "esp"

ESP8266 = Chip(name="esp8266", label="ESP8266", family=FAMILY_NAME)
ESP32 = Chip(name="esp32", label="ESP32", family=FAMILY_NAME)
ESP32S2 = Chip(name="esp32s2", label="ESP32-S2", family=FAMILY_NAME)
ESP32S3 = Chip(name="esp32s3", label="ESP32-S3", family=FAMILY_NAME)
ESP32C3 = Chip(name="esp32c3", label="ESP32-C3", family=FAMILY_NAME)
ESP32C6 = Chip(name="esp32c6", label="ESP32-C6", family=FAMILY_NAME)

CHIPS = (ESP8266, ESP32, ESP32S2, ESP32S3, ESP32C3, ESP32C6)
