"""How long `provision validate` takes for large fleets, and how much memory.

    python tests/bench/manifest.py [--devices 1000 10000] [--shape groups|own|templates]

Writes a manifest of N devices in 50 groups with 20 files each into a temporary folder and runs the
real command on it. `groups`: the files stand in the groups; `own`: each device lists its own 20;
`templates`: two of the groups' files are rendered for each device. With `--json` one object a
line. It measures and prints; it judges nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GROUPS = 50
FILES = 20


def write_fleet(folder: Path, devices: int, shape: str) -> Path:
    app = folder / "app"
    app.mkdir()
    for number in range(FILES):
        (app / f"f{number}.py").write_text(f"VALUE = {number}\n")
    (app / "config.json.j2").write_text(
        '{"name": "{{ name }}", "topic": "{{ topic }}", "interval": {{ interval }}}\n'
    )
    lines = ["fleet: bench", "defaults: {board: esp32, firmware: 1.24.1}", "groups:"]
    for group in range(GROUPS):
        lines += [f"  g{group}:", f"    vars: {{topic: t{group}, interval: {group}}}"]
        if shape != "own":
            lines.append("    files:")
            plain = FILES - (2 if shape == "templates" else 0)
            lines += [
                f"      - {{src: app/f{number}.py, dest: /lib/g{group}/f{number}.py}}"
                for number in range(plain)
            ]
            lines += [
                f"      - {{src: app/config.json.j2, dest: /config{number}.json, template: true}}"
                for number in range(FILES - plain)
            ]
    lines.append("devices:")
    for device in range(devices):
        lines += [
            f"  node-{device:05d}:",
            f"    groups: [g{device % GROUPS}]",
            f"    port: {{serial: S{device:06d}}}",
            f"    mac: '02:00:00:{device >> 16:02x}:{device >> 8 & 255:02x}:{device & 255:02x}'",
            f"    vars: {{place: room {device}, limit: {device}}}",
        ]
        if shape == "own":
            lines.append("    files:")
            lines += [
                f"      - {{src: app/f{number}.py, dest: /lib/f{number}.py}}"
                for number in range(FILES)
            ]
    manifest = folder / "fleet.yaml"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def measure(devices: int, shape: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        manifest = write_fleet(Path(name), devices, shape)
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "provision", "validate", str(manifest)],
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return {
            "shape": shape,
            "devices": devices,
            "manifest_mb": round(manifest.stat().st_size / 1e6, 2),
            "seconds": round(time.perf_counter() - start, 2),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
            "peak_mb": round(usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)),
            "exit_code": process.returncode,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure `provision validate` on large fleets.")
    parser.add_argument("--devices", type=int, nargs="+", default=[1_000, 3_000, 10_000])
    parser.add_argument("--shape", nargs="+", default=["groups", "templates", "own"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for shape in options.shape:
        for devices in options.devices:
            result = measure(devices, shape)
            if options.json:
                print(json.dumps(result), flush=True)
            else:
                print(
                    "{shape:>9} {devices:>6} devices {manifest_mb:>6} MB: {seconds:>6} s"
                    " ({cpu_seconds} s CPU), {peak_mb} MB, exit {exit_code}".format(**result),
                    flush=True,
                )


if __name__ == "__main__":
    main()
