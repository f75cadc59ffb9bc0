"""What our writer of gauges says is what the client library reads, and would have said itself."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from gpupool.telemetry.catalog import Metric
from gpupool.telemetry.exposition import exposition

ODD = Metric("odd_gauge", 'Help with a \\ and\na "line".', ("first", "second"))
PLAIN = Metric("plain_gauge", "No labels.")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.dictionaries(st.tuples(TEXT, TEXT), st.floats(allow_nan=False), max_size=5)


def of_library(metric: Metric, values: Mapping[tuple[str, ...], float]) -> str:
    """The page that the client library writes."""

    class Once(Collector):
        def collect(self) -> list[GaugeMetricFamily]:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in sorted(values.items()):
                family.add_metric(labels, value)
            return [family]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry).decode()


def read(text: str) -> list[tuple[str, str, list[tuple[dict[str, str], float]]]]:
    return [
        (f.name, f.documentation, [(s.labels, s.value) for s in f.samples])
        for f in text_string_to_metric_families(text)
    ]


@given(VALUES)
def test_labels_of_any_kind_come_back_as_they_were(values: dict[tuple[str, ...], float]) -> None:
    # The library's reader ends lines where Python does, Prometheus' at \n alone.
    kept = {
        k: v for k, v in values.items() if not set("".join(k)) & set("\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
    }
    if kept:
        assert read(exposition([(ODD, kept)])) == read(of_library(ODD, kept))


def test_a_metric_without_labels_has_one_line_and_one_without_values_none() -> None:
    text = exposition([(PLAIN, {(): 3.0}), (ODD, {})])
    assert text == "# HELP plain_gauge No labels.\n# TYPE plain_gauge gauge\nplain_gauge 3.0\n"


def test_series_stand_in_the_order_of_their_labels() -> None:
    text = exposition([(ODD, {("b", "x"): 1.0, ("a", "y"): 0.5})])
    assert text.splitlines()[2:] == [
        'odd_gauge{first="a",second="y"} 0.5',
        'odd_gauge{first="b",second="x"} 1.0',
    ]
