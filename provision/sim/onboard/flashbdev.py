# The filesystem's block device, as the port of this chip makes it.

from _flash import Region
from _link import CONFIG

if CONFIG["platform"] == "esp8266":

    class FlashBdev(Region):
        def __init__(self, start_sec, blocks):
            self.start_sec = start_sec
            self.blocks = blocks
            super().__init__(start_sec * self.SEC_SIZE, blocks * self.SEC_SIZE)

    place = CONFIG["filesystem"]
    bdev = FlashBdev(place[0] // 4096, place[1] // 4096) if place else None
else:
    from _esp32 import Partition

    bdev = Partition(CONFIG["filesystem"][2]) if CONFIG["filesystem"] else None
