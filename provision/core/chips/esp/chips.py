"""The chips of Espressif's family that this tool provisions."""

from __future__ import annotations

from provision.model.chip import Chip

FAMILY_NAME = "esp"

ESP8266 = Chip(name="esp8266", label="ESP8266", family=FAMILY_NAME)
ESP32 = Chip(name="esp32", label="ESP32", family=FAMILY_NAME)
ESP32S2 = Chip(name="esp32s2", label="ESP32-S2", family=FAMILY_NAME)
ESP32S3 = Chip(name="esp32s3", label="ESP32-S3", family=FAMILY_NAME)
ESP32C2 = Chip(name="esp32c2", label="ESP32-C2", family=FAMILY_NAME)
ESP32C3 = Chip(name="esp32c3", label="ESP32-C3", family=FAMILY_NAME)
ESP32C5 = Chip(name="esp32c5", label="ESP32-C5", family=FAMILY_NAME)
ESP32C6 = Chip(name="esp32c6", label="ESP32-C6", family=FAMILY_NAME)
ESP32C61 = Chip(name="esp32c61", label="ESP32-C61", family=FAMILY_NAME)
ESP32H2 = Chip(name="esp32h2", label="ESP32-H2", family=FAMILY_NAME)
ESP32P4 = Chip(name="esp32p4", label="ESP32-P4", family=FAMILY_NAME)

RISCV = (ESP32C2, ESP32C3, ESP32C5, ESP32C6, ESP32C61, ESP32H2, ESP32P4)
"""Those with RISC-V cores; the others have Xtensa's."""

CHIPS = (ESP8266, ESP32, ESP32S2, ESP32S3, *RISCV)
