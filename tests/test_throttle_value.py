"""The throttle as text, as numbers, and as JSON."""

import math
import random
import subprocess
import sys

import pytest

from tremolo.exceptions import ConfigurationError
from tremolo.scope import EVERYTHING, TOTAL
from tremolo.throttle import (
    OFF,
    PRESETS,
    InvalidThrottle,
    Throttle,
    format_duration,
    format_rate,
    own_presets,
    parse_duration,
    parse_rate,
    parse_rule,
)
from tremolo.units import (
    InvalidQuantity,
    parse_probability,
    parse_size,
    write_duration,
    write_rate,
)

# Presets: bytes per second and seconds, as the browsers apply them

APPLIED = [
    # Chrome DevTools, NetworkManager.ts
    ("3g", "3G", 50_000, 50_000, 2.0),
    ("slow-4g", "Slow 4G", 180_000, 84_375, 0.5625),
    ("fast-4g", "Fast 4G", 1_012_500, 168_750, 0.165),
    # Firefox, profiles.js: kbit/s of 1024 bit/s
    ("gprs", "GPRS", 6_400, 2_560, 0.5),
    ("2g", "2G", 32_000, 6_400, 0.3),
    ("good-2g", "Good 2G", 57_600, 19_200, 0.15),
    ("regular-3g", "Regular 3G", 96_000, 32_000, 0.1),
    ("good-3g", "Good 3G", 196_608, 96_000, 0.04),
    ("4g-lte", "4G LTE", 524_288, 393_216, 0.02),
    ("dsl", "DSL", 262_144, 131_072, 0.005),
    ("wifi", "Wi-Fi", 3_932_160, 1_966_080, 0.002),
    ("offline", "Offline", 0, 0, 0),
    ("off", "Off", None, None, 0),
]


@pytest.mark.parametrize("row", APPLIED, ids=[row[0] for row in APPLIED])
def test_presets_apply_what_the_browsers_apply(row):
    name, label, download, upload, latency = row
    preset = PRESETS[name]
    assert (preset.download, preset.upload, preset.latency) == (download, upload, latency)
    assert (preset.name, preset.label) == (name, label)
    assert preset.jitter == 0 and not preset.faulty
    assert preset.offline is (name == "offline")


def test_all_presets_are_tested():
    assert set(PRESETS) == {row[0] for row in APPLIED}


def test_presets_cannot_be_changed():
    with pytest.raises(TypeError):
        PRESETS["3g"] = OFF
    with pytest.raises(AttributeError):
        OFF.download = 1


NAMES = [
    ("Slow 4G", "slow-4g"), ("slow_4g", "slow-4g"), (" 3G ", "3g"), ("Wi-Fi", "wifi"),
    ("slow-3g", "3g"), ("fast-3g", "slow-4g"), ("Regular 4G LTE", "4g-lte"),
    ("none", "off"), ("OFFLINE", "offline"),
]


@pytest.mark.parametrize("text, name", NAMES)
def test_names_may_be_written_as_browsers_show_them(text, name):
    assert Throttle.parse(text) is PRESETS[name]


# Rates

RATE_TEXTS = [
    ("750kbit", 93_750), ("1.5Mbit/s", 187_500), ("1.5Mbit", 187_500), ("1.5MB", 1_500_000),
    ("1.5MB/s", 1_500_000), ("2Mbps", 250_000), ("500kbps", 62_500), ("2MBps", 2_000_000),
    ("1Gbit", 125_000_000), ("64KiB/s", 65_536), ("1Kibit", 128), ("100B", 100),
    ("800bit", 100), ("10 kB", 10_000), ("10KB", 10_000), (".5MB", 500_000), ("1.MB", 10**6),
    ("1mBit", 125_000), ("8bits", 1), ("10GB", 10**10),
]


@pytest.mark.parametrize("text, rate", RATE_TEXTS)
def test_rates_are_bytes_per_second(text, rate):
    assert parse_rate(text) == rate


def test_a_rate_may_be_unlimited():
    assert parse_rate("unlimited") is None


