"""What this machine is reached by: its names and the addresses of its interfaces."""

import fcntl
import ipaddress
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

SIOCGIFADDR = 0x8915


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Names:
    """What a server is reached by."""

    hosts: tuple[str, ...]
    addresses: tuple[Address, ...]

    def general_names(self) -> list[x509.GeneralName]:
        return [*map(x509.DNSName, self.hosts), *map(x509.IPAddress, self.addresses)]


def own_names(node: str) -> Names:
    """Returns what this machine is reached by: its host name, short, with .local and whole; the node's name, localhost,
    its addresses."""
    host = socket.gethostname().partition(".")[0].lower()
    hosts = dict.fromkeys([host, f"{host}.local", socket.gethostname().lower(), node.lower(), "localhost"])
    return Names(tuple(filter(_is_host, hosts)), tuple(sorted(own_addresses(), key=lambda one: (one.version, one))))


def own_addresses() -> set[Address]:
    """Returns the addresses of this machine's interfaces, and those that its host name resolves to; loopback included,
    link-local ones not."""
    found: set[Address] = {ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1")}
    with suppress(OSError):
        found |= {_address(str(entry[4][0])) for entry in socket.getaddrinfo(socket.gethostname(), None)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _index, interface in socket.if_nameindex():
            request = struct.pack("256s", interface.encode()[:15])
            with suppress(OSError):  # an interface without an IPv4 address
                answer = fcntl.ioctl(probe, SIOCGIFADDR, request)
                found.add(ipaddress.IPv4Address(answer[20:24]))
    with suppress(OSError):
        lines = Path("/proc/net/if_inet6").read_text("ascii").splitlines()
        found |= {ipaddress.IPv6Address(bytes.fromhex(line.split()[0])) for line in lines}
    return {address for address in found if not address.is_link_local and not address.is_unspecified}


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _is_host(name: str) -> bool:
    return name != "" and name.isascii() and name.isprintable() and " " not in name
