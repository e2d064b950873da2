"""Whether the broker can be reached from this machine."""

import socket
import ssl
from collections.abc import Iterator

from devices.mqtt.client.bridge import BridgeSettings
from foundation.findings import Finding, bad, good

REACH_TIMEOUT_S = 5.0


def check_bridge(bridge: BridgeSettings) -> Iterator[Finding]:
    """The broker can be reached, with TLS if it is to be used."""
    where = f"{bridge.host}:{bridge.port}"
    try:
        context = ssl.create_default_context(cafile=bridge.ca_file) if bridge.tls else None
    except OSError as error:
        text = f"{bridge.ca_file} cannot be used: {error.strerror or error}"
        yield bad("bridge", text, "set bridge.ca_file to a PEM file of certificates")
        return
    try:
        with socket.create_connection((bridge.host, bridge.port), timeout=REACH_TIMEOUT_S) as connection:
            if context is not None:
                context.wrap_socket(connection, server_hostname=bridge.host).close()
    except ssl.SSLCertVerificationError as error:
        advice = "set bridge.ca_file to the CA that signed the broker's certificate"
        yield bad("bridge", f"the broker at {where} is not trusted: {error.verify_message}", advice)
    except OSError as error:
        advice = "check bridge.host and bridge.port, the broker and the firewall between"
        yield bad("bridge", f"the broker at {where} cannot be reached: {error.strerror or error}", advice)
    else:
        yield good("bridge", f"the broker at {where} answers")
