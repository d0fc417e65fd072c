"""The date of HTTP as it is sent (RFC 9110 section 5.6.7): what every response needs.

Apart from `conditional`, which reads dates: that needs regular expressions and `datetime`, and
most servers never do.
"""

DAYS = tuple(b"Mon Tue Wed Thu Fri Sat Sun".split())
MONTHS = tuple(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())

#: from 1 March of the year 0 to 1 January 1970, a Thursday
_TO_EPOCH = 719468
_FOUR_CENTURIES = 146097


def format_http_date(timestamp: float) -> bytes:
    """A Unix time as an IMF-fixdate, a part of a second cut off; years 1 to 9999."""
    days, seconds = divmod(int(timestamp // 1), 86400)
    # Years begin in March here, so that a leap day is the last of them; the months from there
    # on have 153 days in each five.
    era, day = divmod(days + _TO_EPOCH, _FOUR_CENTURIES)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    month = (month + 2) % 12
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        DAYS[(days + 3) % 7], day + 1, MONTHS[month], 400 * era + year + (month < 2),
        seconds // 3600, seconds // 60 % 60, seconds % 60)
