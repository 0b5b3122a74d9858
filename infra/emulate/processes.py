"""Starts servers on loopback, waits for them with a deadline, and ends the ones it started."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "emulate"
END_TIMEOUT_S = 25  # Turnwise first lets its running turns end, or hands them over


def say(text):
    """One line of progress, at once."""
    print(f"   {text}", flush=True)


def free_port():
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, check, timeout_s, process=None):
    """Polls `check` until it returns something true, and returns that. Fails when the deadline or `process` ends."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = check()
        if result:
            return result
        if process is not None and process.poll() is not None:
            sys.exit(f"error: {what}: the process ended with {process.returncode}")
        if time.monotonic() > deadline:
            sys.exit(f"error: {what}: not within {timeout_s} s")
        time.sleep(0.1)


def answers(url):
    """Whether an HTTP server answers at `url`, with whatever status."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
        return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@contextlib.contextmanager
def server(name, command, url, env=None, timeout_s=60):
    """Runs `command` until the block ends, its output in target/emulate/NAME.log; the block starts once `url` answers."""
    with log_shown(name):
        process = start(name, command, env, "w")
        try:
            wait_until(f"{name} answers at {url}", lambda: answers(url), timeout_s, process)
            yield process
        finally:
            end(process)


def start(name, command, env, mode):
    """Starts `command` with its output in target/emulate/NAME.log: a new one, or behind what is in it (mode "a")."""
    WORK.mkdir(parents=True, exist_ok=True)
    with log_of(name).open(mode) as output:
        # A session of its own, so that what the server starts can be ended with it.
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def log_of(name):
    """Where the output of the server `name` goes."""
    return WORK / f"{name}.log"


@contextlib.contextmanager
def log_shown(name):
    """Prints the end of the log of `name` if the block fails."""
    try:
        yield
    except BaseException:
        log = log_of(name)
        print(f"--- the end of {log.relative_to(ROOT)}", file=sys.stderr)
        print("\n".join(log.read_text(errors="replace").splitlines()[-60:]), file=sys.stderr)
        raise


def kill(process):
    """Ends the server as a power cut would: no signal that it could see."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end(process):
    """Asks the server to leave, and ends it with everything it started if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
