"""Asks DNS in ways that resolvers don't.

  dns.py split HOST NAME COUNT   over one TCP connection, each message with its length in pieces of a byte
  dns.py hear GROUP PORT ADDR    joins a multicast group on the interface with ADDR, prints "hearing", and "heard" for each question
  dns.py call GROUP PORT ADDR NAME COUNT FLAGS   asks the group, with FLAGS in the header, and waits for no answer
"""

import socket
import struct
import sys
import time


def question(ident, name, flags=0x100):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", ident, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def split(host, name, count):
    with socket.create_connection((host, 53)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = s.makefile("rb")
        for ident in range(int(count)):
            message = question(ident + 1, name)
            for byte in struct.pack(">H", len(message)) + message:
                s.sendall(bytes([byte]))
            (length,) = struct.unpack(">H", stream.read(2))
            stream.read(length)


def group(address, port, local):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(local))
    return s, (address, int(port))


def hear(address, port, local):
    s, to = group(address, port, local)
    s.bind(to)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(address) + socket.inet_aton(local))
    print("hearing", flush=True)
    while True:
        s.recv(9000)
        print("heard", flush=True)


def call(address, port, local, name, count, flags):
    s, to = group(address, port, local)
    for i in range(int(count)):
        s.sendto(question(0 if port == "5353" else i + 1, name, int(flags, 0)), to)
        time.sleep(0.01)


globals()[sys.argv[1]](*sys.argv[2:])
