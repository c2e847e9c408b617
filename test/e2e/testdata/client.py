"""ADDRESS COUNT keep|close: sends COUNT requests, by turns GET /users/N and POST /orders, with Python's http.client."""

import http.client
import sys

address, count, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
connection = None
for n in range(count):
    if connection is None:
        connection = http.client.HTTPConnection(address, timeout=10)
    if n % 2 == 0:
        connection.request("GET", "/users/%d" % n)
    else:
        connection.request("POST", "/orders", body=b"x" * 300)
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        sys.exit("status %d" % response.status)
    if mode == "close":
        connection.close()
        connection = None
