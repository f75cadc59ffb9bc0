"""The serving certificate, and when a next one takes its place."""

from datetime import datetime, timedelta

from cryptography import x509

from gpupool.runtime.metricsapi.certificates import EARLY, SKEW, VALID, Rotation, Serving, make
from support.builders import NOW

NAMES = (
    "gpupool-external-metrics.gpupool-system.svc",
    "gpupool-external-metrics.gpupool-system.svc.cluster.local",
)


def numbered() -> Rotation:
    count = iter(range(9))

    def one(now: datetime) -> Serving:
        return Serving(b"%d" % next(count), b"", now + VALID)

    return Rotation(one)


def test_a_certificate_names_the_service_for_a_while_and_signs_nothing_else() -> None:
    made = x509.load_pem_x509_certificate(make(NAMES, NOW).certificate)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == NAMES
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (made.not_valid_before_utc, made.not_valid_after_utc) == (
        (NOW - SKEW).replace(microsecond=0),
        (NOW + VALID).replace(microsecond=0),
    )
    assert make(NAMES, NOW).key != make(NAMES, NOW).key


def test_a_next_certificate_is_trusted_before_it_is_shown() -> None:
    rotation = numbered()
    late = NOW + VALID - EARLY
    assert rotation.shown(NOW).certificate == b"0"
    rotation.trusted()
    assert (rotation.shown(late - timedelta(seconds=1)).certificate, rotation.bundle) == (b"0", b"0")
    assert (rotation.shown(late).certificate, rotation.bundle) == (b"0", b"01")
    assert (rotation.shown(late).certificate, rotation.bundle) == (b"0", b"01"), "not published yet"
    rotation.trusted()
    assert (rotation.shown(late).certificate, rotation.bundle) == (b"1", b"1")


def test_one_that_ended_meanwhile_is_replaced_at_once() -> None:
    rotation = numbered()
    rotation.shown(NOW)
    assert rotation.shown(NOW + VALID).certificate == b"1"
    assert rotation.bundle == b"1"
