"""The images of Bulkhead, built on any Debian machine that reaches package registries: no image registry is needed.

Why here: a machine that develops or tests may reach no image registry, so the base image is made from packages, too.
What goes into the images is in the Dockerfile, which any builder takes; what is special to a machine (mirrors, its own
certificate authorities) is mounted for the build only, and the result is searched for it.

`make` decides what has to be done, `base` makes the base image's tree, `machine` collects what builds need of this
machine, `builder` calls buildah, `archive` reads what comes out, for `traces` (nothing of this machine) and `sizes`.
The command line is `__main__`. Start reading at `make.made`.
"""

from __future__ import annotations

from pathlib import Path

from bulkhead import __version__

CHECKOUT = Path(__file__).resolve().parents[2]
IMAGES = CHECKOUT / ".cache/images"
NAMES = {  # what people ask for -> what the image is called
    "debian": "local.test/debian:12",
    "agent": f"docker.io/bulkhead/agent:{__version__}",
    "collector": f"docker.io/bulkhead/collector:{__version__}",
}


class ImageError(Exception):
    """An image cannot be built: a tool is missing, a step failed, or the result is not fit to be given away."""
