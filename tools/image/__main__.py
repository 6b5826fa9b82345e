"""`python -m tools.image`: builds images into `.cache/images/NAME.tar`, as archives that `ctr images import` takes.

Why here: the thin edge between a terminal and the build. Next step: `make.made`.
"""

from __future__ import annotations

import argparse
import sys

from tools.image import NAMES, ImageError, sizes
from tools.image.make import made


def main(arguments: list[str]) -> int:
    """The exit status of what `arguments` ask for."""
    parser = argparse.ArgumentParser("python -m tools.image", description="Builds the images that are not up to date.")
    parser.add_argument("name", nargs="?", choices=[*NAMES, "all"], default="all", help="which (%(default)s)")
    parser.add_argument("--print-sizes", action="store_true", help="say what is big in them")
    options = parser.parse_args(arguments)
    try:
        archives = made(list(NAMES) if options.name == "all" else [options.name])
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("image: interrupted; the images are as they were", file=sys.stderr)
        return 130
    if options.print_sizes:
        for name, archive in archives.items():
            print(sizes.table(name, sizes.measured(archive)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
