"""python -m ofd_emulator --port 8080 [--host 127.0.0.1] [--history FILE.jsonl] [--token T] [--drive FN]"""

import argparse
import signal
import sys

from .history import History, HistoryBusy
from .ofd import Ofd
from .register import DRIVE
from .server import Server


def main() -> None:
    parser = argparse.ArgumentParser("ofd_emulator", description="Emulator of a fiscal data operator (OFD)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0: any free port, printed at start")
    parser.add_argument("--history", metavar="FILE.jsonl", help="kept and continued; without it, memory only")
    parser.add_argument("--token", default="", help="bearer token asked for under /v1; default: none")
    parser.add_argument("--drive", default=DRIVE, help="number of the fiscal drive in the register that it also is")
    options = parser.parse_args()
    # An explicit handler: as process 1 of a container, SIGTERM would otherwise be ignored.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        emulated = Ofd(History(options.history), options.token, options.drive)
        server = Server((options.host, options.port), emulated)
    except (HistoryBusy, OSError) as error:
        sys.exit(f"ofd_emulator: {error}")
    host, port = server.server_address[:2]
    print(f"listening on http://{host}:{port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
