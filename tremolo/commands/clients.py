"""Commands to a running server: throttle, reload, status, last error, debug."""

import argparse
import json
from typing import Any, List, Mapping

from ..exceptions import ConfigurationError
from ..scope import FORMS
from .arguments import Parser


def client_parser(name: str, help: str) -> argparse.ArgumentParser:
    parser = Parser(prog=f"tremolo {name}", description=help, allow_abbrev=False)
    parser.add_argument("--port", "--address", dest="address", default="", metavar="PORT",
                        help="which server, if several run: its port, or its control socket")
    return parser


def _ask(address: str, name: str, **args: Any) -> Any:
    from ..supervisor.running import ask, find

    answer = ask(find(address), name, **args)
    if not answer.get("ok"):
        raise ConfigurationError(str(answer.get("error")))
    return answer.get("result")


def throttle(arguments: List[str]) -> int:
    parser = client_parser("throttle", "Throttle a running server.")
    parser.add_argument("throttle", metavar="PRESET|NUMBERS|RULE|off", nargs="*",
                        help='slow-4g, or down=1.5Mbit up=750kbit latency=150ms, or with a scope '
                             'as "/api/*: latency=300ms"; off takes away all there is; without '
                             'any of these: what is in force')
    parser.add_argument("--scope", metavar="SCOPE",
                        help=f"of the throttle, or of the one that off takes away: {FORMS}")
    given = parser.parse_args(arguments)
    where = {} if given.scope is None else {"scope": given.scope}
    if not given.throttle and where:
        parser.error("--scope is of a throttle: give one, or off")
    result: Mapping[str, Any] = _ask(
        given.address, "throttle", **where, throttle=" ".join(given.throttle)
    ) if given.throttle else _ask(given.address, "status")["throttle"]
    from ..throttle import Throttle

    for scope, values in result.items():
        print(f"{scope}: {Throttle.from_dict(values)}")
    if not result:
        print("off")
    return 0


def reload(arguments: List[str]) -> int:
    given = client_parser("reload", "Start the code anew.").parse_args(arguments)
    print(f"gen {_ask(given.address, 'reload')}")
    return 0


def status(arguments: List[str]) -> int:
    parser = client_parser("status", "What a running server does.")
    parser.add_argument("--json", action="store_true", help="as JSON")
    given = parser.parse_args(arguments)
    status = _ask(given.address, "status")
    if given.json:
        print(json.dumps(status))
        return 0
    totals, rates, latency = status["totals"], status["rates"], status["latency"]
    from ..supervisor.running import age
    from ..units import counted, format_latency

    print(f"{status['app']} on {', '.join(status['addresses'])}  gen {status['gen']}  "
          f"pid {status['pid']}")
    print(f"in {status['folder']}, started {age(status['t'] - status['started'])} ago")
    print(f"{counted(totals['requests'], 'request')}, {rates['requests']:.0f}/s, "
          f"p50 {format_latency(latency['p50'])}, p95 {format_latency(latency['p95'])}, "
          f"{counted(totals['open'], 'connection')}")
    reload = status.get("last_reload")
    if reload:
        from ..supervisor.plain import reload_line

        print(reload_line(reload))
        for name, ms in reload.get("modules", ()):
            print(f"  {ms:7.1f} ms  {name}")
    for left_out in status.get("not_preloaded", ()):
        print(f"not preloaded: {left_out['module']}, {left_out['reason']}")
    for path in status.get("ignored", ()):
        print(f"changes of {path} are ignored: the server wrote it itself")
    for worker in status["workers"]:
        print(f"worker {worker['pid']}  gen {worker['gen']}  {worker['state']}")
    for companion in status.get("companions", ()):
        print(f"{companion['name']}  {companion['state']}  {companion['command']}")
    return 0


def last(arguments: List[str]) -> int:
    parser = client_parser("last", "The last error of a running server.")
    parser.add_argument("what", metavar="error", choices=("error",), nargs="?", default="error")
    given = parser.parse_args(arguments)
    status = _ask(given.address, "status")
    error = (status.get("failed") or {}).get("error") or status.get("last_error")
    if not error:
        print("no error so far")
        return 1
    if error.get("path"):
        print(f"{error.get('method')} {error['path']}")
    print(str(error.get("traceback") or error.get("text")).rstrip("\n"))
    return 0


def debug(arguments: List[str]) -> int:
    parser = Parser(prog="tremolo debug", allow_abbrev=False,
                     description="The debugger of a breakpoint() that waits.")
    parser.add_argument("pid", metavar="PID", nargs="?", type=int,
                        help="of the worker; the first that waits if not given")
    pid = parser.parse_args(arguments).pid
    from ..supervisor.debug import attach

    return attach(pid)
