"""An open guard of the chart is one Event, and another one when another guard opens."""

from dataclasses import replace

from gpupool.model.chartguards import ChartGuards, GuardBinding
from gpupool.model.enforcement import Enforcement
from gpupool.model.pool import Mode
from gpupool.runtime.guardnews import GuardNews
from support.builders import a_pool, a_share, a_snapshot

NAMES = ("gpupool-quota-guard", "gpupool-use")
BINDINGS = {name: GuardBinding(name, denies=True) for name in NAMES}
SNAPSHOT = a_snapshot(a_pool(a_share("vision", 8)))


def heard(news: GuardNews, *stand: str) -> list[str]:
    guards = ChartGuards(NAMES, frozenset(NAMES), {name: BINDINGS[name] for name in stand})
    return [n.message for n in news.of(replace(SNAPSHOT, enforcement=Enforcement(guards=guards)))]


def test_what_opens_is_told_once_and_again_when_it_was_closed_meanwhile() -> None:
    news = GuardNews()
    assert heard(news, *NAMES) == []
    (first,) = heard(news, "gpupool-use")
    assert "gpupool-quota-guard (its binding is missing)" in first
    assert heard(news, "gpupool-use") == []
    (second,) = heard(news)
    assert "gpupool-use" in second
    assert "quota-guard" not in second
    assert heard(news, "gpupool-quota-guard") == []
    assert heard(news, "gpupool-use") == [first]


def test_the_event_is_a_warning_about_the_pool_and_who_only_looks_hears_none() -> None:
    snapshot = replace(SNAPSHOT, enforcement=Enforcement(guards=ChartGuards(NAMES)))
    (notice,) = GuardNews().of(snapshot)
    assert (notice.kind, notice.key.name, notice.reason, notice.warning) == (
        "GpuPool",
        "lab",
        "GuardOpen",
        True,
    )
    looking = replace(snapshot, pool=a_pool(a_share("vision", 8), mode=Mode.OBSERVE))
    assert GuardNews().of(looking) == ()
