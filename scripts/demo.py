"""Runs the gateway with a simulated school talking to it: what `make run` calls.

    python scripts/demo.py --data DIR

Ctrl-C ends the school first, then the gateway. Ports other than the default ones come from the environment, as
for the gateway itself: SCHOOLGATE_HTTP__PORT and SCHOOLGATE_MQTT__PORT.
"""

import argparse
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from gateway.health.port_holder import holder_of

HOST = "127.0.0.1"
READY_WITHIN_S = 120.0
SCHOOL_STOPS_WITHIN_S = 15.0
GATEWAY_STOPS_WITHIN_S = 30.0
BIN = Path(sys.executable).parent

SCHOOL = ("--speed", "60", "--loop", "--drop-line", "1", "--repeat", "0.0005", "--wrong-clock", "2", "--garbage", "1")
"""A minute a second, day after day, with a little of what goes wrong in real schools."""


class DemoError(Exception):
    """What keeps the demonstration from running, in words for the person who started it."""


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


def port_of(variable: str, default: int) -> int:
    """The port that `variable` of the environment gives. Raises DemoError if it is none."""
    text = os.environ.get(variable, str(default))
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise DemoError(f"{variable}={text} is not a port")
    return int(text)


def check_free(port: int, variable: str, default: int) -> None:
    """Raises DemoError with what to do if something listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            other = default + 10_000 if port == default else port + 1
            raise DemoError(
                f"port {port} is taken by {who_listens(port)} ({error.strerror}).\n"
                f"End that, or use another port:  {variable}={other} make run"
            ) from error


def who_listens(port: int) -> str:
    """What holds a port, as far as this user may see."""
    holder = holder_of(port)
    if holder is None:
        return "another program"
    return f"process {holder.pid}: {holder.command}"


def readiness(port: int) -> tuple[bool, str]:
    """What /readyz says: ready or not, and what it says besides."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return False, "not listening yet"
    finally:
        connection.close()
    return response.status == 200, body


def wait_until_ready(gateway: "subprocess.Popen[bytes]", port: int) -> float:
    """Returns how long it took. Raises DemoError if the gateway ends, or is not ready in time."""
    began = time.monotonic()
    next_word = began + 2.0
    while True:
        if gateway.poll() is not None:
            raise DemoError(f"the gateway ended with exit code {gateway.returncode}; it says why above")
        is_ready, reason = readiness(port)
        now = time.monotonic()
        if is_ready:
            return now - began
        if now - began > READY_WITHIN_S:
            raise DemoError(f"the gateway is not ready after {READY_WITHIN_S:.0f} s: {reason}")
        if now >= next_word:
            next_word = now + 2.0
            say(f"   {now - began:3.0f} s: {reason}")
        time.sleep(0.1)


def stop(process: "subprocess.Popen[bytes] | None", name: str, within_s: float) -> None:
    """SIGTERM, and SIGKILL if it does not end in time."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        say(f"── {name} does not end; ending it hard")
        process.kill()
        process.wait()


def say(text: str) -> None:
    print(text, flush=True)


def banner(http_port: int, mqtt_port: int, key: str) -> None:
    address = f"http://{HOST}:{http_port}/#key={key}"
    line = "━" * max(60, len(address) + 12)
    say(f"\n{line}\n  Console:  {address}\n  MQTT:     {HOST}:{mqtt_port}\n  Ctrl-C ends everything.\n{line}\n")


def watch(gateway: "subprocess.Popen[bytes]", school: "subprocess.Popen[bytes]") -> int:
    """Returns when the gateway has ended; the school may end before, that is told."""
    is_school_over = False
    while gateway.poll() is None:
        if not is_school_over and school.poll() is not None:
            is_school_over = True
            say(f"── The simulated school ended (exit code {school.returncode}). The gateway runs on; Ctrl-C ends it.")
        time.sleep(0.2)
    raise DemoError(f"the gateway ended with exit code {gateway.returncode}; it says why above")


def run(data: Path) -> None:
    """Gateway, then school, until Ctrl-C or SIGTERM (Stopped), or until the gateway fails (DemoError)."""
    http_port = port_of("SCHOOLGATE_HTTP__PORT", 8080)
    mqtt_port = port_of("SCHOOLGATE_MQTT__PORT", 1883)
    check_free(http_port, "SCHOOLGATE_HTTP__PORT", 8080)
    check_free(mqtt_port, "SCHOOLGATE_MQTT__PORT", 1883)
    gateway: subprocess.Popen[bytes] | None = None
    school: subprocess.Popen[bytes] | None = None
    try:
        say(f"── Starting the gateway (data in {data})")
        # sessions of their own: a Ctrl-C of the terminal reaches only this program, which ends them in order
        gateway = subprocess.Popen([BIN / "schoolgate", "run", "--data", data], start_new_session=True)
        say(f"── Ready after {wait_until_ready(gateway, http_port):.1f} s")
        key_file = data / "admin.key"
        if not key_file.is_file():
            raise DemoError(
                f"{key_file} is missing; make a new key with:  schoolgate keys create --role admin --data {data}"
            )
        banner(http_port, mqtt_port, key_file.read_text().strip())
        school = subprocess.Popen(
            [
                BIN / "school-sim",
                "day",
                *("--api", f"http://{HOST}:{http_port}", "--mqtt", f"{HOST}:{mqtt_port}"),
                *("--key-file", key_file, "--credentials", data / "school-sim.json"),
                *SCHOOL,
            ],
            start_new_session=True,
        )
        watch(gateway, school)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop(school, "the simulated school", SCHOOL_STOPS_WITHIN_S)
        stop(gateway, "the gateway", GATEWAY_STOPS_WITHIN_S)


def on_signal(number: int, frame: FrameType | None) -> None:
    raise Stopped


def main() -> int:
    parser = argparse.ArgumentParser(description="The gateway with a simulated school talking to it.")
    parser.add_argument("--data", type=Path, default=Path("data"), help="the gateway's data directory")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    try:
        run(arguments.data.resolve())
    except Stopped:
        say("── Ended.")
    except DemoError as error:
        print(f"\n── {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
