"""What crosses the kernel boundary, in Python: structures, enumerations, constants and maps of probes/include/abi.h.

Use it as a namespace (`from bulkhead import abi`; `abi.PolicySet`), because some structures have the same words as
concepts of `bulkhead.policy`. `generated` is made by tools/gen_abi.py and never edited; `maps` is written by hand.
Integers are in the machine's byte order unless a comment says network order. Next step: `bulkhead.policy.lower` fills
these words in, `bulkhead.kernel` puts them into maps and reads records out of them.
"""

from bulkhead.abi.generated import *  # noqa: F403  # the header decides what there is, `__all__` says it
from bulkhead.abi.maps import MapDefinition as MapDefinition
from bulkhead.abi.maps import MapFlag as MapFlag
from bulkhead.abi.maps import MapType as MapType
