"""The console as it is built: complete in itself, small, and its pure parts tested."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).parents[2] / "api/web"
DIST = WEB / "dist"
NAMESPACES = "http://www.w3.org/"
MOST_BYTES = 250_000


def test_nothing_is_loaded_from_elsewhere() -> None:
    for file in DIST.rglob("*"):
        if file.suffix in {".html", ".js", ".css", ".svg"}:
            addresses = re.findall(r"\bhttps?://[\w.-]+[\w./-]*", file.read_text("utf-8"))
            assert [address for address in addresses if not address.startswith(NAMESPACES)] == [], file.name


def test_the_page_has_nothing_inline_so_that_the_policy_can_be_strict() -> None:
    page = (DIST / "index.html").read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\son\w+=|\bdata:", page) == []


def test_scripts_and_styles_are_small() -> None:
    sent = [file for file in DIST.rglob("*") if file.suffix in {".html", ".js", ".css"}]
    assert 0 < sum(len(gzip.compress(file.read_bytes())) for file in sent) < MOST_BYTES


def test_the_lock_names_versions_and_digests_and_no_address() -> None:
    lock = (WEB / "package-lock.json").read_text("utf-8")
    assert '"integrity"' in lock
    assert '"resolved"' not in lock


def test_the_pure_parts_of_the_console() -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["npm", "test"], cwd=WEB, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
