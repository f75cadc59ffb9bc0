"""Names as Kubernetes allows them, with messages a newcomer can act on."""

import re
from typing import Annotated

from pydantic import StringConstraints

from gpupool.api.v1alpha1.rules import Rule, form

_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_DNS_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_LABEL_TEXT = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
_LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_RESOURCE = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_RESOURCE_WHOLE = re.compile(_RESOURCE)
MAX_LABEL_KEY = 317  # a domain of 253, a slash, a name of 63
_QUOTA_PREFIXES = ("requests.", "limits.")


def _is_resource(name: str) -> bool:
    return bool(_RESOURCE_WHOLE.fullmatch(name)) and "kubernetes.io/" not in name


DnsLabel = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=_DNS_LABEL)]
DnsName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=_DNS_NAME)]
# Of one object that a field names: in long lists the API server has no time for a rule.
ObjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    form(_DNS_NAME, "is no name of an object: write it in lower case, as its metadata.name has it"),
]
LabelText = Annotated[str, StringConstraints(max_length=63, pattern=_LABEL_TEXT)]
LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LABEL_KEY, pattern=_LABEL_KEY)]

# The keys of a map have no schema of their own, so the map judges them.
LABEL_KEYS = Rule(
    cel=f"self.all(key, key.size() <= {MAX_LABEL_KEY} && key.matches('{_LABEL_KEY}'))",
    message="a label key is letters, digits, '-', '_' and '.', with an optional '<domain>/' in front",
    holds=lambda labels: all(len(key) <= MAX_LABEL_KEY and re.fullmatch(_LABEL_KEY, key) for key in labels),
)
TeamName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"),
]

# The two wrong spellings that people bring from ResourceQuota manifests come first: they have their own fix.
ResourceName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Rule(
        cel="!self.startsWith('requests.') && !self.startsWith('limits.')",
        message="that is the spelling of a ResourceQuota: write the plain name, such as nvidia.com/gpu",
        shows=(
            "resource %s is the spelling of a ResourceQuota: write %s",
            "self",
            "self.substring(self.indexOf('.') + 1)",
        ),
        holds=lambda name: not name.startswith(_QUOTA_PREFIXES),
    ),
    Rule(
        cel=f"self.startsWith('requests.') || self.startsWith('limits.') || (self.matches('{_RESOURCE}')"
        " && !self.contains('kubernetes.io/'))",
        message="that is not an extended resource: write <domain>/<name>, such as nvidia.com/gpu",
        shows=(
            "resource %s is not an extended resource: write <domain>/<name>, such as nvidia.com/gpu",
            "self",
        ),
        holds=_is_resource,
    ),
]
