"""A minute of a rate as an area of braille dots, the limit in it as a rule.

Knows numbers and names of styles; no widget, no model.
"""

from typing import List, Optional, Sequence, Tuple

Run = Tuple[str, str]  # text, name of a style

_LEFT = (0x40, 0x04, 0x02, 0x01)  # dots of a cell's columns, from the bottom
_RIGHT = (0x80, 0x20, 0x10, 0x08)
HEADROOM = 4 / 3  # of the scale above the limit
OVER = 1.08  # times the limit, from which on a column counts as above it


def scale(values: Sequence[float], limits: Sequence[Optional[float]]) -> float:
    """The rate at the top: some room above the limit now, else above the highest value."""
    now = limits[-1] if limits else None
    if now:
        near = [value for value in values if value <= now * 2]  # else it was before the limit
        return max(now * HEADROOM, max(near, default=0.0))
    return max(max(values, default=0.0) * 1.1, 1.0)


def rule_row(limit: Optional[float], rows: int, top: float) -> Optional[int]:
    """The row, from the top, in which a limit's rule lies."""
    if not limit or limit > top:
        return None
    return rows - 1 - _level(limit, rows, top) // 4


def _level(value: float, rows: int, top: float) -> int:
    """The highest dot of a value, counted from the bottom."""
    return max(0, min(rows * 4, round(value / top * rows * 4)) - 1)


def area(values: Sequence[float], limits: Sequence[Optional[float]], rows: int, top: float
         ) -> List[List[Run]]:
    """`rows` lines of runs, two values a cell. A value above the scale fills its column
    faintly; one above the limit that was in force then is marked from there on."""
    heights = [0 if value <= 0 or top <= 0 else _level(value, rows, top) + 1
               for value in values]
    rules = [_level(limit, rows, top) if limit and limit <= top else -1 for limit in limits]
    lines: List[List[Run]] = []
    for row in range(rows - 1, -1, -1):
        runs: List[Run] = []
        for column in range(0, len(values) - 1, 2):
            bits, style = 0, "second"
            for side, dots in ((column, _LEFT), (column + 1, _RIGHT)):
                for dot in range(4):
                    place = row * 4 + dot
                    if place < heights[side] or place == rules[side]:
                        bits |= dots[dot]
            pair = (column, column + 1)
            if any(rules[side] // 4 == row for side in pair if rules[side] >= 0):
                style = "warning"
            elif any(rules[side] >= 0 and rules[side] < row * 4 < heights[side]
                     and values[side] > (limits[side] or 0) * OVER for side in pair):
                style = "error"
            if style != "warning" and any(values[side] > top * 1.001 for side in pair):
                style = "faint"
            if not bits:
                style = ""
            char = chr(0x2800 | bits) if bits else " "
            if runs and runs[-1][1] == style:
                runs[-1] = (runs[-1][0] + char, style)
            else:
                runs.append((char, style))
        lines.append(runs)
    return lines


def time_axis(cells: int, seconds: int = 60) -> str:
    """Under the area: how long ago."""
    left, middle, right = f"{seconds} s ago", f"{seconds // 2} s", "now"
    before = cells // 2 - len(middle) // 2 - len(left)
    if before < 3:  # they would read as one
        return left + " " * max(0, cells - len(left) - len(right)) + right
    after = cells - len(left) - before - len(middle) - len(right)
    return left + " " * before + middle + " " * after + right
