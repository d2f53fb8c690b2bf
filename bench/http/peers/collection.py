"""Python's collector of garbage, spared what lasts: as this service does it, in app/__main__.py."""

import gc

OBJECTS_BETWEEN_COLLECTIONS = 10_000


def collect_seldom() -> None:
    """Call once everything is imported: full collections would hold up one visitor in a hundred."""
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
