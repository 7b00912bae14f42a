# SPDX-License-Identifier: Apache-2.0
"""Lines of text over TCP, to many peers, without ever waiting for one of them."""

import select
import socket

PORT = 7000


class Connection:
    def __init__(self, sock):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.received = b""
        self.unsent = b""

    def send(self, *words):
        self.unsent += " ".join(map(str, words)).encode() + b"\n"
        self.flush()

    def flush(self):
        try:
            sent = self.sock.send(self.unsent)
        except BlockingIOError:
            sent = 0  # not connected yet, or the other side does not read
        self.unsent = self.unsent[sent:]


class Lines:
    """All connections of a process: those that others made to us, and ours to others."""

    def __init__(self, peers, *, listen=False):
        self.addresses = peers
        self.connections = {}  # by file descriptor
        self.peers = {}  # by name: our connection to it
        self.server = socket.create_server(("", PORT)) if listen else None

    def send(self, peer, *words):
        """Send a line to a peer; it is lost if there is no way to connect to it."""
        try:
            if peer not in self.peers:
                connection = Connection(socket.socket())
                connection.sock.connect_ex((self.addresses[peer], PORT))
                self.peers[peer] = connection
                self.connections[connection.sock.fileno()] = connection
            self.peers[peer].send(*words)
        except OSError:
            self._close(self.peers[peer])

    def wait(self, seconds):
        """Wait for at most so long; give (connection, words) of each line that has come."""
        poll = select.poll()
        if self.server:
            poll.register(self.server, select.POLLIN)
        for number, connection in self.connections.items():
            poll.register(number, select.POLLIN | (select.POLLOUT if connection.unsent else 0))
        for number, events in poll.poll(max(seconds, 0) * 1000):
            if self.server and number == self.server.fileno():
                connection = Connection(self.server.accept()[0])
                self.connections[connection.sock.fileno()] = connection
                continue
            connection = self.connections[number]
            try:
                if events & select.POLLOUT:
                    connection.flush()
                if events & ~select.POLLOUT:
                    yield from self._lines(connection)
            except OSError:
                self._close(connection)

    def _lines(self, connection):
        data = connection.sock.recv(65536)
        if not data:
            raise ConnectionResetError
        *lines, connection.received = (connection.received + data).split(b"\n")
        for line in lines:
            yield connection, line.decode().split()

    def _close(self, connection):
        self.connections.pop(connection.sock.fileno(), None)
        self.peers = {name: one for name, one in self.peers.items() if one is not connection}
        connection.sock.close()
