"""A label for each unit: the hook `after` of this example. The unit comes as JSON on standard input.

Writes `labels/NAME.zpl` for a Zebra printer, which draws the QR code by itself, and where segno is
installed (`pip install segno`) `labels/NAME.png`, the QR code for any other. To print instead of
keeping it: `lp -d zebra -o raw labels/NAME.zpl`, or the printer's own port 9100.
"""

import json
import sys
from pathlib import Path

unit = json.load(sys.stdin)
name, mac = unit["name"], unit["mac"]
code = f"{name} {mac}"
labels = Path("labels")
labels.mkdir(exist_ok=True)

# ^ and ~ begin commands of ZPL, and \ an escape: none of them is in a name or a MAC.
zpl = f"""^XA^CI28^PW400^LL200
^FO20,20^BQN,2,5^FDMA,{code}^FS
^FO170,40^A0N,40,40^FD{name}^FS
^FO170,100^A0N,22,22^FD{mac}^FS
^XZ
"""
(labels / f"{name}.zpl").write_text(zpl)

try:
    import segno
except ImportError:
    pass
else:
    segno.make_qr(code, error="m").save(str(labels / f"{name}.png"), scale=8)
