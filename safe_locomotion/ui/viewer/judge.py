"""Asks the process of `what_if_process`, one question at a time, and ends it with the viewer."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from threading import Lock, Thread

from safe_locomotion.errors import one_line
from safe_locomotion.ui.viewer.what_if import Answer, Question
from safe_locomotion.ui.viewer.what_if_process import BACKGROUND

MODULE = "safe_locomotion.ui.viewer.what_if_process"
PATIENCE_S = 180.0  #: for one answer; on an idle core it takes some 5 s
BUSY = "another question is being answered; ask again in a moment"
SHOWN = 160  #: characters of an error

Tell = Callable[[Answer | None, str], None]


class Judge:
    """At most one process at a time."""

    def __init__(self, *, background: bool = True) -> None:
        """Nothing is asked yet.

        Args:
            background: the process only gets a core that nobody else wants.
        """
        self._words = [BACKGROUND] if background else []
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: Thread | None = None
        self._closed = False

    def ask(self, question: Question, tell: Tell) -> str:
        """Ask without waiting; why that is not possible, or "".

        Args:
            question: for the process.
            tell: is told the answer, or None and a reason, on a thread of its own.
        """
        with self._lock:
            if self._process is not None:
                return BUSY
            if self._closed:
                return "the viewer ends"
            path = os.pathsep.join(filter(None, sys.path))
            threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, *self._words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path, **threads},
            )
            process = self._process
        self._thread = Thread(target=self._wait, args=(process, question, tell), daemon=True)
        self._thread.start()
        return ""

    def wait(self) -> None:
        """Wait until the last question is answered."""
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """End a process that still runs."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _wait(self, process: subprocess.Popen[bytes], question: Question, tell: Tell) -> None:
        try:
            said, wrong = process.communicate(pickle.dumps(question), PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            said, wrong = process.communicate()
            wrong = f"no answer within {PATIENCE_S:g} s".encode()
        finally:
            with self._lock:
                self._process = None
        if process.returncode == 0:
            tell(pickle.loads(said), "")  # written by our own child process
            return
        lines = wrong.decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"the process ended with status {process.returncode}"
        tell(None, one_line(why, SHOWN))
