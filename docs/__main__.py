"""`make docs`: writes the pages that are made of what the repository holds.

python -m docs            # write
python -m docs --verify   # exit 1 when a page is not what it would be
"""

from __future__ import annotations

import argparse
import sys

from docs import generate_border, generate_conformance, generate_images, generate_performance, generate_values


def main() -> int:
    """Writes or verifies all of them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs", description=__doc__.splitlines()[0])
    parser.add_argument("--verify", action="store_true", help="only say whether the pages are up to date")
    options = parser.parse_args()
    code = 0
    for part in (generate_values, generate_border, generate_images, generate_conformance, generate_performance):
        try:
            pages = part.wanted()
        except ValueError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        for file, text in pages.items():
            if not options.verify:
                file.write_text(text)
            elif not file.exists() or file.read_text() != text:
                sys.stderr.write(f"{file} is out of date: run make docs\n")
                code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
