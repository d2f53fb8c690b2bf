"""What a process does once, before it serves."""

import subprocess
import sys

from tests.service import ROOT, clean_environment

PROGRAM = """
import asyncio, gc
from app import __main__ as program

async def look():
    gc.collect()
    print(len(gc.get_objects()), gc.get_freeze_count(), gc.isenabled())

program.in_loop(look())
"""


def test_no_collection_looks_through_what_was_imported() -> None:
    """Each would hold up whoever is being served."""
    command = [sys.executable, "-c", PROGRAM]
    told = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True, timeout=30
    )
    looked_at, frozen, is_enabled = told.stdout.split()
    assert int(frozen) > 20_000
    assert int(looked_at) < 2_000
    assert is_enabled == "True"
