"""Virtual boards: a process each, with a boot ROM, flash and a real MicroPython.

`protocol_sim` opens `sim://NAME` for pyserial and reaches the board's process through `client`,
which starts the process if it does not run. The packages, each importing only those below it:

    process    the process of one board: its socket, requests, faults, pseudo-terminal, RFC 2217
    families   which chips there are
    esp        Espressif's chips: ROM loader, flasher stub, registers, eFuses, boot messages, images
    rp2        Raspberry Pi's chips: BOOTSEL and its volume, what their ROM starts, images
    app        what runs from flash: MicroPython's unix port in the place of the chip's own
    chip       any board: power and reset, the flash, and what is asked of a chip (`ChipModel`)
    line       from the host's port to the chip's UART: timing, noise, reset lines
    setup      the settings of one board, from its address

Another family of chips is a folder beside these that implements `chip.model.ChipModel`, and one
line in `families`. What it reuses: `chip.flash`, all of `line`, `app` and `process`, and the
modules in `onboard`, which replace those that the unix port lacks. What it must bring: what the
ROM prints, how it is flashed (`Loader`), how the flash boots (`start`), where the filesystem lies,
and how its MicroPython differs from the unix port (`MicroPythonPort`).
"""
