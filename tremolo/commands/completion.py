"""`tremolo completion bash|zsh|fish`: a script for the shell, made from the table of options.

To be evaluated in the shell's start file; it needs no process of ours while somebody types.
"""

from typing import Dict, List, Tuple

from ..config import OPTIONS
from ..throttle import PRESETS

SHELLS = ("bash", "zsh", "fish")
WORDS = {"last": ("error",), "completion": SHELLS}
MORE = ("--no-reload", "--help", "--help-all", "--version")


def completion(arguments: List[str]) -> int:
    """Print the script for a shell."""
    from .arguments import Parser

    parser = Parser(prog="tremolo completion", allow_abbrev=False, description=(
        'A script that completes words: eval "$(tremolo completion bash)" in ~/.bashrc, the '
        "same with zsh in ~/.zshrc (after compinit); tremolo completion fish | source in "
        "config.fish."))
    parser.add_argument("shell", metavar="|".join(SHELLS), choices=SHELLS)
    shell = parser.parse_args(arguments).shell
    print({"bash": bash, "zsh": zsh, "fish": fish}[shell]())
    return 0


def flags() -> List[str]:
    """The long flags of `dev` and `run`, sorted."""
    return sorted({flag for option in OPTIONS for flag in option.flags
                   if flag.startswith("--")} | set(MORE))


def values() -> Dict[str, Tuple[str, ...]]:
    """What may follow a flag, where that is known."""
    found = {flag: option.choices for option in OPTIONS for flag in option.flags
             if option.choices}
    return {**found, "--throttle": tuple(PRESETS)}


def paths() -> List[str]:
    """The flags that a file or folder follows."""
    return [flag for option in OPTIONS for flag in option.flags
            if option.metavar in ("FILE", "FOLDER")]


def words() -> Dict[str, Tuple[str, ...]]:
    """What may follow a command, where that is known."""
    return {**WORDS, "throttle": (*PRESETS, "off")}


def commands() -> List[str]:
    from ..cli import COMMANDS

    return list(COMMANDS)


def bash() -> str:
    cases = [f"    {flag}) COMPREPLY=($(compgen -W '{' '.join(known)}' -- \"$word\")); return ;;"
             for flag, known in values().items()]
    cases += [f"    {command}) COMPREPLY=($(compgen -W '{' '.join(known)}' -- \"$word\")); "
              "return ;;" for command, known in words().items()]
    cases.append(f"    {'|'.join(paths())}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;")
    return """_tremolo() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  case $before in
CASES
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W 'FLAGS' -- "$word"))
  elif (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W 'COMMANDS' -- "$word") $(compgen -f -X '!*.py' -- "$word"))
  else
    COMPREPLY=($(compgen -f -X '!*.py' -- "$word") $(compgen -d -- "$word"))
  fi
}
complete -o filenames -o bashdefault -F _tremolo tremolo""".replace(
        "CASES", "\n".join(cases)).replace("FLAGS", " ".join(flags())).replace(
        "COMMANDS", " ".join(commands()))


def zsh() -> str:
    # zsh runs functions of bash's kind, once it is asked to.
    return "autoload -U +X bashcompinit && bashcompinit\n" + bash()


def fish() -> str:
    first = "__fish_use_subcommand"
    lines = ["complete -c tremolo -e"]
    lines += [f"complete -c tremolo -n {first} -a {command} -f" for command in commands()]
    for command, known in words().items():
        lines.append(f"complete -c tremolo -n '__fish_seen_subcommand_from {command}' -f "
                     f"-a '{' '.join(known)}'")
    known_values, with_path = values(), paths()
    for flag in flags():
        option = next((one for one in OPTIONS if flag in one.flags), None)
        takes = "" if option is None or option.kind == "bool" else " -r"
        if flag in known_values:
            takes = f" -x -a '{' '.join(known_values[flag])}'"
        elif takes and flag not in with_path:
            takes = " -x"
        text = option.help.partition(";")[0] if option is not None else ""
        shown = " -d '" + text.replace("\\", "").replace("'", "") + "'" if text else ""
        lines.append(f"complete -c tremolo -l {flag[2:]}{takes}{shown}")
    return "\n".join(lines)

