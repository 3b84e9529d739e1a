"""A terminal of its own for the agent's commands that talk to people."""
import os
import pty
import select
import termios

from support.agent import BINARY
from support.process import SECONDS_MAX


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None):
        self.said = ""
        self._read = 0
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execve(BINARY, [BINARY, *arguments], {**os.environ, **(env or {})})

    def answer(self, question: str, text: str) -> None:
        """Waits for the question, then types a line."""
        self.wait_for(question)
        self.type(text + "\n")

    def wait_for(self, text: str) -> None:
        """Until it has said this once more."""
        while text not in self.said[self._read:]:
            self._more(text)
        self._read = len(self.said)

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def modes(self) -> list:
        """What the terminal is set to, as termios(3) has it."""
        return termios.tcgetattr(self._terminal)

    def end(self) -> int:
        """The exit code."""
        try:
            while True:
                self._more("its end")
        except OSError:  # the other side is closed
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _more(self, what: str) -> None:
        ready, _, _ = select.select([self._terminal], [], [], SECONDS_MAX)
        assert ready, f"waiting for {what}; it said: {self.said}"
        read = os.read(self._terminal, 4096)
        if not read:
            raise OSError("closed")
        self.said += read.decode()
