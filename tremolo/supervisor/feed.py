"""What viewers see: one stream of messages, to each as much as it takes.

A viewer that does not read loses frames first, then the older of its log lines and then events;
it never slows anybody, and gets the whole state again once it reads on. Consumers are viewers
within this process.
"""

import asyncio
import socket
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol

from ..telemetry.backlog import Backlog
from ..telemetry.builders import left_out_event, log_event
from ..telemetry.channel import Channel
from ..telemetry.codec import encode_cut
from .recent import Recent, without_messages

FRAMES_PENDING = 256 * 1024
LOGS_PENDING = 512 * 1024
EVENTS_PENDING = 2 * 1024 * 1024
#: the level of detail at which rows come with header fields and bodies
WITH_MESSAGES = 2
#: that workers look for at once
MOST_FILTERS = 4


class Consumer(Protocol):
    """A viewer within this process."""

    def handle(self, message: Mapping[str, Any]) -> None: ...


class Viewer:
    """A viewer behind a socket; `detail` is how much it asked for, `filter` which requests it
    looks for among them ("": all)."""

    def __init__(self, feed: "Feed", sock: socket.socket, detail: int) -> None:
        self.detail = detail
        self.filter = ""
        self._feed = feed
        self._missed = False
        self._logs: Backlog[bytes] = Backlog()
        self._channel = Channel(sock, feed.loop, self._on_message, self._on_close)
        self._channel.send(feed.hello())

    def offer_log(self, line: bytes, stands_for: int) -> None:
        """Send a log line; where the viewer does not keep up, the newest ones later."""
        self._send_logs()
        if self._logs or self._channel.pending > LOGS_PENDING:
            self._logs.add(line, stands_for)
        else:
            self._channel.send_line(line)

    def _send_logs(self) -> None:
        if not self._logs or self._channel.pending > LOGS_PENDING // 4:
            return
        left_out, lines = self._logs.take()
        if left_out:
            self._channel.send(left_out_event(left_out))
        for line in lines:
            self._channel.send_line(line)

    def offer(self, line: bytes, is_frame: bool) -> None:
        """Send a line if the viewer keeps up."""
        self._send_logs()
        pending = self._channel.pending
        if self._missed:
            if pending:
                return
            self._missed = False
            self._channel.send(self._feed.hello())
        if pending > (FRAMES_PENDING if is_frame else EVENTS_PENDING):
            self._missed = self._missed or not is_frame
            return
        self._channel.send_line(line)

    def answer(self, message: Mapping[str, Any]) -> None:
        self._channel.send(message)

    def close(self) -> None:
        self._channel.flush(0.5)
        self._channel.close()

    def _on_message(self, message: Dict[str, Any], fds: List[int]) -> None:
        if message["kind"] == "command":
            self._feed.on_command(self, message)

    def _on_close(self, reason: str) -> None:
        self._feed.lost(self)


class Feed:
    """All viewers. `hello()` makes the first message of each. Before the first of them comes,
    `on_command` must be set, which is given their commands, and `on_viewers`, which is called
    when another set of them looks on; `on_owner_gone()` is called when the viewer that started
    the server left."""

    on_command: Callable[[Viewer, Dict[str, Any]], None]
    on_viewers: Callable[[], None]

    def __init__(self, loop: asyncio.AbstractEventLoop,
                 hello: Callable[[], Mapping[str, Any]]) -> None:
        self.loop = loop
        self.hello = hello
        self.on_owner_gone: Optional[Callable[[], None]] = None
        self.recent = Recent()
        self._viewers: List[Viewer] = []
        self._owner: Optional[Viewer] = None
        self._consumers: List[Consumer] = []
        self._consumer_detail = 0

    @property
    def detail(self) -> int:
        """The most that any viewer asks for."""
        return max([self._consumer_detail, *(viewer.detail for viewer in self._viewers)])

    @property
    def filters(self) -> List[str]:
        """What viewers look for who are shown requests, each once: of too many the newest."""
        wanted = dict.fromkeys(viewer.filter for viewer in reversed(self._viewers)
                               if viewer.filter and viewer.detail)
        return list(wanted)[:MOST_FILTERS]

    @property
    def count(self) -> int:
        return len(self._viewers)

    def has(self, viewer: Viewer) -> bool:
        """Whether a viewer is there still."""
        return viewer in self._viewers

    def add_consumer(self, consumer: Consumer, detail: int) -> None:
        self._consumers.append(consumer)
        self._consumer_detail = max(self._consumer_detail, detail)

    def add_viewer(self, sock: socket.socket, detail: int = 0, owner: bool = False) -> None:
        """Serve a viewer on a connected socket."""
        viewer = Viewer(self, sock, detail)
        self._viewers.append(viewer)
        if owner:
            self._owner = viewer
        self.on_viewers()

    def publish(self, message: Mapping[str, Any], line: Optional[bytes] = None) -> None:
        """Give a message to all; `line` is its encoded form, if there is one already."""
        self.notify_consumers(message)
        if self._viewers and line is None:
            line = encode_cut(message)
        self.recent.note(message, line)
        if self._viewers and line is not None:
            if message["kind"] == "log":
                for viewer in tuple(self._viewers):
                    viewer.offer_log(line, message.get("left_out") or 1)
                return
            is_frame = message["kind"] == "frame"
            most = self.detail if is_frame else 0
            less = None
            for viewer in tuple(self._viewers):
                if viewer.detail < WITH_MESSAGES <= most:
                    if less is None:
                        less = encode_cut(_frame_without_messages(message))
                    viewer.offer(less, is_frame)
                else:
                    viewer.offer(line, is_frame)

    def notify_consumers(self, message: Mapping[str, Any]) -> None:
        if message["kind"] == "frame" and self._consumer_detail < WITH_MESSAGES <= self.detail:
            message = _frame_without_messages(message)
        for consumer in self._consumers:
            consumer.handle(message)

    def log(self, level: str, text: str, gen: int = 0, name: str = "tremolo") -> None:
        """A line of our own."""
        self.publish(log_event(text, level, name, gen=gen))

    def lost(self, viewer: Viewer) -> None:
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self.on_viewers()
        if viewer is self._owner and self.on_owner_gone is not None:
            self.on_owner_gone()

    def close(self) -> None:
        for viewer in self._viewers:
            viewer.close()
        self._viewers.clear()


def _frame_without_messages(frame: Mapping[str, Any]) -> Dict[str, Any]:
    """`frame` without the header fields and bodies that another viewer asked for: those that did
    not shall not get the secrets in them."""
    rows = [without_messages(row) for row in frame.get("rows", ())]
    less = {**frame, "rows": rows} if rows else dict(frame)
    less.pop("messages", None)
    return less
