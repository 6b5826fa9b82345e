"""`make demo`. Exit status 0 only where everything was seen. Next step: `tools.demo.stage`."""

from __future__ import annotations

import subprocess
import sys
import time

from tools.vm.boot import run

KERNEL = "6.12"
TIMEOUT_S = 240


def main() -> int:
    """Run the stage where a kernel can enforce."""
    started = time.monotonic()
    if _can_enforce_here():
        print("This machine's kernel can enforce: the demo runs here, in cgroups of its own.", flush=True)
        status = subprocess.run([sys.executable, "-m", "tools.demo.stage"], check=False).returncode
    else:
        print(
            f"This machine's kernel cannot enforce (`bulkhead doctor` says why): a VM with Linux {KERNEL}.", flush=True
        )
        status = run(["python", "-m", "tools.demo.stage"], KERNEL, timeout_s=TIMEOUT_S)
    word = "Everything was seen" if status == 0 else "Something was not seen"
    print(f"{word}, in {time.monotonic() - started:.0f} s.", flush=True)
    return status


def _can_enforce_here() -> bool:
    command = [sys.executable, "-m", "bulkhead", "doctor", "-o", "json"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
