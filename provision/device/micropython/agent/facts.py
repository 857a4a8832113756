"""Who this board is: prints one line, a tuple that `scan_protocol.read_identity` reads."""
import os, sys, machine

mac = machine.unique_id()
flash = None
try:
    import esp

    flash = esp.flash_size()
    if len(mac) < 6:  # an ESP8266 gives a chip id of four bytes
        import network

        mac = network.WLAN().config("mac")
except:
    pass
print(("\x02",) + os.uname()[3:] + (mac, flash, getattr(sys.implementation, "_mpy", None)))
