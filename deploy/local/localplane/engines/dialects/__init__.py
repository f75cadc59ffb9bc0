"""What each engine calls its metrics; one file an engine."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from localplane.engines.annotations import Data, Engine, Settings
from localplane.engines.dialects.nim import NIM
from localplane.engines.dialects.sglang import SGLANG
from localplane.engines.dialects.tgi import TGI
from localplane.engines.dialects.triton import TRITON
from localplane.engines.dialects.vllm import VLLM, VLLM_OLD, VLLM_OLD_BUCKETS
from localplane.engines.families import Dialect

DIALECTS: Final[Mapping[Engine, Dialect]] = MappingProxyType(
    {
        Engine.VLLM: VLLM,
        Engine.VLLM_08: VLLM_OLD,
        Engine.SGLANG: SGLANG,
        Engine.TGI: TGI,
        Engine.TRITON: TRITON,
        Engine.NIM: NIM,
    }
)


def dialect_of(settings: Settings) -> Dialect:
    """The dialect of a pod: that of its engine, or vLLM's names with an older release's bounds."""
    if settings.engine is Engine.VLLM and settings.data is Data.OLD_BUCKETS:
        return VLLM_OLD_BUCKETS
    return DIALECTS[settings.engine]