@pytest.mark.parametrize("text", [
    "", "100", "1.5M", "fast", "1.5Mb", "750kb", "1.5Mb/s", "-1MB", "+1MB", "1e6B", "1,5MB",
    "1.5.1MB", "infB", "nanB", "1MB2", "MB", "\u0661MB", "1 000kB", "1Mbit/h",
])
def test_a_rate_without_a_clear_unit_is_refused_and_shown_both_forms(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_rate(text)
    assert "750kbit" in str(caught.value) and "1.5MB" in str(caught.value)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0B", "0kbit", "1bit", "11GB"])
def test_a_rate_out_of_bounds_is_refused_and_pointed_to_offline(text):
    with pytest.raises(ConfigurationError, match="offline"):
        parse_rate(text)


@pytest.mark.parametrize("rate, text", [
    (None, "unlimited"), (180_000, "1.44 Mbit/s"), (84_375, "675 kbit/s"), (0, "0 bit/s"),
    (1_250_000_000, "10 Gbit/s"), (124_999_999, "1 Gbit/s"), (12.5, "100 bit/s"),
])
def test_rates_are_shown_in_bits(rate, text):
    assert format_rate(rate) == text


@pytest.mark.parametrize("text, seconds", [
    ("150ms", 0.15), ("1.5s", 1.5), ("500us", 0.0005), ("1min", 60), ("0ms", 0),
    ("20 ms", 0.02),
])
def test_durations_are_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "150", "ms", "-1ms", "1h", "1e3ms", "nan", "1ms2"])
def test_a_duration_needs_a_unit(text):
    with pytest.raises(ConfigurationError, match="150ms"):
        parse_duration(text)


@pytest.mark.parametrize("seconds, text", [
    (0.5625, "563 ms"), (2, "2 s"), (1.5, "1.5 s"), (0.0005, "0.5 ms"), (0, "0 ms"),
])
def test_durations_are_shown_in_three_digits(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize("text, size", [("300B", 300), ("64kB", 64_000), ("1MiB", 2**20)])
def test_sizes_are_bytes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "300", "64kbit", "-1B", "1kb"])
def test_a_size_needs_a_unit_of_bytes(text):
    with pytest.raises(ConfigurationError, match="64kB"):
        parse_size(text)


@pytest.mark.parametrize("text, value", [("5%", 0.05), ("0.05", 0.05), ("100%", 1), ("0", 0)])
def test_probabilities_are_shares_or_percents(text, value):
    assert parse_probability(text) == value


@pytest.mark.parametrize("text", ["", "5", "101%", "-1%", "x"])
def test_a_probability_is_at_most_one(text):
    with pytest.raises(ConfigurationError, match="5%"):
        parse_probability(text)


# Text

TEXTS = [
    ("off", Throttle()),
    ("down=1.5Mbit up=750kbit latency=150ms jitter=20ms",
     Throttle(187_500, 93_750, 0.15, 0.02)),
    ("down=1.5Mbit, up=750kbit", Throttle(187_500, 93_750)),
    ("download=1MB upload=1MB", Throttle(1e6, 1e6)),
    ("DOWN=1MB", Throttle(1e6)),
    ("error=5%", Throttle(error_rate=0.05)),
    ("error=5% status=404", Throttle(error_rate=0.05, error_status=404)),
    ("error-rate=5% error_status=404", Throttle(error_rate=0.05, error_status=404)),
    ("reset=1% stall=2% cut=64kB close=2s",
     Throttle(reset_rate=0.01, stall_rate=0.02, cut_after=64_000, slow_close=2)),
    ("down=10kB per=connection", Throttle(10_000, per_connection=True)),
    ("slow-4g latency=1s", Throttle(180_000, 84_375, 1.0)),
    ("3g up=unlimited", Throttle(50_000, None, 2.0)),
    ("off latency=1s", Throttle(latency=1.0)),
]


@pytest.mark.parametrize("text, value", TEXTS, ids=[row[0] for row in TEXTS])
def test_texts_are_read(text, value):
    parsed = Throttle.parse(text)
    assert parsed == value
    assert Throttle.parse(str(parsed)) == parsed


BAD_TEXTS = [
    ("", "missing"),
    ("5g", "no throttle named '5g'.*slow-4g.*down=1.5Mbit"),
    ("down=100", "down: '100' is no rate.*750kbit.*1.5MB"),
    ("latency=100", "latency: .*150ms"),
    ("speed=1MB", "'speed=1MB' is no part"),
    ("down=1MB fast", "'fast' is no part"),
    ("down=1MB down=2MB", "given twice"),
    ("down=1MB download=2MB", "given twice"),
    ("down=0B", "offline"),
    ("offline down=1MB", "nothing passes"),
    ("status=200", "status: '200' is no status"),
    ("per=user", "per: 'user'"),
    ("latency=61s", "latency must be from 0 to 60"),
    ("down=", "down: '' is no rate"),
    ("=1MB", "no part"),
]


@pytest.mark.parametrize("text, message", BAD_TEXTS, ids=[row[0] for row in BAD_TEXTS])
def test_errors_of_texts_say_what_is_wrong_and_how_it_is_written(text, message):
    with pytest.raises(InvalidThrottle, match=message) as caught:
        Throttle.parse(text)
    assert "\n" not in str(caught.value)


def test_the_text_of_a_preset_is_its_name():
    assert [str(preset) for preset in PRESETS.values()] == list(PRESETS)
    assert str(Throttle(180_000, 84_375, 0.5625)) == "slow-4g"


