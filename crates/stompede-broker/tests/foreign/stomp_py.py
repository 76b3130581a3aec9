"""stomp.py through the embedded broker: subscribe, send, nack, ack, commit, abort, heart-beats, disconnect.

    python stomp_py.py TCP_PORT WS_PORT
"""

import sys
import threading
import time

import stomp

PATIENCE = 5
HEADER = "a:b\\c\n"
BODY = "one: häß"


class Inbox(stomp.ConnectionListener):
    """What has come, and waiting for what should."""

    def __init__(self, name):
        self.name = name
        self.came = []
        self.changed = threading.Condition()

    def add(self, kind, frame):
        with self.changed:
            self.came.append((kind, frame.headers, frame.body))
            self.changed.notify_all()

    def on_message(self, frame):
        self.add("MESSAGE", frame)

    def on_receipt(self, frame):
        self.add("RECEIPT", frame)

    def on_error(self, frame):
        self.add("ERROR", frame)

    def forget(self):
        with self.changed:
            self.came.clear()

    def wait(self, what, is_it):
        """The first thing that is it."""
        with self.changed:
            found = lambda: next((one for one in self.came if is_it(*one)), None)
            if not self.changed.wait_for(found, PATIENCE):
                sys.exit(f"{self.name}: no {what}, but {self.came}")
            return found()

    def receipt(self, receipt):
        self.wait(f"receipt {receipt}", lambda kind, headers, _: kind == "RECEIPT" and headers["receipt-id"] == receipt)

    def message(self, body, redelivered=None):
        is_it = lambda kind, headers, found: (
            kind == "MESSAGE" and found == body and headers.get("redelivered") == redelivered
        )
        return self.wait(f"message {body!r}", is_it)


def settle(method, version, message, **more):
    """Calls ack or nack with what this version names a message by."""
    headers = message[1]
    if version == "1.2":
        method(headers["ack"], **more)
    elif version == "1.1":
        method(headers["message-id"], "s", **more)
    else:
        method(headers["message-id"], **more)


def converse(name, connection, version):
    inbox = Inbox(name)
    connection.set_listener("inbox", inbox)
    connection.connect("me", "secret", wait=True)
    queue = "/queue/" + name.replace(" ", "-")
    old = version == "1.0"
    connection.subscribe(queue, id="s", ack="client" if old else "client-individual", headers={"receipt": "subscribed"})
    inbox.receipt("subscribed")
    connection.send(queue, BODY, headers={} if old else {"key": HEADER}, receipt="sent")
    inbox.receipt("sent")
    message = inbox.message(BODY)
    if not old:
        assert message[1]["key"] == HEADER, message
        settle(connection.nack, version, message)
        message = inbox.message(BODY, redelivered="true")
    settle(connection.ack, version, message)

    inbox.forget()
    transaction = connection.begin()
    connection.send(queue, "committed", transaction=transaction)
    connection.send("/topic/nobody", "", receipt="in order")
    inbox.receipt("in order")
    assert not any(kind == "MESSAGE" for kind, *_ in inbox.came), inbox.came
    connection.commit(transaction)
    settle(connection.ack, version, inbox.message("committed"))
    transaction = connection.begin()
    connection.send(queue, "aborted", transaction=transaction)
    connection.abort(transaction)

    if not old:
        # Longer than either side bears the silence of the other.
        time.sleep(2.6)
        assert connection.is_connected(), f"{name}: heart-beats were missed"
    connection.unsubscribe(id="s")
    connection.disconnect(receipt="bye")
    inbox.receipt("bye")
    assert not any(kind == "ERROR" or body == "aborted" for kind, _, body in inbox.came), inbox.came
    print(f"stomp.py {stomp.__version__} {name}: ok")


def main():
    tcp, ws = ([("127.0.0.1", int(port))] for port in sys.argv[1:3])
    beats = {"heartbeats": (1000, 1000)}
    converse("tcp 1.0", stomp.StompConnection10(tcp), "1.0")
    converse("tcp 1.1", stomp.StompConnection11(tcp, **beats), "1.1")
    converse("tcp 1.2", stomp.StompConnection12(tcp, **beats), "1.2")
    converse("ws 1.2", stomp.WSStompConnection(ws, ws_path="/stomp", **beats), "1.2")


main()
