# The chip's network module: Wi-Fi that always finds the network it is told to join.

from _link import CONFIG

STA_IF, AP_IF = 0, 1
AUTH_OPEN, AUTH_WEP, AUTH_WPA_PSK, AUTH_WPA2_PSK, AUTH_WPA_WPA2_PSK = 0, 1, 2, 3, 4
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = {
    "esp8266": (0, 1, 5), "esp32": (1000, 1001, 1010), "rp2": (0, 1, 3),
}[CONFIG["platform"]]
MODE_11B, MODE_11G, MODE_11N = 1, 2, 4

_hostname = CONFIG["hostname"]


def hostname(*name):
    global _hostname
    if name:
        _hostname = name[0]
    return _hostname


def country(*code):
    return "XX"


def phy_mode(*mode):
    return MODE_11N


class WLAN:
    IF_STA, IF_AP = 0, 1
    _interfaces = {}

    def __new__(cls, interface=STA_IF):
        if interface not in (0, 1):
            raise ValueError("invalid WLAN interface identifier")
        one = WLAN._interfaces.get(interface)
        if one is None:
            one = WLAN._interfaces[interface] = object.__new__(cls)
            one._id = interface
            one._active = False
            one._joined = None
            one._config = {"channel": 1, "hostname": _hostname, "hidden": False, "txpower": 20}
            if interface == AP_IF:
                one._config["essid"] = one._config["ssid"] = CONFIG["access_point"]
                one._active = CONFIG["platform"] == "esp8266"
        return one

    def active(self, *state):
        if state:
            self._active = bool(state[0])
            if not self._active:
                self._joined = None
        return self._active

    def connect(self, ssid=None, key=None, **options):
        if not self._active:
            raise OSError("Wifi Internal Error" if CONFIG["platform"] == "esp32" else 5)
        self._joined = ssid or self._joined

    def disconnect(self):
        self._joined = None

    def isconnected(self):
        return self._joined is not None

    def status(self, *what):
        if what:
            return -50 if what[0] == "rssi" else []
        return STAT_GOT_IP if self._joined is not None else STAT_IDLE

    def scan(self):
        if not self._active:
            raise OSError("STA must be active")
        return []

    def ifconfig(self, *settings):
        if self._id == AP_IF:
            return ("192.168.4.1", "255.255.255.0", "192.168.4.1", "208.67.222.222")
        if self._joined is None:
            return ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
        return ("192.168.1.50", "255.255.255.0", "192.168.1.1", "192.168.1.1")

    def ipconfig(self, name=None, **settings):
        if name == "addr4":
            return self.ifconfig()[:2]

    def config(self, name=None, **settings):
        if name is None:
            self._config.update(settings)
        elif name == "mac":
            mac = bytearray(CONFIG["mac"])
            if self._id == AP_IF:
                # The access point's address: the next one on an ESP32, a local one on an ESP8266.
                if CONFIG["platform"] == "esp32":
                    mac[5] = (mac[5] + 1) & 255
                else:
                    mac[0] |= 2
            return bytes(mac)
        elif name in ("ssid", "essid") and self._id == STA_IF:
            return self._joined or ""
        elif name in self._config:
            return self._config[name]
        else:
            raise ValueError("unknown config param")


if not CONFIG.get("wlan", True):  # some ports have the module without Wi-Fi, too
    del WLAN
