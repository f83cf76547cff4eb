"""Paths of the checkout, of recorded data, and of the programs that tests start."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "test/data"
HELPERS = ROOT / "test/helpers"
VENDOR_SERVICES = HELPERS / "vendor_services.py"
