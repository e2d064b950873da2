"""Whether a door can have its port, or has it already."""

import errno
import socket

from foundation.findings import Finding, bad, good
from gateway.health.port_holder import holder_of


def check_port(name: str, host: str, port: int) -> Finding:
    """The port is free, or a gateway of ours has it."""
    subject = f"port {name}"
    where = f"{host}:{port}"
    other = f"choose another with SCHOOLGATE_{name.upper()}__PORT"
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            holder = holder_of(port)
            if holder is not None and holder.is_gateway:
                return good(subject, f"{where} is held by the running gateway, process {holder.pid}")
            by = "a program of another user" if holder is None else f"process {holder.pid}, {holder.command}"
            return bad(subject, f"{where} is in use by {by}", f"stop it, or {other}")
        if error.errno == errno.EACCES:
            return bad(subject, f"{where} needs more rights than this user has", f"{other}, from 1024 on")
        return bad(
            subject,
            f"{where} cannot be listened on: {error.strerror}",
            f"set SCHOOLGATE_{name.upper()}__HOST",
        )
    return good(subject, f"{where} is free")
