"""The chips this tool provisions."""

from __future__ import annotations

from enum import Enum


class Chip(str, Enum):
    """A chip by the name that esptool's `--chip` takes."""

    ESP8266 = "esp8266"
    ESP32 = "esp32"
    ESP32S2 = "esp32s2"
    ESP32S3 = "esp32s3"
    ESP32C3 = "esp32c3"
    ESP32C6 = "esp32c6"

    def __str__(self) -> str:
        return self.value

    @property
    def label(self) -> str:
        """As Espressif writes it: ESP32-C3."""
        name = self.value.upper()
        return name if len(name) <= 5 or name == "ESP8266" else f"{name[:5]}-{name[5:]}"
