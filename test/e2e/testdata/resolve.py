"""Looks names up as Go's command resolve does, with getaddrinfo: resolve.py NAME..."""

import socket
import sys

for name in sys.argv[1:]:
    try:
        socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
        print("ok")
    except socket.gaierror as err:
        print("none" if err.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else f"error {err}")
