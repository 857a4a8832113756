"""The list: what a bug does, the text it changes, and where the tests that should see it are.

Each changes one place of one file. A place that is no longer there is an error of this list, not
a bug that was caught.
"""

from __future__ import annotations

from dataclasses import dataclass

FAULTS = "tests/device/micropython/test_line_faults.py"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bug:
    """`before`, which `file` holds once, becomes `after`; `tests` are pytest's words."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


BUGS = (
    Bug(
        name="write a file under its own name and skip the rename",
        file="provision/device/micropython/agent/receive.py",
        before='beside = path[: path.rfind("/") + 1] + ".provision~"',
        after="beside = path",
        tests=(FAULTS, "-k", "any_chunking"),
    ),
    Bug(
        name="skip the sha256 of a file before the rename",
        file="provision/device/micropython/agent/receive.py",
        before="if hasher.digest()[:8] != proof:",
        after="if hasher.digest() == b'':",
        tests=("tests/device/micropython/test_agent.py", "-k", "promised"),
    ),
    Bug(
        name="skip the proof of a path",
        file="provision/device/micropython/agent/receive.py",
        before='raise ValueError("path")',
        after="pass",
        tests=(FAULTS, "-k", "flipped_bit_touches_no_other"),
    ),
    Bug(
        name="leave the interrupt character off after a stream",
        file="provision/device/micropython/agent/receive.py",
        before="        kbd_intr(3)\n",
        after="        pass\n",
        tests=(FAULTS, "-k", "any_chunking"),
    ),
    Bug(
        name="go on behind the operation that a damaged stream stopped at",
        file="provision/device/micropython/board_repl.py",
        before='self.trace(1, f"the stream was damaged ({damage}); {consequence}")',
        after="work = work[1:]",
        tests=(FAULTS, "-k", "flipped_bit_touches_no_other"),
    ),
    Bug(
        name="run further ahead than the receive ring holds",
        file="provision/core/chips/esp/runtime.py",
        before="    Pace(block=8192, window=15, lead=240),",
        after="    Pace(block=8192, window=15, lead=2400),",
        tests=(FAULTS, "-k", "overruns_no_receive_ring"),
    ),
    Bug(
        name="wait for a board that never stops talking",
        file="provision/device/transport/buffered_serial.py",
        before="            over = self.clock.monotonic() >= deadline\n\n    def read_exactly",
        after="\n    def read_exactly",
        tests=("tests/device/micropython/test_hostile_device.py", "-k", "flood"),
    ),
    Bug(
        name="give a board's answer to the parser of literals unseen",
        file="provision/device/micropython/scan_protocol.py",
        before=" or not _LITERAL.fullmatch(line)",
        after="",
        tests=("tests/device/micropython/test_hostile_device.py", "-k", "no_micropython_prints"),
    ),
    Bug(
        name="skip the verify after writing the flash",
        file="provision/device/flashing/esptool/flasher.py",
        before="if self._md5(region.offset, len(region.data)) == _md5(region.data):",
        after="if region.data:",
        tests=("tests/device/flashing/esptool/test_flash_verify.py",),
    ),
    Bug(
        name="go on with another board that answers after the line failed",
        file="provision/device/flashing/esptool/download_session.py",
        before="if after.mac != before.mac or after.chip != before.chip:",
        after="if after.mac == before.mac and after.chip != before.chip:",
        tests=("tests/device/flashing/esptool/test_flash_verify.py",),
    ),
    Bug(
        name="take the first port where two boards say that they have the MAC",
        file="provision/engine/locate.py",
        before="            if len(addresses) == 1:",
        after="            if addresses:",
        tests=("tests/engine/test_locate.py",),
    ),
    Bug(
        name="show a secret in an f-string",
        file="provision/model/secret.py",
        before="        return format(MASK, spec)",
        after="        return format(self._value, spec)",
        tests=("tests/model/test_secret.py",),
    ),
    Bug(
        name="never release the lock of a port",
        file="provision/device/transport/serial_port.py",
        before="                self._claim.truncate(0)\n            self._claim.close()",
        after="                self._claim.truncate(0)",
        tests=(
            "tests/device/transport/test_serial_port.py",
            "-k",
            "second_opening or closing_twice",
        ),
    ),
    Bug(
        name="ignore the MAC",
        file="provision/core/planning/safety.py",
        before="if desired.mac and _plain(desired.mac) != _plain(mac):",
        after="if False:",
        tests=(
            "tests/core/planning/test_diff_cases.py",
            "tests/engine/test_fleet_run.py",
            "-k",
            "mac",
        ),
    ),
    Bug(
        name="ignore secure boot and flash encryption",
        file="provision/core/planning/safety.py",
        before="if actual.secured is not None:",
        after="if actual.secured is None and actual.mac == '':",
        tests=("tests/core/planning/test_diff_cases.py",),
    ),
    Bug(
        name="write an image for another chip",
        file="provision/core/planning/safety.py",
        before="if identity is not None and identity.chip != board.chip:",
        after="if identity is None and desired.mac == '':",
        tests=("tests/core/planning/test_diff_cases.py",),
    ),
    Bug(
        name="write NVS with the firmware",
        file="provision/core/chips/esp/firmware.py",
        before=" or (part.type == 1 and part.subtype in _NVS_SUBTYPES):",
        after=":",
        tests=("tests/core/chips/esp/test_firmware.py",),
    ),
    Bug(
        name="write main.py before what it imports",
        file="provision/core/planning/diff.py",
        before="        for startup in STARTUP_FILES:",
        after="        for startup in ():",
        tests=("tests/core/planning/test_diff_cases.py",),
    ),
    Bug(
        name="delete files that nobody manages",
        file="provision/core/planning/diff.py",
        before="            if below(path, root):",
        after="            if path:",
        tests=(
            "tests/core/planning/test_diff_cases.py",
            "tests/core/planning/test_diff_properties.py",
        ),
    ),
    Bug(
        name="delete where nothing was pruned",
        file="provision/core/planning/diff.py",
        before="        for root in self.desired.prune:\n",
        after="        for root in (*self.desired.prune, '/lib'):\n",
        tests=(
            "tests/core/planning/test_diff_cases.py",
            "tests/core/planning/test_diff_properties.py",
        ),
    ),
    Bug(
        name="erase without asking",
        file="provision/core/planning/safety.py",
        before="if not plan.erases or interrupted or (known and not actual.repl_unresponsive):",
        after="if True:",
        tests=("tests/engine/test_fleet_run.py", "-k", "needs_a_yes"),
    ),
    Bug(
        name="take another device's board for one that no run has met yet",
        file="provision/core/planning/safety.py",
        before="another = owner if owner is not None and owner.device != device else None",
        after="another = owner if desired.mac is not None and owner is not None else None",
        tests=("tests/core/planning/test_diff_cases.py",),
    ),
    Bug(
        name="keep a board that was moved in the lock twice",
        file="provision/lockfile/entries.py",
        before="            if device in macs or entry.mac not in taken:",
        after="            if True:",
        tests=("tests/lockfile/test_entries.py",),
    ),
    Bug(
        name="take another manifest's leave to erase a board for one's own",
        file="provision/project/flash_journal.py",
        before='f"{self._manifest}\\0{device}"',
        after='f"{device}"',
        tests=("tests/engine/test_safe_boot.py", "-k", "leave_to_erase"),
    ),
    Bug(
        name="take another device's leave to erase a board for one's own",
        file="provision/engine/tasks/apply.py",
        before="        and run.journal.may_erase(actual.mac, name),",
        after="        and run.journal.interrupted_mode(actual.mac) is not None,",
        tests=("tests/engine/test_fleet_run.py", "-k", "leave_to_erase"),
    ),
    Bug(
        name="keep the leave to erase a board that answers again",
        file="provision/engine/tasks/plan.py",
        before="            journal.end(actual.mac)  # it is no more",
        after="            pass  # it is no more",
        tests=("tests/engine/test_fleet_run.py", "-k", "leave_to_erase"),
    ),
    Bug(
        name="leave a board in its boot loader after a failed entry",
        file="provision/device/flashing/esptool/flasher.py",
        before="            session.abandon()\n",
        after="",
        tests=("tests/device/flashing/esptool/test_flasher.py", "-k", "runs_its_app_again"),
    ),
    Bug(
        name="forget a check that failed",
        file="provision/core/planning/check_state.py",
        before='    return "it failed in the last run" if last.outcome == "failed" else None',
        after="    return None",
        tests=("tests/core/planning/test_diff_cases.py", "-k", "check-failed"),
    ),
    Bug(
        name="take a check that passed on another state for one of this",
        file="provision/core/planning/check_state.py",
        before="    if last.state != state_digest(desired, actual):",
        after="    if not last.state:",
        tests=("tests/core/planning/test_diff_cases.py", "-k", "check-passed-elsewhere"),
    ),
    Bug(
        name="say ok of a board whose check has never run",
        file="provision/core/planning/check_state.py",
        before='        return "it has not passed on this board yet"',
        after="        return None",
        tests=("tests/engine/tasks/test_check.py", "-k", "added"),
    ),
    Bug(
        name="believe an earlier check after a run that was cut before its own",
        file="provision/engine/execute.py",
        before="    begin_check(device, actual)\n",
        after="",
        tests=("tests/engine/tasks/test_check.py", "-k", "cut_between"),
    ),
    Bug(
        name="remember a check of a board that is not as it must be",
        file="provision/engine/tasks/check.py",
        before="        as_wanted = plan.change_count == 0",
        after="        as_wanted = True",
        tests=("tests/engine/tasks/test_check.py", "-k", "proves_nothing_of_that"),
    ),
    Bug(
        name="end the journal before the write is verified",
        file="provision/engine/execute.py",
        before='    flasher.write(to_write, session.progress("flash"))\n',
        after="    device.run.journal.end(mac)\n"
        '    flasher.write(to_write, session.progress("flash"))\n',
        tests=("tests/engine/test_fleet_run.py", "-k", "stays_in_the_journal"),
    ),
    Bug(
        name="no proof of the board in the bootloader before flashing",
        file="provision/engine/session.py",
        before="            self._prove(self._flasher.identify())",
        after="            pass",
        tests=("tests/engine/test_fleet_run.py", "-k", "exchanged_meanwhile"),
    ),
    Bug(
        name="no proof of the board at its REPL after it was started",
        file="provision/engine/session.py",
        before="            self._prove(self._repl.identify())",
        after="            pass",
        tests=("tests/engine/test_fleet_run.py", "-k", "exchanged_meanwhile"),
    ),
    Bug(
        name="forget that the board was exchanged",
        file="provision/engine/session.py",
        before="        self._exchanged = board_exchanged(first, seen)\n",
        after="",
        tests=("tests/engine/test_fleet_run.py", "-k", "exchanged_meanwhile"),
    ),
    Bug(
        name="claim a board before it is refused",
        file="provision/engine/tasks/plan.py",
        before="    if actual.mac is not None and not plan.refusals:",
        after="    if actual.mac is not None:",
        tests=("tests/engine/test_fleet_run.py", "-k", "left_to_its_own"),
    ),
    Bug(
        name="give a device the port that another's board was followed to",
        file="provision/engine/locate.py",
        before="if located[device] == seat and owner is not None and owner != device:",
        after="if False:",
        tests=("tests/engine/test_locate.py", "-k", "left_without"),
    ),
    Bug(
        name="ask the boards of devices that are left out",
        file="provision/engine/locate.py",
        before="    return candidates(discovery.ports(), owned, usb)",
        after="    return candidates(discovery.ports(), [], usb)",
        tests=("tests/engine/test_locate.py", "-k", "left_out"),
    ),
    Bug(
        name="do not learn which board a device is",
        file="provision/lockfile/entries.py",
        before="            device: replace(self.devices.get(device, LockedDevice()), mac=mac)",
        after="            device: self.devices.get(device, LockedDevice())",
        tests=("tests/lockfile/test_store.py",),
    ),
    Bug(
        name="leak a secret in base64",
        file="provision/core/manifest/redact.py",
        before="        *_base64_forms(data),\n",
        after="",
        tests=("tests/core/manifest/test_redact.py",),
    ),
    Bug(
        name="take a download with another sha256",
        file="provision/sources/http_client.py",
        before="if sha256 is not None and found != sha256:",
        after="if sha256 is not None and not found:",
        tests=("tests/sources/test_http_client.py", "-k", "stays_wrong or refused"),
    ),
    Bug(
        name="let a package write outside /lib",
        file="provision/sources/packages.py",
        before='any(part in ("", ".", "..") for part in path.split("/"))',
        after='any(part == "" for part in path.split("/"))',
        tests=("tests/sources/test_packages.py",),
    ),
    Bug(
        name="write the lock in place, where a kill leaves half of it",
        file="provision/atomic_files.py",
        before='    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")',
        after="    beside = path; path.unlink(missing_ok=True)",
        tests=("tests/test_atomic_files.py", "tests/lockfile/test_store.py"),
    ),
    Bug(
        name="restart a board to be rid of its app without disabling it",
        file="provision/engine/safe_boot.py",
        before="    if repl.disable_startup():\n        note_state(STARTUP_DISABLED)\n",
        after="",
        tests=("tests/engine/test_safe_boot.py",),
    ),
    Bug(
        name="drop a disabled start-up file where it should get its name back",
        file="provision/device/micropython/agent/startup.py",
        before="os.rename(beside, path)",
        after="os.remove(beside)",
        tests=("tests/device/micropython/test_agent.py", "-k", "disabled"),
    ),
    Bug(
        name="rename the start-up files of a board with secure boot",
        file="provision/device/micropython/agent/startup.py",
        before="if machine.mem32[address] & bits:",
        after="if 0:",
        tests=("tests/apply/test_refusals.py", "-k", "rule_1"),
    ),
    Bug(
        name="erase a board on which an update in place was cut short",
        file="provision/core/planning/diff.py",
        before=" and actual.firmware is None and not actual.interrupted_update:",
        after=" and actual.firmware is None:",
        tests=("tests/engine/test_safe_boot.py", "tests/core/planning/test_diff_cases.py"),
    ),
    Bug(
        name="leave what another firmware wrote when the whole flash is erased",
        file="provision/core/chips/esp/erase_plan.py",
        before="            yield at, length\n",
        after="            yield from ()\n",
        tests=("tests/core/chips/esp/test_erase_plan.py",),
    ),
    Bug(
        name="write what boots before all else of an erased flash is there",
        file="provision/core/chips/esp/erase_plan.py",
        before="return (*first, *last)",
        after="return (*last, *first)",
        tests=("tests/core/chips/esp/test_erase_plan.py",),
    ),
    Bug(
        name="erase the flash without making sure first that nothing boots",
        file="provision/device/flashing/esptool/flasher.py",
        before="session.esp.erase_region(BOOT_OFFSETS[session.board.chip], SECTOR)\n",
        after="pass\n",
        tests=("tests/device/flashing/esptool/test_flasher.py", "-k", "erasing_leaves"),
    ),
    Bug(
        name="change a filesystem in flash in the block that counts",
        file="provision/device/flashing/littlefs_edit.py",
        before="offset = self._place.offset + other * self._place.block",
        after="offset = self._place.offset + current * self._place.block",
        tests=("tests/device/flashing/test_stored_filesystem.py", "-k", "wherever_power_is_cut"),
    ),
    Bug(
        name="end a file's old name in flash before it has the new one",
        file="provision/device/flashing/littlefs_edit.py",
        before="""            self._set(target, _inserted(target.log.entries, renamed))
            self._flush()
            self._set(source, _without(source.log.entries, number))
