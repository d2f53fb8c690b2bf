"""Python's collector of garbage, spared what lasts: as this service does it, in app/__main__.py."""

import gc


def keep_out_of_collections() -> None:
    """Call once everything is imported: else full collections would hold up one visitor in a hundred."""
    gc.freeze()
