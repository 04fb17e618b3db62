"""``make load-test``: locust on the API that the settings name, bounded in users and time.

Arguments of locust win over the defaults: 30 users for one minute, without its web page. Exit
code 1 when a request failed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from emdata.settings import load_settings

DEFAULTS = ("--headless", "--users=30", "--spawn-rate=10", "--run-time=1m", "--only-summary")


def main(arguments: list[str]) -> int:
    """Run it; the exit code."""
    settings = load_settings()
    host = settings.api_public_url or f"http://127.0.0.1:{settings.api_port}"
    file = Path(__file__).with_name("locustfile.py")
    command = [sys.executable, "-m", "locust", "-f", str(file), f"--host={host}"]
    return subprocess.run([*command, *DEFAULTS, *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
