"""Answers that attack the grading itself, and what each of them earns: never more than honest."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ATTACKS", "HONEST", "Attack"]

# It is patient with the mailroom, as in every exercise: a busy grader may answer late.
HONEST = """\
import os
import httpx
from fastapi import BackgroundTasks, FastAPI

app = FastAPI()

def deliver(number):
    url = os.environ["MAILROOM_URL"] + "/letters"
    httpx.post(url, json={"to": "ada@example.org", "issue": number}, timeout=60)

@app.get("/health")
def health():
    return "ok"

@app.post("/issues", status_code=202)
def publish(issue: dict, tasks: BackgroundTasks):
    tasks.add_task(deliver, issue["number"])
    return {"accepted": True}
"""
# Answers, but delivers nothing.
IDLE = HONEST.replace("    tasks.add_task", "    # tasks.add_task")
HEALTH, ALL = 2.0, 5.0


class Attack(NamedTuple):
    text: str
    earns: frozenset[float]
    told: str = ""
    """What the report must say."""


def _at_import(code: str, app: str = IDLE, earns: float = HEALTH, told: str = "") -> Attack:
    return Attack(f"{app}\n{code}", frozenset({earns}), told)


def _in_health(code: str, told: str = "", *earns: float) -> Attack:
    body = "\n".join(f"    {line}" for line in code.splitlines())
    app = IDLE.replace('    return "ok"', body).replace("def health():", "def health(r=None):")
    return Attack(f"import os, signal, sys, time\n{app}", frozenset(earns or {0.0}), told)


_FORK = """
import os, sys, time
def child():
    pid = os.fork()
    if pid == 0:
        os.setsid()
    return pid == 0
