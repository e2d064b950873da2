"""How people and programs look in: HTTP, SSE, WebSocket, and the web pages."""
