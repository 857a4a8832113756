"""Who this board is: prints one line, a tuple that `scan_protocol.read_identity` reads."""
import uos, usys, umachine

mac = umachine.unique_id()
flash = None
try:
    import esp

    flash = esp.flash_size()
    if len(mac) < 6:  # an ESP8266 gives a chip id of four bytes
        import network

        mac = network.WLAN().config("mac")
except:
    pass
print(("\x02",) + uos.uname()[3:] + (mac, flash, getattr(usys.implementation, "_mpy", None)))
