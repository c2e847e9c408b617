"""Servers that do with their sockets what makes it hard to tell who serves.

    fork            a process for every connection, which inherits the accepted socket
    pass WORKER     accepts, and passes each connection over a UNIX socket to a second process, named WORKER
    exec NEXT AT    answers AT requests of its one connection and, when the next has come, becomes by exec the program that
                    answers the rest as NEXT
    self COUNT      sends itself COUNT requests when a line comes on standard input
    mute            reads a request, says so on standard output, and never answers

Each prints "listening ADDRESS" first.
"""

import http.client
import os
import select
import socket
import sys
import threading
import time


def requests(connection):
    """Yields once for each request (without a body) that came, until the peer closes."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        data = data.split(b"\r\n\r\n", 1)[1]
        yield


def answer(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")


def serve(connection):
    for _ in requests(connection):
        answer(connection)
    connection.close()


def listen():
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print("listening %s:%d" % listener.getsockname(), flush=True)
    return listener


def fork():
    listener = listen()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            serve(connection)
            os._exit(0)
        connection.close()


def pass_on(worker):
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    os.set_inheritable(theirs.fileno(), True)
    if os.fork() == 0:
        ours.close()
        again(["worker", str(theirs.fileno())], worker)
    theirs.close()
    listener = listen()
    while True:
        connection, _ = listener.accept()
        socket.send_fds(ours, [b"x"], [connection.fileno()])
        connection.close()


def worker(number):
    channel = socket.socket(fileno=int(number))
    while True:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not descriptors:
            return
        threading.Thread(target=serve, args=(socket.socket(fileno=descriptors[0]),), daemon=True).start()


def again(arguments, name):
    """Becomes this script anew, as the service called name."""
    os.execve(sys.executable, [sys.executable, __file__] + arguments, {**os.environ, "OTEL_SERVICE_NAME": name})


def exec_after(following, at):
    connection, _ = listen().accept()
    left = int(at)
    for _ in requests(connection):
        answer(connection)
        left -= 1
        if left == 0:
            # The next request has come and nobody has read it: the one before is over at both ends.
            select.select([connection], [], [])
            os.set_inheritable(connection.fileno(), True)
            again(["rest", str(connection.fileno())], following)


def rest(number):
    serve(socket.socket(fileno=int(number)))


def self_call(count):
    listener = listen()

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.readline()
    client = http.client.HTTPConnection("%s:%d" % listener.getsockname())
    for n in range(int(count)):
        client.request("GET", "/users/%d" % n)
        client.getresponse().read()
    print("done", flush=True)
    sys.stdin.readline()


def mute():
    listener = listen()
    while True:
        connection, _ = listener.accept()
        next(requests(connection))
        print("got", flush=True)
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        connection.detach()


modes = {
    "fork": fork, "pass": pass_on, "worker": worker, "exec": exec_after, "rest": rest, "self": self_call, "mute": mute,
}
modes[sys.argv[1]](*sys.argv[2:])