""",
        after="""            self._set(source, _without(source.log.entries, number))
            self._flush()
            self._set(target, _inserted(target.log.entries, renamed))
""",
        tests=("tests/device/flashing/test_stored_filesystem.py", "-k", "wherever_power_is_cut"),
    ),
    Bug(
        name="follow directories that lead back to themselves",
        file="provision/device/flashing/littlefs_reader.py",
        before="if seen & set(metadata.pair):",
        after="if len(seen) > 1 << 16:",
        tests=("tests/device/flashing/test_stored_filesystem.py", "-k", "directory_inside_itself"),
    ),
    Bug(
        name="take what is read of a flash without its MD5",
        file="provision/device/flashing/esptool/stub_client.py",
        before="if next(frames) != hashlib.md5(data, usedforsecurity=False).digest():",
        after="if len(next(frames)) != 16:",
        tests=("tests/device/flashing/esptool/test_stub_client.py",),
    ),
    Bug(
        name="leave an early preview of 1.22 a filesystem that its driver misreads",
        file="provision/core/chips/esp/flash_contents.py",
        before="return VERSION_2_0 if early else VERSION_2_1",
        after="return VERSION_2_1",
        tests=("tests/core/chips/esp/test_flash_contents.py", "-k", "newest_littlefs"),
    ),
    Bug(
        name="forget MACs that one batch could not write",
        file="provision/lockfile/store.py",
        before="                    self._unwritten = batch | self._unwritten\n",
        after="                    pass\n",
        tests=("tests/lockfile/test_store.py",),
    ),
    Bug(
        name="follow a link out of a project",
        file="provision/atomic_files.py",
        before="    if root is not None and not place.is_relative_to(root):\n",
        after="    if False:\n",
        tests=("tests/security/test_project_files.py", "-k", "outside"),
    ),
    Bug(
        name="take a link to nothing for no file, and write through it",
        file="provision/atomic_files.py",
        before="        if os.path.lexists(path):\n",
        after="        if False:\n",
        tests=("tests/security/test_project_files.py", "-k", "dangling"),
    ),
    Bug(
        name="believe that a file is what it was when it was looked at",
        file="provision/atomic_files.py",
        before="        _check_plain(os.fstat(file.fileno()).st_mode)",
        after="        pass",
        tests=("tests/security/test_project_files.py", "-k", "replaced"),
    ),
    Bug(
        name="vendor through a link",
        file="provision/app.py",
        before="        refuse_links(beside)\n",
        after="        pass\n",
        tests=("tests/security/test_project_files.py", "-k", "vendored"),
    ),
    Bug(
        name="begin another device after the run was cancelled",
        file="provision/engine/scheduler.py",
        before="if cancel.cancelled() or (fail_fast and failed):",
        after="if fail_fast and failed:",
        tests=("tests/engine/test_cancellation.py",),
    ),
    Bug(
        name="take a closed terminal for a second wish to stop",
        file="provision/cli/stop_signals.py",
        before="        signal.signal(signal.SIGHUP, signal.SIG_IGN)\n",
        after="        pass\n",
        tests=("tests/apply/test_stop_signals.py", "-k", "terminal"),
    ),
    Bug(
        name="resolve the devices that --limit leaves out",
        file="provision/app.py",
        before="fleet.loaded.ports(leaving_out=[state.device for state in states])",
        after="[state.port for state in fleet.loaded.states() if state.port]",
        tests=("tests/apply/test_api.py", "-k", "left_out"),
    ),
    Bug(
        name="judge links that are left out",
        file="provision/project/source_folder.py",
        before="                elif matcher.takes(path) and not self._withheld(\n"
        "                    self._place(directory, entry, path)\n"
        "                ):\n",
        after="                elif not self._withheld(self._place(directory, entry, path)) and (\n"
        "                    matcher.takes(path)\n"
        "                ):\n",
        tests=("tests/security/test_hostile_manifest.py", "-k", "not_judged"),
    ),
    Bug(
        name="look into folders that are left out",
        file="provision/project/source_folder.py",
        before="if matcher.looks_into(path) and entry.name != _LITTER:",
        after="if entry.name != _LITTER:",
        tests=("tests/security/test_hostile_manifest.py", "-k", "not_judged"),
    ),
    Bug(
        name="follow a link back for ever",
        file="provision/project/source_folder.py",
        before="        if place in directory.chain:\n",
        after="        if False:\n",
        tests=("tests/security/test_hostile_manifest.py", "-k", "leads_back"),
    ),
    Bug(
        name="send what belongs to the project with the folder it lies in",
        file="provision/project/source_folder.py",
        before="why = self._withheld_folder(place.parent) or self._own.get(place)",
        after="return None",
        tests=("tests/security/test_withheld.py", "-k", "folder_of_the_manifest"),
    ),
    Bug(
        name="know secrets by the name they are asked for alone",
        file="provision/project/source_folder.py",
        before="        place = Path(os.path.realpath(place))\n",
        after="        return place\n",
        tests=("tests/security/test_withheld.py", "-k", "another_name"),
    ),
    Bug(
        name="take a source that is withheld when it is named",
        file="provision/core/manifest/resolve/file_placement.py",
        before="        if withheld is not None:\n",
        after="        if False:\n",
        tests=("tests/security/test_withheld.py", "-k", "naming_it"),
    ),
    Bug(
        name="take the board profile's word for what is plugged in",
        file="provision/device/transport/wiring.py",
        before="    if usb_id == USB_JTAG:\n",
        after="    if False:\n",
        tests=("tests/device/transport/test_wiring.py",),
    ),
    Bug(
        name="flash over a link that cannot carry it",
        file="provision/engine/execute.py",
        before="        if not session.capabilities.flashes:\n",
        after="        if False:\n",
        tests=("tests/engine/test_fleet_run.py", "-k", "link"),
    ),
    Bug(
        name="let the folder of packages be a file",
        file="provision/core/manifest/resolve/file_placement.py",
        before="        if library is not None and library.source is not None:\n",
        after="        if False:\n",
        tests=("tests/core/manifest/test_manifest_mistakes.py",),
    ),
    Bug(
        name="write a file where a directory stands",
        file="provision/core/planning/diff.py",
        before="            if dest in self.directories and dest not in self._removable():\n",
        after="            if False:\n",
        tests=("tests/core/planning/test_diff_cases.py",),
    ),
)
