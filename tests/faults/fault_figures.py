"""What the tests of faults look at in a running gateway: its readiness, its rows, its memory and files, its log."""

import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from tests.gateway_process import GatewayProcess

MIB = 1 << 20


def unready(gateway: GatewayProcess) -> Mapping[str, str]:
    """Returns the parts that are not ready with their reasons."""
    answer = httpx.get(f"{gateway.http_url}/readyz", timeout=120, trust_env=False)
    parts = answer.json()["parts"]
    assert (answer.status_code == 200) == parts["store"]["ready"], answer.text
    return {name: part["reason"] for name, part in parts.items() if not part["ready"]}


def rows(data: Path, query: str, *parameters: object) -> list[tuple[object, ...]]:
    """Returns what a reader of the database file sees beside the gateway."""
    connection = sqlite3.connect(f"{(data / 'schoolgate.db').as_uri()}?mode=ro", uri=True, timeout=120)
    try:
        return connection.execute(query, parameters).fetchall()
    finally:
        connection.close()


def resident_bytes(gateway: GatewayProcess) -> int:
    return int(psutil.Process(gateway.pid).memory_info().rss)


def open_files(gateway: GatewayProcess) -> int:
    return int(psutil.Process(gateway.pid).num_fds())


def mistakes(gateway: GatewayProcess) -> list[str]:
    """Returns what a gateway never logs if all is well with its own code: tracebacks, failed tasks, broken requests."""
    log = gateway.log_file.read_text(errors="replace")
    words = r"Traceback|task_failed|writer_failed|group_not_stored|request_failed|library_message|Fatal error"
    return [line for line in log.splitlines() if re.search(words, line)]