def test_a_changed_preset_has_lost_its_name():
    assert Throttle.parse("slow-4g latency=1s").name == ""


def random_throttle(rng):
    def maybe(draw):
        return draw() if rng.random() < 0.6 else None

    def rate():
        return rng.choice([10 ** rng.uniform(0, 10), rng.randrange(1, 10**7),
                           rng.randrange(1, 100) * 12_500])

    values = {
        "download": maybe(rate), "upload": maybe(rate),
        "latency": maybe(lambda: rng.choice([rng.random() * 60, rng.randrange(60_000) / 1000,
                                             10 ** rng.uniform(-12, 1)])),
        "jitter": maybe(rng.random), "error_rate": maybe(rng.random),
        "error_status": maybe(lambda: rng.randrange(400, 600)),
        "reset_rate": maybe(lambda: rng.randrange(101) / 100), "stall_rate": maybe(rng.random),
        "cut_after": maybe(lambda: rng.randrange(10 ** rng.randrange(1, 16))),
        "slow_close": maybe(lambda: 60 * rng.random()), "per_connection": rng.random() < 0.3,
    }
    return Throttle(**{key: value for key, value in values.items() if value is not None})


def test_text_and_json_give_back_exactly_the_same():
    rng = random.Random(8)
    for _ in range(2000):
        throttle = random_throttle(rng)
        assert Throttle.parse(str(throttle)) == throttle
        assert Throttle.from_dict(throttle.as_dict()) == throttle


def test_written_numbers_are_short_where_they_can_be():
    assert write_rate(187_500) == "1.5Mbit"
    assert write_rate(93_750) == "750kbit"
    assert write_rate(100.0) == "100B"
    assert write_duration(0.5625) == "562.5ms"
    assert write_duration(1.5) == "1.5s"


# Numbers


@pytest.mark.parametrize("field, value", [
    ("download", -1), ("download", 0), ("upload", 0.5), ("download", 1e11), ("latency", -0.1),
    ("latency", 61), ("jitter", math.nan), ("latency", math.inf), ("error_rate", 1.1),
    ("error_rate", -0.1), ("error_status", 399), ("error_status", 600), ("error_status", 9.5),
    ("cut_after", -1), ("cut_after", 1.5), ("slow_close", 61), ("download", "1MB"),
    ("latency", None), ("latency", True), ("offline", 1), ("per_connection", "yes"),
    ("name", 1), ("label", None), ("download", 10**400), ("stall_rate", 2), ("reset_rate", []),
])
def test_values_out_of_bounds_are_refused_by_the_name_of_the_field(field, value):
    with pytest.raises(InvalidThrottle, match=field):
        Throttle(**{field: value})


def test_throttles_are_equal_when_their_numbers_are():
    assert Throttle(1000, name="a") == Throttle(1000.0, name="b")
    assert hash(Throttle(1000)) == hash(Throttle(1000.0))
    assert Throttle(1000) != Throttle(1001)


def test_active_and_faulty_tell_what_a_throttle_does():
    assert not OFF.active and not Throttle().active
    assert PRESETS["3g"].active and PRESETS["offline"].active
    assert not PRESETS["3g"].faulty
    assert Throttle(cut_after=0).faulty and Throttle(reset_rate=0.1).faulty


# JSON


def test_from_dict_clamps_to_the_bounds():
    assert Throttle.from_dict(
        {"download": 1e300, "upload": 0.1, "latency": 1e9, "error_rate": 7,
         "error_status": 200, "cut_after": 1e30, "label": "x" * 1000}
    ) == Throttle(1e10, 1, 60, error_rate=1, error_status=400, cut_after=2**53)


def test_from_dict_keeps_name_and_label():
    again = Throttle.from_dict(PRESETS["slow-4g"].as_dict())
    assert again == PRESETS["slow-4g"]
    assert (again.name, again.label) == ("slow-4g", "Slow 4G")
    assert Throttle.from_dict(PRESETS["offline"].as_dict()).offline


@pytest.mark.parametrize("values, message", [
    ({"speed": 1}, "unknown field speed"),
    ({"speed": 1, "burst": 2}, "unknown field burst, speed"),
    ({1: 2}, "unknown field 1"),
    ({"download": -1}, "download"),
    ({"download": 0}, "download.*offline"),
    ({"download": 0, "offline": False}, "download.*offline"),
    ({"latency": math.nan}, "latency must be a finite number"),
    ({"latency": math.inf}, "latency must be a finite number"),
    ({"upload": -math.inf}, "upload must be a finite number"),
    ({"download": "1MB"}, "download must be a finite number"),
    ({"latency": True}, "latency must be a finite number"),
    ({"latency": None}, "latency"),
    ({"jitter": -1}, "jitter"),
    ({"error_status": -1}, "error_status"),
    ({"offline": "yes"}, "offline must be true or false"),
    ({"cut_after": 10**400}, "cut_after"),
    ([1], "object"),
    (None, "object"),
    ("3g", "object"),
], ids=str)
def test_from_dict_refuses_what_is_no_throttle(values, message):
    with pytest.raises(InvalidThrottle, match=message):
        Throttle.from_dict(values)


