"""What goes wrong in a page without anybody seeing it."""

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Error, Page, Request

LOOPBACK = "127.0.0.1"
ANSWERS_OF_THE_GATEWAY = "Failed to load resource"
"""How Chromium's console tells of a 401 or of a gateway that is off; the console of ours shows those itself."""


class WatchedPage:
    """Collects errors of scripts, breaches of the content security policy, and requests to anybody else."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(ANSWERS_OF_THE_GATEWAY):
            self.faults.append(f"{message.type}: {message.text}")

    def _on_error(self, error: Error) -> None:
        self.faults.append(f"uncaught: {error}")

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).hostname != LOOPBACK:
            self.faults.append(f"asked {request.url}")
