"""What a customer's host does in tests, run in its namespace.

`serve` answers datagrams, `ask` sends one, `inject` sends an encapsulated packet to a segment.
"""

# ruff: noqa: T201 - what it prints is what it answers

from __future__ import annotations

import socket
import struct
import sys

PORT = 7007


def serve(address: str, label: str) -> None:
    with socket.socket(_family(address), socket.SOCK_DGRAM) as found:
        found.bind((address, PORT))
        print("ready", flush=True)
        while True:
            data, sender = found.recvfrom(65535)
            print(f"heard {len(data)}", flush=True)
            found.sendto(label.encode(), sender)


def ask(address: str, source: str = "", octets: str = "8") -> None:
    with socket.socket(_family(address), socket.SOCK_DGRAM) as found:
        if source:
            found.bind((source, 0))
        found.settimeout(1)
        if _family(address) == socket.AF_INET:
            found.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: never fragment
        for _ in range(2):
            found.sendto(bytes(int(octets)), (address, PORT))
            try:
                print(found.recv(64).decode())
            except TimeoutError:
                continue
            return
        print("nobody")


def inject(segment: str, inner_source: str, inner_target: str) -> None:
    """An IPv4 packet to the inner target, in an IPv6 packet to the segment, as a router would encapsulate it."""
    udp = struct.pack("!HHHH", PORT, PORT, 12, 0) + b"evil"
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
    header += socket.inet_aton(inner_source) + socket.inet_aton(inner_target)
    total = sum(struct.unpack("!10H", header))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    packet = header[:10] + struct.pack("!H", checksum) + header[12:] + udp
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, 4) as found:
        for _ in range(5):
            found.sendto(packet, (segment, 0))
    print("sent")


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


if __name__ == "__main__":
    {"serve": serve, "ask": ask, "inject": inject}[sys.argv[1]](*sys.argv[2:])