# Rules


RULES = [
    ("slow-4g", EVERYTHING, PRESETS["slow-4g"]),
    ("/api/*: 3g", "/api/*", PRESETS["3g"]),
    ("/api/*:3g", "/api/*", PRESETS["3g"]),
    ("/a:b/*: 3g", "/a:b/*", PRESETS["3g"]),
    ("#88: offline", "#88", PRESETS["offline"]),
    ("#4711.88: offline", "#4711.88", PRESETS["offline"]),
    ("/items/<int:id>: 2g", "/items/<int:id>", PRESETS["2g"]),
    ("/items/{id:int}: 2g", "/items/{id:int}", PRESETS["2g"]),
    ("conn:88: offline", "#88", PRESETS["offline"]),
    ("all: down=1MB latency=20ms", EVERYTHING, Throttle(1e6, latency=0.02)),
    ("total: down=10MB", TOTAL, Throttle(1e7)),
    ("client:10.0.0.7: 3g", "client:10.0.0.7", PRESETS["3g"]),
    ("client:::1: 3g", "client:::1", PRESETS["3g"]),
]


@pytest.mark.parametrize("text, scope, value", RULES, ids=[row[0] for row in RULES])
def test_rules_are_a_scope_and_a_throttle(text, scope, value):
    assert parse_rule(text) == (scope, value)


@pytest.mark.parametrize("text, message", [
    ("/api/*", "no throttle.*slow-4g"),
    ("/items/<int:id>", "no throttle.*slow-4g"),
    ("#88", "no throttle"),
    ("client:10.0.0.7", "no throttle"),
    ("ip:fe80::1", "no throttle"),
    ("total", "no throttle"),
    ("api: 3g", "no scope"),
    ("client:10.0.0.777: 3g", "no IP address"),
    ("/api/*:", "missing"),
    ("/api/*: 5g", "5g"),
    ("total: latency=1s", "total.*rates only"),
    ("total: offline", "total.*rates only"),
])
def test_rules_that_cannot_be_used_are_refused(text, message):
    with pytest.raises(InvalidQuantity, match=message):
        parse_rule(text)


# One's own presets


def test_own_presets_are_texts_or_fields_and_may_build_on_each_other():
    own = own_presets({
        "Train": "down=2Mbit up=500kbit latency=200ms jitter=150ms",
        "tunnel": "train stall=20%",
        "lab": {"download": 125_000, "label": "The lab"},
    })
    assert list(own) == ["train", "tunnel", "lab"]
    assert own["train"] == Throttle(250_000, 62_500, 0.2, 0.15)
    assert (own["train"].name, own["train"].label) == ("train", "Train")
    assert own["tunnel"] == Throttle(250_000, 62_500, 0.2, 0.15, stall_rate=0.2)
    assert own["lab"].label == "The lab"
    assert Throttle.parse("train", own) is own["train"]
    assert Throttle.parse("train latency=1s", own).latency == 1
    assert parse_rule("/api/*: lab", own) == ("/api/*", own["lab"])
    assert Throttle.parse("3g", own) is PRESETS["3g"]
    assert Throttle.parse(str(own["train"])) == own["train"]


@pytest.mark.parametrize("specs, message", [
    ({"3g": "down=1MB"}, "'3g'.*there is one"),
    ({"a": "off", "A": "off"}, "'A'.*there is one"),
    ({"a=b": "off"}, "'a=b'.*letters"),
    ({"": "off"}, "letters"),
    ({"a": "down=5"}, "'a': down: .*750kbit"),
    ({"a": {"speed": 5}}, "'a': unknown field speed"),
    ({"a": 5}, "'a': .*object"),
    ({"a": "b", "b": "off"}, "'a': .*'b'"),
])
def test_own_presets_that_cannot_be_used_are_refused_by_name(specs, message):
    with pytest.raises(InvalidThrottle, match=message):
        own_presets(specs)


def test_an_unknown_name_lists_ones_own_too():
    with pytest.raises(InvalidThrottle, match="train"):
        Throttle.parse("car", own_presets({"train": "3g"}))


def test_the_value_is_a_leaf():
    code = ("import sys, tremolo.throttle; print(sorted(m for m in sys.modules "
            "if m.startswith('tremolo') or m in ('asyncio', 'socket')))")
    output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    assert output.strip() == str(
        ["tremolo", "tremolo.exceptions", "tremolo.scope", "tremolo.throttle",
         "tremolo.units"])
