"""Keep the start-up files, `names` in the order they start, from starting: rename them, or undo it.

On LittleFS a rename is done or not, wherever the power fails. On FAT it is not: a file there may
end under both names, and to remove one would damage the other; so FAT, which takes small letters
for capitals, is left as it is. A renamed file is dropped where a new one stands in its place.
Nothing is renamed where one of `fuses`, pairs of an address and bits, is burned: with secure boot
or flash encryption on a board is not written.
"""
import uos


def _there(path):
    try:
        uos.stat(path)
        return 1
    except OSError:
        return 0


def _startup(back, names, fuses):
    left = ""
    for address, bits in fuses:
        import umachine

        if umachine.mem32[address] & bits:
            print("\x02")
            return 1
    for name in names if back else reversed(names):
        path = "/" + name
        beside = "/.provision~" + name
        if back:
            if _there(beside):
                if _there(path):
                    uos.remove(beside)
                else:
                    uos.rename(beside, path)
        elif _there(path) and not _there(path.upper()):
            uos.rename(path, beside)
        if _there(beside):
            left += name + " "
    print("\x02" + left)
    return 1