"""
_RAW = """
import os, socket, threading
listening = socket.socket(fileno=3)
def serve():
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=speak, args=(connection,)).start()
def speak(connection):
    connection.recv(65536)
{body}
threading.Thread(target=serve).start()
threading.Event().wait()
"""


def _raw(*lines: str, told: str = "") -> Attack:
    """Speak HTTP, or something like it, in place of uvicorn."""
    body = "\n".join(f"    {line}" for line in lines)
    return Attack(_RAW.format(body=body), frozenset({0.0}), told)


ATTACKS: dict[str, Attack] = {
    # -- the grader's own processes
    "kill-the-keeper": _at_import("import signal; os.kill(os.getppid(), signal.SIGKILL)"),
    "stop-the-keeper": _at_import("import signal; os.kill(os.getppid(), signal.SIGSTOP)"),
    "kill-everyone": _at_import(
        "import signal\ntry:\n    os.kill(-1, signal.SIGKILL)\nexcept OSError:\n    pass\n"
    ),
    "trace-the-keeper": _at_import(
        "import ctypes\n"
        "libc, keeper = ctypes.CDLL(None), os.getppid()\n"
        "if libc.ptrace(16, keeper, None, None) == 0:\n"
        "    os.waitpid(keeper, 0x40000000)\n"
        "    libc.ptrace(17, keeper, None, None)\n"
        "    os._exit(1)\n"
    ),
    "write-the-keepers-memory": _at_import(
        "try:\n    open(f'/proc/{os.getppid()}/mem', 'wb')\nexcept OSError:\n    pass\n"
        "else:\n    os._exit(1)\n"
    ),
    "speak-as-the-keeper": _at_import(
        'said = b\'{"event": "exit", "pid": %d, "code": 0}\\n\' % os.getpid()\n'
        "for number in range(4, 200):\n"
        "    try:\n"
        "        os.write(number, said)\n"
        "    except OSError:\n"
        "        pass\n"
    ),
    "print-a-verdict": _at_import(
        'print(\'{"outcome": "passed", "slug": "letter-arrives"}\', flush=True)'
    ),
    "limit-the-keeper": _at_import(
        "import resource\ntry:\n    resource.prlimit(1, resource.RLIMIT_NOFILE, (4, 4))\n"
        "except OSError:\n    pass\n"
    ),
    "limit-the-keepers-processor-time": _at_import(
        "import resource\ntry:\n    resource.prlimit(1, resource.RLIMIT_CPU, (1, 1))\n"
        "except OSError:\n    pass\n"
    ),
    "slow-the-keeper-down": _at_import(
        "try:\n    os.setpriority(os.PRIO_PROCESS, 1, 19)\nexcept OSError:\n    pass\n"
        "else:\n    os._exit(1)\n"
    ),
    # -- libraries on their way in
    **{
        f"replace-{name}": _at_import(
            f"for folder in ('.', '..', os.environ.get('HOME', '.'), '/tmp'):\n"
            f"    try:\n"
            f"        open(f'{{folder}}/{name}.py', 'w').write('import os; os._exit(0)')\n"
            f"    except OSError:\n        pass\n"
        )
        for name in ("sitecustomize", "usercustomize", "fastapi", "tasklab", "json")
    },
    # -- what outlives its server
    "ignore-sigterm": _at_import(
        "import signal, threading\nsignal.signal = lambda *_: None\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n",
        HONEST,
    ),
    "leave-a-server-behind": _at_import(_FORK + "if child():\n    time.sleep(3600)\n"),
    # The check before it gives no mailroom: who delivers outlived that one.
    "deliver-from-an-earlier-check": _at_import(
        _FORK + "if 'MAILROOM_URL' not in os.environ and child():\n"
        "    import http.client, json\n"
        "    asked = set()\n"
        "    while True:\n"
        "        rows = [line.split() for line in open('/proc/net/tcp')][1:]\n"
        "        ports = {int(row[1].split(':')[1], 16) for row in rows if row[3] == '0A'}\n"
        "        for port in ports - asked:\n"
        "            asked.add(port)\n"
        "            try:\n"
        "                c = http.client.HTTPConnection('127.0.0.1', port, timeout=1)\n"
        "                c.request('POST', '/letters', json.dumps({'to': 'ada'}))\n"
        "            except OSError:\n                pass\n"
        "        time.sleep(0.001)\n"
    ),
    "remember-an-earlier-check": _at_import(
        "try:\n    seen = os.path.exists('/tmp/seen') or os.path.exists('../seen')\n"
        "    open('/tmp/seen', 'w'); open('../seen', 'w')\n"
        "except OSError:\n    seen = False\n"
        "if seen:\n"
        "    os._exit(0)\n",
        HONEST,
        ALL,
    ),
    # -- using things up
    "fork-without-end": Attack(
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n",
        frozenset({0.0}),
    ),
    "start-threads-without-end": Attack(
        "import threading, time\nwhile True:\n    try:\n"
        "        threading.Thread(target=time.sleep, args=(3600,)).start()\n"
        "    except RuntimeError:\n        time.sleep(0.01)\n",
        frozenset({0.0}),
    ),
    "open-files-without-end": _at_import(
        "held = []\ntry:\n    while True:\n        held.append(open('/dev/null'))\n"
        "except OSError:\n    pass\n",
        IDLE,
        0.0,
    ),
    "fill-the-disk": _at_import(
        "try:\n    with open('full', 'wb') as file:\n        while True:\n"
        "            file.write(b'x' * (1 << 20))\nexcept OSError:\n    pass\n",
        HONEST,
        ALL,
    ),
    "fill-tmp-and-shared-memory": _at_import(
        "for name in ('/tmp/full', '/dev/shm/full'):\n    try:\n"
        "        with open(name, 'wb') as file:\n            while True:\n"
        "                file.write(b'x' * (1 << 20))\n    except OSError:\n        pass\n",
        HONEST,
        ALL,
    ),
    "make-a-deep-tree": _at_import(
        "home = os.getcwd()\ntry:\n    for _ in range(5000):\n"
        "        os.mkdir('d'); os.chdir('d')\n"
        "except OSError:\n    pass\nos.chdir(home)\n",
        HONEST,
        ALL,
    ),
    "make-odd-names": _at_import(
        "for name in (b'\\xff\\xfe', b'a\\nb', b'-rf', b' ', b'\\x1b[2J'):\n"
        "    open(name, 'w').close()\n",
        HONEST,
        ALL,
    ),
    "delete-the-own-folder": _at_import(
        "import shutil; shutil.rmtree(os.getcwd(), ignore_errors=True)", HONEST, ALL
    ),
    "print-without-end": _at_import(
        "for _ in range(50):\n    print('x' * (1 << 20))\n", HONEST, ALL
    ),
    "print-what-is-no-text": _at_import(
        "raise ValueError('\\x00\\udcff\\x1b[2J<script>alert(1)</script>')",
        IDLE,
        0.0,
        "<script>",
    ),
    # -- the trusted client
    "answer-without-end": _in_health(
        "from fastapi.responses import StreamingResponse\n"
        "return StreamingResponse(b'x' * 65536 for _ in iter(int, 1))",
        "more than",
    ),
    # Half a MiB that would be half a GiB: it may count as an answer, but is never unpacked.
    "answer-with-a-bomb": _in_health(
        "import zlib\nfrom fastapi import Response\n"
        "packer = zlib.compressobj(1, wbits=31)\n"
        "bomb = b''.join(packer.compress(bytes(1 << 20)) for _ in range(128)) + packer.flush()\n"
        "return Response(bomb, headers={'content-encoding': 'gzip'})",
        "",
        0.0,
        HEALTH,
    ),
    "answer-with-endless-headers": _raw(
        "connection.sendall(b'HTTP/1.1 200 OK\\r\\n')",
        "while True: connection.sendall(b'X: ' + b'y' * 60000 + b'\\r\\n')",
    ),
    "answer-with-endless-patience": _raw(
        "import time",
        "connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 100000\\r\\n\\r\\n')",
        "while True: connection.sendall(b'x'); time.sleep(0.5)",
    ),
    "answer-continue-for-ever": _raw(
        "while True: connection.sendall(b'HTTP/1.1 100 Continue\\r\\n\\r\\n')",
    ),
    "answer-with-rubbish": _raw("connection.sendall(b'\\x00\\xff' * 1000); connection.close()"),
    "never-answer": _raw("threading.Event().wait()", told="not seen within"),
    # -- the mailroom
    "flood-the-mailroom": _at_import(
        "def deliver(number):\n"
        "    with httpx.Client(base_url=os.environ['MAILROOM_URL']) as client:\n"
        "        for n in range(300):\n"
        "            client.post('/letters', json={'to': 'ada', 'n': 'x' * 60_000})\n"
        "    print('flooded', flush=True)\n",
        HONEST,
    ),
    "hold-connections-to-the-mailroom": _at_import(
        "import socket\n"
        "def deliver(number):\n"
        "    port = int(os.environ['MAILROOM_URL'].rsplit(':', 1)[1])\n"
        "    held = []\n"
        "    try:\n"
        "        for _ in range(900):\n"
        "            held.append(socket.create_connection(('127.0.0.1', port)))\n"
        "            held[-1].sendall(b'POST /letters HTTP/1.1\\r\\nContent-Length: 9\\r\\n')\n"
        "    except OSError:\n        pass\n"
        "    global kept\n    kept = held\n"
        "    print('held', flush=True)\n",
        HONEST,
    ),
    "post-a-huge-letter": _at_import(
        "def deliver(number):\n"
        "    letter = {'to': 'ada', 'subject': 'x' * (8 << 20)}\n"
        "    httpx.post(os.environ['MAILROOM_URL'] + '/letters', json=letter)\n",
        HONEST,
    ),
    "post-a-letter-that-is-none": _at_import(
        "def deliver(number):\n"
        "    for body in (b'', b'[]', b'{', b'\\xff', b'[' * 60000, b'NaN'):\n"
        "        httpx.post(os.environ['MAILROOM_URL'] + '/letters', content=body)\n"
        "    print('posted', flush=True)\n",
        HONEST,
    ),
    "ask-the-mailroom-to-release": _at_import(
        "def deliver(number):\n"
        "    for path in ('/release', '/hold', '/letters/1', '/', '/letter'):\n"
        "        for verb in ('GET', 'PUT', 'DELETE', 'POST', 'PATCH'):\n"
        "            try:\n"
        "                httpx.request(verb, os.environ['MAILROOM_URL'] + path, json={})\n"
        "            except httpx.HTTPError:\n                pass\n",
        HONEST,
    ),
}
